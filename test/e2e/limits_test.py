"""Every limit that a flag sets: what it is, what happens beyond it, and that the rest goes on."""

import os
import re
import subprocess

from http_test import read_response
from lab.binaries import ROOT, find_binary
from shop import HTTP, ShopTest

_FLAGS = ("--max-header-bytes", "4096", "--max-headers", "30",
          "--max-url-bytes", "512", "--max-concurrent-streams", "77", "--header-timeout", "500ms",
          "--idle-timeout", "1500ms", "--stream-idle-timeout", "1s")


def limits(pattern, text):
    """{flag: (default, least, most)} of what the pattern finds."""
    return {found["flag"]: (found["default"], found["least"], found["most"])
            for found in re.finditer(pattern, text, re.MULTILINE)}


class LimitsTest(ShopTest):
    sidecar_flags = _FLAGS

    @classmethod
    def extend(cls):
        cls.recorder = cls.lab.add_pod("recorder", ports=(80,))
        cls.service = cls.lab.add_service("recorder", {"app": "recorder"}, HTTP)
        cls.recorder.start_recorder().wait_until_listening()

    def connect(self, pod=None):
        connection = (pod or self.web).net.connect(self.service.cluster_ips[0], 80, timeout=20)
        self.addCleanup(connection.close)
        return connection

    def ask(self, *lines, connection=None):
        connection = connection or self.connect()
        connection.sendall("\r\n".join([*lines, "Host: recorder", "", ""]).encode())
        return read_response(connection.makefile("rb"))

    def counted(self, metric, pod=None):
        """The sum of a metric over its labels."""
        return sum(float(line.rsplit(" ", 1)[1])
                   for line in (pod or self.web).metrics().splitlines()
                   if re.match(re.escape(metric) + r"[ {]", line))

    def test_help_and_the_reference_tell_the_same(self):
        helped = limits(
            r"^  (?P<flag>--\S+) (?:N|BYTES|DURATION)"
            r"(?::UINT in \[(?P<least>\d+) - (?P<most>\d+)\])?=(?P<default>\S+)",
            subprocess.run([find_binary("weft-sidecar"), "--help"], stdout=subprocess.PIPE,
                           text=True, check=True).stdout)
        del helped["--await-ready"]
        with open(os.path.join(ROOT, "docs/reference/limits.md")) as page:
            documented = limits(r"^\| `(?P<flag>--[a-z-]+)` \| (?P<default>\S+) "
                                r"\| (?P<least>\S+) to (?P<most>\S+) \|", page.read())
        self.assertGreater(len(documented), 12)
        for flag, (default, least, _) in helped.items():
            if least is None:  # of durations --help has no range: the error message tells
                helped[flag] = (default, *documented.get(flag, (None, None, None))[1:])
        self.assertEqual(helped, documented)

    def test_beyond_its_range_a_limit_is_refused_with_the_range(self):
        for flag, value, complaint in (("--max-headers", "5", "range 10 to 10000"),
                                       ("--max-connections", "many", "--max-connections"),
                                       ("--idle-timeout", "1ms", "from 100ms to 24h"),
                                       ("--idle-timeout", "5", "not a duration")):
            with self.subTest(flag):
                done = subprocess.run([find_binary("weft-sidecar"), flag, value], text=True,
                                      stderr=subprocess.PIPE, stdout=subprocess.PIPE, check=False)
                self.assertEqual(done.returncode, 2)
                self.assertIn(complaint, done.stderr + done.stdout)

    def test_heads_beyond_a_limit_are_refused_with_what_fits(self):
        for name, lines, status in (
                ("target", ("GET /" + "a" * 600 + " HTTP/1.1",), 414),
                ("bytes", ("GET / HTTP/1.1", "X-Long: " + "a" * 5000), 431),
                ("fields", ("GET / HTTP/1.1", *(f"X-{n}: 1" for n in range(40))), 431)):
            with self.subTest(name):
                before = self.counted('weft_errors_total{reason="bad-request"}')
                answered, headers, _ = self.ask(*lines)
                self.assertEqual(answered, status)
                self.assertEqual(headers["weft-error"], "bad-request")
                self.eventually(lambda b=before: self.counted(
                    'weft_errors_total{reason="bad-request"}') > b, "the count")

    def test_a_head_that_does_not_end_and_a_connection_without_requests_are_closed(self):
        half, idle = self.connect(), self.connect()
        half.sendall(b"GET / HTTP/1.1\r\nHost: rec")
        self.assertEqual(self.ask("GET / HTTP/1.1", connection=idle)[0], 200)
        stream = half.makefile("rb")
        status, headers, _ = read_response(stream)
        self.assertEqual((status, headers["weft-error"]), (408, "bad-request"))
        self.assertEqual(stream.read(), b"")
        self.assertEqual(idle.recv(1000), b"")

    def test_a_request_on_which_nothing_moves_times_out(self):
        status, headers, _ = self.ask("GET /delay/5 HTTP/1.1")
        self.assertEqual((status, headers["weft-error"]), (504, "upstream-timeout"))

    def test_http2_clients_learn_how_many_streams_there_may_be(self):
        seen = self.web.run(["nghttp", "-nv", "http://recorder/"]).stdout
        self.assertIn("SETTINGS_MAX_CONCURRENT_STREAMS(0x03):77", seen)

    def test_one_connection_too_many_is_told_so_and_the_small_ports_still_answer(self):
        pod = self.tea_1[0]
        pod.sidecar.stop()
        pod.start_sidecar("--max-connections", "40")
        pod.wait_until_ready()
        held = [self.connect(pod) for _ in range(40)]
        self.eventually(lambda: self.counted("weft_connections", pod) == 40, "all to be accepted")
        status, headers, _ = self.ask("GET / HTTP/1.1", connection=self.connect(pod))
        self.assertEqual((status, headers["weft-error"]), (503, "overloaded"))
        silent = self.connect(pod)
        with self.assertRaises(ConnectionResetError):
            silent.recv(100)
        self.assertEqual(self.counted("weft_connections_refused_total", pod), 2)
        pod.wait_until_ready()
        self.assertIn("resources", pod.admin("/config_dump"))
        for connection in held:
            connection.close()
        self.eventually(
            lambda: self.ask("GET / HTTP/1.1", connection=self.connect(pod))[0] == 200, "room again")

    def test_while_too_much_waits_for_slow_readers_new_requests_are_told_so(self):
        pod = self.tea_1[0]
        pod.sidecar.stop()
        pod.start_sidecar("--workers", "1", "--max-buffered-bytes", "65536")
        pod.wait_until_ready()
        path = self.tea_2[0].app.put_file("large", 50_000_000)
        address = self.lab.services["shop/tea.2"].cluster_ips[0]
        with pod.net.connect(address, 80, timeout=20) as slow:
            slow.sendall(f"GET {path} HTTP/1.1\r\nHost: tea.2\r\nConnection: close\r\n\r\n".encode())
            self.eventually(lambda: pod.status_of("http://tea.2/") == 503, "the others to be told")
            answer = pod.curl("-i", "http://tea.2/").stdout
            self.assertIn("weft-error: overloaded", answer.lower())
            received = 0
            while (piece := slow.recv(1 << 20)):
                received += len(piece)
            self.assertGreater(received, 50_000_000, "the slow one gets all of it")
        self.assertEqual(pod.status_of("http://tea.2/"), 200)
        self.assertGreater(self.counted('weft_errors_total{reason="overloaded"}', pod), 0)
