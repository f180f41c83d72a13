"""The mesh's root is replaced while everything runs."""

import json
import os
import re

from lab import run
from lab.load import Load
from shop import HTTP, ShopTest


class RotationTest(ShopTest):

    # Certificates live so briefly that a whole rotation fits into a test.
    control_plane_flags = ("--leaf-lifetime", "20s", "--rotation-settle", "3s")

    def authority(self):
        return json.loads(self.lab.control_plane.meshctl("ca", "status", "-o", "json").stdout)

    def phase(self):
        return self.authority()["rotation"]["phase"]

    def begin(self):
        self.lab.control_plane.meshctl("ca", "rotate", "--no-wait")

    def await_phase(self, phase, deadline=60.0):
        self.eventually(lambda: self.phase() == phase, f"the rotation to be {phase}", deadline)

    def roots(self):
        with open(self.lab.control_plane.trust_bundle) as file:
            return re.findall("-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----", file.read())

    def fingerprints(self, role):
        return [certificate["fingerprint"] for certificate in self.authority()["certificates"]
                if certificate["role"] == role]

    def join(self, name):
        """A pod whose sidecar starts now, and a Service in front of it."""
        pod = self.lab.add_pod(name, ports=(80,))
        self.lab.add_service(name, {"app": name}, HTTP)
        self.lab.publish()
        pod.start_nginx(name).wait_until_listening()
        self.lab.start_sidecars()
        return pod

    def check_newcomer(self, name):
        """One that joins now reaches those that were there before, and is reached by them."""
        pod = self.join(name)
        self.eventually(lambda: pod.get("http://tea.1/") == "tea.1", f"{name} to reach tea.1")
        self.eventually(lambda: self.web.get(f"http://{name}/") == name, f"web to reach {name}")
        return pod

    def chain_of(self, pod):
        """The certificate that the pod's sidecar presents, as a file."""
        path = os.path.join(self.lab.directory, f"{pod.name}.crt")
        shown = self.web.run(["openssl", "s_client", "-connect", f"{pod.ip}:80", "-alpn", "weft/h2"],
                             uid=1337, stdin="", check=False).stdout
        with open(path, "w") as file:
            file.write(shown[shown.index("-----BEGIN CERTIFICATE"):])
        return path

    def test_no_request_fails_while_the_root_is_replaced(self):
        old = self.roots()
        self.assertEqual(len(old), 1)
        loads = [Load(self.web, "http://tea.1/", connections=4),
                 Load(self.web, "http://tea.2/", connections=4)]
        self.begin()
        for phase in ("ANNOUNCED", "CONFIRMED", "SIGNING"):
            self.await_phase(phase)
            self.assertEqual(len(self.roots()), 2, phase)
            self.check_newcomer(f"during-{phase.lower()}")
        self.await_phase("STABLE", 90)
        new = self.roots()
        self.assertEqual(len(new), 1)
        self.assertNotEqual(new, old)
        self.check_newcomer("afterwards")
        for load in loads:
            result = load.stop()
            self.assertGreater(result.requests, 1000)
            self.assertEqual(result.failed, 0, result.summary)
        for pod in self.tea_1 + self.tea_2:
            run(["openssl", "verify", "-partial_chain", "-CAfile", self.lab.control_plane.trust_bundle,
                 self.chain_of(pod)])

    def test_a_rotation_goes_on_after_the_control_plane_has_died(self):
        before = self.fingerprints("SIGNING")
        load = Load(self.web, "http://tea.1/", connections=4)
        self.begin()
        for phase in ("ANNOUNCED", "CONFIRMED", "SIGNING"):
            self.await_phase(phase)
            self.lab.control_plane.kill()
            self.lab.control_plane.start()
            # Whatever it had reached, it has not fallen back.
            self.assertIn(self.phase(), {"ANNOUNCED": ("ANNOUNCED", "CONFIRMED", "SIGNING"),
                                         "CONFIRMED": ("CONFIRMED", "SIGNING"),
                                         "SIGNING": ("SIGNING",)}[phase])
        self.await_phase("STABLE", 90)
        after = self.fingerprints("SIGNING")
        self.assertNotEqual(before, after)
        result = load.stop()
        self.assertEqual(result.failed, 0, result.summary)

    def test_the_command_follows_until_the_old_root_is_retired(self):
        done = self.lab.control_plane.meshctl("ca", "rotate")
        for words in ("announced", "signing", "certificates of the old root to expire until", "done"):
            self.assertIn(words, done.stdout)
        self.assertIn("the last one ended", self.lab.control_plane.meshctl("ca", "status").stdout)

    def test_there_is_one_rotation_at_a_time(self):
        self.begin()
        again = self.lab.control_plane.meshctl("ca", "rotate", check=False)
        self.assertEqual(again.returncode, 1)
        self.assertIn("under way since", again.stderr)
        self.await_phase("STABLE", 90)
