"""SPDY/3.1 frames, server side: as much of the draft as streams of bytes with headers need.

kubectl multiplexes its port-forwards and its older exec over this protocol. There is no flow control: neither
kubectl nor kubelet use windows, they rely on the connection's own back-pressure, and so does this.
"""

import struct
import threading
import zlib

SYN_STREAM, SYN_REPLY, RST_STREAM, SETTINGS, PING, GOAWAY, HEADERS, WINDOW_UPDATE = 1, 2, 3, 4, 6, 7, 8, 9
FLAG_FIN = 0x01
CANCEL, INTERNAL_ERROR = 5, 6

# No frame may be longer; both sides of a forward write at most 32 KiB at a time.
MAXIMUM_FRAME = 1 << 20
MAXIMUM_HEADER_BYTES = 64 * 1024

_WORDS = """
options head post put delete trace accept accept-charset accept-encoding accept-language accept-ranges age
allow authorization cache-control connection content-base content-encoding content-language content-length
content-location content-md5 content-range content-type date etag expect expires from host if-match
if-modified-since if-none-match if-range if-unmodified-since last-modified location max-forwards pragma
proxy-authenticate proxy-authorization range referer retry-after server te trailer transfer-encoding upgrade
user-agent vary via warning www-authenticate method get status
""".split()
_WORDS += ["200 OK", "version", "HTTP/1.1", "url", "public", "set-cookie", "keep-alive", "origin"]
_TAIL = (
    "100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505203 Non-Author"
    "itative Information204 No Content301 Moved Permanently400 Bad Request401 Unauthorized403 Forbidden404 No"
    "t Found500 Internal Server Error501 Not Implemented503 Service UnavailableJan Feb Mar Apr May Jun Jul Au"
    "g Sept Oct Nov Dec 00:00:00 Mon, Tue, Wed, Thu, Fri, Sat, Sun, GMTchunked,text/html,image/png,image/jpg,"
    "image/gif,application/xml,application/xhtml+xml,text/plain,text/javascript,publicprivatemax-age=gzip,def"
    "late,sdchcharset=utf-8charset=iso-8859-1,utf-,*,enq=0.")
# The zlib dictionary of the draft's section 2.6.10.1: words with their lengths, then frequent values.
DICTIONARY = b"".join(struct.pack(">I", len(word)) + word.encode() for word in _WORDS) + _TAIL.encode()


class ProtocolError(Exception):
    """The peer sent something that is not SPDY/3.1; the connection is of no use any more."""


class HeaderBlocks:
    """Headers to bytes and back. One compression context per direction lasts as long as the connection."""

    def __init__(self):
        self._inflate = zlib.decompressobj(zdict=DICTIONARY)
        self._deflate = zlib.compressobj(zdict=DICTIONARY)

    def encode(self, headers):
        block = struct.pack(">I", len(headers))
        for name, value in headers.items():
            for text in (name, value):
                block += struct.pack(">I", len(text)) + text.encode()
        return self._deflate.compress(block) + self._deflate.flush(zlib.Z_SYNC_FLUSH)

    def decode(self, data):
        """{lower-case name: value}; several values of a name stay joined by NUL."""
        try:
            block = self._inflate.decompress(data, MAXIMUM_HEADER_BYTES)
        except zlib.error as error:
            raise ProtocolError(f"header block: {error}") from error
        if self._inflate.unconsumed_tail:
            raise ProtocolError(f"header block of more than {MAXIMUM_HEADER_BYTES} bytes")
        headers, position = {}, 4
        try:
            for _ in range(struct.unpack_from(">I", block)[0]):
                name, position = _string(block, position)
                headers[name.lower()], position = _string(block, position)
        except struct.error as error:
            raise ProtocolError("header block ends too early") from error
        return headers


def _string(block, position):
    length, = struct.unpack_from(">I", block, position)
    end = position + 4 + length
    if end > len(block):
        raise ProtocolError("header block ends too early")
    return block[position + 4:end].decode("latin-1"), end


class Connection:
    """Frames over a byte stream.

    `read_exactly(count)` returns so many bytes or raises EOFError; `write(data)` sends all. Reading
    belongs to one thread; writing is safe from any.
    """

    def __init__(self, read_exactly, write):
        self._read_exactly = read_exactly
        self._write = write
        self._blocks = HeaderBlocks()
        self._lock = threading.Lock()

    def read(self):
        """The next frame as (kind, stream id, flags, content): ("syn", id, flags, headers),
        ("data", id, flags, bytes), ("reset", id, 0, status), ("goaway", 0, 0, None).

        Pings are answered here; frames that carry nothing for us are skipped."""
        while True:
            first, second = struct.unpack(">II", self._read_exactly(8))
            flags, length = second >> 24, second & 0xffffff
            if length > MAXIMUM_FRAME:
                raise ProtocolError(f"frame of {length} bytes")
            body = self._read_exactly(length)
            if not first >> 31:
                return "data", first, flags, body
            version, kind = (first >> 16) & 0x7fff, first & 0xffff
            if version != 3:
                raise ProtocolError(f"SPDY version {version}")
            frame = self._control(kind, flags, body)
            if frame:
                return frame

    def _control(self, kind, flags, body):
        try:
            if kind == SYN_STREAM:
                stream, = struct.unpack_from(">I", body)
                return "syn", stream & 0x7fffffff, flags, self._blocks.decode(body[10:])
            if kind == HEADERS:  # nothing reads them, but the compression context needs every block
                self._blocks.decode(body[4:])
            elif kind == RST_STREAM:
                stream, status = struct.unpack(">II", body)
                return "reset", stream & 0x7fffffff, 0, status
            elif kind == PING:
                self._send_control(PING, 0, body)
            elif kind == GOAWAY:
                return "goaway", 0, 0, None
        except struct.error as error:
            raise ProtocolError(f"control frame {kind} of {len(body)} bytes") from error
        return None

    def reply(self, stream, headers=None):
        """Accepts a stream."""
        with self._lock:
            # Under the lock: the order of compression must be the order on the wire.
            block = self._blocks.encode(headers or {})
            self._write(_control_frame(SYN_REPLY, 0, struct.pack(">I", stream) + block))

    def send(self, stream, data, fin=False):
        with self._lock:
            self._write(struct.pack(">II", stream, (FLAG_FIN if fin else 0) << 24 | len(data)) + data)

    def reset(self, stream, status=CANCEL):
        self._send_control(RST_STREAM, 0, struct.pack(">II", stream, status))

    def _send_control(self, kind, flags, body):
        with self._lock:
            self._write(_control_frame(kind, flags, body))


def _control_frame(kind, flags, body):
    return struct.pack(">HHI", 0x8003, kind, flags << 24 | len(body)) + body
