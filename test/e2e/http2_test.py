"""HTTP/2 as RFC 9113 has it, towards a sidecar, and what a hostile client gains: nothing."""

import itertools
import socket
import threading

from lab import http2, http2_cases
from lab.http2_apps import Http2Nginx
from shop import HTTP, LabTest


class Http2Test(LabTest):

    @classmethod
    def make(cls):
        lab = cls.lab
        cls.web = lab.add_pod("web")
        cls.pot = lab.add_pod("pot", ports=(80,))
        cls.service = lab.add_service("tea", {"app": "pot"}, HTTP)
        lab.publish()
        cls.pot.app = Http2Nginx(cls.pot, "tea")
        cls.pot.app.wait_until_listening()
        lab.start_control_plane()
        lab.start_sidecars()

    def connected(self):
        """A socket of the application in web to the service: what answers is its sidecar."""
        return self.web.net.connect(self.service.cluster_ips[0], 80)

    def run_cases(self, cases, greet):
        for name, said, expected in cases:
            with self.subTest(case=name):
                wrong = http2_cases.try_case(self.connected(), said, expected, greet)
                self.assertIsNone(wrong)

    def test_every_frame_and_field_is_taken_as_the_rfcs_ask(self):
        self.run_cases(http2_cases.CASES, greet=True)

    def test_a_connection_begins_with_its_preface(self):
        self.run_cases(http2_cases.OPENINGS, greet=False)

    def test_settings_and_pings_are_acknowledged(self):
        client = http2.Connection(self.connected(), greet=False)
        self.addCleanup(client.close)
        client.send(http2.PREFACE + http2.settings())
        client.handshake()
        got = client.until(lambda f: f.kind == http2.SETTINGS)
        self.assertEqual((got.flags, got.payload), (http2.ACK, b""))
        client.send(http2.ping(b"teatime!"))
        got = client.until(lambda f: f.kind == http2.PING)
        self.assertEqual((got.flags, got.payload), (http2.ACK, b"teatime!"))

    def test_a_window_may_shrink_below_zero_and_is_never_exceeded(self):
        client = http2.Connection(self.connected(), greet=False)
        self.addCleanup(client.close)
        client.send(http2.PREFACE + http2.settings((http2.INITIAL_WINDOW_SIZE, 3)))
        client.handshake()
        client.send(http2.headers(1, http2.request_fields()))
        is_data = lambda f: f.kind == http2.DATA
        self.assertEqual(client.until(is_data).payload, b"tea")
        # 3 bytes are sent, so the window is -2 now.
        client.send(http2.settings((http2.INITIAL_WINDOW_SIZE, 1)))
        client.send(http2.window_update(1, 2))
        # The PING's answer comes first: there was nothing to be sent.
        client.send(http2.ping())
        got = client.until(lambda f: f.kind == http2.DATA or f.kind == http2.PING)
        self.assertEqual(got.kind, http2.PING)
        client.send(http2.window_update(1, 1))
        got = client.until(is_data)
        self.assertEqual((got.payload, got.end_stream), (b"\n", True))
        # What a change of the setting opens goes on without WINDOW_UPDATE.
        client.send(http2.settings((http2.INITIAL_WINDOW_SIZE, 0)) +
                    http2.headers(3, http2.request_fields()))
        client.until(lambda f: f.kind == http2.HEADERS and f.stream == 3)
        client.send(http2.settings((http2.INITIAL_WINDOW_SIZE, 100)))
        self.assertEqual(client.until(is_data).payload, b"tea\n")

    def test_the_window_of_the_connection_and_the_size_of_frames_are_kept_to(self):
        path = self.pot.app.put_file("medium", 200_000)
        client = http2.Connection(self.connected(), greet=False)
        self.addCleanup(client.close)
        client.send(http2.PREFACE + http2.settings((http2.INITIAL_WINDOW_SIZE, 1 << 20)))
        client.handshake()
        client.send(http2.headers(1, http2.request_fields(path)))
        received = 0
        while received < 65535:
            got = client.until(lambda f: f.kind == http2.DATA)
            self.assertLessEqual(len(got.payload), 16384)
            received += len(got.payload)
        self.assertEqual(received, 65535)
        client.send(http2.ping())
        got = client.until(lambda f: f.kind in (http2.DATA, http2.PING))
        self.assertEqual(got.kind, http2.PING)
        client.send(http2.window_update(0, 1 << 20))
        while received < 200_000:
            received += len(client.until(lambda f: f.kind == http2.DATA).payload)
        self.assertEqual(received, 200_000)

    # ---- Attacks. What one client does must cost the others nothing.

    def attack(self, said):
        """A client says it, again and again, until the sidecar has had enough of it."""
        sidecar = self.web.sidecar
        before, rss = self.violations(), sidecar.rss_bytes()
        neighbour = http2.Connection(self.connected()).handshake()
        self.addCleanup(neighbour.close)
        attacker = http2.Connection(self.connected()).handshake()
        self.addCleanup(attacker.close)
        got = self.flood(attacker, said)
        self.assertEqual(got.kind, http2.GOAWAY, got)
        # The other code is for streams beyond those allowed, when the attack is faster than the answers.
        self.assertIn(got.code, (http2.ENHANCE_YOUR_CALM, http2.PROTOCOL_ERROR), got)
        neighbour.send(http2.headers(1, http2.request_fields()))
        head, body, _ = neighbour.answer(1)
        self.assertEqual((head[":status"], body), ("200", b"tea\n"))
        self.eventually(lambda: self.violations() > before, "the violation to be counted")
        self.assertLess(sidecar.rss_bytes() - rss, 24 << 20)

    def flood(self, attacker, said):
        """Sends what `said` yields until GOAWAY or the end comes; returns that."""
        stop = threading.Event()

        def send():
            try:
                for piece in said:
                    if stop.is_set():
                        return
                    attacker.socket.sendall(piece)
            except OSError:
                pass

        attacker.socket.settimeout(30)
        sender = threading.Thread(target=send)
        sender.start()
        try:
            return attacker.until(lambda f: f.kind == http2.GOAWAY)
        finally:
            stop.set()
            try:
                attacker.socket.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            sender.join()

    def violations(self):
        """How many connections the sidecar of web has ended for what their clients did."""
        return sum(int(line.rsplit(" ", 1)[1]) for line in self.web.admin("/stats").splitlines()
                   if line.startswith("weft_http2_violations_total{"))

    def test_floods_are_cut_off(self):
        block = http2.request_fields()
        post = http2.request_fields(method="POST")
        opened = http2.headers(1, post, http2.END_HEADERS)
        streams = range(1, 1 << 20, 2)
        floods = {
            "rapid reset": (http2.headers(n, block) + http2.reset(n) for n in streams),
            "resets by increments of nothing":
                (http2.headers(n, post, http2.END_HEADERS) + http2.window_update(n, 0) for n in streams),
            "resets by windows that overflow":
                (http2.headers(n, post, http2.END_HEADERS) + http2.window_update(n, 0x7fffffff)
                 for n in streams),
            "resets by bodies longer than announced":
                (http2.headers(n, http2.request_fields(method="POST", extra=[("content-length", "1")]),
                     http2.END_HEADERS) + http2.data(n, b"two") for n in streams),
            "resets by malformed heads":
                (http2.headers(n, block + http2.literal("connection", "close")) for n in streams),
            "frames after the reset":
                (http2.headers(n, post, http2.END_HEADERS) + http2.reset(n) + http2.data(n, b"x")
                 for n in streams),
            "PING": repeat(http2.ping()),
            "SETTINGS": repeat(http2.settings((http2.INITIAL_WINDOW_SIZE, 65535))),
            "PRIORITY": repeat(http2.frame(http2.PRIORITY, 0, 1, bytes(4) + b"\x0f")),
            "WINDOW_UPDATE": repeat(http2.window_update(0, 1)),
            "unknown frames": repeat(http2.frame(0xee, 0, 0, b"x" * 100)),
            "empty DATA": itertools.chain([opened], repeat(http2.data(1))),
            "padded DATA": itertools.chain([opened], repeat(
                http2.frame(http2.DATA, http2.PADDED, 1, b"\x00"))),
            "CONTINUATION": itertools.chain([http2.headers(1, block, http2.END_STREAM)], repeat(
                http2.frame(http2.CONTINUATION, 0, 1, http2.literal("x", "y")))),
            "empty CONTINUATION": itertools.chain([http2.headers(1, block, http2.END_STREAM)], repeat(
                http2.frame(http2.CONTINUATION, 0, 1))),
            "an HPACK bomb": [http2.headers(
                1, block + b"\x40" + http2.integer(1, 7) + b"x" + http2.integer(3900, 7) +
                b"b" * 3900 + b"\xbe" * 10000)],
        }
        for name, said in floods.items():
            with self.subTest(flood=name):
                self.attack(said)

    def test_windows_that_never_open_hold_bounded_memory(self):
        path = self.pot.app.put_file("large", 64 << 20)
        sidecar = self.web.sidecar
        rss = sidecar.rss_bytes()
        greedy = http2.Connection(self.connected(), greet=False)
        self.addCleanup(greedy.close)
        greedy.send(http2.PREFACE + http2.settings((http2.INITIAL_WINDOW_SIZE, 0)))
        greedy.handshake()
        for stream in range(1, 201, 2):
            greedy.send(http2.headers(stream, http2.request_fields(path)))
        answered = set()
        while len(answered) < 100:
            got = greedy.until(lambda f: f.kind == http2.HEADERS)
            self.assertEqual(got.kind, http2.HEADERS)
            answered.add(got.stream)
        # One byte at a time, when it is asked for.
        greedy.send(http2.window_update(1, 1))
        got = greedy.until(lambda f: f.kind == http2.DATA)
        self.assertEqual((got.stream, len(got.payload)), (1, 1))
        self.assertEqual(self.fresh_answer(), b"tea\n")
        self.assertLess(sidecar.rss_bytes() - rss, 64 << 20)

    def test_a_reader_that_never_reads_stops_only_itself(self):
        path = self.pot.app.put_file("huge", 64 << 20)
        lazy = http2.Connection(self.connected(), greet=False)
        self.addCleanup(lazy.close)
        lazy.send(http2.PREFACE + http2.settings((http2.INITIAL_WINDOW_SIZE, 0x7fffffff)) +
                  http2.window_update(0, 0x7fff0000 - 65535))
        rss = self.web.sidecar.rss_bytes()
        for stream in range(1, 41, 2):
            lazy.send(http2.headers(stream, http2.request_fields(path)))
        for _ in range(20):
            self.assertEqual(self.fresh_answer(), b"tea\n")
        self.assertLess(self.web.sidecar.rss_bytes() - rss, 32 << 20)

    def test_heads_that_are_too_large_are_refused_and_counted(self):
        before = self.refused()
        client = http2.Connection(self.connected()).handshake()
        self.addCleanup(client.close)
        block = http2.request_fields(extra=[("x", "y" * 3900)] * 20)
        client.send(http2.frame(http2.HEADERS, http2.END_STREAM, 1, block[:16000]),
                    *[http2.frame(http2.CONTINUATION, 0, 1, block[at:at + 16000])
                      for at in range(16000, len(block), 16000)],
                    http2.frame(http2.CONTINUATION, http2.END_HEADERS, 1))
        head, _, _ = client.answer(1)
        self.assertEqual(head[":status"], "431")
        client.send(http2.headers(3, http2.request_fields(extra=[("connection", "close")])),
                    http2.headers(5, http2.request_fields()))
        self.assertEqual(client.answer(5)[1], b"tea\n")
        self.eventually(lambda: self.refused() == before + 2, "the refusals to be counted")

    def test_no_more_streams_than_allowed(self):
        client = http2.Connection(self.connected()).handshake()
        self.addCleanup(client.close)
        allowed = client.settings[http2.MAX_CONCURRENT_STREAMS]
        block = http2.request_fields(method="POST")
        client.send(*[http2.headers(2 * n + 1, block, http2.END_HEADERS) for n in range(allowed + 1)])
        # RFC 9113 section 5.1.2, as an error of the connection, which section 5.4.1 allows.
        got = client.until(lambda f: f.kind == http2.GOAWAY)
        self.assertEqual((got.kind, got.code), (http2.GOAWAY, http2.PROTOCOL_ERROR))

    def refused(self):
        return sum(int(line.rsplit(" ", 1)[1]) for line in self.web.metrics().splitlines()
                   if line.startswith("weft_errors_total{") and '"bad-request"' in line)

    def fresh_answer(self):
        client = http2.Connection(self.connected()).handshake()
        try:
            client.send(http2.headers(1, http2.request_fields()))
            return client.answer(1)[1]
        finally:
            client.close()


def repeat(piece, at_once=100):
    """A piece without end, many of it at a time."""
    return itertools.repeat(piece * at_once)
