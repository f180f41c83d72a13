"""What port-forward and exec of the lab's API server are made of: WebSocket, SPDY, logs."""

import os
import socket
import struct
import tempfile
import threading
import unittest
import zlib

from lab.cluster.access import container_log, network, spdy, websocket
from lab.cluster.access.port_forward import PortForward
from lab.cluster.access.stream import Stream


def control(kind, body, flags=0):
    return struct.pack(">HHI", 0x8003, kind, flags << 24 | len(body)) + body


class SpdyClient:
    """The client's side of a SPDY connection over a socket, for streams as kubectl opens them."""

    def __init__(self, connection):
        self._stream = Stream(connection)
        self._blocks = spdy.HeaderBlocks()
        self.received = {}  # {stream: bytes}
        self.ended = set()

    def open(self, stream, fin=False, **headers):
        block = self._blocks.encode(headers)
        self._stream.write(control(spdy.SYN_STREAM, struct.pack(">IIH", stream, 0, 0) + block,
                                   spdy.FLAG_FIN if fin else 0))

    def open_pair(self, number, port):
        """Streams for one connection; the data stream's id."""
        error, data = 4 * number + 1, 4 * number + 3
        self.open(error, streamtype="error", port=str(port), requestid=str(number))
        self.send(error, b"", fin=True)
        self.open(data, streamtype="data", port=str(port), requestid=str(number))
        return data

    def send(self, stream, data, fin=False):
        self._stream.write(struct.pack(">II", stream, (spdy.FLAG_FIN if fin else 0) << 24 | len(data)) + data)

    def ping(self, number):
        self._stream.write(control(spdy.PING, struct.pack(">I", number)))

    def read(self):
        """Takes in one frame; its kind, 0 for data."""
        first, second = struct.unpack(">II", self._stream.read_exactly(8))
        body = self._stream.read_exactly(second & 0xffffff)
        if first >> 31:
            if first & 0xffff == spdy.SYN_REPLY:
                self._blocks.decode(body[4:])
            return first & 0xffff
        self.received[first] = self.received.get(first, b"") + body
        if second >> 24 & spdy.FLAG_FIN:
            self.ended.add(first)
        return 0

    def read_until_ended(self, *streams):
        while not self.ended.issuperset(streams):
            self.read()


class PortForwardTest(unittest.TestCase):

    def setUp(self):
        ours, theirs = socket.socketpair()
        ours.settimeout(10)
        self.addCleanup(ours.close)
        self.addCleanup(theirs.close)
        self.dialled = []
        stream = Stream(theirs)
        session = PortForward(spdy.Connection(stream.read_exactly, stream.write), self.dial)
        self.thread = threading.Thread(target=session.serve, daemon=True)
        self.thread.start()
        self.ours = ours
        self.client = SpdyClient(ours)

    def dial(self, port):
        """A pod that answers what it got in capitals, once it got all; nothing listens at port 1."""
        if port == 1:
            raise OSError("nobody there")
        ours, pod = socket.socketpair()

        def answer():
            with pod:
                got = b""
                while piece := pod.recv(65536):
                    got += piece
                pod.sendall(got.upper())

        threading.Thread(target=answer, daemon=True).start()
        self.dialled.append(port)
        return ours

    def test_connections_share_the_session_and_end_by_themselves(self):
        streams = [self.client.open_pair(number, 8080 + number) for number in range(10)]
        for piece in (b"some ", b"text ", b"x" * 100000):
            for stream in streams:
                self.client.send(stream, piece)
        for stream in reversed(streams):
            self.client.send(stream, b"", fin=True)
        self.client.read_until_ended(*streams, *(stream - 2 for stream in streams))
        for stream in streams:
            self.assertEqual(self.client.received[stream], b"SOME TEXT " + b"X" * 100000)
            self.assertEqual(self.client.received[stream - 2], b"")
        self.assertEqual(sorted(self.dialled), [8080 + number for number in range(10)])

    def test_a_port_that_nobody_listens_on_is_told_on_the_error_stream(self):
        stream = self.client.open_pair(0, 1)
        self.client.read_until_ended(stream, stream - 2)
        self.assertEqual(self.client.received, {stream - 2: b"nobody there", stream: b""})

    def test_pings_are_answered_and_nonsense_is_refused(self):
        self.client.ping(7)
        self.assertEqual(self.client.read(), spdy.PING)
        self.client.open(1, streamtype="data", port="99999", requestid="0")
        self.assertEqual(self.client.read(), spdy.RST_STREAM)

    def test_the_session_ends_with_its_client(self):
        self.client.open_pair(0, 8080)
        self.assertEqual(self.client.read(), spdy.SYN_REPLY)
        self.ours.close()
        self.thread.join(10)
        self.assertFalse(self.thread.is_alive())

    def test_what_is_not_spdy_ends_the_session(self):
        for data in (struct.pack(">HHI", 0x8002, spdy.PING, 4) + b"1234",
                     struct.pack(">II", 1, spdy.MAXIMUM_FRAME + 1),
                     control(spdy.RST_STREAM, b"12"),
                     control(spdy.SYN_STREAM, b"0123456789" + b"no zlib")):
            with self.subTest(data):
                connection = spdy.Connection(_reader(data), lambda data: None)
                with self.assertRaises(spdy.ProtocolError):
                    connection.read()


class NetworkTest(unittest.TestCase):

    def test_a_connection_may_be_idle_for_long(self):
        with socket.create_server(("127.0.0.1", 0)) as server:
            with network.connect("", *server.getsockname(), timeout=5) as connection:
                self.assertIsNone(connection.gettimeout())

    def test_an_address_is_looked_for_in_the_labs_own_namespaces_only(self):
        self.assertIsNone(network.namespace_with_address("127.0.0.1", "no-lab-has-this-name-"))


class HeaderBlockTest(unittest.TestCase):

    def test_the_dictionary_is_that_of_the_draft(self):
        self.assertEqual(zlib.adler32(spdy.DICTIONARY), 0xe3c6a7c2)

    def test_blocks_share_a_context(self):
        sender, receiver = spdy.HeaderBlocks(), spdy.HeaderBlocks()
        sizes = []
        for number in range(3):
            headers = {"streamtype": "data", "port": "15012", "requestid": str(number)}
            block = sender.encode(headers)
            sizes.append(len(block))
            self.assertEqual(receiver.decode(block), headers)
        self.assertLess(sizes[1], sizes[0])


class WebSocketTest(unittest.TestCase):

    def frame(self, opcode, payload, final=True, masked=True):
        mask = b"\x01\x02\x03\x04"
        masked_payload = bytes(byte ^ mask[index % 4] for index, byte in enumerate(payload))
        length = len(payload)
        size = struct.pack(">B", 0x80 | length) if length < 126 else struct.pack(">BH", 0x80 | 126, length)
        head = bytes([(0x80 if final else 0) | opcode])
        if not masked:
            return head + bytes([length]) + payload
        return head + size + mask + masked_payload

    def test_the_key_is_answered_as_the_rfc_says(self):
        self.assertEqual(websocket.accept_key("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")

    def test_messages_come_whole_and_pings_are_answered(self):
        sent = []
        data = (self.frame(websocket.BINARY, b"one", final=False) + self.frame(websocket.PING, b"p") +
                self.frame(websocket.CONTINUATION, b" two") + self.frame(websocket.BINARY, b"x" * 300))
        connection = websocket.WebSocket(_reader(data), sent.append)
        self.assertEqual(connection.receive(), b"one two")
        self.assertEqual(connection.receive(), b"x" * 300)
        self.assertEqual(sent, [b"\x8a\x01p"])

    def test_what_breaks_the_protocol_ends_the_connection(self):
        for data in (self.frame(websocket.BINARY, b"x", masked=False), self.frame(websocket.CLOSE, b""),
                     b"\x82\xff" + struct.pack(">Q", 1 << 40)):
            with self.subTest(data):
                with self.assertRaises(EOFError):
                    websocket.WebSocket(_reader(data), lambda data: None).receive()


class LogTest(unittest.TestCase):

    def test_the_end_of_a_log_is_counted_in_lines(self):
        with tempfile.TemporaryDirectory() as directory:
            path = os.path.join(directory, "log")
            self.assertEqual(container_log.read(path), b"")
            with open(path, "wb") as log:
                log.write(b"one\ntwo\nthree")
            for lines, limit, expected in ((None, None, b"one\ntwo\nthree"), (2, None, b"two\nthree"),
                                           (0, None, b""), (9, 5, b"one\nt")):
                with self.subTest((lines, limit)):
                    self.assertEqual(container_log.read(path, lines, limit), expected)

    def test_a_log_is_followed_to_its_end(self):
        with tempfile.NamedTemporaryFile() as log:
            log.write(b"one\ntwo\n")
            log.flush()
            written, steps = [], iter([b"three\n", b"", b"four\n"])

            def running():
                step = next(steps, None)
                log.write(step or b"")
                log.flush()
                return step is not None

            container_log.follow(log.name, 1, running, written.append)
            self.assertEqual(b"".join(written), b"two\nthree\nfour\n")


def _reader(data):
    """read_exactly over given bytes."""
    rest = [data]

    def read_exactly(count):
        if len(rest[0]) < count:
            raise EOFError("the end")
        piece, rest[0] = rest[0][:count], rest[0][count:]
        return piece

    return read_exactly


if __name__ == "__main__":
    unittest.main()
