"""What RFC 9113 and RFC 7541 ask of a server, as a table: what a client says, and how it must be taken.

Run by itself it tries any server without TLS, to see what others do:
  http2_cases.py HOST PORT [PATTERN]
"""

import os
import socket
import sys

if __name__ == "__main__":
    sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from lab.http2 import *  # noqa: E402,F403: the vocabulary of the table
from lab import http2  # noqa: E402


class Goaway:
    """A connection error: GOAWAY with one of the codes, then the end."""

    def __init__(self, *codes):
        self.codes = codes

    def check(self, connection):
        got = connection.until(lambda f: f.kind == GOAWAY and f.code != NO_ERROR)
        if got.kind != GOAWAY or got.code not in self.codes:
            return f"{got} instead of GOAWAY {self.codes}"
        end = connection.until(lambda f: False)
        return None if end.kind == CLOSED else f"{end} after GOAWAY"


class Ended:
    """The end of the connection, with or without GOAWAY."""

    def check(self, connection):
        end = connection.until(lambda f: f.kind not in (GOAWAY, SETTINGS, WINDOW_UPDATE))
        return None if end.kind == CLOSED else f"{end} instead of the connection's end"


class Reset:
    """A stream error: RST_STREAM with one of the codes, and a connection that lives on."""

    def __init__(self, stream, *codes):
        self.stream, self.codes = stream, codes

    def check(self, connection):
        got = connection.until(lambda f: f.kind == GOAWAY or f.kind in (RST_STREAM, HEADERS)
                               and f.stream == self.stream)
        if got.kind != RST_STREAM or got.code not in self.codes:
            return f"{got} instead of RST_STREAM {self.codes}"
        return None if connection.lives() else "the connection does not outlive the stream"


class Answered:
    """The request on a stream is answered with a status."""

    def __init__(self, stream=1, status="200"):
        self.stream, self.status = stream, status

    def check(self, connection):
        got = connection.until(lambda f: f.kind == GOAWAY or f.kind in (RST_STREAM, HEADERS)
                               and f.stream == self.stream)
        if got.kind != HEADERS or got.fields.get(":status") != self.status:
            return f"{got} instead of status {self.status}"
        return None


class Lives:
    """Nothing happens: the connection answers a PING."""

    def check(self, connection):
        return None if connection.lives() else "the connection has ended"


class Refused:
    """The request never gets anywhere: RST_STREAM, or an answer 400."""

    def __init__(self, stream=1):
        self.stream = stream

    def check(self, connection):
        got = connection.until(lambda f: f.kind == GOAWAY or f.kind in (RST_STREAM, HEADERS)
                               and f.stream == self.stream)
        if got.kind == RST_STREAM and got.code == PROTOCOL_ERROR or \
                got.kind == HEADERS and got.fields.get(":status") == "400":
            return None if connection.lives() else "the connection does not outlive the request"
        return f"{got} instead of a refusal"


GET = request_fields()
OPEN_POST = headers(1, request_fields(method="POST"), END_HEADERS)
CLOSED_1 = headers(1, GET)
PROTOCOL = Goaway(PROTOCOL_ERROR)
SIZE = Goaway(FRAME_SIZE_ERROR)
COMPRESSION = Goaway(COMPRESSION_ERROR)
MALFORMED = Reset(1, PROTOCOL_ERROR)
PADDED_GET = headers(1, b"\x05" + GET + bytes(5), END_HEADERS | END_STREAM | PADDED)


def get(*extra):
    """A GET on stream 1 with more fields."""
    return headers(1, GET + fields(*extra))


def post(*extra):
    return headers(1, request_fields(method="POST", extra=extra), END_HEADERS)


def without(name):
    """A GET on stream 1 that lacks a pseudo-header field."""
    pairs = [(":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", "tea")]
    return headers(1, fields(*[pair for pair in pairs if pair[0] != name]))


# What is said after the connection's preface and SETTINGS.
CASES = [
    # RFC 9113 section 4.1, 5.5: what nobody knows is ignored.
    ("4.1 a frame of an unknown type", frame(0xbb, 0xff, 0, b"12345678") + CLOSED_1, Answered()),
    ("4.1 a frame of an unknown type on an idle stream", frame(0xbb, 0, 9, b"x"), Lives()),
    ("4.1 a PING with undefined flags", ping(flags=0x16) + CLOSED_1, Answered()),
    ("4.1 a PING with the reserved bit set",
     frame(PING, 0, 0x80000000, b"12345678") + CLOSED_1, Answered()),
    ("4.1 HEADERS with undefined flags", headers(1, GET, END_HEADERS | END_STREAM | 0xc2), Answered()),
    # 4.2: sizes.
    ("4.2 DATA of the largest size", OPEN_POST + data(1, bytes(16384), END_STREAM), Answered()),
    ("4.2 DATA beyond SETTINGS_MAX_FRAME_SIZE", OPEN_POST + data(1, bytes(16385), END_STREAM),
     Goaway(FRAME_SIZE_ERROR)),
    ("4.2 HEADERS beyond SETTINGS_MAX_FRAME_SIZE",
     headers(1, GET + literal("x", "y" * 16384)), SIZE),
    ("4.2 an unknown frame beyond SETTINGS_MAX_FRAME_SIZE", frame(0xbb, 0, 0, bytes(16385)), SIZE),
    # 4.3: field blocks.
    ("4.3 an invalid field block", headers(1, b"\x01"), COMPRESSION),
    ("4.3 a field block that ends within a field", headers(1, GET + b"\x00\x05abc"), COMPRESSION),
    ("4.3 PRIORITY within a field block",
     headers(1, GET, END_STREAM) + frame(PRIORITY, 0, 1, bytes(4) + b"\xff"), PROTOCOL),
    ("4.3 HEADERS of another stream within a field block",
     headers(1, GET, END_STREAM) + headers(3, GET), PROTOCOL),
    ("4.3 an unknown frame within a field block",
     headers(1, GET, END_STREAM) + frame(0xbb, 0, 1, b"x"), PROTOCOL),
    # 5.1: states of streams.
    ("5.1 DATA on an idle stream", data(1, b"x", END_STREAM), PROTOCOL),
    ("5.1 RST_STREAM on an idle stream", reset(1), PROTOCOL),
    ("5.1 WINDOW_UPDATE on an idle stream", window_update(1, 100), PROTOCOL),
    ("5.1 CONTINUATION on an idle stream", frame(CONTINUATION, END_HEADERS, 1, GET), PROTOCOL),
    ("5.1 DATA on a stream half closed", CLOSED_1 + data(1, b"x", END_STREAM),
     (Reset(1, STREAM_CLOSED), Goaway(STREAM_CLOSED))),
    ("5.1 HEADERS on a stream half closed", CLOSED_1 + CLOSED_1,
     (Reset(1, STREAM_CLOSED), Goaway(STREAM_CLOSED))),
    ("5.1 CONTINUATION on a stream half closed",
     CLOSED_1 + frame(CONTINUATION, END_HEADERS, 1, GET), PROTOCOL),
    ("5.1 DATA on a stream that the client has reset", OPEN_POST + reset(1) + data(1, b"x"),
     Reset(1, STREAM_CLOSED)),
    ("5.1 HEADERS on a stream that the client has reset", OPEN_POST + reset(1) + CLOSED_1,
     Reset(1, STREAM_CLOSED)),
    ("5.1 CONTINUATION on a stream that the client has reset",
     OPEN_POST + reset(1) + frame(CONTINUATION, END_HEADERS, 1, GET), PROTOCOL),
    ("5.1 PRIORITY on a closed stream",
     OPEN_POST + reset(1) + frame(PRIORITY, 0, 1, bytes(4) + b"\x0f"), Lives()),
    ("5.1 WINDOW_UPDATE on a stream that the client has reset",
     OPEN_POST + reset(1) + window_update(1, 1), Lives()),
    ("5.1.1 a stream of an even number", headers(2, GET), PROTOCOL),
    ("5.1.1 a stream of a lower number", headers(5, GET) + headers(3, GET),
     Goaway(PROTOCOL_ERROR, STREAM_CLOSED)),
    ("5.1.1 a stream of the highest number", headers(0x7fffffff, GET), Answered(0x7fffffff)),
    # 5.3.1 of RFC 7540: RFC 9113 deprecates priorities and keeps this error.
    ("5.3.1 HEADERS that depend on their own stream",
     headers(1, number(1) + b"\xff" + GET, END_HEADERS | END_STREAM | HAS_PRIORITY),
     (Reset(1, PROTOCOL_ERROR), PROTOCOL, Answered())),
    ("5.3.1 PRIORITY that depends on its own stream", frame(PRIORITY, 0, 1, number(1) + b"\xff"),
     (Reset(1, PROTOCOL_ERROR), PROTOCOL, Lives())),
    # 6.1: DATA.
    ("6.1 DATA on stream 0", data(0, b"x"), PROTOCOL),
    ("6.1 DATA with padding", OPEN_POST + data(1, b"\x03abc" + bytes(3), END_STREAM | PADDED),
     Answered()),
    ("6.1 DATA with nothing but padding", OPEN_POST + data(1, b"\x03" + bytes(3), END_STREAM | PADDED),
     Answered()),
    ("6.1 DATA with too much padding", OPEN_POST + data(1, b"\x06abcde", END_STREAM | PADDED),
     PROTOCOL),
    ("6.1 DATA without the length of its padding", OPEN_POST + data(1, b"", END_STREAM | PADDED),
     Goaway(FRAME_SIZE_ERROR, PROTOCOL_ERROR)),
    # 6.2: HEADERS.
    ("6.2 HEADERS on stream 0", headers(0, GET), PROTOCOL),
    ("6.2 HEADERS with padding", PADDED_GET, Answered()),
    ("6.2 HEADERS with priority and padding",
     headers(1, b"\x02" + bytes(4) + b"\x0f" + GET + bytes(2),
             END_HEADERS | END_STREAM | PADDED | HAS_PRIORITY), Answered()),
    ("6.2 HEADERS with too much padding",
     headers(1, bytes([len(GET) + 1]) + GET, END_HEADERS | END_STREAM | PADDED), PROTOCOL),
    ("6.2 HEADERS too short for their priority",
     headers(1, b"\x00\x00", END_HEADERS | END_STREAM | HAS_PRIORITY),
     Goaway(FRAME_SIZE_ERROR, PROTOCOL_ERROR)),
    # 6.3: PRIORITY.
    ("6.3 PRIORITY on an idle stream, then a lower one",
     frame(PRIORITY, 0, 7, bytes(4) + b"\x10") + headers(1, GET), Answered()),
    ("6.3 PRIORITY on stream 0", frame(PRIORITY, 0, 0, bytes(4) + b"\xff"), PROTOCOL),
    ("6.3 PRIORITY of another size", OPEN_POST + frame(PRIORITY, 0, 1, bytes(4)),
     (Reset(1, FRAME_SIZE_ERROR), Goaway(FRAME_SIZE_ERROR))),
    # 6.4: RST_STREAM.
    ("6.4 RST_STREAM on stream 0", reset(0), PROTOCOL),
    ("6.4 RST_STREAM of another size", OPEN_POST + frame(RST_STREAM, 0, 1, b"\0\0\0"), SIZE),
    ("6.4 RST_STREAM with an unknown code", OPEN_POST + reset(1, 0xff) + headers(3, GET),
     Answered(3)),
    # 6.5: SETTINGS.
    ("6.5 an acknowledgement with a payload",
     settings((MAX_CONCURRENT_STREAMS, 1), flags=ACK), SIZE),
    ("6.5 SETTINGS on a stream", settings((MAX_CONCURRENT_STREAMS, 1), stream=1), PROTOCOL),
    ("6.5 SETTINGS of another size", frame(SETTINGS, 0, 0, bytes(3)), SIZE),
    ("6.5 the same setting many times",
     settings(*[(INITIAL_WINDOW_SIZE, size) for size in (100, 1, 65535)]) + CLOSED_1, Answered()),
    ("6.5.2 SETTINGS_ENABLE_PUSH of 2", settings((ENABLE_PUSH, 2)), PROTOCOL),
    ("6.5.2 SETTINGS_INITIAL_WINDOW_SIZE of 2^31", settings((INITIAL_WINDOW_SIZE, 1 << 31)),
     Goaway(FLOW_CONTROL_ERROR)),
    ("6.5.2 SETTINGS_MAX_FRAME_SIZE of 16,383", settings((MAX_FRAME_SIZE, 16383)), PROTOCOL),
    ("6.5.2 SETTINGS_MAX_FRAME_SIZE of 2^24", settings((MAX_FRAME_SIZE, 1 << 24)), PROTOCOL),
    ("6.5.2 an unknown setting", settings((0xff, 1)) + CLOSED_1, Answered()),
    ("6.5.2 SETTINGS_HEADER_TABLE_SIZE of 0", settings((HEADER_TABLE_SIZE, 0)) + CLOSED_1, Answered()),
    ("8441 SETTINGS_ENABLE_CONNECT_PROTOCOL of 2", settings((ENABLE_CONNECT_PROTOCOL, 2)), PROTOCOL),
    # 6.6 and 8.4: PUSH_PROMISE.
    ("6.6 PUSH_PROMISE from a client",
     OPEN_POST + frame(PUSH_PROMISE, END_HEADERS, 1, number(2) + GET), PROTOCOL),
    # 6.7: PING.
    ("6.7 PING on a stream", frame(PING, 0, 1, b"12345678"), PROTOCOL),
    ("6.7 PING of another size", ping(b"123456"), SIZE),
    ("6.7 an acknowledgement that nobody waits for", ping(b"nobody's", ACK), Lives()),
    # 6.8: GOAWAY.
    ("6.8 GOAWAY on a stream", frame(GOAWAY, 0, 1, bytes(8)), PROTOCOL),
    ("6.8 GOAWAY too short", frame(GOAWAY, 0, 0, bytes(7)), SIZE),
    ("6.8 a request before GOAWAY", CLOSED_1 + frame(GOAWAY, 0, 0, bytes(8)), Answered()),
    # 6.9: WINDOW_UPDATE.
    ("6.9 an increment of 0 for the connection", window_update(0, 0), PROTOCOL),
    ("6.9 an increment of 0 for a stream", OPEN_POST + window_update(1, 0),
     (Reset(1, PROTOCOL_ERROR), PROTOCOL)),
    ("6.9 WINDOW_UPDATE of another size", frame(WINDOW_UPDATE, 0, 0, bytes(3)), SIZE),
    ("6.9 an increment with the reserved bit set", window_update(0, 0x80000001) + CLOSED_1,
     Answered()),
    ("6.9.1 the connection's window beyond 2^31 - 1",
     window_update(0, 0x7fffffff) + window_update(0, 0x7fffffff), Goaway(FLOW_CONTROL_ERROR)),
    ("6.9.1 a stream's window beyond 2^31 - 1", OPEN_POST + window_update(1, 0x7fffffff) * 2,
     Reset(1, FLOW_CONTROL_ERROR)),
    ("6.9.2 an initial window that takes a stream beyond 2^31 - 1",
     OPEN_POST + window_update(1, 0x7fff0000) + settings((INITIAL_WINDOW_SIZE, 0x7fffffff)),
     (Goaway(FLOW_CONTROL_ERROR), Reset(1, FLOW_CONTROL_ERROR))),
    # 6.10: CONTINUATION.
    ("6.10 a block in many CONTINUATIONs",
     headers(1, GET[:5], END_STREAM) + frame(CONTINUATION, 0, 1, GET[5:9]) +
     frame(CONTINUATION, 0, 1, b"") + frame(CONTINUATION, END_HEADERS, 1, GET[9:]), Answered()),
    ("6.10 CONTINUATION on stream 0",
     headers(1, GET, END_STREAM) + frame(CONTINUATION, END_HEADERS, 0, b""), PROTOCOL),
    ("6.10 CONTINUATION after the block's end", CLOSED_1 + frame(CONTINUATION, END_HEADERS, 1, b""),
     PROTOCOL),
    ("6.10 CONTINUATION after a CONTINUATION that ended the block",
     headers(1, GET, END_STREAM) + frame(CONTINUATION, END_HEADERS, 1, b"") +
     frame(CONTINUATION, END_HEADERS, 1, b""), PROTOCOL),
    ("6.10 CONTINUATION after DATA", OPEN_POST + data(1, b"x") + frame(CONTINUATION, END_HEADERS, 1, b""),
     PROTOCOL),
    ("6.10 CONTINUATION of another stream",
     headers(1, GET, END_STREAM) + frame(CONTINUATION, END_HEADERS, 3, b""), PROTOCOL),
    # 7: error codes.
    ("7 GOAWAY with an unknown code", CLOSED_1 + frame(GOAWAY, 0, 0, bytes(4) + number(0xff)),
     Answered()),
    # 8.1: messages.
    ("8.1 trailers", post(("te", "trailers")) + data(1, b"x") + headers(1, fields(("x-sum", "1"))),
     Answered()),
    ("8.1 trailers without the stream's end",
     post() + data(1, b"x") + headers(1, fields(("x-sum", "1")), END_HEADERS), MALFORMED),
    ("8.1 a pseudo-header field in trailers",
     post() + data(1, b"x") + headers(1, fields(("x-sum", "1"), (":path", "/2"))), MALFORMED),
    ("8.1 a connection-specific field in trailers",
     post() + data(1, b"x") + headers(1, fields(("transfer-encoding", "chunked"))), MALFORMED),
    ("8.1.1 content-length and a body that is shorter",
     post(("content-length", "5")) + data(1, b"four", END_STREAM), MALFORMED),
    ("8.1.1 content-length and a body that is longer",
     post(("content-length", "3")) + data(1, b"four", END_STREAM), MALFORMED),
    ("8.1.1 content-length and a body in frames that is longer",
     post(("content-length", "1")) + data(1, b"ab") + data(1, b"cd", END_STREAM), MALFORMED),
    ("8.1.1 content-length and no body", get(("content-length", "1")), MALFORMED),
    ("8.1.1 content-length and trailers before its end",
     post(("content-length", "5")) + data(1, b"abc") + headers(1, fields(("x", "y"))), MALFORMED),
    ("8.1.1 two lengths", post(("content-length", "1"), ("content-length", "2")), MALFORMED),
    ("8.1.1 a negative length", post(("content-length", "-1")), MALFORMED),
    ("8.1.1 a length with a sign", post(("content-length", "+1")), MALFORMED),
    ("8.1.1 a list of lengths", post(("content-length", "1, 1")), MALFORMED),
    ("8.1.1 an empty length", post(("content-length", "")), MALFORMED),
    ("8.1.1 a length beyond numbers", post(("content-length", "9" * 30)), MALFORMED),
    # 8.2: fields.
    ("8.2.1 an uppercase name", get(("X-Test", "1")), MALFORMED),
    ("8.2.1 an uppercase letter within a name", get(("x-tEst", "1")), MALFORMED),
    ("8.2.1 an uppercase name in trailers", post() + headers(1, fields(("X-Sum", "1"))), MALFORMED),
    ("8.2.1 an empty name", get(("", "1")), MALFORMED),
    ("8.2.1 a name with a space", get(("x y", "1")), MALFORMED),
    ("8.2.1 a name with a colon", get(("x:y", "1")), MALFORMED),
    ("8.2.1 a name beyond ASCII", get(("x\xe4", "1")), MALFORMED),
    ("8.2.1 a name with NUL", get(("x\0", "1")), MALFORMED),
    ("8.2.1 a value with NUL", get(("x", "a\0b")), MALFORMED),
    ("8.2.1 a value with CR", get(("x", "a\rb")), MALFORMED),
    ("8.2.1 a value with LF", get(("x", "a\nb: c")), MALFORMED),
    ("8.2.1 a value with CR LF", get(("x", "a\r\nhost: b")), MALFORMED),
    ("8.2.1 a value that begins with a blank", get(("x", " a")), MALFORMED),
    ("8.2.1 a value that ends with a tab", get(("x", "a\t")), MALFORMED),
    ("8.2.1 CR LF in a trailer", post() + headers(1, fields(("x", "a\r\nb"))), MALFORMED),
    ("8.2.2 Connection", get(("connection", "keep-alive")), MALFORMED),
    ("8.2.2 Keep-Alive", get(("keep-alive", "1")), MALFORMED),
    ("8.2.2 Proxy-Connection", get(("proxy-connection", "close")), MALFORMED),
    ("8.2.2 Transfer-Encoding", get(("transfer-encoding", "chunked")), MALFORMED),
    ("8.2.2 Upgrade", get(("upgrade", "h2c")), MALFORMED),
    ("8.2.2 TE other than trailers", get(("te", "trailers, deflate")), MALFORMED),
    ("8.2.2 TE: trailers", get(("te", "trailers")), Answered()),
    ("8.2.3 crumbs of cookies", get(("cookie", "a=1"), ("cookie", "b=2")), Answered()),
    # 8.3: pseudo-header fields.
    ("8.3 an unknown pseudo-header field", get((":test", "ok")), MALFORMED),
    ("8.3 a pseudo-header field of responses", headers(1, GET + fields((":status", "200"))), MALFORMED),
    ("8.3 a pseudo-header field after a field",
     headers(1, fields((":method", "GET"), (":scheme", "http"), ("x", "y"), (":path", "/"),
                       (":authority", "tea"))), MALFORMED),
    ("8.3.1 no :method", without(":method"), MALFORMED),
    ("8.3.1 no :scheme", without(":scheme"), MALFORMED),
    ("8.3.1 no :path", without(":path"), MALFORMED),
    ("8.3.1 an empty :path", headers(1, request_fields("")), MALFORMED),
    ("8.3.1 an empty :method", headers(1, request_fields(method="")), MALFORMED),
    ("8.3.1 an empty :scheme", headers(1, request_fields(scheme="")), MALFORMED),
    *[(f"8.3.1 two of {name}", get((name, value)), MALFORMED)
      for name, value in ((":method", "GET"), (":scheme", "http"), (":path", "/"),
                          (":authority", "tea"))],
    ("8.3.1 an asterisk for another method than OPTIONS", headers(1, request_fields("*")), MALFORMED),
    ("8.3.1 a path without a slash", headers(1, request_fields("a")), MALFORMED),
    ("8.3.1 a :method that is no token", headers(1, request_fields(method="GE T")), Refused()),
    ("8.3.1 a :method with CR LF", headers(1, request_fields(method="GET / HTTP/1.1\r\nx: y")),
     Refused()),
    *[(f"8.3.1 a :path with {what}", headers(1, request_fields(path)), Refused())
      for what, path in (("a blank", "/a b"), ("a tab", "/a\tb"), ("NUL", "/a\0b"),
                         ("CR LF", "/ HTTP/1.1\r\nx: y"), ("DEL", "/\x7f"), ("a line feed", "/\n"))],
    *[(f"8.3.1 an :authority with {what}", headers(1, request_fields(authority=authority)), Refused())
      for what, authority in (("a blank", "tea coffee"), ("CR LF", "tea\r\nx: y"),
                              ("user information", "user@tea"), ("a slash", "tea/x"))],
    ("8.3.1 a :scheme with a blank", headers(1, request_fields(scheme="ht tp")), Refused()),
    ("8.3.1 :authority and another host", get(("host", "coffee")), MALFORMED),
    ("8.3.1 :authority and two hosts", get(("host", "tea"), ("host", "coffee")), MALFORMED),
    ("8.3.1 host for :authority",
     headers(1, fields((":method", "GET"), (":scheme", "http"), (":path", "/"), ("host", "tea"))),
     Answered()),
    ("8.5 CONNECT with :path",
     headers(1, request_fields(method="CONNECT"), END_HEADERS), MALFORMED),
    ("8.5 CONNECT without :authority", headers(1, fields((":method", "CONNECT")), END_HEADERS),
     MALFORMED),
    ("8441 :protocol with another method than CONNECT", get((":protocol", "websocket")), MALFORMED),
    ("8441 extended CONNECT without :path",
     headers(1, fields((":method", "CONNECT"), (":protocol", "websocket"), (":scheme", "http"),
                       (":authority", "tea")), END_HEADERS), MALFORMED),
    # RFC 7541: HPACK.
    ("7541 2.3.3 index 0", headers(1, b"\x80" + GET), COMPRESSION),
    ("7541 2.3.3 an index beyond both tables", headers(1, GET + integer(70, 7, 0x80)), COMPRESSION),
    ("7541 2.3.3 a name's index beyond both tables",
     headers(1, GET + integer(70, 6, 0x40) + b"\x01x"), COMPRESSION),
    ("7541 4.2 a size update within the limit",
     headers(1, integer(128, 5, 0x20) + integer(4096, 5, 0x20) + GET), Answered()),
    ("7541 4.2 a size update after a field", headers(1, GET + b"\x20"), COMPRESSION),
    ("7541 4.2 a size update beyond SETTINGS_HEADER_TABLE_SIZE",
     headers(1, integer(4097, 5, 0x20) + GET), COMPRESSION),
    ("7541 4.4 an entry larger than the table", headers(1, b"\x20" + GET + b"\x40\x01x\x01y"),
     Answered()),
    ("7541 5.1 an integer without end", headers(1, GET + b"\xff" + b"\xff" * 12 + b"\x01"), COMPRESSION),
    ("7541 5.2 a string longer than its block", headers(1, GET + b"\x00\x01x\x7e"), COMPRESSION),
    ("7541 5.2 Huffman padding of more than 7 bits",
     headers(1, GET + b"\x00\x85\xf2\xb2\x4a\x84\xff\x84\x49\x50\x9f\xff"), COMPRESSION),
    ("7541 5.2 Huffman padding of zeros",
     headers(1, GET + b"\x00\x85\xf2\xb2\x4a\x84\xff\x83\x49\x50\x90"), COMPRESSION),
    ("7541 5.2 EOS within a Huffman string",
     headers(1, GET + b"\x00\x85\xf2\xb2\x4a\x84\xff\x87\x49\x51\xff\xff\xff\xfa\x7f"), COMPRESSION),
    ("7541 6.1 an indexed field of the static table", headers(1, b"\x82\x86\x84\x41\x03tea"), Answered()),
    ("7541 6.2.1 a field of the dynamic table, used again",
     headers(1, b"\x82\x86\x84\x41\x03tea") + headers(3, b"\x82\x86\x84\xbe"), Answered(3)),
    ("7541 6.2.3 a field never indexed", headers(1, GET + b"\x10\x01x\x01y"), Answered()),
]


# What is said in place of the connection's preface and SETTINGS.
OPENINGS = [
    ("3.4 another preface", PREFACE.replace(b"SM", b"XX") + settings(), Ended()),
    ("3.4 a preface without SETTINGS", PREFACE + ping(), PROTOCOL),
    ("3.4 a preface with HEADERS first", PREFACE + headers(1, GET), PROTOCOL),
    ("3.4 a preface with an acknowledgement first", PREFACE + settings(flags=ACK), PROTOCOL),
    ("3.4 a preface and SETTINGS", PREFACE + settings() + headers(1, GET), Answered()),
]


def outcome(connection, expected):
    """None, or what came instead. Where the RFC leaves a choice, the first reading decides."""
    choices = expected if isinstance(expected, tuple) else (expected,)
    if len(choices) == 1:
        return choices[0].check(connection)
    may_live = any(isinstance(choice, (Lives, Answered)) for choice in choices)
    got = connection.until(lambda f: f.kind in (GOAWAY, RST_STREAM) or
                           may_live and f.kind == PING and f.flags & ACK)
    for choice in choices:
        if isinstance(choice, Goaway) and got.kind == GOAWAY and got.code in choice.codes or \
                isinstance(choice, Reset) and got.kind == RST_STREAM and got.code in choice.codes or \
                isinstance(choice, (Lives, Answered)) and got.kind == PING:
            return None
    return f"{got} instead of what RFC 9113 allows"


def try_case(connected, said, expected, greet=True, deadline=5.0):
    """Says it on a connected socket; None, or what is wrong with the reaction."""
    connection = http2.Connection(connected, deadline, greet)
    try:
        if greet:
            connection.handshake()
        connection.send(said)
        if isinstance(expected, tuple):
            connection.send(ping())
        return outcome(connection, expected)
    except TimeoutError as error:
        return str(error)
    finally:
        connection.close()


def main():
    host, port, pattern = sys.argv[1], int(sys.argv[2]), "".join(sys.argv[3:])
    failed = 0
    for cases, greet in ((OPENINGS, False), (CASES, True)):
        for name, said, expected in cases:
            if pattern not in name:
                continue
            wrong = try_case(socket.create_connection((host, port)), said, expected, greet, 2.0)
            failed += wrong is not None
            if wrong:
                print(f"{name}: {wrong}")
    print(f"{failed} of {len(CASES) + len(OPENINGS)} not as expected")


if __name__ == "__main__":
    main()
