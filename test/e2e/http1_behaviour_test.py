"""What HTTP/1 applications rely on, through two sidecars: the spelling of names, expectations, upgrades, versions."""

from lab.raw_http import RawApplication, read_response
from shop import HTTP, ShopTest

_OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
_ANSWERS = {
    "/spelt": b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nETag: \"1\"\r\nWWW-Authenticate: x\r\nServer: s\r\n"
              b"x-small: 1\r\n\r\n",
    "/small": b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nx-small: 1\r\n\r\n",
    "/forged": b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nx-small: 1\r\nweft-case: T\r\n\r\n",
    "/too-large": b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\n\r\n",
    "/hints": b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" * 8 + _OK,
    "/hints-without-end": b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" * 33 + _OK,
    "/switch": b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n",
    "/chunks": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-Sum: 1\r\n\r\n",
    "/no-content": b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n",
}


class Http1BehaviourTest(ShopTest):

    @classmethod
    def extend(cls):
        cls.raw = cls.lab.add_pod("raw", ports=(80,))
        cls.service = cls.lab.add_service("raw", {"app": "raw"}, HTTP)
        cls.app = RawApplication(cls.raw.net.listen("0.0.0.0", 80),
                                 lambda request: _ANSWERS.get(request.target, _OK),
                                 lambda target: _ANSWERS[target] if target == "/too-large" else None)
        cls.addClassCleanup(cls.app.close)

    def setUp(self):
        self.app.requests.clear()
        self.reconnect()

    def reconnect(self):
        self.connection = self.web.net.connect(self.service.cluster_ips[0], 80, timeout=10)
        self.addCleanup(self.connection.close)
        self.stream = self.connection.makefile("rb")
        self.addCleanup(self.stream.close)

    def send(self, *lines, body=b""):
        self.connection.sendall("\r\n".join([*lines, "", ""]).encode() + body)

    def exchange(self, *lines, body=b""):
        self.send(*lines, body=body)
        response = read_response(self.stream, to_head=lines[0].startswith("HEAD"))
        self.assertTrue(response.complete, response)
        return response

    def get(self, *fields, target="/"):
        response = self.exchange(f"GET {target} HTTP/1.1", "Host: raw", *fields)
        return response, self.app.requests[-1] if self.app.requests else None

    def assert_closed(self):
        self.assertEqual(self.stream.read(), b"")

    def names(self, fields, *without):
        return [name for name, _ in fields if name.lower() not in without]

    def test_names_of_fields_arrive_as_they_were_spelt(self):
        for names in (["User-Agent", "X-API-Key", "SOAPAction", "x-small", "Accept"],
                      ["user-agent", "x-api-key"], ["x-small", "SOAPAction", "y-small"], ["ALL", "ALL-CAPS"]):
            with self.subTest(names=names):
                _, seen = self.get(*[f"{name}: 1" for name in names])
                self.assertEqual(self.names(seen.fields, "host"), names)
                self.assertIn(("Host", "raw"), seen.fields)
        response, _ = self.get(target="/spelt")
        self.assertEqual(self.names(response.fields, "content-length"),
                         ["ETag", "WWW-Authenticate", "Server", "x-small"])
        response, _ = self.get(target="/small")
        self.assertEqual(self.names(response.fields, "content-length"), ["x-small"])

    def test_nobody_but_a_sidecar_is_believed_how_names_are_spelt(self):
        response, seen = self.get("x-small: 1", "weft-case: T", target="/forged")
        self.assertEqual(self.names(seen.fields, "host"), ["x-small"])
        self.assertEqual(self.names(response.fields, "content-length"), ["x-small"])

    def test_an_unknown_expectation_is_refused(self):
        response = self.exchange("POST / HTTP/1.1", "Host: raw", "Expect: miracles", "Content-Length: 1")
        self.assertEqual((response.status, response.value("weft-error")), (417, "bad-request"))
        self.assert_closed()

    def test_a_body_that_is_not_wanted_need_not_be_sent(self):
        response = self.exchange("POST /too-large HTTP/1.1", "Host: raw", "Expect: 100-continue",
                                 "Content-Length: 1000000")
        # Whether the body comes all the same nobody can tell: so the connection ends.
        self.assertEqual((response.status, response.value("connection")), (413, "close"))
        self.assert_closed()

    def test_a_connection_goes_on_behind_a_body_that_was_waited_for(self):
        self.send("POST / HTTP/1.1", "Host: raw", "Expect: 100-continue", "Content-Length: 3")
        self.assertIn(b" 100 ", self.stream.readline())
        self.stream.readline()
        self.connection.sendall(b"abc")
        response = read_response(self.stream)
        self.assertEqual((response.status, response.value("connection")), (200, None))
        self.assertEqual(self.get()[0].status, 200)

    def test_http_1_0_has_no_expectations(self):
        response = self.exchange("POST / HTTP/1.0", "Host: raw", "Expect: 100-continue",
                                 "Content-Length: 3", body=b"abc")
        self.assertEqual(response.status, 200)
        self.assertEqual(self.app.requests[-1].values("expect"), [])

    def test_http_1_0_is_kept_alive_if_it_asks_and_the_length_is_known(self):
        for target, again in (("/", True), ("/no-content", True), ("/chunks", False)):
            with self.subTest(target=target):
                self.reconnect()
                response = self.exchange(f"GET {target} HTTP/1.0", "Host: raw", "Connection: keep-alive")
                self.assertIsNone(response.value("transfer-encoding"))
                self.assertEqual(response.value("connection"), "keep-alive" if again else "close")
                if again:
                    self.exchange("GET / HTTP/1.0", "Host: raw")
                self.assert_closed()

    def test_http_1_0_hears_no_informational_response(self):
        self.send("GET /hints HTTP/1.0", "Host: raw")
        self.assertIn(b" 200 ", self.stream.readline())

    def test_informational_responses_without_end_are_malformed(self):
        self.assertEqual(self.get(target="/hints")[0].status, 200)
        response, _ = self.get(target="/hints-without-end")
        self.assertEqual(response.status, 502)

    def test_a_switch_of_protocols_that_nobody_asked_for_is_malformed(self):
        response, _ = self.get(target="/switch")
        self.assertEqual(response.status, 502)
        # Neither did who offered what never goes through a proxy.
        response, seen = self.get("Connection: Upgrade", "Upgrade: HTTP/2.0", target="/switch")
        self.assertEqual(response.status, 502)
        self.assertEqual(seen.values("upgrade"), [])

    def test_an_upgrade_to_http_2_ends_at_the_sidecar(self):
        url = f"http://{self.service.cluster_ips[0]}/"
        output = self.web.run(["curl", "-sS", "--http2", "-m", "10", "-w", "%{http_version}\n", url, url, url]).stdout
        self.assertEqual(output, "ok2\n" * 3)
        for request in self.app.requests:
            self.assertEqual(request.version, "HTTP/1.1")
            self.assertEqual(request.values("upgrade") + request.values("http2-settings"), [])
        # A client that insists, and one that asks for the head only.
        output = self.web.run(["nghttp", "-u", "-v", url]).stdout
        self.assertIn("HTTP Upgrade success", output)
        self.assertIn(":status: 200", output)
        output = self.web.run(["curl", "-sS", "-I", "--http2", "-m", "10", url]).stdout
        self.assertIn("HTTP/2 200", output)
        self.assertIn("content-length: 2", output)

    def test_an_upgrade_to_http_2_with_settings_that_nobody_may_have_ends_the_connection(self):
        # INITIAL_WINDOW_SIZE of 2^31.
        self.send("GET / HTTP/1.1", "Host: raw", "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c",
                  "HTTP2-Settings: AASAAAAA")
        self.assertIn(b" 101 ", self.stream.readline())
        self.stream.read()
        self.reconnect()
        self.assertEqual(self.get()[0].status, 200)

    def test_connect_is_refused_and_what_follows_is_no_request(self):
        response = self.exchange("CONNECT raw:80 HTTP/1.1", "Host: raw:80",
                                 body=b"GET /hidden HTTP/1.1\r\nHost: raw\r\n\r\n")
        self.assertEqual((response.status, response.value("weft-error")), (405, "connect-refused"))
        self.assert_closed()
        self.assertEqual(self.app.requests, [])

    def test_te_is_passed_on_as_far_as_trailers(self):
        _, seen = self.get("TE: gzip;q=0.5, trailers", "Connection: TE")
        self.assertEqual(seen.values("te"), ["trailers"])
        _, seen = self.get("TE: gzip")
        self.assertEqual(seen.values("te"), [])

    def test_garbage_behind_a_body_is_not_passed_on(self):
        response = self.exchange("POST / HTTP/1.1", "Host: raw", "Content-Length: 3",
                                 body=b"abcGET /hidden\r\n\r\n")
        self.assertEqual(response.status, 200)
        response = read_response(self.stream)
        self.assertEqual((response.status, response.value("weft-error")), (400, "bad-request"))
        self.assert_closed()
        self.assertEqual([request.target for request in self.app.requests], ["/"])

    def test_what_follows_a_request_that_ends_the_connection_is_not_served(self):
        response = self.exchange("GET / HTTP/1.1", "Host: raw", "Connection: close",
                                 body=b"GET /hidden HTTP/1.1\r\nHost: raw\r\n\r\n")
        self.assertEqual(response.status, 200)
        self.assert_closed()
        self.assertEqual([request.target for request in self.app.requests], ["/"])

    def test_a_client_that_goes_on_sending_reads_why_it_was_refused(self):
        self.send("POST / HTTP/1.1", "Host: raw", "Transfer-Encoding: chunked",
                  body=b"zz\r\n" + b"x" * 1_000_000)
        response = read_response(self.stream)
        self.assertEqual((response.status, response.value("weft-error")), (400, "bad-request"))
