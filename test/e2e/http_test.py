"""HTTP/1.1 survives the way through two sidecars, byte by byte where it matters."""

import hashlib
import json
import threading

from shop import HTTP, ShopTest


def read_response(stream, has_body=True):
    """(status, {header: value}, body) of one response read from a binary file."""
    status = int(stream.readline().split()[1])
    headers = {}
    while (line := stream.readline().strip()):
        name, value = line.decode("latin-1").split(":", 1)
        headers[name.lower()] = value.strip()
    body = b""
    if has_body and status >= 200 and status not in (204, 304):
        if "chunked" in headers.get("transfer-encoding", ""):
            while (size := int(stream.readline().split(b";")[0], 16)):
                body += stream.read(size)
                stream.readline()
            while (line := stream.readline().strip()):
                name, value = line.decode().split(":", 1)
                headers["trailer " + name.lower()] = value.strip()
        elif "content-length" in headers:
            body = stream.read(int(headers["content-length"]))
        else:
            body = stream.read()
    return status, headers, body


class HttpTest(ShopTest):

    @classmethod
    def extend(cls):
        lab = cls.lab
        cls.recorder = lab.add_pod("recorder", ports=(80,))
        cls.service = lab.add_service("recorder", {"app": "recorder"}, HTTP)
        cls.recorder.start_recorder().wait_until_listening()

    def setUp(self):
        # A connection of the application in web to the service, as the application's bytes.
        self.socket = self.web.net.connect(self.service.cluster_ips[0], 80, timeout=10)
        self.addCleanup(self.socket.close)
        self.stream = self.socket.makefile("rb")
        self.addCleanup(self.stream.close)

    def send(self, *lines, body=b""):
        self.socket.sendall("\r\n".join([*lines, "", ""]).encode() + body)

    def exchange(self, *lines, body=b""):
        self.send(*lines, body=body)
        return read_response(self.stream, has_body=not lines[0].startswith("HEAD"))

    def record(self, *lines, body=b""):
        status, _, answer = self.exchange(*lines, body=body)
        self.assertEqual(status, 200, answer)
        return json.loads(answer)

    def test_method_path_query_and_headers_arrive_as_they_were_sent(self):
        seen = self.record("PATCH /a/b%20c;d?x=1&y=%C3%A4&z HTTP/1.1", "Host: recorder",
                           "X-Mixed-Case: Value With  Blanks", "X-Twice: one", "X-Twice: two",
                           "Content-Length: 0")
        self.assertEqual(seen["method"], "PATCH")
        self.assertEqual(seen["path"], "/a/b%20c;d?x=1&y=%C3%A4&z")
        headers = seen["headers"]
        self.assertIn(["host", "recorder"], headers)
        self.assertIn(["x-mixed-case", "Value With  Blanks"], headers)
        self.assertEqual([value for name, value in headers if name == "x-twice"], ["one", "two"])
        self.assertFalse([name for name, _ in headers if name.startswith(":")])

    def test_bodies_with_a_length_and_in_chunks_arrive_whole(self):
        body = bytes(range(256)) * 1000
        digest = hashlib.sha256(body).hexdigest()
        seen = self.record("POST / HTTP/1.1", "Host: recorder", f"Content-Length: {len(body)}",
                           body=body)
        self.assertEqual((seen["bytes"], seen["sha256"]), (len(body), digest))
        chunks = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in
                          (body[at:at + 7001] for at in range(0, len(body), 7001)))
        seen = self.record("PUT / HTTP/1.1", "Host: recorder", "Transfer-Encoding: chunked",
                           body=chunks + b"0\r\n\r\n")
        self.assertEqual((seen["bytes"], seen["sha256"]), (len(body), digest))

    def test_trailers_go_through_in_both_directions(self):
        seen = self.record("POST / HTTP/1.1", "Host: recorder", "Transfer-Encoding: chunked",
                           "TE: trailers", "Trailer: x-sum",
                           body=b"3\r\nabc\r\n0\r\nx-sum: 42\r\n\r\n")
        self.assertEqual(seen["trailers"], {"x-sum": "42"})
        status, headers, body = self.exchange("GET /chunked/5 HTTP/1.1", "Host: recorder",
                                              "TE: trailers")
        self.assertEqual((status, len(body)), (200, 5 * 1024))
        self.assertEqual(headers.get("trailer x-chunks"), "5")

    def test_a_head_has_the_length_and_no_body(self):
        status, headers, _ = self.exchange("HEAD / HTTP/1.1", "Host: recorder")
        self.assertEqual(status, 200)
        self.assertGreater(int(headers["content-length"]), 0)
        # The connection is in step: the next answer is the next request's.
        self.assertEqual(self.record("GET /next HTTP/1.1", "Host: recorder")["path"], "/next")

    def test_pipelined_requests_are_answered_in_order(self):
        for number in range(10):
            self.send(f"GET /{number} HTTP/1.1", "Host: recorder")
        for number in range(10):
            _, _, body = read_response(self.stream)
            self.assertEqual(json.loads(body)["path"], f"/{number}")

    def test_100_continue_comes_before_the_body_is_sent(self):
        self.send("POST / HTTP/1.1", "Host: recorder", "Content-Length: 5", "Expect: 100-continue")
        status, _, _ = read_response(self.stream)
        self.assertEqual(status, 100)
        self.socket.sendall(b"hello")
        status, _, body = read_response(self.stream)
        self.assertEqual((status, json.loads(body)["bytes"]), (200, 5))

    def test_early_hints_are_passed_on(self):
        self.send("GET /hints HTTP/1.1", "Host: recorder")
        status, headers, _ = read_response(self.stream)
        self.assertEqual((status, headers["link"]), (103, "</style.css>; rel=preload"))
        self.assertEqual(read_response(self.stream)[0], 200)

    def test_a_body_that_ends_with_the_connection_arrives_whole(self):
        _, _, body = self.exchange("GET /no-length HTTP/1.1", "Host: recorder")
        self.assertEqual(json.loads(body)["path"], "/no-length")

    def test_connection_close_is_honoured(self):
        self.record("GET / HTTP/1.1", "Host: recorder", "Connection: close")
        self.assertEqual(self.stream.read(), b"")

    def test_http_1_0_gets_an_answer_that_it_understands(self):
        self.send("GET /chunked/3 HTTP/1.0", "Host: recorder")
        status, headers, body = read_response(self.stream)
        self.assertEqual(status, 200)
        self.assertNotIn("transfer-encoding", headers)
        self.assertEqual(len(body), 3 * 1024)

    def test_hop_by_hop_headers_stay_on_their_hop(self):
        seen = self.record("GET / HTTP/1.1", "Host: recorder", "Connection: x-private, keep-alive",
                           "X-Private: 1", "Keep-Alive: timeout=5", "Proxy-Connection: keep-alive")
        names = [name for name, _ in seen["headers"]]
        for name in ("x-private", "keep-alive", "proxy-connection"):
            self.assertNotIn(name, names)

    def test_status_codes_of_the_application_are_its_own(self):
        for status in (204, 404, 500):
            with self.subTest(status=status):
                url = f"http://tea.1/status/{status}"
                self.assertEqual(self.web.status_of(url), status)
                self.assertEqual(self.web.status_of(url, "-I"), status)
        headers = self.web.curl("-D", "-", "http://tea.1/status/500").stdout
        self.assertNotIn("weft-error", headers.lower())
        self.assertIn("x-served-by: tea-1-a", headers.lower())

    def test_headers_of_many_kilobytes_arrive(self):
        value = "v" * 4000
        seen = self.record("GET / HTTP/1.1", "Host: recorder",
                           *[f"X-Large-{number}: {value}" for number in range(8)])
        large = [v for name, v in seen["headers"] if name.startswith("x-large-")]
        self.assertEqual(large, [value] * 8)

    def test_malformed_requests_are_refused_and_never_forwarded(self):
        cases = [
            ["GARBAGE"],
            ["GET / HTTP/1.1", "Host: recorder", "Content-Length: 5", "Transfer-Encoding: chunked"],
            ["GET / HTTP/1.1", "Host: recorder", "Content-Length: 5", "Content-Length: 6"],
            ["GET / HTTP/1.1", "Host: recorder", "Content-Length: -1"],
            ["GET / HTTP/1.1", "Host: recorder", "Bad Header: 1"],
            ["POST / HTTP/1.1", "Host: recorder", "Transfer-Encoding: chunked", "", "zz"],
        ]
        for lines in cases:
            with self.subTest(lines=lines):
                with self.web.net.connect(self.service.cluster_ips[0], 80) as connection:
                    connection.sendall("\r\n".join([*lines, "", ""]).encode())
                    answer = connection.makefile("rb").readline()
                self.assertTrue(answer == b"" or b" 400 " in answer, (lines, answer))
        self.assertEqual(self.record("GET / HTTP/1.1", "Host: recorder")["method"], "GET")

    def test_an_upgrade_becomes_a_tunnel(self):
        listener = self.recorder.net.listen("0.0.0.0", 8081)
        self.addCleanup(listener.close)
        # Nobody's protocol: after the 101, bytes are echoed.
        def echo():
            connection, _ = listener.accept()
            with connection:
                connection.settimeout(10)
                received = b""
                while b"\r\n\r\n" not in received:
                    received += connection.recv(4096)
                connection.sendall(b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\n"
                                   b"upgrade: echo\r\n\r\n")
                while (piece := connection.recv(4096)):
                    connection.sendall(piece.upper())

        thread = threading.Thread(target=echo, daemon=True)
        thread.start()
        with self.web.net.connect(self.recorder.ip, 8081) as connection:
            stream = connection.makefile("rb")
            connection.sendall(b"GET /chat HTTP/1.1\r\nhost: recorder\r\nconnection: Upgrade\r\n"
                               b"upgrade: echo\r\n\r\n")
            status, headers, _ = read_response(stream, has_body=False)
            self.assertEqual((status, headers.get("upgrade")), (101, "echo"))
            for word in (b"hello", b"world"):
                connection.sendall(word)
                self.assertEqual(stream.read(5), word.upper())
