"""What the tests of admission share: webhooks that answer what they are told, and writes to be admitted."""

import base64
import copy
import json
import re
import unittest

from lab.cluster.access.admission import AdmissionChain
from lab.cluster.access.testing import Authority, StoredObjects, Webhook
from lab.cluster.access.webhook_client import WebhookClient
from lab.cluster.api.interfaces import Admission, Resource, StatusError, User

GROUP = "admissionregistration.k8s.io"
PODS = Resource("", "v1", "pods", "Pod", True)
SPLITS = Resource("split.smi-spec.io", "v1alpha3", "trafficsplits", "TrafficSplit", True)
ADMIN = User("admin", "admin", ("system:masters", "system:authenticated"))
RULE = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"],
        "scope": "*"}
# Recorded with 2 s, which a busy machine may need for an ordinary call.
TIMEOUT_SECONDS = 30
WEBHOOK = {"sideEffects": "None", "admissionReviewVersions": ["v1"], "timeoutSeconds": TIMEOUT_SECONDS}
_TOKEN_PATH = "/var/run/secrets/kubernetes.io/serviceaccount"


def pod(name="bare", **metadata):
    return {"kind": "Pod", "apiVersion": "v1", "metadata": {"name": name, "namespace": "inject", **metadata},
            "spec": {"containers": [{"name": "app", "image": "registry.example/app:1"}]}, "status": {}}


def as_configured(recorded, port, seconds=TIMEOUT_SECONDS):
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
            configured.append({"name": "inject.weft.io", "rules": [RULE], "failurePolicy": "Fail",
                               "clientConfig": {"url": url, "caBundle": self.bundle}, **WEBHOOK, **each})
        self.objects.put(GROUP, f"{kind}webhookconfigurations",
                         {"metadata": {"name": name}, "webhooks": configured})

    def admit(self, stored=None, operation="CREATE", resource=PODS, old=None, **fields):
        stored = pod() if stored is None and operation != "DELETE" else stored
        metadata = (stored or old)["metadata"]
        options = {"kind": "CreateOptions", "apiVersion": "meta.k8s.io/v1"}
        fields = {"options": options, "dry_run": False, "user": ADMIN, **fields}
        return self.chain.admit(Admission(operation, resource, metadata.get("namespace", ""),
                                          metadata.get("name", ""), stored, old, **fields), settle)

    def refusal(self, *args, **fields):
        """The Status that the user reads."""
        with self.assertRaises(StatusError) as raised:
            self.admit(*args, **fields)
        return raised.exception.status()
