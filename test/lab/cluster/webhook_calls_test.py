"""What the lab's API server asks webhooks, and how it reaches them, beside a real one's recordings."""

import json
import unittest

from lab.cluster.access.admission_testing import (GROUP, PODS, RULE, SPLITS, WEBHOOK, AdmissionTestCase,
                                                  as_configured)
from lab.cluster.access.testing import recording
from lab.cluster.api.interfaces import User


class RequestTest(AdmissionTestCase):
    """What webhooks are asked."""

    def test_reviews_are_the_recorded_bytes(self):
        for name, operation, resource in (("mutate-bare-pod", "CREATE", PODS),
                                          ("mutate-dry-run", "CREATE", PODS),
                                          ("mutate-pod-generate-name", "CREATE", PODS),
                                          ("mutate-deployment-pod", "CREATE", PODS),
                                          ("validate-create-allowed", "CREATE", SPLITS),
                                          ("validate-update-allowed", "UPDATE", SPLITS),
                                          ("validate-delete", "DELETE", SPLITS)):
            with self.subTest(name):
                self.check(name, operation, resource)

    def check(self, name, operation, resource):
        recorded = recording(f"admission/{name}.json")["webhookCalls"][0]["request"]
        asked = recorded["body"]["request"]
        server = self.serve(lambda path, review: {"allowed": True})
        path = recorded["path"].partition("?")[0]
        rule = {**RULE, "apiGroups": ["*"], "apiVersions": ["*"], "operations": ["*"], "resources": ["*"]}
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
        self.objects.delete(GROUP, f"{kind}webhookconfigurations", "", "weft-injector")

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
        webhook = {"name": "inject.weft.io", "rules": [RULE], **WEBHOOK,
                   "clientConfig": {"service": reference, "caBundle": self.bundle}}
        self.objects.put(GROUP, "mutatingwebhookconfigurations",
                         {"metadata": {"name": "weft-injector"}, "webhooks": [webhook]})


if __name__ == "__main__":
    unittest.main()
