"""Admission webhooks: who is called, and what their answers do, beside a real API server's recordings."""

import copy
import datetime
import json
import re
import threading
import unittest

from lab.cluster.access.admission_testing import (GROUP, RULE, TIMEOUT_SECONDS, AdmissionTestCase,
                                                  as_configured, patch, pod)
from lab.cluster.access.testing import Authority, recording, without
from lab.cluster.access.webhook_rules import selects
from lab.cluster.api.interfaces import Resource


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
        seconds = 3 if step["case"] == "slow" else TIMEOUT_SECONDS
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

    def test_nonsense_is_a_failure_of_the_webhook(self):
        answered = [b"[" * 200000, b"{", b"null", b"[]", b"\xff\xfe", b'{"apiVersion": 7}',
                    b'{"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": 7}']
        answered += [json.dumps({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
                                 "response": {field: 7}}).encode()
                     for field in ("uid", "allowed", "status", "patch", "patchType", "warnings")]
        server = self.serve(lambda path, review: (200, "application/json", answered[len(server.seen) - 1]))
        self.configure(server, {})
        for _ in answered:
            status = self.refusal()
            self.assertEqual(status["code"], 500)
            self.assertIn('failed calling webhook "inject.weft.io": failed to call', status["message"])

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
                ({}, True), ({"rules": [{**RULE, "operations": ["UPDATE"]}]}, False),
                ({"rules": [{**RULE, "operations": ["*"], "resources": ["*/*"]}]}, True),
                ({"rules": [{**RULE, "resources": ["pods/exec"]}]}, False),
                ({"rules": [{**RULE, "apiVersions": ["v2"]}]}, False),
                ({"rules": [{**RULE, "apiGroups": ["apps"]}]}, False),
                ({"rules": [{**RULE, "scope": "Cluster"}]}, False),
                ({"rules": [{**RULE, "scope": "Namespaced"}]}, True), ({"rules": []}, False),
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
                self.configure(server, {"rules": [{**RULE, "operations": ["DELETE"]}]}, kind=kind)
                self.assertIn("kept", self.refusal(None, operation="DELETE", old=pod())["message"])
                self.assertIsNone(json.loads(server.seen[0][3])["request"]["object"])
                self.objects.delete(GROUP, f"{kind}webhookconfigurations", "", "weft-injector")

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
        resource = Resource(GROUP, "v1", "validatingwebhookconfigurations", "ValidatingWebhookConfiguration",
                            False)
        stored = {"kind": resource.kind, "apiVersion": f"{GROUP}/v1", "metadata": {"name": "x"}}
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
