"""WebSocket works as without a mesh: over HTTP/1, over the mesh's HTTP/2 leg, and from HTTP/2 (RFC 8441)."""


from lab import http2
from lab.http2 import fields
from lab.http2_apps import Peer
from shop import LabTest

PORTS = [{"name": "http", "port": 8090}]
EVERYTHING = {
    "protocol": "tea", "text": "grüner Tee", "empty": 0, "large": True, "fragments": 6000,
    "pong": "hello", "ping of the server": "pong: are you there", "many": 2000,
    "close": ["4000", "enough"], "close of the server": ["4001", "as you wish"],
    "abrupt end of the server": 1006, "refused": [403, "tea", "no entry\n"],
}


class WebSocketTest(LabTest):

    @classmethod
    def make(cls):
        lab = cls.lab
        cls.web = lab.add_pod("web")
        cls.stranger = lab.add_pod("stranger", namespace="elsewhere", meshed=False)
        cls.room = lab.add_pod("room", ports=(8090,))
        cls.plain = lab.add_pod("plain", namespace="elsewhere", meshed=False, ports=(8090,))
        cls.hall = lab.add_pod("hall", ports=(8090,))
        lab.add_service("room", {"app": "room"}, PORTS)
        cls.service = lab.add_service("hall", {"app": "hall"}, PORTS)
        lab.publish()
        cls.server = Peer(cls.room, "websocket_peer.js").serve(8090)
        Peer(cls.plain, "websocket_peer.js").serve(8090)
        cls.http2_server = Peer(cls.hall, "connect_peer.js").serve(8090)
        lab.start_control_plane()
        lab.start_sidecars()

    def ask(self, pod, target):
        self.assertEqual(Peer(pod, "websocket_peer.js").ask("ask", target, deadline=30),
                         EVERYTHING)

    def test_everything_works_within_the_mesh(self):
        before = self.server.log().count("closed 1006")
        self.ask(self.web, "room:8090")
        # One that the server ended, and one of which it only learns that the client is gone.
        self.eventually(lambda: self.server.log().count("closed 1006") == before + 2,
                        "the server to notice the abrupt end of its client")

    def test_everything_works_from_outside_into_the_mesh(self):
        self.ask(self.stranger, f"{self.room.ip}:8090")

    def test_everything_works_from_the_mesh_to_the_outside(self):
        self.ask(self.web, f"{self.plain.ip}:8090")

    def test_another_make_of_client_gets_its_bytes_back(self):
        # python3-websockets, with a body larger than any window on the way.
        program = ("import asyncio, os, websockets\n"
                   "async def main():\n"
                   "    data = os.urandom(3 << 20)\n"
                   "    async with websockets.connect('ws://room:8090/', max_size=None) as socket:\n"
                   "        await socket.send(data)\n"
                   "        assert await socket.recv() == data\n"
                   "    print('closed', socket.close_code)\n"
                   "asyncio.run(main())\n")
        self.assertEqual(self.web.run(["/usr/bin/python3", "-c", program]).stdout, "closed 1000\n")

    # ---- From HTTP/2.

    def connect(self, path="/"):
        """A connection to the sidecar, with an extended CONNECT on stream 1, and its answer."""
        connection = http2.Connection(self.web.net.connect(self.service.cluster_ips[0], 8090))
        self.addCleanup(connection.close)
        connection.handshake()
        self.assertEqual(connection.settings.get(http2.ENABLE_CONNECT_PROTOCOL), 1)
        connection.send(http2.headers(1, fields(
            (":method", "CONNECT"), (":protocol", "websocket"), (":scheme", "http"),
            (":path", path), (":authority", "hall"), ("sec-websocket-version", "13")),
            http2.END_HEADERS))
        return connection, connection.until(lambda f: f.stream == 1 and f.kind in
                                            (http2.HEADERS, http2.RST_STREAM))

    def test_an_http2_client_opens_a_tunnel_with_extended_connect(self):
        connection, head = self.connect()
        self.assertEqual(head.fields.get(":status"), "200", head)
        self.assertEqual(head.fields.get("sec-websocket-protocol"), "tea")
        self.assertFalse(head.end_stream)
        connection.send(http2.data(1, b"tea"))
        self.assertEqual(self.read(connection, 3), b"TEA")
        # Half-closed by the client, it still hears the rest.
        connection.send(http2.data(1, b"pot", http2.END_STREAM))
        self.assertEqual(self.read(connection, 3), b"POT")
        self.eventually(lambda: "closed 0" in self.http2_server.log(), "the end at the server")
        self.assertTrue(connection.lives())

    def test_an_http2_client_is_refused_in_the_words_of_the_application(self):
        connection, head = self.connect("/refused")
        self.assertEqual((head.fields.get(":status"), head.fields.get("x-why")), ("403", "tea"), head)
        self.assertEqual(self.read(connection, 9), b"no entry\n")
        self.assertTrue(connection.lives())

    def test_a_reset_of_the_stream_ends_the_tunnel(self):
        before = self.http2_server.log().count("closed")
        connection, head = self.connect()
        self.assertEqual(head.fields.get(":status"), "200", head)
        connection.send(http2.reset(1))
        self.eventually(lambda: self.http2_server.log().count("closed") > before,
                        "the server to notice the reset")
        self.assertTrue(connection.lives())

    def read(self, connection, count):
        received = b""
        while len(received) < count:
            got = connection.until(lambda f: f.stream == 1 and
                                   f.kind in (http2.DATA, http2.RST_STREAM))
            self.assertEqual(got.kind, http2.DATA, got)
            received += got.payload
        return received
