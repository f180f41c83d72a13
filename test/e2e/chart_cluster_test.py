"""The chart's objects in an API server, with real Helm and kubectl."""

import json
import os
import unittest

from lab.binaries import ROOT
from lab.cluster.cluster import Cluster

_CHART = os.path.join(ROOT, "charts", "weft")
_SYSTEM = "weft-system"

# As in the tutorials of NGINX Service Mesh: without and with matches, the root a service of its own.
_SPLIT = """
apiVersion: split.smi-spec.io/v1alpha3
kind: TrafficSplit
metadata:
  name: shop-split
spec:
  service: shop-svc
  backends:
  - service: shop-v1-0
    weight: 100
"""
_MATCHING = """
apiVersion: split.smi-spec.io/v1alpha3
kind: TrafficSplit
metadata:
  name: shop-split
spec:
  service: shop-svc
  backends:
  - service: shop-v2-1
    weight: 0
  - service: shop-v3-0
    weight: 100
  matches:
  - kind: HTTPRouteGroup
    name: shop-routes
---
apiVersion: specs.smi-spec.io/v1alpha3
kind: HTTPRouteGroup
metadata:
  name: shop-routes
  namespace: default
spec:
  matches:
  - name: some-browser
    headers:
      user-agent: ".*Browser.*"
  - name: read-metrics
    pathRegex: "/metrics"
    methods:
    - GET
---
apiVersion: specs.smi-spec.io/v1alpha3
kind: TCPRoute
metadata:
  name: shop-bytes
spec: {}
"""
_SMI = """
apiVersion: specs.smi-spec.io/v1alpha4
kind: HTTPRouteGroup
metadata: {name: lists}
spec:
  matches:
  - {name: any, methods: ["*"], pathRegex: ".*", headers: [{x-a: "1"}, {x-b: "2"}], cookies: {version: "^beta$"}}
---
apiVersion: specs.smi-spec.io/v1alpha4
kind: TCPRoute
metadata: {name: mysql}
spec: {matches: {name: mysql, ports: [3306]}}
---
apiVersion: split.smi-spec.io/v1alpha1
kind: TrafficSplit
metadata: {name: quantities}
spec:
  service: tea
  backends: [{service: tea-v1, weight: 500m}, {service: tea-v2, weight: 0.5}, {service: tea-v3, weight: 1}]
---
apiVersion: split.smi-spec.io/v1alpha4
kind: TrafficSplit
metadata: {name: typed}
spec:
  service: tea
  backends: [{service: tea-v1, weight: 1}]
  matches: [{apiGroup: specs.smi-spec.io, kind: TCPRoute, name: mysql}]
"""


def _foreign_definition():
    """The TrafficSplit that an older mesh has installed: one version, its own label."""
    weight = {"type": "integer", "minimum": 0}
    backend = {"type": "object", "required": ["service", "weight"],
               "properties": {"service": {"type": "string"}, "weight": weight}}
    spec = {"type": "object", "required": ["service", "backends"],
            "properties": {"service": {"type": "string"}, "backends": {"type": "array", "items": backend}}}
    return {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "metadata": {"name": "trafficsplits.split.smi-spec.io",
                         "labels": {"app.kubernetes.io/part-of": "another-mesh"}},
            "spec": {"group": "split.smi-spec.io", "scope": "Namespaced",
                     "names": {"kind": "TrafficSplit", "listKind": "TrafficSplitList", "plural": "trafficsplits",
                               "singular": "trafficsplit", "shortNames": ["ts"]},
                     "versions": [{"name": "v1alpha3", "served": True, "storage": True, "schema": {
                         "openAPIV3Schema": {"type": "object", "properties": {"spec": spec}}}}]}}


class ChartInClusterTest(unittest.TestCase):
    """Nothing here waits for pods: what matters is what the API server has."""

    @classmethod
    def setUpClass(cls):
        cls.cluster = cls.enterClassContext(Cluster())

    def setUp(self):
        self.addCleanup(self._clear)

    def _clear(self):
        self.cluster.helm("uninstall", "weft", "-n", _SYSTEM, "--ignore-not-found")
        self.cluster.helm("uninstall", "weft", "--ignore-not-found")
        self.cluster.kubectl("delete", "crd", "-l", "app.kubernetes.io/part-of", "--ignore-not-found")
        self.cluster.kubectl("delete", "secret", "weft-ca", "-n", _SYSTEM, "--ignore-not-found")

    def install(self, *flags):
        return self.cluster.helm("install", "weft", _CHART, "--namespace", _SYSTEM, "--create-namespace", *flags)

    def upgrade(self, *flags, check=True):
        return self.cluster.helm("upgrade", "weft", _CHART, "-n", _SYSTEM, "--reset-then-reuse-values", *flags,
                                 check=check)

    def make_ca(self):
        """The Secret that the control plane makes, if it has not come to that yet."""
        self.cluster.kubectl("-n", _SYSTEM, "create", "secret", "generic", "weft-ca", "--from-literal=ca.json={}",
                             check=False)
        self.assertIsNotNone(self.cluster.get("secret", "weft-ca", _SYSTEM))

    def test_existing_manifests_pass_unchanged_in_every_version(self):
        self.install()
        for manifests in (_SPLIT, _MATCHING, _SMI):
            said = self.cluster.apply(manifests).stdout
            self.assertRegex(said, "created|configured")
        for version in ("v1alpha1", "v1alpha2", "v1alpha3", "v1alpha4"):
            split = self.cluster.get(f"trafficsplits.{version}.split.smi-spec.io", "shop-split", "default")
            self.assertEqual(split["apiVersion"], f"split.smi-spec.io/{version}")
            self.assertEqual(split["spec"]["matches"], [{"kind": "HTTPRouteGroup", "name": "shop-routes"}])
        weights = [backend["weight"] for backend in
                   self.cluster.get("ts", "quantities", "default")["spec"]["backends"]]
        self.assertEqual(weights, ["500m", 0.5, 1])

    def test_a_controller_may_write_back_whole_objects_in_an_old_version(self):
        self.install()
        self.cluster.apply(_MATCHING)
        path = "/apis/split.smi-spec.io/v1alpha1/namespaces/default/trafficsplits/shop-split"
        split = json.loads(self.cluster.kubectl("get", "--raw", path).stdout)
        split["spec"]["backends"][0]["weight"], split["spec"]["backends"][1]["weight"] = 10, 90
        self.cluster.kubectl("replace", "--raw", path, "-f", "-", stdin=json.dumps(split))
        stored = self.cluster.get("ts", "shop-split", "default")["spec"]
        self.assertEqual([backend["weight"] for backend in stored["backends"]], [10, 90])
        self.assertEqual(stored["matches"], [{"kind": "HTTPRouteGroup", "name": "shop-routes"}])

    def test_mistakes_are_refused_with_the_field(self):
        self.install()
        for old, new, field in (("weight: 100", "weight: -1", "spec.backends[0].weight"),
                                ("weight: 100", "weight: ninety", "spec.backends[0].weight"),
                                ("    weight: 100\n", "", "spec.backends[0].weight"),
                                ("service: shop-svc", "serivce: shop-svc", "spec.serivce")):
            with self.subTest(new):
                refused = self.cluster.kubectl("apply", "-f", "-", stdin=_SPLIT.replace(old, new), check=False)
                self.assertEqual(refused.returncode, 1)
                self.assertIn(field, refused.stderr)

    def test_definitions_of_another_mesh_do_not_stand_in_the_way(self):
        self.cluster.apply(json.dumps(_foreign_definition()))
        self.cluster.kubectl("wait", "crd/trafficsplits.split.smi-spec.io", "--for=condition=Established")
        self.cluster.apply(_SPLIT)
        for manage in (self.install, self.upgrade):
            self.assertIn("trafficsplits.split.smi-spec.io was there already", manage().stdout)
            untouched = self.cluster.get("crd", "trafficsplits.split.smi-spec.io")
            self.assertEqual([version["name"] for version in untouched["spec"]["versions"]], ["v1alpha3"])
        self.cluster.kubectl("apply", "--server-side", "--force-conflicts", "--field-manager=helm", "-f",
                             os.path.join(_CHART, "smi"))
        ours = self.cluster.get("crd", "trafficsplits.split.smi-spec.io")
        self.assertEqual(len(ours["spec"]["versions"]), 4)
        self.assertEqual(ours["metadata"]["labels"]["app.kubernetes.io/part-of"], "weft")
        self.upgrade()
        self.assertEqual(self.cluster.get("ts", "shop-split", "default")["spec"]["service"], "shop-svc")

    def test_definitions_of_an_earlier_release_are_brought_up_to_date(self):
        self.install()
        self.cluster.apply(_SPLIT)
        self.cluster.kubectl("patch", "crd", "trafficsplits.split.smi-spec.io", "--type=json", "--field-manager=helm", "-p",
                             '[{"op": "remove", "path": "/spec/names/categories"}]')
        self.upgrade()
        self.assertEqual(self.cluster.get("crd", "trafficsplits.split.smi-spec.io")["spec"]["names"]["categories"],
                         ["smi", "weft"])
        self.upgrade("--set", "crds.install=false")
        self.assertIsNotNone(self.cluster.get("ts", "shop-split", "default"))
        self.upgrade("--set", "crds.install=true")
        self.assertIsNotNone(self.cluster.get("ts", "shop-split", "default"))

    def test_an_upgrade_keeps_the_ca_and_what_the_injector_wrote(self):
        self.install()
        self.make_ca()
        bundle = "LS0tLS1CRUdJTg=="
        self.cluster.kubectl(
            "patch", "mutatingwebhookconfiguration", "weft-injector", "--type=json", "--field-manager=weft-injector", "-p",
            json.dumps([{"op": "add", "path": f"/webhooks/{i}/clientConfig/caBundle", "value": bundle} for i in range(5)]))
        for _ in range(2):
            self.upgrade("--set", "injector.webhook.timeoutSeconds=7,controlPlane.logLevel=debug")
        webhooks = self.cluster.get("mutatingwebhookconfiguration", "weft-injector")["webhooks"]
        self.assertEqual({(webhook["clientConfig"]["caBundle"], webhook["timeoutSeconds"]) for webhook in webhooks},
                         {(bundle, 7)})
        self.cluster.helm("rollback", "weft", "1", "-n", _SYSTEM)
        self.assertEqual(self.cluster.get("mutatingwebhookconfiguration", "weft-injector")["webhooks"][0]
                         ["clientConfig"]["caBundle"], bundle)
        self.assertIsNotNone(self.cluster.get("secret", "weft-ca", _SYSTEM))

    def test_what_users_set_with_kubectl_survives_an_upgrade(self):
        self.install()
        self.cluster.kubectl("patch", "meshconfig", "default", "--type=merge", "-p", '{"spec":{"mtlsMode":"strict"}}')
        self.upgrade("--set", "mesh.lbMethod=random")
        self.assertEqual(self.cluster.get("meshconfig", "default")["spec"], {"mtlsMode": "strict", "lbMethod": "random"})

    def test_uninstalling_keeps_the_users_objects_and_the_ca(self):
        self.cluster.helm("install", "weft", _CHART)
        self.cluster.apply(_SPLIT)
        self.make_ca()
        self.cluster.helm("uninstall", "weft")
        self.assertIsNotNone(self.cluster.get("ts", "shop-split", "default"))
        self.assertIsNotNone(self.cluster.get("secret", "weft-ca", _SYSTEM))
        self.assertIsNone(self.cluster.get("mutatingwebhookconfiguration", "weft-injector"))
        self.cluster.helm("install", "weft", _CHART)

    def test_the_columns_of_kubectl_get_say_what_users_look_for(self):
        self.install()
        self.cluster.apply(_MATCHING)
        status = {"conditions": [
            {"type": "Accepted", "status": "False", "reason": "Conflict", "message": "an older split",
             "lastTransitionTime": "2026-01-01T00:00:00Z", "observedGeneration": 1},
            {"type": "ResolvedRefs", "status": "True", "reason": "ResolvedRefs", "message": "",
             "lastTransitionTime": "2026-01-01T00:00:00Z", "observedGeneration": 1}]}
        self.cluster.kubectl("patch", "ts", "shop-split", "--subresource=status", "--type=merge", "-p",
                             json.dumps({"status": status}))
        lines = self.cluster.kubectl("get", "ts", "-o", "wide").stdout.splitlines()
        self.assertEqual(lines[0].split(), ["NAME", "SERVICE", "ACCEPTED", "RESOLVED", "REASON", "AGE"])
        self.assertEqual(lines[1].split()[:5], ["shop-split", "shop-svc", "False", "True", "Conflict"])
