"""The access side at work in the lab's API server: over HTTPS, with real kubectl, beside the recordings."""

import base64
import http.server
import json
import os
import shutil
import socket
import ssl
import subprocess
import tempfile
import threading
import unittest
import urllib.error
import urllib.request

import yaml

from lab.binaries import ROOT
from lab.cluster.access.testing import Authority, Webhook, recording, without
from lab.process import Process
from lab.shell import run, wait_for

_KUBECTL = os.path.join(ROOT, ".deps/kubernetes/kubectl")
_TEST = os.path.join(ROOT, "test")
_USERS = 'admin-token,admin,admin,"system:masters"\nuser-token,plain-user,plain-user\n'
_CONFIGURATIONS = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations"


class ServerTestCase(unittest.TestCase):
    """An API server without a node, and the two users of the recordings."""

    @classmethod
    def setUpClass(cls):
        cls.directory = tempfile.mkdtemp(prefix="weft-access-server-")
        cls.addClassCleanup(shutil.rmtree, cls.directory)
        os.makedirs(os.path.join(cls.directory, "api"))
        with open(os.path.join(cls.directory, "api", "tokens.csv"), "w") as file:
            file.write(_USERS)
        cls.kubeconfig = os.path.join(cls.directory, "kubeconfig")
        cls.environment = {**os.environ, "KUBECONFIG": cls.kubeconfig, "HOME": cls.directory}
        with socket.create_server(("127.0.0.1", 0)) as free:
            cls.port = free.getsockname()[1]
        cls.server = Process("api", [
            "/usr/bin/python3", "-m", "lab.cluster.api", "--directory", os.path.join(cls.directory, "api"),
            "--kubeconfig", cls.kubeconfig, "--listen", f"127.0.0.1:{cls.port}"],
            os.path.join(cls.directory, "api.log"), env={**os.environ, "PYTHONPATH": _TEST})
        cls.addClassCleanup(cls.server.stop)
        wait_for(lambda: cls.server.check_running() and cls.kubectl("get", "--raw", "/readyz", check=True),
                 "the API server to answer", deadline=30)
        with open(cls.kubeconfig) as file:
            cluster = yaml.safe_load(file)["clusters"][0]["cluster"]
        cls.context = ssl.create_default_context(
            cadata=base64.b64decode(cluster["certificate-authority-data"]).decode())

    @classmethod
    def kubectl(cls, *arguments, check=False, stdin=None):
        return run([_KUBECTL, *arguments], check=check, stdin=stdin, env=cls.environment)

    def request(self, method, path, body=None, token="admin-token", headers=None):
        """(code, decoded answer, headers); no credentials with an empty token."""
        headers = {"Accept": "application/json", "Content-Type": "application/json", **(headers or {})}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"https://127.0.0.1:{self.port}{path}", data, headers, method=method)
        try:
            with urllib.request.urlopen(request, context=self.context, timeout=30) as answer:
                return answer.status, json.loads(answer.read()), answer.headers
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.loads(error.read()), error.headers

    def create(self, path, body):
        code, content, _ = self.request("POST", path, body)
        self.assertIn(code, (201, 409), content)
        return content

    def namespace(self, name, labels=None):
        self.create("/api/v1/namespaces", {"metadata": {"name": name, "labels": labels or {}}})
        wait_for(lambda: self.service_account(name, "default"), f"namespace {name}")

    def service_account(self, namespace, name):
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts"
        self.request("POST", path, {"metadata": {"name": name}})
        return self.request("GET", f"{path}/{name}")[0] == 200


class AccessOverHttpsTest(ServerTestCase):

    def test_refusals_are_answered_as_recorded(self):
        for name in ("401-bad-token", "403-anonymous", "403-crd-not-installed", "403-create",
                     "403-get-secret", "403-list-all-namespaces", "403-list-namespaced", "403-subresource",
                     "403-watch", "anonymous-discovery-403"):
            with self.subTest(name):
                recorded = recording(f"auth/{name}.json")
                request = recorded["request"]
                token = request["headers"].get("Authorization", "").removeprefix("Bearer ")
                headers = {"Content-Type": request["headers"].get("Content-Type", "application/json")}
                code, content, _ = self.request(request["method"], request["path"], request.get("body"),
                                                token, headers)
                self.assertEqual(code, recorded["response"]["status"])
                self.assertEqual(content, recorded["response"]["body"])

    def test_a_token_opens_what_its_service_account_is_bound_to(self):
        self.namespace("tok")
        self.service_account("tok", "web")
        path = "/api/v1/namespaces/tok/serviceaccounts/web/token"
        token = self.request("POST", path, {"spec": {}})[1]["status"]["token"]
        weft = self.request("POST", path, {"spec": {"audiences": ["weft"]}})[1]["status"]["token"]
        recorded = recording("tokens/api-call-with-sa-token-403.json")["response"]["body"]
        self.assertEqual(self.request("GET", "/api/v1/namespaces/tok/pods", token=token)[:2], (403, recorded))
        recorded = recording("tokens/api-call-with-weft-token-401.json")["response"]["body"]
        self.assertEqual(self.request("GET", "/api/v1/namespaces/tok/pods", token=weft)[:2], (401, recorded))
        review = "/apis/authentication.k8s.io/v1/tokenreviews"
        recorded = recording("tokens/tokenreview-without-right-403.json")["response"]["body"]
        self.assertEqual(self.request("POST", review, {"spec": {"token": weft}}, token)[:2], (403, recorded))

        self.create("/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", {
            "metadata": {"name": "delegator"}, "subjects": [
                {"kind": "ServiceAccount", "name": "web", "namespace": "tok"}],
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole",
                        "name": "system:auth-delegator"}})
        body = {"spec": {"token": weft, "audiences": ["weft"]}}
        code, content, _ = self.request("POST", review, body, token)
        self.assertEqual(code, 201)
        self.assertEqual(content["status"]["user"]["username"], "system:serviceaccount:tok:web")

    def test_kubectl_asks_for_tokens_and_rights(self):
        self.namespace("tok")
        for arguments, expected in (
                (("auth", "can-i", "list", "pods"), "yes\n"),
                (("auth", "can-i", "list", "pods", "--as=system:serviceaccount:tok:default"), "no\n"),
                (("auth", "whoami", "-o", "jsonpath={.status.userInfo.groups[0]}"), "system:masters"),
                (("auth", "whoami", "--as=ann", "-o", "jsonpath={.status.userInfo.username}"), "ann")):
            with self.subTest(arguments):
                self.assertEqual(self.kubectl(*arguments).stdout, expected)
        token = self.kubectl("create", "token", "default", "-n", "tok", "--audience=weft",
                             "--duration=1h").stdout
        code, content, _ = self.request("POST", "/apis/authentication.k8s.io/v1/tokenreviews",
                                        {"spec": {"token": token.strip(), "audiences": ["weft"]}})
        self.assertTrue(content["status"]["authenticated"], content)

    def test_a_right_for_one_name_is_enough_to_watch_that_one(self):
        self.namespace("tok")
        roles = "/apis/rbac.authorization.k8s.io/v1/namespaces/tok"
        self.create(f"{roles}/roles", {"metadata": {"name": "one"}, "rules": [
            {"apiGroups": [""], "resources": ["secrets"], "resourceNames": ["one"],
             "verbs": ["get", "list", "watch"]}]})
        self.create(f"{roles}/rolebindings", {
            "metadata": {"name": "one"}, "subjects": [{"kind": "User", "name": "plain-user"}],
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "one"}})
        path = "/api/v1/namespaces/tok/secrets"
        for query, code in (("?fieldSelector=metadata.name%3Done", 200), ("", 403),
                            ("?fieldSelector=metadata.name%3Dtwo", 403),
                            ("?fieldSelector=metadata.name!%3Done", 403)):
            with self.subTest(query):
                self.assertEqual(self.request("GET", path + query, token="user-token")[0], code)

    def test_whoever_checks_tokens_finds_the_keys(self):
        content = self.request("GET", "/.well-known/openid-configuration")[1]
        self.assertEqual(content["issuer"], "https://kubernetes.default.svc")
        (key,) = self.request("GET", "/openid/v1/jwks")[1]["keys"]
        self.assertEqual((key["alg"], key["e"]), ("RS256", "AQAB"))


class WebhooksOfServerTest(ServerTestCase):

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.authority = Authority()

    def setUp(self):
        self.namespace("inject")
        self.answer = {"allowed": True}
        self.webhook = Webhook(self.authority.context("127.0.0.1"), self.reply)
        self.addCleanup(self.webhook.close)
        recorded = {"name": "inject.weft.io", "sideEffects": "None", "admissionReviewVersions": ["v1"],
                    "timeoutSeconds": 30, "rules": [{"apiGroups": [""], "apiVersions": ["v1"],
                                                    "operations": ["CREATE"], "resources": ["pods"]}],
                    "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "inject"}},
                    "clientConfig": {"url": f"https://127.0.0.1:{self.webhook.port}/inject",
                                     "caBundle": base64.b64encode(self.authority.pem).decode()}}
        self.create(_CONFIGURATIONS, {"metadata": {"name": "weft-injector"}, "webhooks": [recorded]})
        self.addCleanup(self.request, "DELETE", f"{_CONFIGURATIONS}/weft-injector")

    def reply(self, path, review):
        response = {"uid": review["request"]["uid"], **self.answer}
        body = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response}
        return 200, "application/json", json.dumps(body).encode()

    def create_pod(self, name, dry_run=True, **metadata):
        query = "?dryRun=All" if dry_run else ""
        body = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, **metadata},
                "spec": {"containers": [{"name": "app", "image": "registry.example/app:1"}]}}
        return self.request("POST", f"/api/v1/namespaces/inject/pods{query}", body)

    def test_a_pod_is_injected_as_recorded(self):
        recorded = recording("admission/mutate-bare-pod.json")
        self.answer = without(recorded["webhookCalls"][0]["response"]["body"]["response"], "uid")
        code, stored, _ = self.create_pod("bare")
        self.assertEqual(code, 201, stored)
        volume = stored["spec"]["volumes"][0]["name"]
        recorded = json.loads(json.dumps(recorded).replace("kube-api-access-x6p7f", volume))
        expected = recorded["client"]["response"]["body"]
        variable = ("managedFields", "uid", "resourceVersion", "creationTimestamp")
        self.assertEqual(without(stored, *variable), without(expected, *variable))

        asked = json.loads(self.webhook.seen[0][3])["request"]
        expected = recorded["webhookCalls"][0]["request"]["body"]["request"]
        expected["options"]["dryRun"], expected["dryRun"] = ["All"], True
        self.assertEqual(without(asked, "managedFields", "uid"), without(expected, "managedFields", "uid"))
        self.assertEqual(list(asked), list(expected))

    def test_patches_that_the_server_refuses_are_answered_as_recorded(self):
        cases = ("patch-wrong-type", "patch-unknown-field", "patch-invalid-pod", "patch-rename")
        for step in recording("admission/answers-bad-patch.json")["steps"]:
            if step["case"] in cases:
                with self.subTest(f"{step['case']} {step['failurePolicy']}"):
                    self.answer = without(step["webhookAnswer"][0]["body"]["response"], "uid")
                    expected = step["client"]
                    details = expected["body"].get("details") or {}
                    name = details.get("name", step["case"])
                    code, content, _ = self.create_pod(name)
                    self.assertEqual(code, expected["status"], content)
                    if code == 201:
                        self.assertNotIn("colour", content["spec"])
                    elif code == 500:
                        # Where in the object is told in other words.
                        start = expected["body"]["message"].partition("Container")[0]
                        self.assertEqual(content["message"][:len(start)], start)
                    else:
                        self.assertEqual(content, expected["body"])

    def test_warnings_and_denials_reach_the_user_of_kubectl(self):
        pod = json.dumps({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "namespace": "inject"},
                          "spec": {"containers": [{"name": "app", "image": "registry.example/app:1"}]}})
        self.answer = {"allowed": True, "warnings": ["image has no digest"]}
        done = self.kubectl("apply", "--dry-run=server", "-f", "-", stdin=pod)
        self.assertEqual((done.returncode, done.stdout), (0, "pod/p created (server dry run)\n"), done.stderr)
        self.assertIn("Warning: image has no digest\n", done.stderr)
        self.answer = {"allowed": False, "status": {"message": "no host network here"}}
        done = self.kubectl("apply", "-f", "-", stdin=pod)
        self.assertEqual(done.returncode, 1)
        self.assertIn('admission webhook "inject.weft.io" denied the request: no host network here',
                      done.stderr)
        self.assertEqual(self.kubectl("get", "pod", "p", "-n", "inject").returncode, 1)

    def test_names_of_generated_pods_are_not_known_to_the_webhook(self):
        body = {"metadata": {"generateName": "gen-"}, "spec": {"containers": [{"name": "a", "image": "b"}]}}
        code, stored, _ = self.request("POST", "/api/v1/namespaces/inject/pods?dryRun=All", body)
        self.assertEqual(code, 201, stored)
        self.assertRegex(stored["metadata"]["name"], "^gen-[a-z0-9]{5}$")
        asked = json.loads(self.webhook.seen[0][3])["request"]
        self.assertNotIn("name", asked)
        self.assertEqual(without(asked["object"]["metadata"], "managedFields"),
                         {"generateName": "gen-", "namespace": "inject"})


class ListOfKubectlTest(ServerTestCase):

    def test_kubectl_applies_lists(self):
        configmaps = [{"apiVersion": "v1", "kind": "ConfigMap",
                       "metadata": {"name": name, "namespace": "default"}}
                      for name in ("a", "b")]
        done = self.kubectl("apply", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List",
                                                                  "items": configmaps}))
        self.assertEqual(done.stdout, "configmap/a created\nconfigmap/b created\n", done.stderr)


class PortForwardOfKubectlTest(ServerTestCase):

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.pod = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Echo)
        cls.pod.daemon_threads = True
        threading.Thread(target=cls.pod.serve_forever, args=(0.05,), daemon=True).start()
        cls.addClassCleanup(cls.pod.server_close)
        cls.addClassCleanup(cls.pod.shutdown)
        cls.target = cls.pod.server_address[1]

    def test_many_connections_pass_to_the_pod_of_a_service(self):
        self.namespace("shop")
        labels = {"app": "web"}
        self.create("/api/v1/namespaces/shop/services", {"metadata": {"name": "web"}, "spec": {
            "selector": labels, "ports": [{"port": 15012, "targetPort": self.target}]}})
        self.create("/api/v1/namespaces/shop/pods", {"metadata": {"name": "web", "labels": labels}, "spec": {
            "nodeName": "lab-node", "containers": [{"name": "app", "image": "x"}]}})
        code, content, _ = self.request(
            "PATCH", "/api/v1/namespaces/shop/pods/web/status",
            {"status": {"phase": "Running", "podIP": "127.0.0.1", "podIPs": [{"ip": "127.0.0.1"}],
                        "conditions": [{"type": "Ready", "status": "True"}]}},
            headers={"Content-Type": "application/merge-patch+json"})
        self.assertEqual(code, 200, content)
        process = subprocess.Popen([_KUBECTL, "port-forward", "-n", "shop", "svc/web", "0:15012"], text=True,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=self.environment)
        self.addCleanup(process.communicate)
        self.addCleanup(process.kill)
        line = process.stdout.readline()
        self.assertRegex(line, r"Forwarding from 127\.0\.0\.1:\d+ -> ", process.poll())
        port = int(line.split(":")[1].split()[0])
        sizes = [1, 70000, 1000, 500000] * 5
        got = {}

        def post(number, size):
            data = bytes([number]) * size
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/", data, timeout=30) as answer:
                got[number] = answer.read() == data

        threads = [threading.Thread(target=post, args=each) for each in enumerate(sizes)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(got, dict.fromkeys(range(len(sizes)), True))


class _Echo(http.server.BaseHTTPRequestHandler):

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


if __name__ == "__main__":
    unittest.main()
