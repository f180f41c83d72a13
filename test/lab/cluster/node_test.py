"""How the node reads a pod's spec: variables, users, images, probes."""

import http.server
import socket
import subprocess
import threading
import unittest

from lab import wait_for
from lab.cluster.node.kubelet.environment import ConfigError, expand, field_of
from lab.cluster.node.kubelet.images import ImageNotFound, Images
from lab.cluster.node.kubelet.probes import ProbeFailed, run_probe
from lab.cluster.node.kubelet.security import privileges_of
from lab.cluster.node.objects import merge_patch, quantity, selected


class SpecTest(unittest.TestCase):

    def test_variables_are_expanded_as_in_kubernetes(self):
        for text, expected in (("$(A)/x", "1/x"), ("$(MISSING)", "$(MISSING)"), ("$$(A)", "$(A)"),
                               ("$A", "$A"), ("$(A)$(B)", "12"), ("$$$(A)", "$1"), ("$(A", "$(A")):
            self.assertEqual(expand(text, {"A": "1", "B": "2"}), expected, text)

    def test_quantities_are_numbers(self):
        for text, number in (("100m", 0.1), ("2", 2), ("64Mi", 67108864), ("1k", 1000), ("1Gi", 2**30)):
            self.assertAlmostEqual(quantity(text), number)

    def test_fields_of_the_downward_api(self):
        pod = {"metadata": {"name": "web", "namespace": "shop", "uid": "1", "annotations": {},
                            "labels": {"app": "web", "v": '"1"'}},
               "spec": {"nodeName": "n"}, "status": {"podIP": "10.244.1.1"}}
        for path, value in (("metadata.name", "web"), ("metadata.labels['app']", "web"),
                            ("metadata.annotations['none']", ""), ("status.podIP", "10.244.1.1"),
                            ("spec.serviceAccountName", "default"),
                            ("metadata.labels", 'app="web"\nv="\\"1\\""')):
            self.assertEqual(field_of(pod, path), value)
        with self.assertRaisesRegex(ConfigError, "spec.color"):
            field_of(pod, "spec.color")

    def test_security_contexts_become_users_and_capabilities(self):
        class Image:
            user = 1337

        def privileges(pod=None, **container):
            return privileges_of({"securityContext": pod or {}},
                                 {"name": "c", "securityContext": container}, Image)

        self.assertEqual((privileges().uid, privileges().gid), (1337, 1337))
        self.assertEqual(privileges({"runAsUser": 5}, runAsGroup=6).setpriv[1:3], ("--reuid=5", "--regid=6"))
        only = privileges(runAsUser=0, capabilities={"drop": ["ALL"], "add": ["NET_ADMIN", "CAP_NET_RAW"]})
        self.assertIn("--bounding-set=-all,+net_admin,+net_raw", only.setpriv)
        self.assertIn("--no-new-privs", privileges(allowPrivilegeEscalation=False).setpriv)
        with self.assertRaisesRegex(ConfigError, "runAsNonRoot"):
            privileges({"runAsNonRoot": True}, runAsUser=0)

    def test_selectors_and_patches(self):
        labels = {"app": "web", "tier": "front"}
        for selector, selects in (
                (None, False), ({}, True), ({"matchLabels": {"app": "web"}}, True),
                ({"matchExpressions": [{"key": "app", "operator": "In", "values": ["api"]}]}, False),
                ({"matchExpressions": [{"key": "gone", "operator": "DoesNotExist"}]}, True)):
            self.assertEqual(selected(selector, labels), selects, selector)
        self.assertEqual(merge_patch({"a": 1, "b": {"c": 1, "d": 2}}, {"b": {"c": 2, "d": 2}, "e": []}),
                         {"a": None, "b": {"c": 2}, "e": []})

    def test_images_are_known_by_name_whatever_their_registry_and_tag(self):
        images = Images("/nonexistent")
        for reference, name in (("weft/app", "weft/app"), ("registry:5000/weft/app:1.0", "weft/app"),
                                ("nginx:1.27@sha256:abc", "nginx"), ("docker.io/library/nginx", "nginx")):
            self.assertEqual(images._name_of(reference), name)
        with self.assertRaisesRegex(ImageNotFound, "other/nginx/x:1"):
            images.get("other/nginx/x:1")


class Answers(http.server.BaseHTTPRequestHandler):
    """Answers what its class says, and remembers what it was asked."""
    protocol_version = "HTTP/1.1"
    status, body, seen = 200, b"", None

    def do_GET(self):
        type(self).seen = dict(self.headers)
        self.rfile.read(int(self.headers.get("content-length") or 0))
        self.send_response(self.status)
        self.send_header("content-length", str(len(self.body)))
        self.end_headers()
        self.wfile.write(self.body)

    do_POST = do_GET

    def log_message(self, *_):
        pass


class ProbesTest(unittest.TestCase):

    def serve(self, **answer):
        """Starts a server that answers so; its handler class and its port."""
        handler = type("Handler", (Answers,), answer)
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        return handler, server.server_address[1]

    def probe(self, **probe):
        container = {"ports": [{"name": "http", "containerPort": self.port}]}
        return run_probe(probe, container, "127.0.0.1", None)

    def test_http_probes_go_by_status_and_send_their_headers(self):
        for status, passes in ((200, True), (204, True), (302, True), (399, True), (400, False),
                               (500, False)):
            handler, self.port = self.serve(status=status)
            action = {"port": "http", "path": "/x", "httpHeaders": [{"name": "Host", "value": "tea"}]}
            if passes:
                self.probe(httpGet=action)
                self.assertEqual(handler.seen["Host"], "tea")
                self.assertTrue(handler.seen["User-Agent"].startswith("kube-probe/"))
            else:
                with self.assertRaisesRegex(ProbeFailed, f"statuscode: {status}"):
                    self.probe(httpGet=action)

    def test_ports_that_nobody_listens_on_and_names_that_nobody_knows_fail(self):
        with socket.create_server(("127.0.0.1", 0)) as server:
            self.port = server.getsockname()[1]
            self.probe(tcpSocket={"port": "http"})
        for probe in ({"tcpSocket": {"port": self.port}}, {"httpGet": {"port": self.port}},
                      {"grpc": {"port": self.port}}, {"httpGet": {"port": "unknown"}}):
            with self.assertRaises(ProbeFailed):
                self.probe(**probe)

    def test_grpc_probes_ask_the_health_service(self):
        for body, passes in ((b"\0\0\0\0\2\x08\1", True), (b"\0\0\0\0\2\x08\2", False)):
            _, backend = self.serve(body=body)
            with socket.create_server(("127.0.0.1", 0)) as server:
                self.port = server.getsockname()[1]
            # HTTP/2 in, HTTP/1.1 out.
            proxy = subprocess.Popen(
                ["nghttpx", "--conf=/dev/null", "--errorlog-file=/dev/null", "--workers=1",
                 f"--frontend=127.0.0.1,{self.port};no-tls", f"--backend=127.0.0.1,{backend}"],
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            self.addCleanup(proxy.wait)
            self.addCleanup(proxy.terminate)
            wait_for(lambda: not socket.create_connection(("127.0.0.1", self.port)).close(), "nghttpx")
            if passes:
                self.probe(grpc={"port": self.port, "service": "tea"}, timeoutSeconds=5)
            else:
                with self.assertRaisesRegex(ProbeFailed, "SERVING"):
                    self.probe(grpc={"port": self.port}, timeoutSeconds=5)


if __name__ == "__main__":
    unittest.main()
