"""What changes under load costs no request."""

import json
import re
import time

from lab.load import Load
from shop import BETA, ShopTest, canary, split

_CONNECTIONS = 32


def certificate_serial(lab, pod):
    """Serial number of the certificate that a pod's sidecar shows to a mesh peer."""
    shown = lab.node.run(["openssl", "s_client", "-connect", f"{pod.ip}:80", "-alpn", "weft/h2",
                          "-servername", "x"], stdin="", check=False).stdout
    pem = re.search(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", shown, re.DOTALL)
    return lab.node.run(["openssl", "x509", "-noout", "-serial"], stdin=pem.group(0)).stdout


class UnderLoad(ShopTest):

    def start_load(self, url="http://tea.1/", headers=()):
        load = Load(self.web, url, _CONNECTIONS, headers)
        before = self.served()
        self.eventually(lambda: self.served() > before + 500, "the load to be on")
        return load

    def served(self):
        return sum(pod.app.served() for pod in self.tea_1 + self.tea_2)

    def more_served(self, requests=1000):
        """Waits until that many more requests have been served."""
        goal = self.served() + requests
        self.eventually(lambda: self.served() >= goal, f"{requests} more requests", 20)

    def assert_nothing_failed(self, load):
        result = load.stop()
        self.assertEqual(result.failed, 0, result.summary)
        self.assertGreater(result.requests, 1000, result.summary)


class ChangeTest(UnderLoad):
    replicas = 2

    def test_splits_that_come_change_and_go_fail_no_request(self):
        load = self.start_load()
        for tea_2 in (100, 0, 50, 100, 10, 0, 100):
            self.lab.manifests.write("canary.yaml", [split({"tea.1": 100 - tea_2, "tea.2": tea_2})])
            if tea_2 == 100:
                self.eventually(lambda: self.answers() == {"tea.2": 10}, "tea.2 alone")
            self.more_served()
        self.lab.manifests.write("canary.yaml", canary())
        self.eventually(lambda: self.answers() == {"tea.1": 10}, "the canary instead")
        self.lab.manifests.delete("canary.yaml")
        self.more_served()
        self.assert_nothing_failed(load)

    def test_pods_that_leave_the_service_and_come_back_fail_no_request(self):
        load = self.start_load()
        pod = self.tea_1[0]
        for ready in (False, True, False, True):
            pod.ready = ready
            self.lab.publish()
            if not ready:
                self.eventually(lambda: self._gets_nothing(pod), f"{pod.name} to be left alone")
            else:
                before = pod.app.served()
                self.eventually(lambda b=before: pod.app.served() > b + 100,
                                f"{pod.name} to be back")
        self.assert_nothing_failed(load)

    def _gets_nothing(self, pod):
        before = pod.app.served()
        self.more_served(200)
        return pod.app.served() == before

    def test_a_killed_control_plane_stops_nothing_and_comes_back(self):
        load = self.start_load()
        self.lab.control_plane.kill()
        self.more_served(5000)
        self.assertEqual(self.answers(count=20), {"tea.1": 20})
        # Written while nobody watches, in force once somebody does.
        self.lab.manifests.write("canary.yaml", canary())
        self.lab.control_plane.start()
        self.eventually(lambda: self.web.get("http://tea.1/", [BETA]) == "tea.2",
                        "the canary after the restart", 30)
        self.more_served()
        self.assert_nothing_failed(load)
        self._delete("canary.yaml")

    def test_a_control_plane_that_comes_back_sends_nothing_that_has_not_changed(self):
        self.lab.control_plane.kill()
        self.lab.control_plane.start()
        self.eventually(lambda: self._all_in_sync(), "every sidecar to be back and in sync", 30)
        self.assertEqual(self.answers(), {"tea.1": 10})

    def _all_in_sync(self):
        listed = json.loads(self.lab.control_plane.meshctl("proxies", "-o", "json").stdout)
        proxies = listed if isinstance(listed, list) else listed["proxies"]
        return len(proxies) == 5 and all(proxy.get("inSync") for proxy in proxies)


class CertificateTest(UnderLoad):
    control_plane_flags = ("--leaf-lifetime", "5s")

    def test_certificates_renewed_under_load_fail_no_request(self):
        load = self.start_load()
        serials = set()
        deadline = time.monotonic() + 60
        while len(serials) < 4:
            self.assertLess(time.monotonic(), deadline, f"only {len(serials)} certificates in 60 s")
            serials.add(certificate_serial(self.lab, self.tea_1[0]))
            self.more_served(200)
        self.assert_nothing_failed(load)
