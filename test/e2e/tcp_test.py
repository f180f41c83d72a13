"""Protocols that are not HTTP go through an mTLS tunnel, byte for byte."""

import hashlib
import os
import socket
import threading

from lab import run
from shop import ShopTest

_MARKER = b"tcp-marker-that-nobody-on-the-wire-may-see"


class TcpTest(ShopTest):

    @classmethod
    def extend(cls):
        lab = cls.lab
        cls.store = lab.add_pod("store", ports=(9000, 9001, 9002, 443))
        cls.service = lab.add_service("store", {"app": "store"}, [
            {"name": "tcp-echo", "port": 9000}, {"name": "mystery", "port": 9001},
            {"name": "greeter", "port": 9002}, {"name": "https-web", "port": 443}])
        cls._serve(9000, cls._echo)
        cls._serve(9001, cls._echo)
        cls._serve(9002, cls._greet)
        cls._start_https()

    @classmethod
    def _serve(cls, port, conversation):
        for address in ("0.0.0.0", "::"):
            listener = cls.store.net.listen(address, port)
            cls.addClassCleanup(listener.close)

            def accept(listener=listener):
                while True:
                    try:
                        connection, _ = listener.accept()
                    except OSError:
                        return
                    threading.Thread(target=conversation, args=(connection,), daemon=True).start()

            threading.Thread(target=accept, daemon=True).start()

    @staticmethod
    def _echo(connection):
        """Sends everything back; after the peer's end, says goodbye and ends too."""
        with connection:
            while (piece := connection.recv(65536)):
                connection.sendall(piece)
            connection.sendall(b"goodbye")

    @staticmethod
    def _greet(connection):
        """Speaks first, as SMTP and MySQL do."""
        with connection:
            connection.sendall(b"220 ready\r\n")
            while (piece := connection.recv(65536)):
                connection.sendall(b"250 " + piece)

    @classmethod
    def _start_https(cls):
        directory = os.path.join(cls.store.directory, "https")
        os.makedirs(directory)
        cls.ca = os.path.join(directory, "crt.pem")
        key = os.path.join(directory, "key.pem")
        run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=store", "-days",
             "1", "-addext", "subjectAltName=DNS:store", "-keyout", key, "-out", cls.ca])
        os.chmod(key, 0o644)
        cls.store.net.start("openssl", ["openssl", "s_server", "-accept", "443", "-cert", cls.ca,
                                        "-key", key, "-www", "-quiet"], uid=10001)

    def dial(self, port, family=0):
        connection = self.web.net.connect(self.service.cluster_ips[family], port)
        connection.settimeout(10)
        self.addCleanup(connection.close)
        return connection

    def read(self, connection, count):
        received = b""
        while len(received) < count:
            piece = connection.recv(count - len(received))
            self.assertTrue(piece, f"the stream ended after {received!r}")
            received += piece
        return received

    def test_bytes_come_back_as_they_were_sent_both_families(self):
        for port in (9000, 9001):
            for family in (0, 1):
                with self.subTest(port=port, family=family):
                    connection = self.dial(port, family)
                    for word in (b"\x00\xff\r\n", b"PING\r\n", os.urandom(5000)):
                        connection.sendall(word)
                        self.assertEqual(self.read(connection, len(word)), word)

    def test_megabytes_go_through_whole(self):
        connection = self.dial(9000)
        data = os.urandom(1 << 20) * 16
        received = hashlib.sha256()

        def receive():
            left = len(data)
            while left:
                piece = connection.recv(1 << 16)
                if not piece:
                    return
                received.update(piece)
                left -= len(piece)

        reader = threading.Thread(target=receive)
        reader.start()
        connection.sendall(data)
        reader.join(30)
        self.assertEqual(received.hexdigest(), hashlib.sha256(data).hexdigest())

    def test_the_end_of_one_direction_does_not_end_the_other(self):
        for port in (9000, 9001):
            with self.subTest(port=port):
                connection = self.dial(port)
                connection.sendall(b"last words")
                connection.shutdown(socket.SHUT_WR)
                self.assertEqual(self.read(connection, 17), b"last wordsgoodbye")
                self.assertEqual(connection.recv(1), b"")

    def test_a_server_that_speaks_first_is_heard_while_the_client_is_silent(self):
        connection = self.dial(9002)
        self.assertEqual(self.read(connection, 11), b"220 ready\r\n")
        connection.sendall(b"HELO\r\n")
        self.assertEqual(self.read(connection, 10), b"250 HELO\r\n")

    def test_it_is_encrypted_between_the_pods(self):
        capture = self.lab.capture(self.store)
        with capture:
            connection = self.dial(9000)
            connection.sendall(_MARKER)
            self.assertEqual(self.read(connection, len(_MARKER)), _MARKER)
        self.assertTrue(capture.streams())
        self.assertFalse(capture.contains(_MARKER))
        self.assertEqual(set(capture.tls_versions()) - {"TLSv1.3"}, set())

    def test_tls_of_the_application_reaches_the_application(self):
        done = self.web.curl("--cacert", self.ca, "https://store/")
        self.assertIn("s_server", done.stdout)

    def test_a_port_where_nobody_listens_ends_the_connection(self):
        connection = self.web.net.connect(self.store.ip, 9999)
        connection.settimeout(10)
        try:
            self.assertEqual(connection.recv(1), b"")
        except ConnectionResetError:
            pass
