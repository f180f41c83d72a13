"""The control plane by itself: its root, its source, its end."""

import os
import stat

from lab import wait_for
from shop import LabTest, add_tea, canary


class ControlPlaneTest(LabTest):

    @classmethod
    def make(cls):
        cls.lab.add_pod("web")
        add_tea(cls.lab, 1)
        add_tea(cls.lab, 2)
        cls.lab.publish()

    def setUp(self):
        self.control_plane = self.lab.control_plane
        self.control_plane.start()

    def tearDown(self):
        self.control_plane.stop()

    def read_root(self):
        with open(self.control_plane.trust_bundle) as root:
            return root.read()

    def metric(self, name):
        text = self.lab.node.run(["curl", "-sS", "--fail",
                                  f"http://{self.control_plane.http_address}/metrics"]).stdout
        return next(float(line.split()[1]) for line in text.splitlines() if line.startswith(name + " "))

    def test_the_root_is_made_once_and_kept(self):
        root = self.read_root()
        self.assertIn("BEGIN CERTIFICATE", root)
        self.assertNotIn("PRIVATE KEY", root)
        self.control_plane.kill()
        self.control_plane.start()
        self.assertEqual(self.read_root(), root)

    def test_secrets_are_for_their_owner_only(self):
        for name in ("ca.pem", "operator-token"):
            mode = stat.S_IMODE(os.stat(os.path.join(self.control_plane.state, name)).st_mode)
            self.assertEqual(mode, 0o600, name)

    def test_a_corrupt_root_is_refused_and_never_replaced(self):
        self.control_plane.stop()
        path = os.path.join(self.control_plane.state, "ca.pem")
        with open(path, "rb") as file:
            good = file.read()
        for bad in (b"", b"nonsense\n", good[:len(good) // 2]):
            with self.subTest(length=len(bad)):
                with open(path, "wb") as file:
                    file.write(bad)
                done = self.lab.node.run(
                    [self.lab.binary("weft-control-plane"), "--source",
                     f"dir:{self.lab.manifests.path}", "--state", self.control_plane.state, "--listen",
                     self.control_plane.address, "--http-listen", self.control_plane.http_address],
                    check=False, timeout=20)
                self.assertNotEqual(done.returncode, 0)
                self.assertIn("ca.pem", done.stderr)
                with open(path, "rb") as file:
                    self.assertEqual(file.read(), bad)
        with open(path, "wb") as file:
            file.write(good)
        self.control_plane.start()

    def test_files_that_come_change_and_go_are_followed(self):
        self.assertEqual(self.metric("weft_control_plane_services"), 2)
        self.lab.manifests.write("more.yaml", [{
            "apiVersion": "v1", "kind": "Service", "metadata": {"name": "more", "namespace": "shop"},
            "spec": {"clusterIP": "10.96.0.99", "ports": [{"port": 80}]}}])
        wait_for(lambda: self.metric("weft_control_plane_services") == 3, "a third service")
        self.lab.manifests.delete("more.yaml")
        wait_for(lambda: self.metric("weft_control_plane_services") == 2, "two services again")

    def test_an_error_names_file_document_object_and_field(self):
        cases = [
            ("syntax.yaml", "apiVersion: [unclosed\n", ["syntax.yaml", "document 1"]),
            ("field.yaml", "apiVersion: v1\nkind: Namespace\nmetadata: {name: bank}\n---\n"
             "apiVersion: v1\nkind: Service\nmetadata: {name: bad, namespace: bank}\n"
             "spec: {ports: [{port: eighty}]}\n", ["field.yaml", "document 2", "bank/bad", "port"]),
        ]
        for name, text, words in cases:
            with self.subTest(name=name):
                self.lab.manifests.write(name, text)
                self.addCleanup(self.lab.manifests.delete, name)
                line = wait_for(lambda n=name: next(
                    line for line in [*self.control_plane.process.log().splitlines(), ""]
                    if n in line or not line), f"a log line about {name}")
                for word in words:
                    self.assertIn(word, line)

    def test_a_file_that_does_not_parse_keeps_its_last_good_objects(self):
        self.lab.manifests.write("canary.yaml", canary())
        self.addCleanup(self.lab.manifests.delete, "canary.yaml")
        self.lab.manifests.write("extra.yaml", "apiVersion: v1\nkind: Service\n"
                                 "metadata: {name: extra, namespace: shop}\n"
                                 "spec: {ports: [{port: 80}]}\n")
        self.addCleanup(self.lab.manifests.delete, "extra.yaml")
        wait_for(lambda: self.metric("weft_control_plane_services") == 3, "the service of extra.yaml")
        self.lab.manifests.write("extra.yaml", "{")
        wait_for(lambda: self.metric("weft_control_plane_source_errors") == 1, "the error")
        self.assertEqual(self.metric("weft_control_plane_services"), 3)
        self.lab.manifests.write("extra.yaml", "# empty on purpose\n")
        wait_for(lambda: self.metric("weft_control_plane_services") == 2, "the service to be gone")
        self.assertEqual(self.metric("weft_control_plane_source_errors"), 0)

    def test_it_ends_in_good_order_on_sigterm(self):
        self.assertEqual(self.control_plane.stop(), 0)
