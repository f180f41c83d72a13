"""WebSocket (RFC 6455), server side, over a connection whose upgrade has been accepted."""

import base64
import hashlib
import struct
import threading

_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
NORMAL = 1000
MAXIMUM_MESSAGE = 8 << 20


def accept_key(key):
    """Sec-WebSocket-Accept for a Sec-WebSocket-Key."""
    return base64.b64encode(hashlib.sha1((key + _GUID).encode()).digest()).decode()


class WebSocket:
    """Messages over a byte stream.

    `read_exactly(count)` returns so many bytes or raises EOFError; `write(data)` sends all. Reading
    belongs to one thread; writing is safe from any.
    """

    def __init__(self, read_exactly, write):
        self._read_exactly = read_exactly
        self._write = write
        self._lock = threading.Lock()
        self._closed = False
        self._rest = b""

    def receive(self):
        """The next message's bytes. Raises EOFError if the peer closes, goes away or breaks the protocol."""
        message = b""
        while True:
            final, opcode, payload = self._frame()
            if opcode == PING:
                self._send(PONG, payload)
            elif opcode == CLOSE:
                self.close()
                raise EOFError("the peer closed")
            elif opcode in (CONTINUATION, TEXT, BINARY):
                message += payload
                if len(message) > MAXIMUM_MESSAGE:
                    raise EOFError(f"a message of more than {MAXIMUM_MESSAGE} bytes")
                if final:
                    return message

    def send(self, data):
        self._send(BINARY, data)

    def close(self, code=NORMAL):
        """Says that nothing more will come. Safe to repeat."""
        if not self._closed:
            self._closed = True
            try:
                self._send(CLOSE, struct.pack(">H", code))
            except OSError:
                pass

    def read_exactly(self, count):
        """The connection as a stream of bytes: messages are mere pieces of it."""
        while len(self._rest) < count:
            self._rest += self.receive()
        data, self._rest = self._rest[:count], self._rest[count:]
        return data

    def _frame(self):
        first, second = self._read_exactly(2)
        length = second & 0x7f
        if length == 126:
            length, = struct.unpack(">H", self._read_exactly(2))
        elif length == 127:
            length, = struct.unpack(">Q", self._read_exactly(8))
        if length > MAXIMUM_MESSAGE:
            raise EOFError(f"a frame of {length} bytes")
        if not second & 0x80:
            raise EOFError("a client's frame must be masked (RFC 6455 section 5.1)")
        mask = self._read_exactly(4)
        return bool(first & 0x80), first & 0x0f, _masked(self._read_exactly(length), mask)

    def _send(self, opcode, payload):
        if len(payload) < 126:
            head = struct.pack(">BB", 0x80 | opcode, len(payload))
        elif len(payload) < 1 << 16:
            head = struct.pack(">BBH", 0x80 | opcode, 126, len(payload))
        else:
            head = struct.pack(">BBQ", 0x80 | opcode, 127, len(payload))
        with self._lock:
            self._write(head + payload)


def _masked(payload, mask):
    if not payload:
        return payload
    key = (mask * (len(payload) // 4 + 1))[:len(payload)]
    return (int.from_bytes(payload, "big") ^ int.from_bytes(key, "big")).to_bytes(len(payload), "big")
