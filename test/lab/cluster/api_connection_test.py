"""Connections to the lab's API server: what goes over the wire below the level of requests."""

import gzip
import json
import socket
import unittest

from lab.cluster.api.testing import Instance

_CONFIG_MAPS = "/api/v1/namespaces/default/configmaps"


class ConnectionTest(unittest.TestCase):

    def setUp(self):
        self.instance = Instance()
        self.addCleanup(self.instance.close)

    def connect(self):
        plain = socket.create_connection(("127.0.0.1", self.instance.port), timeout=10)
        secure = self.instance.context.wrap_socket(plain)
        self.addCleanup(secure.close)
        return secure

    @staticmethod
    def until(sock, mark):
        data = b""
        while mark not in data:
            received = sock.recv(65536)
            if not received:
                break
            data += received
        return data

    def test_a_body_is_asked_for_when_the_client_waits(self):
        body = json.dumps({"metadata": {"name": "c"}}).encode()
        sock = self.connect()
        sock.sendall(f"POST {_CONFIG_MAPS} HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Type: "
                     f"application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode())
        self.assertEqual(self.until(sock, b"\r\n\r\n"), b"HTTP/1.1 100 Continue\r\n\r\n")
        sock.sendall(body)
        self.assertTrue(self.until(sock, b"\r\n\r\n").startswith(b"HTTP/1.1 201 Created\r\n"))

    def test_a_chunked_body_is_read(self):
        body = json.dumps({"metadata": {"name": "c"}}).encode()
        sock = self.connect()
        sock.sendall(
            f"POST {_CONFIG_MAPS} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Type: "
            "application/json\r\n\r\n".encode())
        for part in (body[:7], body[7:]):
            sock.sendall(b"%x\r\n%b\r\n" % (len(part), part))
        sock.sendall(b"0\r\n\r\n")
        self.assertTrue(self.until(sock, b"\r\n\r\n").startswith(b"HTTP/1.1 201 Created\r\n"))

    def test_a_connection_serves_on_after_a_watch(self):
        connection = self.instance.connection()
        self.addCleanup(connection.close)
        connection.request("GET", f"{_CONFIG_MAPS}?watch=true&timeoutSeconds=1")
        response = connection.getresponse()
        self.assertEqual((response.headers["Transfer-Encoding"], response.read()), ("chunked", b""))
        connection.request("GET", _CONFIG_MAPS)
        self.assertEqual(connection.getresponse().status, 200)

    def test_large_answers_are_compressed_and_small_ones_are_not(self):
        data = {"a": "x" * 200000}
        self.instance.create(_CONFIG_MAPS, {"metadata": {"name": "large"}, "data": data})
        self.instance.create(_CONFIG_MAPS, {"metadata": {"name": "small"}})
        for name, encoding in (("large", "gzip"), ("small", None)):
            code, headers, body = self.instance.request("GET", f"{_CONFIG_MAPS}/{name}",
                                                        headers={"Accept-Encoding": "gzip",
                                                                 "Accept": "*/*"}) \
                if encoding is None else self.compressed(f"{_CONFIG_MAPS}/{name}")
            self.assertEqual((code, headers["Content-Encoding"]), (200, encoding))
        self.assertEqual(json.loads(gzip.decompress(self.compressed(f"{_CONFIG_MAPS}/large")[2]))["data"],
                         data)

    def compressed(self, path):
        connection = self.instance.connection()
        self.addCleanup(connection.close)
        connection.request("GET", path, headers={"Accept-Encoding": "gzip"})
        response = connection.getresponse()
        return response.status, response.headers, response.read()

    def test_plain_http_is_told_so(self):
        with socket.create_connection(("127.0.0.1", self.instance.port), timeout=10) as sock:
            sock.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            self.assertEqual(self.until(sock, b"server.\n"),
                             b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP "
                             b"request to an HTTPS server.\n")

    def test_nonsense_closes_the_connection(self):
        for nonsense in (b"nonsense\r\n\r\n", b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
                         b"POST / HTTP/1.1\r\nContent-Length: x\r\n\r\n",
                         b"GET / HTTP/1.1\r\n" + b"a" * 70000):
            sock = self.connect()
            sock.sendall(nonsense)
            self.assertEqual(self.until(sock, b"\r\n\r\n"), b"", nonsense[:30])
        self.assertEqual(self.instance.request("GET", "/readyz")[0], 200)

    def test_http_1_1_is_chosen(self):
        context = self.instance.context
        context.set_alpn_protocols(["h2", "http/1.1"])
        self.assertEqual(self.connect().selected_alpn_protocol(), "http/1.1")


if __name__ == "__main__":
    unittest.main()
