"""A sidecar's life: when it is ready, what signals mean, and that it ends whatever its peers do."""

import ctypes
import os
import signal
import threading

from http_test import read_response
from lab import wait_for
from shop import HTTP, LabTest


class LifecycleTest(LabTest):

    @classmethod
    def make(cls):
        lab = cls.lab
        cls.outsider = lab.add_pod("outsider", meshed=False)
        cls.web = lab.add_pod("web")
        cls.app = lab.add_pod("app", ports=(80,))
        lab.add_service("app", {"app": "app"}, HTTP)
        cls.app.start_recorder().wait_until_listening()
        lab.publish()
        lab.start_control_plane()

    def setUp(self):
        for pod in (self.web, self.app):
            if pod.sidecar is None or not pod.sidecar.running():
                pod.start_sidecar("--drain-timeout", "4s")
                pod.wait_until_ready()
        self.eventually(lambda: self.web.status_of("http://app/") == 200, "the app to answer")

    def begin(self, path="/delay/1"):
        """A request of web's under way: a function that waits for curl's exit code and status."""
        outcome = {}
        begun = self.app.app.process.log().count("began")
        thread = threading.Thread(target=lambda: outcome.update(
            done=self.web.curl("-o", "/dev/null", "-w", "%{http_code}", f"http://app{path}",
                               check=False)))
        thread.start()
        self.addCleanup(thread.join)
        self.eventually(lambda: self.app.app.process.log().count("began") > begun, "the request")

        def answer():
            thread.join(20)
            return outcome["done"].returncode, outcome["done"].stdout

        return answer

    def health(self, pod):
        return pod.curl("-w", " %{http_code}", "http://127.0.0.1:15021/healthz/ready",
                        check=False).stdout

    def test_it_is_ready_when_it_has_a_certificate_and_its_configuration(self):
        pod = self.app
        pod.sidecar.stop()
        self.lab.control_plane.kill()
        pod.start_sidecar()
        self.eventually(lambda: self.health(pod).endswith(" 503"), "the port to answer")
        self.assertIn("no certificate yet", self.health(pod))
        self.assertIn("configuration not received yet", self.health(pod))
        live = pod.status_of("http://127.0.0.1:15021/healthz/live")
        self.assertEqual(live, 200)
        waiting = pod.run([self.lab.binary("weft-sidecar"), "--await-ready", "100ms"], check=False)
        self.assertEqual(waiting.returncode, 1)
        self.lab.control_plane.start()
        pod.run([self.lab.binary("weft-sidecar"), "--await-ready", "30s"])
        self.assertIn("ready", self.health(pod))
        # A control plane that goes later changes nothing.
        self.lab.control_plane.kill()
        self.assertIn("ready", self.health(pod))
        self.lab.control_plane.start()
        pod.sidecar.stop()

    def test_sighup_means_nothing_and_a_second_sigterm_nothing_more(self):
        sidecar = self.app.sidecar
        sidecar.signal(signal.SIGHUP)
        answer = self.begin()
        sidecar.signal(signal.SIGTERM)
        self.eventually(lambda: "draining" in sidecar.log(), "the drain")
        sidecar.signal(signal.SIGTERM)
        sidecar.signal(signal.SIGHUP)
        self.assertEqual(answer(), (0, "200"))
        self.assertEqual(sidecar.wait(), 0)

    def test_during_the_delay_it_serves_on_but_is_not_ready(self):
        pod = self.app
        pod.sidecar.stop()
        pod.start_sidecar("--drain-delay", "3s")
        pod.wait_until_ready()
        pod.sidecar.signal(signal.SIGTERM)
        self.eventually(lambda: "draining" in self.health(pod), "the readiness to go")
        self.assertEqual(self.outsider.status_of(f"http://{pod.ip}/"), 200)
        self.assertEqual(self.web.status_of("http://app/"), 200)
        self.assertEqual(pod.sidecar.wait(), 0)

    def test_a_connection_in_use_is_told_to_close_and_an_idle_one_is_closed(self):
        pod = self.app
        idle, busy = (self.outsider.net.connect(pod.ip, 80, timeout=20) for _ in range(2))
        streams = [connection.makefile("rb") for connection in (idle, busy)]
        for connection, stream in zip((idle, busy), streams):
            self.addCleanup(connection.close)
            connection.sendall(b"GET / HTTP/1.1\r\nHost: app\r\n\r\n")
            self.assertNotIn("connection", read_response(stream)[1])
        begun = pod.app.process.log().count("began /delay")
        busy.sendall(b"GET /delay/1 HTTP/1.1\r\nHost: app\r\n\r\n")
        self.eventually(lambda: pod.app.process.log().count("began /delay") > begun, "the request")
        pod.sidecar.signal(signal.SIGTERM)
        self.assertEqual(idle.recv(100), b"")
        status, headers, _ = read_response(streams[1])
        self.assertEqual((status, headers["connection"]), (200, "close"))
        self.assertEqual(busy.recv(100), b"")
        self.assertEqual(pod.sidecar.wait(), 0)

    def test_outbound_works_until_the_application_has_ended_its_own_work(self):
        # What web's application finishes for others may need others: its own callers come first.
        answer = self.begin("/delay/2")
        self.web.sidecar.signal(signal.SIGTERM)
        self.eventually(lambda: "draining" in self.web.sidecar.log(), "the drain")
        self.assertEqual(self.web.status_of("http://app/"), 200)
        self.assertEqual(answer(), (0, "200"))
        self.assertEqual(self.web.sidecar.wait(), 0)

    def test_hostile_peers_do_not_keep_it_from_ending(self):
        pod = self.app
        openings = (b"", b"GET / HT", b"GET / HTTP/1.1\r\nHost: app\r\nX: ", b"PRI * HTTP/2.0\r\n",
                    b"POST / HTTP/1.1\r\nHost: app\r\nContent-Length: 1000\r\n\r\nabc",
                    b"GET /chunked/100000 HTTP/1.1\r\nHost: app\r\n\r\n", b"\x16\x03\x01\x02\x00\x01",
                    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(9),
                    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00"
                    b"\x00\x00\x05\x01\x04\x00\x00\x00\x01\x82\x86\x84\x41\x00")
        for opening in openings:
            connection = self.outsider.net.connect(pod.ip, 80, timeout=20)
            self.addCleanup(connection.close)
            connection.sendall(opening)
        self.eventually(lambda: "began /chunked" in pod.app.process.log(), "the slow reader")
        pod.sidecar.signal(signal.SIGTERM)
        self.assertEqual(pod.sidecar.wait(15), 0, pod.sidecar.log()[-1000:])

    def test_a_worker_that_crashes_takes_the_process_along(self):
        sidecar = self.app.sidecar
        threads = [int(tid) for tid in os.listdir(f"/proc/{sidecar.pid}/task")]
        worker = max(tid for tid in threads if tid != sidecar.pid)
        tgkill = 234
        self.assertEqual(ctypes.CDLL(None).syscall(tgkill, sidecar.pid, worker, signal.SIGSEGV), 0)
        self.assertEqual(sidecar.wait(), -signal.SIGSEGV)
        wait_for(lambda: self.app.status_of("http://127.0.0.1:15021/healthz/live") == 0,
                 "nothing of it to be left")
