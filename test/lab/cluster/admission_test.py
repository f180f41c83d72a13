"""Calls to admission webhooks, against what a real API server sends, accepts and tells the user."""

import base64
import copy
import datetime
import json
import re
import threading
import unittest

from lab.cluster.access.admission import AdmissionChain
from lab.cluster.access.testing import Authority, StoredObjects, Webhook, recording, without
from lab.cluster.access.webhook_client import WebhookClient
from lab.cluster.access.webhook_rules import selects
from lab.cluster.api.interfaces import Admission, Resource, StatusError, User

_GROUP = "admissionregistration.k8s.io"
_PODS = Resource("", "v1", "pods", "Pod", True)
_SPLITS = Resource("split.smi-spec.io", "v1alpha3", "trafficsplits", "TrafficSplit", True)
_ADMIN = User("admin", "admin", ("system:masters", "system:authenticated"))
_RULE = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"],
         "scope": "*"}
# Recorded with 2 s, which a busy machine may need for an ordinary call.
_TIMEOUT_SECONDS = 30
_WEBHOOK = {"sideEffects": "None", "admissionReviewVersions": ["v1"], "timeoutSeconds": _TIMEOUT_SECONDS}
_TOKEN_PATH = "/var/run/secrets/kubernetes.io/serviceaccount"


def pod(name="bare", **metadata):
    return {"kind": "Pod", "apiVersion": "v1", "metadata": {"name": name, "namespace": "inject", **metadata},
            "spec": {"containers": [{"name": "app", "image": "registry.example/app:1"}]}, "status": {}}


def as_configured(recorded, port, seconds=_TIMEOUT_SECONDS):
    """A recorded text or object with our time limit, and our webhook's port for the recorded ones."""
    text = re.sub(r"127\.0\.0\.1:29\d\d\d", f"127.0.0.1:{port}", json.dumps(recorded))
    return json.loads(re.sub(r"timeout=\d+s", f"timeout={seconds}s", text))


def patch(*operations):
    return base64.b64encode(json.dumps(operations).encode()).decode()


def settle(stored):
    """A server that does nothing but mount the token's volume, as admission of service accounts does."""
    stored = copy.deepcopy(stored)
    for container in stored["spec"].get("containers", []) if stored["kind"] == "Pod" else []:
        mounts = container.setdefault("volumeMounts", [])
        if not any(mount["mountPath"] == _TOKEN_PATH for mount in mounts):
            mounts.append({"mountPath": _TOKEN_PATH})
    return stored


class AdmissionTestCase(unittest.TestCase):

    @classmethod
    def setUpClass(cls):
        cls.authority = Authority()
        cls.bundle = base64.b64encode(cls.authority.pem).decode()
        cls.context = cls.authority.context("127.0.0.1", "weft-injector.weft-system.svc")

    def setUp(self):
        self.objects = StoredObjects()
        self.objects.put("", "namespaces", {"metadata": {"name": "inject", "labels": {"inject": "yes"}}})
        client = WebhookClient(self.objects, "")
        self.addCleanup(client.close)
        self.chain = AdmissionChain(self.objects, client)
        self.addCleanup(self.chain.close)

    def serve(self, answer, context=None):
        """Starts a webhook; `answer(path, review)` may return a response part or what Webhook wants."""
        def complete(path, review):
            answered = answer(path, review)
            if not isinstance(answered, dict):
                return answered
            response = {"uid": review["request"]["uid"], **answered}
            body = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response}
            return 200, "application/json", json.dumps(body).encode()

        webhook = Webhook(context or self.context, complete)
        self.addCleanup(webhook.close)
        return webhook

    def configure(self, server, *webhooks, name="weft-injector", kind="mutating"):
        """Stores a configuration of webhooks at a server; each one's fields go before the defaults."""
        configured = []
        for each in copy.deepcopy(webhooks) or ({},):
            url = f"https://127.0.0.1:{server.port}{each.pop('path', '/inject')}"
            configured.append({"name": "inject.weft.io", "rules": [_RULE], "failurePolicy": "Fail",
                               "clientConfig": {"url": url, "caBundle": self.bundle}, **_WEBHOOK, **each})
        self.objects.put(_GROUP, f"{kind}webhookconfigurations",
                         {"metadata": {"name": name}, "webhooks": configured})

    def admit(self, stored=None, operation="CREATE", resource=_PODS, old=None, **fields):
        stored = pod() if stored is None and operation != "DELETE" else stored
        metadata = (stored or old)["metadata"]
        options = {"kind": "CreateOptions", "apiVersion": "meta.k8s.io/v1"}
        fields = {"options": options, "dry_run": False, "user": _ADMIN, **fields}
        return self.chain.admit(Admission(operation, resource, metadata.get("namespace", ""),
                                          metadata.get("name", ""), stored, old, **fields), settle)

    def refusal(self, *args, **fields):
        """The Status that the user reads."""
        with self.assertRaises(StatusError) as raised:
            self.admit(*args, **fields)
        return raised.exception.status()


class AnswerTest(AdmissionTestCase):
    """What webhooks answer, well or badly, has the recorded effect."""

    # These are refused by the server's own checks of the object.
    _OF_THE_SERVER = {"patch-wrong-type", "patch-unknown-field", "patch-invalid-pod", "patch-rename"}

    def test_answers_have_the_recorded_effect(self):
        for file in ("allow", "deny", "bad-patch", "failures"):
            for step in recording(f"admission/answers-{file}.json")["steps"]:
                if step["case"] not in self._OF_THE_SERVER:
                    with self.subTest(f"{step['case']} {step['failurePolicy']}"):
                        self.check(step)

    def check(self, step):
        (recorded,) = step["webhookAnswer"]
        released = threading.Event()
        self.addCleanup(released.set)

        def answer(path, review):
            if isinstance(recorded, str):
                return None
            if "sentAfterSeconds" in recorded:
                released.wait(30)
            body = copy.deepcopy(recorded["body"])
            response = body.get("response") if isinstance(body, dict) else None
            if response and "uid" in response and not response["uid"].startswith("00000000"):
                response["uid"] = review["request"]["uid"]
            content = body if isinstance(body, str) else json.dumps(body)
            return recorded["status"], recorded["headers"]["Content-Type"], content.encode()

        server = self.serve(answer)
        # Two webhooks were recorded, one for each policy.
        name = "inject.weft.io" if step["failurePolicy"] == "Fail" else "ignore.weft.io"
        seconds = 3 if step["case"] == "slow" else _TIMEOUT_SECONDS
        self.configure(server, {"name": name, "failurePolicy": step["failurePolicy"],
                                "timeoutSeconds": seconds})
        client = step["client"]
        if client["status"] == 201:
            admitted, warnings = self.admit()
            self.assertEqual(len(admitted["spec"]["containers"]), 1)
            self.assertEqual([f'299 - "{warning}"' for warning in warnings],
                             client["headers"].get("Warning", []))
        else:
            # The uid is another one in each call.
            bodies = (self.refusal(), as_configured(client["body"], server.port, seconds))
            self.assertEqual(*(re.sub(r'response.uid=\\+"[0-9a-f-]+', "response.uid=", json.dumps(each))
                               for each in bodies))
        released.set()
        self.assertEqual(len(server.seen), step["calls"])

    def test_webhooks_that_cannot_be_reached_are_told_apart(self):
        other = Authority("another")
        past = datetime.datetime(2021, 1, 1)
        contexts = {"connection refused": None,
                    "unknown authority (caBundle of another CA)": other.context("127.0.0.1"),
                    "certificate for another name": self.authority.context("other.example"),
                    "certificate without subjectAltName": self.authority.context(),
                    "expired certificate": self.authority.context("127.0.0.1", until=past)}
        for step in recording("admission/unreachable-and-tls.json")["steps"]:
            with self.subTest(f"{step['case']} {step['failurePolicy']}"):
                server = self.serve(lambda path, review: {"allowed": True}, contexts[step["case"]])
                if contexts[step["case"]] is None:
                    server.close()
                self.configure(server, {"name": "tls.weft.io", "path": "/x",
                                        "failurePolicy": step["failurePolicy"]})
                if step["failurePolicy"] == "Ignore":
                    self.admit()
                    continue
                message = self.refusal()["message"]
                expected = as_configured(step["client"]["body"]["message"], server.port)
                # The time of the recording is another one.
                self.assertEqual(message.split(": current time")[0], expected.split(": current time")[0])
                self.assertEqual("is after 2021-01-01T00:00:00Z" in message, "is after" in expected)
        self.assertEqual(server.seen, [])


class RequestTest(AdmissionTestCase):
    """What webhooks are asked."""

    def test_reviews_are_the_recorded_bytes(self):
        for name, operation, resource in (("mutate-bare-pod", "CREATE", _PODS),
                                          ("mutate-dry-run", "CREATE", _PODS),
                                          ("mutate-pod-generate-name", "CREATE", _PODS),
                                          ("mutate-deployment-pod", "CREATE", _PODS),
                                          ("validate-create-allowed", "CREATE", _SPLITS),
                                          ("validate-update-allowed", "UPDATE", _SPLITS),
                                          ("validate-delete", "DELETE", _SPLITS)):
            with self.subTest(name):
                self.check(name, operation, resource)

    def check(self, name, operation, resource):
        recorded = recording(f"admission/{name}.json")["webhookCalls"][0]["request"]
        asked = recorded["body"]["request"]
        server = self.serve(lambda path, review: {"allowed": True})
        path = recorded["path"].partition("?")[0]
        rule = {**_RULE, "apiGroups": ["*"], "apiVersions": ["*"], "operations": ["*"], "resources": ["*"]}
        kind = path.strip("/").replace("inject", "mutating").replace("validate", "validating")
        self.configure(server, {"path": path, "rules": [rule]}, kind=kind)
        metadata = (asked["object"] or asked["oldObject"])["metadata"]
        self.objects.put("", "namespaces", {"metadata": {"name": metadata["namespace"]}})
        user = User(asked["userInfo"]["username"], asked["userInfo"].get("uid", ""),
                    tuple(asked["userInfo"]["groups"]), asked["userInfo"].get("extra", {}))
        self.admit(asked["object"], operation, resource, asked["oldObject"], user=user,
                   dry_run=asked["dryRun"], options=asked["options"])
        (_, called, headers, body), = server.seen
        self.assertEqual(called, as_configured(recorded["path"], 0))
        self.assertEqual({**headers, "Host": ""}, {**recorded["headers"], "Host": ""})
        self.assertEqual(list(headers), list(recorded["headers"]))
        # The same bytes but for the uid of the call, which is as long.
        uid = json.loads(body)["request"]["uid"]
        expected = json.dumps(recorded["body"], separators=(",", ":")).replace(asked["uid"], uid) + "\n"
        self.assertEqual(body.decode(), expected)
        self.objects.delete(_GROUP, f"{kind}webhookconfigurations", "", "weft-injector")

    def test_connections_are_kept_and_renewed(self):
        server = self.serve(lambda path, review: {"allowed": True} if answering else None)
        self.configure(server, {})
        answering = True
        for _ in range(3):
            self.admit()
        self.assertEqual([call[0] for call in server.seen], [1, 1, 1])
        answering = False
        self.assertIn("EOF", self.refusal()["message"])
        self.assertEqual([call[0] for call in server.seen], [1, 1, 1, 1, 2])

    def test_services_are_reached_by_their_endpoints(self):
        server = self.serve(lambda path, review: {"allowed": True})
        self.objects.put("", "services", {
            "metadata": {"name": "weft-injector", "namespace": "weft-system"},
            "spec": {"clusterIP": "127.96.15.2",
                     "ports": [{"name": "https", "port": 443, "targetPort": "web"}]}})
        self.put_slice(server.port, ready=True)
        self.configure_service(443)
        self.admit()
        (_, path, headers, _), = server.seen
        self.assertEqual(path, "/inject?timeout=30s")
        self.assertEqual(headers["Host"], "weft-injector.weft-system.svc:443")

    def test_services_that_cannot_be_reached_are_told_apart(self):
        steps = {step["case"]: step for step in recording("admission/service-reference.json")["steps"]}
        service = {"metadata": {"name": "weft-injector", "namespace": "weft-system"},
                   "spec": {"clusterIP": "127.96.15.2", "ports": [{"name": "https", "port": 443}]}}
        self.objects.put("", "services", service)
        wrong_name = self.serve(lambda path, review: {"allowed": True},
                                self.authority.context("other.example"))
        for case, step in steps.items():
            if step["client"]["status"] != 201:
                with self.subTest(case):
                    self.put_slice(wrong_name.port, ready=not case.startswith("nothing listens"))
                    reference = step["clientConfig"]["service"]
                    self.configure_service(reference["port"], reference["name"])
                    self.assertEqual(self.refusal(), as_configured(step["client"]["body"], 0))

    def put_slice(self, port, ready):
        self.objects.put("discovery.k8s.io", "endpointslices", {
            "metadata": {"name": "weft-injector-1", "namespace": "weft-system",
                         "labels": {"kubernetes.io/service-name": "weft-injector"}},
            "endpoints": [{"addresses": ["127.0.0.1"], "conditions": {"ready": ready}}],
            "ports": [{"name": "https", "port": port}]})

    def configure_service(self, port, name="weft-injector"):
        reference = {"name": name, "namespace": "weft-system", "path": "/inject", "port": port}
        webhook = {"name": "inject.weft.io", "rules": [_RULE], **_WEBHOOK,
                   "clientConfig": {"service": reference, "caBundle": self.bundle}}
        self.objects.put(_GROUP, "mutatingwebhookconfigurations",
                         {"metadata": {"name": "weft-injector"}, "webhooks": [webhook]})


class ChainTest(AdmissionTestCase):
    """Who is called, in which order, with what."""

    def test_reinvocation_follows_what_came_after(self):
        recorded = recording("admission/reinvocation.json")["webhookCalls"]
        answers = [call["response"]["body"]["response"] for call in recorded]
        server = self.serve(lambda path, review: {**without(answers[len(server.seen) - 1], "uid")})
        self.configure(server, {"name": "first.weft.io", "path": "/first",
                                "reinvocationPolicy": "IfNeeded"}, name="a")
        self.configure(server, {"name": "second.weft.io", "path": "/second"}, name="b")
        admitted, _ = self.admit(pod("re"))
        self.assertEqual([call[1] for call in server.seen],
                         [as_configured(call["request"]["path"], 0) for call in recorded])
        last = json.loads(server.seen[-1][3])["request"]["object"]
        self.assertEqual([container["name"] for container in last["spec"]["containers"]], ["app", "second"])
        self.assertEqual([len(each["volumeMounts"]) for each in last["spec"]["containers"]], [1, 1])
        self.assertEqual(admitted["metadata"]["annotations"], {"first": "1"})

    def test_a_webhook_sees_what_the_server_added_to_its_own_patch(self):
        container = {"op": "add", "path": "/spec/containers/-", "value": {"name": "sidecar"}}

        def answer(path, review):
            has = len(review["request"]["object"]["spec"]["containers"]) > 1
            return {"allowed": True, **({} if has else {"patchType": "JSONPatch", "patch": patch(container)})}

        server = self.serve(answer)
        self.configure(server, {"reinvocationPolicy": "IfNeeded"})
        self.admit()
        self.assertEqual(len(server.seen), 2)

    def test_validating_webhooks_see_the_final_object_and_all_warn(self):
        added = {"op": "add", "path": "/metadata/labels", "value": {"mesh": "yes"}}
        mutating = self.serve(lambda path, review: {"allowed": True, "patchType": "JSONPatch",
                                                    "patch": patch(added), "warnings": ["mutated"]})
        validating = self.serve(lambda path, review: {"allowed": True, "warnings": [path]})
        self.configure(mutating, {})
        self.configure(validating, {"name": "a.weft.io", "path": "/a"}, {"name": "b.weft.io", "path": "/b"},
                       kind="validating")
        _, warnings = self.admit()
        self.assertEqual(warnings, ["mutated", "/a?timeout=30s", "/b?timeout=30s"])
        for call in validating.seen:
            self.assertEqual(json.loads(call[3])["request"]["object"]["metadata"]["labels"], {"mesh": "yes"})

    def test_rules_and_selectors_decide_who_is_called(self):
        server = self.serve(lambda path, review: {"allowed": True})
        exists = {"matchExpressions": [{"key": "inject", "operator": "Exists"}]}
        for webhook, called in (
                ({}, True), ({"rules": [{**_RULE, "operations": ["UPDATE"]}]}, False),
                ({"rules": [{**_RULE, "operations": ["*"], "resources": ["*/*"]}]}, True),
                ({"rules": [{**_RULE, "resources": ["pods/exec"]}]}, False),
                ({"rules": [{**_RULE, "apiVersions": ["v2"]}]}, False),
                ({"rules": [{**_RULE, "apiGroups": ["apps"]}]}, False),
                ({"rules": [{**_RULE, "scope": "Cluster"}]}, False),
                ({"rules": [{**_RULE, "scope": "Namespaced"}]}, True), ({"rules": []}, False),
                ({"namespaceSelector": exists}, True), ({"objectSelector": exists}, False),
                ({"namespaceSelector": {"matchLabels": {"inject": "no"}}}, False),
                ({"objectSelector": {"matchExpressions": [
                    {"key": "weft.io/inject", "operator": "NotIn", "values": ["disabled"]}]}}, True)):
            with self.subTest(webhook):
                self.configure(server, webhook)
                before = len(server.seen)
                self.admit()
                self.assertEqual(len(server.seen) - before, int(called))

    def test_a_webhook_is_chosen_by_what_those_before_have_made_of_the_object(self):
        label = {"op": "add", "path": "/metadata/labels", "value": {"seen": "yes"}}
        server = self.serve(lambda path, review: {"allowed": True, **(
            {"patchType": "JSONPatch", "patch": patch(label)} if "labels" not in review["request"]["object"][
                "metadata"] else {})})
        unseen = {"objectSelector": {"matchExpressions": [{"key": "seen", "operator": "DoesNotExist"}]}}
        self.configure(server, {"name": "a.weft.io", "path": "/a", **unseen},
                       {"name": "b.weft.io", "path": "/b", **unseen},
                       {"name": "c.weft.io", "path": "/c"})
        self.admit()
        self.assertEqual([call[1].partition("?")[0] for call in server.seen], ["/a", "/c"])

    def test_a_deletion_can_be_refused_by_either_kind(self):
        for kind in ("mutating", "validating"):
            with self.subTest(kind):
                server = self.serve(lambda path, review: {"allowed": False, "status": {"message": "kept"}})
                self.configure(server, {"rules": [{**_RULE, "operations": ["DELETE"]}]}, kind=kind)
                self.assertIn("kept", self.refusal(None, operation="DELETE", old=pod())["message"])
                self.assertIsNone(json.loads(server.seen[0][3])["request"]["object"])
                self.objects.delete(_GROUP, f"{kind}webhookconfigurations", "", "weft-injector")

    def test_a_custom_resource_is_shown_in_the_version_that_the_rule_names(self):
        self.objects.put("apiextensions.k8s.io", "customresourcedefinitions", {
            "metadata": {"name": "trafficsplits.split.smi-spec.io"},
            "spec": {"versions": [{"name": name, "served": True} for name in ("v1alpha1", "v1alpha3")]}})
        server = self.serve(lambda path, review: {"allowed": True})
        rule = {"apiGroups": ["split.smi-spec.io"], "apiVersions": ["v1alpha3"], "operations": ["*"],
                "resources": ["trafficsplits"]}
        split = {"apiVersion": "split.smi-spec.io/v1alpha1", "kind": "TrafficSplit",
                 "metadata": {"name": "web", "namespace": "inject"}, "spec": {}}
        asked = Resource("split.smi-spec.io", "v1alpha1", "trafficsplits", "TrafficSplit", True)
        for policy, calls in (("Equivalent", 1), ("Exact", 0)):
            with self.subTest(policy):
                self.configure(server, {"rules": [rule], "matchPolicy": policy})
                admitted, _ = self.admit(split, resource=asked)
                self.assertEqual(admitted["apiVersion"], "split.smi-spec.io/v1alpha1")
                self.assertEqual(len(server.seen), 1)
        request = json.loads(server.seen[0][3])["request"]
        self.assertEqual(request["object"]["apiVersion"], "split.smi-spec.io/v1alpha3")
        self.assertEqual((request["kind"]["version"], request["requestKind"]["version"]),
                         ("v1alpha3", "v1alpha1"))

    def test_a_dry_run_calls_only_webhooks_without_side_effects(self):
        server = self.serve(lambda path, review: {"allowed": True})
        self.configure(server, {"sideEffects": "Some"})
        self.assertEqual(self.refusal(dry_run=True)["message"],
                         'admission webhook "inject.weft.io" does not support dry run')
        self.configure(server, {"sideEffects": "NoneOnDryRun"})
        self.admit(dry_run=True)
        self.assertTrue(json.loads(server.seen[0][3])["request"]["dryRun"])

    def test_configurations_of_webhooks_are_beyond_webhooks(self):
        server = self.serve(lambda path, review: {"allowed": False})
        rule = {"apiGroups": ["*"], "apiVersions": ["*"], "operations": ["*"], "resources": ["*"]}
        self.configure(server, {"rules": [rule]}, kind="validating")
        resource = Resource(_GROUP, "v1", "validatingwebhookconfigurations", "ValidatingWebhookConfiguration",
                            False)
        stored = {"kind": resource.kind, "apiVersion": f"{_GROUP}/v1", "metadata": {"name": "x"}}
        self.assertEqual(self.admit(stored, resource=resource)[1], [])

    def test_selectors_are_those_of_labels(self):
        labels = {"a": "1", "b": "2"}
        for expression, expected in ((("a", "In", ["1", "3"]), True), (("a", "In", ["3"]), False),
                                     (("c", "In", ["3"]), False), (("c", "NotIn", ["3"]), True),
                                     (("a", "NotIn", ["1"]), False), (("a", "Exists", None), True),
                                     (("c", "Exists", None), False), (("c", "DoesNotExist", None), True)):
            with self.subTest(expression):
                key, operator, values = expression
                selector = {"matchExpressions": [{"key": key, "operator": operator, "values": values}]}
                self.assertEqual(selects(selector, labels), expected)
        self.assertTrue(selects({}, {}))
        self.assertFalse(selects({"matchLabels": {"a": "2"}}, labels))


if __name__ == "__main__":
    unittest.main()
