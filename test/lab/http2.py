"""HTTP/2 as raw frames: a client that says exactly what it is told to, however wrong it is."""

import socket
import struct
import time

import hpack

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, \
    CONTINUATION = range(10)
END_STREAM, ACK, END_HEADERS, PADDED, HAS_PRIORITY = 0x1, 0x1, 0x4, 0x8, 0x20

NO_ERROR, PROTOCOL_ERROR, INTERNAL_ERROR, FLOW_CONTROL_ERROR, SETTINGS_TIMEOUT, STREAM_CLOSED, \
    FRAME_SIZE_ERROR, REFUSED_STREAM, CANCEL, COMPRESSION_ERROR, CONNECT_ERROR, \
    ENHANCE_YOUR_CALM = range(12)

HEADER_TABLE_SIZE, ENABLE_PUSH, MAX_CONCURRENT_STREAMS, INITIAL_WINDOW_SIZE, MAX_FRAME_SIZE, \
    MAX_HEADER_LIST_SIZE, _, ENABLE_CONNECT_PROTOCOL = range(1, 9)

CLOSED = "closed"  # the type of the frame that stands for the connection's end


def frame(kind, flags=0, stream=0, payload=b"", length=None):
    """A frame; `length` if its header is to lie."""
    size = len(payload) if length is None else length
    return struct.pack(">I", size)[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def number(value):
    return struct.pack(">I", value)


def integer(value, prefix_bits, first=0):
    """RFC 7541 section 5.1."""
    limit = (1 << prefix_bits) - 1
    if value < limit:
        return bytes([first | value])
    encoded = [first | limit]
    value -= limit
    while value >= 128:
        encoded.append(value % 128 + 128)
        value //= 128
    return bytes(encoded + [value])


def literal(name, value):
    """A field without indexing and without Huffman: any bytes, in any order."""
    name, value = (part.encode("latin-1") if isinstance(part, str) else part
                   for part in (name, value))
    return b"\x00" + integer(len(name), 7) + name + integer(len(value), 7) + value


def fields(*pairs):
    return b"".join(literal(name, value) for name, value in pairs)


def request_fields(path="/", method="GET", authority="tea", scheme="http", extra=()):
    return fields((":method", method), (":scheme", scheme), (":path", path),
                  (":authority", authority), *extra)


def headers(stream, block, flags=END_HEADERS | END_STREAM, **options):
    return frame(HEADERS, flags, stream, block, **options)


def data(stream, payload=b"", flags=0):
    return frame(DATA, flags, stream, payload)


def settings(*pairs, flags=0, stream=0):
    return frame(SETTINGS, flags, stream,
                 b"".join(struct.pack(">HI", key, value) for key, value in pairs))


def ping(payload=b"12345678", flags=0):
    return frame(PING, flags, 0, payload)


def window_update(stream, increment):
    return frame(WINDOW_UPDATE, 0, stream, number(increment))


def reset(stream, code=CANCEL):
    return frame(RST_STREAM, 0, stream, number(code))


class Frame:
    """A frame that came in; `fields` of a HEADERS is {name: value}."""

    def __init__(self, kind, flags=0, stream=0, payload=b""):
        self.kind, self.flags, self.stream, self.payload = kind, flags, stream, payload
        self.fields = {}

    @property
    def code(self):
        """The error code of a RST_STREAM or GOAWAY."""
        offset = {RST_STREAM: 0, GOAWAY: 4}[self.kind]
        return struct.unpack_from(">I", self.payload, offset)[0]

    @property
    def end_stream(self):
        return self.kind in (DATA, HEADERS) and bool(self.flags & END_STREAM)

    def __repr__(self):
        if self.kind == CLOSED:
            return "end of the connection"
        detail = self.fields or (f"code {self.code}" if self.kind in (RST_STREAM, GOAWAY)
                                 else f"{len(self.payload)} bytes")
        return f"frame {self.kind} flags {self.flags:#x} stream {self.stream}: {detail}"


class Connection:
    """A connection of our own making over a connected socket. Answers nothing by itself."""

    def __init__(self, connected, deadline=10.0, greet=True):
        self.socket = connected
        self.deadline = deadline
        self._received = b""
        self._decoder = hpack.Decoder()
        self._block = b""
        self._open_block = None
        self.settings = {}
        if greet:
            self.send(PREFACE + settings())

    def close(self):
        self.socket.close()

    def send(self, *pieces):
        """Sends frames; a peer that has closed meanwhile is noticed when it is read from."""
        try:
            self.socket.sendall(b"".join(pieces))
        except (BrokenPipeError, ConnectionResetError):
            pass

    def handshake(self):
        """Waits for the peer's SETTINGS and acknowledges them."""
        while not self.settings:
            got = self.receive()
            if got.kind == SETTINGS and not got.flags & ACK:
                self.settings = dict(struct.unpack_from(">HI", got.payload, at)
                                     for at in range(0, len(got.payload), 6))
            elif got.kind == CLOSED:
                raise ConnectionError("closed before SETTINGS")
        self.send(settings(flags=ACK))
        return self

    def receive(self, deadline=None):
        """The next frame; CLOSED at the end. TimeoutError if nothing comes in time."""
        self.socket.settimeout(max(0.001, deadline - time.monotonic()) if deadline else self.deadline)
        head = self._exactly(9)
        if head is None:
            return Frame(CLOSED)
        length = int.from_bytes(head[:3], "big")
        kind, flags, stream = struct.unpack(">BBI", head[3:])
        payload = self._exactly(length)
        if payload is None:
            return Frame(CLOSED)
        got = Frame(kind, flags, stream & 0x7fffffff, payload)
        if kind == HEADERS:
            self._block, self._open_block = payload, got
        elif kind == CONTINUATION:
            self._block += payload
            got = self._open_block
        if kind in (HEADERS, CONTINUATION) and flags & END_HEADERS:
            got.fields = {name: value for name, value in self._decoder.decode(self._block)}
        return got

    def until(self, wanted):
        """Reads frames until wanted(frame) is true and returns that one; the end is always one."""
        end = time.monotonic() + self.deadline
        while True:
            got = self.receive(end)
            if got.kind == CLOSED or wanted(got):
                return got

    def answer(self, stream):
        """(fields, body, trailers) of a stream, whose windows are kept open; its reset or the
        connection's end is an error."""
        head, trailers, body = None, {}, b""
        while True:
            got = self.until(lambda f: f.stream == stream or f.kind == GOAWAY)
            if got.kind in (CLOSED, RST_STREAM) or got.kind == GOAWAY and got.code != NO_ERROR:
                raise ConnectionError(f"no answer but {got}")
            if got.kind == HEADERS:
                if head is None:
                    head = got.fields
                else:
                    trailers = got.fields
            elif got.kind == DATA:
                body += got.payload
                if got.payload:
                    self.send(window_update(0, len(got.payload)),
                              window_update(stream, len(got.payload)))
            if got.end_stream:
                return head, body, trailers

    def lives(self):
        """Whether the peer still answers a PING."""
        token = struct.pack(">d", time.monotonic())
        self.send(ping(token))
        got = self.until(lambda f: f.kind == PING and f.flags & ACK and f.payload == token)
        return got.kind == PING

    def _exactly(self, count):
        while len(self._received) < count:
            try:
                piece = self.socket.recv(65536)
            except socket.timeout as error:
                raise TimeoutError(f"no frame in time; {len(self._received)} bytes of one") from error
            except ConnectionResetError:
                piece = b""
            if not piece:
                return None
            self._received += piece
        piece, self._received = self._received[:count], self._received[count:]
        return piece
