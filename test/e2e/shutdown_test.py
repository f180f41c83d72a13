"""A sidecar that is told to go finishes what it has begun; one that crashes is replaced in service."""

import json
import signal
import threading

from lab.load import Load
from shop import HTTP, ShopTest


class ShutdownTest(ShopTest):
    replicas = 2

    @classmethod
    def extend(cls):
        cls.recorder = cls.lab.add_pod("recorder", ports=(80,))
        cls.lab.add_service("recorder", {"app": "recorder"}, HTTP)
        cls.recorder.start_recorder().wait_until_listening()

    def restart(self, pod):
        pod.sidecar.stop()
        pod.start_sidecar()
        pod.wait_until_ready()

    def in_flight(self):
        """A request that takes two seconds, begun: a function that waits for its answer."""
        outcome = {}

        def ask():
            outcome["done"] = self.web.curl("--fail", "http://recorder/delay/2", check=False)

        thread = threading.Thread(target=ask)
        before = self.recorder.app.process.log().count("began")
        thread.start()
        self.addCleanup(thread.join)
        self.eventually(lambda: self.recorder.app.process.log().count("began") > before,
                        "the request to reach the application")

        def answer():
            thread.join(20)
            return outcome["done"]

        return answer

    def test_requests_under_way_finish_on_both_sides(self):
        for pod in (self.recorder, self.web):
            with self.subTest(pod=pod.name):
                answer = self.in_flight()
                pod.sidecar.signal(signal.SIGTERM)
                done = answer()
                self.assertEqual(done.returncode, 0, done.stderr)
                self.assertEqual(json.loads(done.stdout)["path"], "/delay/2")
                self.assertEqual(pod.sidecar.wait(), 0, pod.sidecar.log()[-1000:])
                self.restart(pod)

    def test_a_sidecar_that_restarts_serves_again(self):
        self.restart(self.tea_2[0])
        self.eventually(lambda: self.answers("http://tea.2/", count=20) == {"tea.2": 20}, "tea.2")
        self.restart(self.web)
        self.eventually(lambda: self.answers("http://tea.2/", count=20) == {"tea.2": 20}, "tea.2")

    def test_a_pod_that_leaves_in_order_under_load_fails_no_request(self):
        load = Load(self.web, "http://tea.1/", connections=32)
        pod = self.tea_1[0]
        start = pod.app.served()
        self.eventually(lambda: pod.app.served() > start + 500, "the load to be on")
        # As Kubernetes does it: out of the endpoints and SIGTERM at the same time.
        pod.ready = False
        self.lab.publish()
        pod.sidecar.signal(signal.SIGTERM)
        self.assertEqual(pod.sidecar.wait(40), 0, pod.sidecar.log()[-1000:])
        other = self.tea_1[1].app.served()
        self.eventually(lambda: self.tea_1[1].app.served() > other + 1000, "the other pod to serve on")
        result = load.stop()
        self.assertEqual(result.failed, 0, result.summary)
        pod.ready = True
        self.lab.publish()
        self.restart(pod)

    def test_a_sidecar_that_crashes_takes_only_its_own_requests_along(self):
        pod = self.tea_1[0]
        pod.sidecar.kill()
        # Its endpoint still stands in the manifests; requests go to the one that answers.
        self.eventually(lambda: self.answers(count=30) == {"tea.1": 30}, "all by the other pod")
        pod.start_sidecar()
        pod.wait_until_ready()
        before = pod.app.served()
        self.eventually(lambda: self.answers(count=30) and pod.app.served() > before,
                        "the pod to be used again", 40)
