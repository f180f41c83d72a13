"""Memory stays where it is, whatever goes through."""

import hashlib
import time

from shop import HTTP, ShopTest

_GIGABYTE = 1 << 30
_IDLE_LIMIT = 15_000_000
_GROWTH_LIMIT = 16 << 20


class MemoryTest(ShopTest):

    @classmethod
    def extend(cls):
        cls.recorder = cls.lab.add_pod("recorder", ports=(80,))
        cls.service = cls.lab.add_service("recorder", {"app": "recorder"}, HTTP)
        cls.recorder.start_recorder().wait_until_listening()

    def sidecars(self, *pods):
        """Resets the peaks, and returns {name: resident bytes now}."""
        for pod in pods:
            pod.sidecar.reset_peak_rss()
        return {pod.name: pod.sidecar.rss_bytes() for pod in pods}

    def assert_bounded(self, before, *pods):
        for pod in pods:
            growth = pod.sidecar.peak_rss_bytes() - before[pod.name]
            self.assertLess(growth, _GROWTH_LIMIT, f"{pod.name} grew by {growth >> 20} MiB")

    def test_an_idle_sidecar_takes_at_most_15_megabytes(self):
        idle = self.tea_2[0]
        rss = idle.sidecar.rss_bytes()
        self.assertLessEqual(rss, _IDLE_LIMIT, f"{rss / 1e6:.1f} MB")

    def test_a_gigabyte_down_is_streamed(self):
        pod = self.tea_1[0]
        path = pod.app.put_file("gigabyte", _GIGABYTE)
        before = self.sidecars(self.web, pod)
        size = self.web.curl("--fail", "-o", "/dev/null", "-w", "%{size_download}",
                             f"http://tea.1{path}", timeout=120).stdout
        self.assertEqual(int(size), _GIGABYTE)
        self.assert_bounded(before, self.web, pod)

    def test_a_gigabyte_up_is_streamed_whole(self):
        before = self.sidecars(self.web, self.recorder)
        done = self.web.run(["sh", "-c", "head -c 1073741824 /dev/zero | curl -sS --fail --max-time "
                             "120 -T - http://recorder/"], timeout=130)
        digest = hashlib.sha256()
        for _ in range(1024):
            digest.update(bytes(1 << 20))
        self.assertIn(f'"bytes": {_GIGABYTE}', done.stdout)
        self.assertIn(digest.hexdigest(), done.stdout)
        self.assert_bounded(before, self.web, self.recorder)

    def test_a_slow_reader_slows_its_writer(self):
        pod = self.tea_1[0]
        path = pod.app.put_file("gigabyte", _GIGABYTE)
        before = self.sidecars(self.web, pod)
        readers = []
        for _ in range(20):
            connection = self.web.net.connect(self.lab.services["shop/tea.1"].cluster_ips[0], 80)
            self.addCleanup(connection.close)
            connection.sendall(f"GET {path} HTTP/1.1\r\nHost: tea.1\r\n\r\n".encode())
            self.assertTrue(connection.recv(1024).startswith(b"HTTP/1.1 200"))
            readers.append(connection)
        sent = self.wait_until_still(lambda: self.bytes_sent(pod))
        self.assertLess(sent, 20 * _GIGABYTE // 10)
        self.assert_bounded(before, self.web, pod)
        # They all still get their data.
        for connection in readers:
            left = 4 << 20
            while left > 0:
                left -= len(connection.recv(1 << 16))
        # A fast reader is not held up by slow ones.
        self.assertEqual(self.web.get("http://tea.1/"), "tea.1")

    def test_connections_that_end_leave_nothing_open(self):
        self.answers(count=5)
        before = self.web.sidecar.open_files(), self.tea_1[0].sidecar.open_files()
        for _ in range(100):
            self.web.net.connect(self.lab.services["shop/tea.1"].cluster_ips[0], 80).close()
        self.answers(count=5)
        self.eventually(lambda: self.web.sidecar.open_files() <= before[0] + 2 and
                        self.tea_1[0].sidecar.open_files() <= before[1] + 2,
                        "the connections' files to be closed")

    @staticmethod
    def bytes_sent(pod):
        """By the pod's interface so far."""
        for line in pod.net.run(["cat", "/proc/net/dev"]).stdout.splitlines():
            if line.strip().startswith("eth0:"):
                return int(line.split()[9])
        raise ValueError("no eth0")

    def wait_until_still(self, measure, still_seconds=1.0, deadline=30.0):
        """Waits until a number has not grown by more than 64 KiB for a while, and returns it."""
        end = time.monotonic() + deadline
        last, since = measure(), time.monotonic()
        while time.monotonic() - since < still_seconds:
            self.assertLess(time.monotonic(), end, "still growing")
            now = measure()
            if now > last + (64 << 10):
                last, since = now, time.monotonic()
        return last
