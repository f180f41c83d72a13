"""Bytes that two parsers of HTTP/1 might read differently, through two sidecars: nothing arrives in two ways."""

import os

from lab import wait_for
from lab.binaries import ROOT
from lab.raw_http import RawApplication, read_corpus, read_response
from shop import HTTP, ShopTest

_CORPUS = os.path.join(ROOT, "sidecar/http/h1/testdata")


class Http1CorpusTest(ShopTest):

    @classmethod
    def extend(cls):
        lab = cls.lab
        cls.raw = lab.add_pod("raw", ports=(80,))
        cls.outsider = lab.add_pod("outsider", meshed=False)
        cls.service = lab.add_service("raw", {"app": "raw"}, HTTP)
        cls.responses = {f"/{name}": (verdict, bytes_) for verdict, name, _, bytes_ in
                         read_corpus(f"{_CORPUS}/responses.txt")}
        cls.app = RawApplication(cls.raw.net.listen("0.0.0.0", 80), cls.answer)
        cls.addClassCleanup(cls.app.close)

    @classmethod
    def answer(cls, request):
        verdict, answer = cls.responses.get(request.target, ("", None))
        if answer is None:
            return b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nnext"
        # An application that goes on speaking; where the end of the connection says something, it ends it.
        return answer, verdict == "closed" and b"behind" not in request.target.encode()

    def setUp(self):
        self.app.requests.clear()
        self.app.malformed.clear()

    def connect(self, client=None, address=None):
        connection = (client or self.web).net.connect(address or self.service.cluster_ips[0], 80, timeout=10)
        self.addCleanup(connection.close)
        stream = connection.makefile("rb")
        self.addCleanup(stream.close)
        return connection, stream

    def test_requests_are_passed_on_in_one_reading_or_refused(self):
        self.try_requests(self.web, self.service.cluster_ips[0], self.web)

    def test_requests_of_an_outsider_too(self):
        self.try_requests(self.outsider, self.raw.ip, self.raw)

    def try_requests(self, client, address, refuser):
        def refused():
            return refuser.metric("weft_errors_total", reason="bad-request")

        rows = read_corpus(f"{_CORPUS}/requests.txt")
        before = refused()
        for verdict, name, body, text in rows:
            with self.subTest(case=name):
                connection, stream = self.connect(client, address)
                connection.sendall(text)
                response = read_response(stream)
                self.assertTrue(response.complete, response)
                self.assertEqual(response.status, int(verdict), response)
                if verdict == "200":
                    self.assertEqual(len(self.app.requests), 1, response)
                    self.assertEqual(self.app.requests[0].body, body)
                    for field in ("upgrade", "http2-settings", "content_length", "connection"):
                        self.assertEqual(self.app.requests[0].values(field), [])
                else:
                    self.assertEqual(response.value("weft-error"),
                                     "connect-refused" if verdict == "405" else "bad-request")
                    self.assertEqual(response.value("connection"), "close")
                    self.assertEqual(stream.read(), b"")
                    self.assertEqual([request.target for request in self.app.requests], [])
                self.app.requests.clear()
                stream.close()
                connection.close()
        self.assertEqual(self.app.malformed, [])
        refusals = sum(verdict not in ("200", "405") for verdict, *_ in rows)
        self.assertEqual(refused() - before, refusals)

    def test_responses_are_passed_on_in_one_reading_or_refused(self):
        last_use = {}
        for verdict, name, body, _ in read_corpus(f"{_CORPUS}/responses.txt"):
            with self.subTest(case=name):
                to_head = name.startswith(("head-with-", "head-in-"))
                connection, stream = self.connect()
                method = "HEAD" if to_head else "GET"
                connection.sendall(f"{method} /{name} HTTP/1.1\r\nHost: raw\r\n\r\n".encode())
                response = read_response(stream, to_head)
                used = self.app.requests[-1].connection
                self.assertEqual(self.app.requests[-1].target, f"/{name}")
                if verdict == "malformed":
                    # The head may have gone out before the body showed what it is.
                    if response.complete:
                        self.assertEqual(response.status, 502, response)
                        reasons = ["upstream-malformed"] + ["upstream-reset"] * ("chunk" in name)
                        self.assertIn(response.value("weft-error"), reasons)
                    connection, stream = self.connect()
                else:
                    self.assertTrue(response.complete, response)
                    self.assertIsNone(response.value("weft-error"))
                    self.assertEqual(response.body, body)
                self.assertNotIn(used, last_use, "a connection that was out of step was used again")
                if verdict != "reused":
                    last_use[used] = name
                connection.sendall(b"GET /next HTTP/1.1\r\nHost: raw\r\n\r\n")
                response = read_response(stream)
                self.assertEqual((response.status, response.body), (200, b"next"))
                self.assertIsNone(response.value("x-poison"))
                used_next = self.app.requests[-1].connection
                if verdict == "reused":
                    self.assertEqual(used_next, used)
                self.assertNotIn(used_next, last_use)
        self.assertEqual(self.app.malformed, [])
