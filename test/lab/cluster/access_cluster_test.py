"""Ways into pods that run: kubectl exec, logs, port-forward; and webhooks that are pods behind a service."""

import base64
import json
import os
import re
import subprocess
import tempfile
import unittest
import urllib.request

from lab.cluster.access.testing import Authority
from lab.cluster.cluster import Cluster
from lab.shell import wait_for

_WEB = """
apiVersion: v1
kind: Pod
metadata: {name: web, labels: {app: web}}
spec:
  containers:
  - name: nginx
    image: nginx
    env: [{name: ANSWER, value: hello}, {name: PORT, value: "8080"}]
    readinessProbe: {httpGet: {port: 8080}}
  - name: talker
    image: busybox
    env: [{name: GREETING, value: hello}]
    args: [sh, -c, "echo one; echo two; until [ -e /tmp/go ]; do sleep 0.1; done; echo three; sleep 1000"]
  - name: local
    image: python
    command: [python3, -m, http.server, --bind, 127.0.0.1, "9000"]
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  selector: {app: web}
  ports: [{port: 80, targetPort: 8080}]
"""

# A webhook that marks what it sees.
_WEBHOOK_PROGRAM = """
import base64, http.server, json, ssl

class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        review = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        patch = [{"op": "add", "path": "/metadata/annotations", "value": {"seen-by": self.headers["Host"]}}]
        response = {"uid": review["request"]["uid"], "allowed": True, "patchType": "JSONPatch",
                    "patch": base64.b64encode(json.dumps(patch).encode()).decode()}
        body = json.dumps({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
                           "response": response}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

server = http.server.ThreadingHTTPServer(("", 8443), Handler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain("/tls/tls.pem")
server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
"""


class PodAccessTest(unittest.TestCase):

    @classmethod
    def setUpClass(cls):
        logs = os.environ.get("WEFT_TEST_LOGS")
        log_dir = logs and tempfile.mkdtemp(prefix="access-", dir=logs)
        cls.cluster = cls.enterClassContext(Cluster(log_dir=log_dir))
        cls.cluster.apply(_WEB)
        cls.cluster.wait_for_pod("web")

    def start_kubectl(self, *arguments):
        process = subprocess.Popen(["kubectl", *arguments], env=self.cluster.environment(), text=True,
                                   stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.addCleanup(process.communicate)
        self.addCleanup(process.kill)
        return process

    def forward(self, what, port):
        """The local port of a forward to a port of the pod or service."""
        line = self.start_kubectl("port-forward", what, f":{port}").stdout.readline()
        self.assertIn("Forwarding from", line)
        return int(re.search(r":(\d+) ->", line)[1])

    def test_commands_run_in_the_container_and_tell_how_they_ended(self):
        done = self.cluster.kubectl("exec", "-i", "web", "-c", "talker", "--", "sh", "-c",
                                    'cat; echo "$GREETING $(hostname)"; echo failed >&2; exit 3',
                                    stdin="in\n", check=False)
        self.assertEqual((done.returncode, done.stdout), (3, "in\nhello web\n"))
        self.assertEqual(done.stderr, "failed\ncommand terminated with exit code 3\n")
        # nginx writes its name over the environment that the kernel shows of it.
        done = self.cluster.kubectl("exec", "web", "-c", "nginx", "--", "printenv", "ANSWER")
        self.assertEqual(done.stdout, "hello\n")
        done = self.cluster.kubectl("exec", "web", "-c", "none", "--", "true", check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("container none", done.stderr)

    def test_logs_are_followed(self):
        self.assertEqual(self.cluster.kubectl("logs", "web", "-c", "talker", "--tail=1").stdout, "two\n")
        follower = self.start_kubectl("logs", "-f", "web", "-c", "talker")
        self.assertEqual([follower.stdout.readline() for _ in range(2)], ["one\n", "two\n"])
        self.cluster.kubectl("exec", "web", "-c", "talker", "--", "touch", "/tmp/go")
        self.assertEqual(follower.stdout.readline(), "three\n")

    def test_ports_of_pods_and_services_are_forwarded(self):
        for what, port in (("pod/web", 8080), ("svc/web", 80)):
            with self.subTest(what):
                local = self.forward(what, port)
                for _ in range(3):
                    with urllib.request.urlopen(f"http://127.0.0.1:{local}/", timeout=10) as answer:
                        self.assertEqual(answer.read(), b"hello\n")

    def test_what_listens_on_the_pods_own_loopback_can_be_forwarded(self):
        local = self.forward("pod/web", 9000)
        with urllib.request.urlopen(f"http://127.0.0.1:{local}/", timeout=10) as answer:
            self.assertEqual(answer.status, 200)

    def test_a_webhook_may_be_a_pod_behind_a_service(self):
        kubectl = self.cluster.kubectl
        kubectl("create", "namespace", "hooks")
        kubectl("create", "namespace", "hooked")
        authority = Authority()
        with tempfile.NamedTemporaryFile("w") as program, tempfile.NamedTemporaryFile() as certificate:
            program.write(_WEBHOOK_PROGRAM)
            program.flush()
            certificate.write(authority.issue("hook.hooks.svc"))
            certificate.flush()
            kubectl("create", "configmap", "hook", "-n", "hooks", f"--from-file=hook.py={program.name}")
            kubectl("create", "secret", "generic", "hook", "-n", "hooks",
                    f"--from-file=tls.pem={certificate.name}")
        self.cluster.apply(json.dumps({"apiVersion": "v1", "kind": "List", "items": [
            self.hook_pod(), self.hook_service(), self.hook_configuration(authority)]}))
        self.cluster.wait_for_pod("hook", "hooks")
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "namespace": "hooked"},
               "spec": {"containers": [{"name": "app", "image": "kubernetes/pause"}]}}
        # A pod is ready a moment before its endpoint is.
        wait_for(lambda: self.cluster.apply(json.dumps(pod)), "the webhook to be reached")
        stored = self.cluster.get("pod", "p", "hooked")
        self.assertEqual(stored["metadata"]["annotations"]["seen-by"], "hook.hooks.svc:443")

    def hook_pod(self):
        return {"apiVersion": "v1", "kind": "Pod",
                "metadata": {"name": "hook", "namespace": "hooks", "labels": {"app": "hook"}},
                "spec": {"containers": [{
                    "name": "hook", "image": "python", "command": ["python3", "/program/hook.py"],
                    "ports": [{"name": "https", "containerPort": 8443}],
                    "readinessProbe": {"tcpSocket": {"port": "https"}, "periodSeconds": 1},
                    "volumeMounts": [{"name": "program", "mountPath": "/program"},
                                     {"name": "tls", "mountPath": "/tls"}]}],
                    "volumes": [{"name": "program", "configMap": {"name": "hook"}},
                                {"name": "tls", "secret": {"secretName": "hook"}}]}}

    def hook_service(self):
        return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "hook", "namespace": "hooks"},
                "spec": {"selector": {"app": "hook"}, "ports": [{"port": 443, "targetPort": "https"}]}}

    def hook_configuration(self, authority):
        rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}
        return {"apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingWebhookConfiguration",
                "metadata": {"name": "hook"}, "webhooks": [{
                    "name": "hook.weft.io", "rules": [rule], "sideEffects": "None",
                    "admissionReviewVersions": ["v1"], "timeoutSeconds": 30,
                    "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "hooked"}},
                    "clientConfig": {"caBundle": base64.b64encode(authority.pem).decode(),
                                     "service": {"name": "hook", "namespace": "hooks", "path": "/mark"}}}]}


if __name__ == "__main__":
    unittest.main()
