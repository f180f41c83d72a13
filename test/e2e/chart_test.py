"""The chart by itself: what Helm makes of values, and that it keeps step with the programs."""

import functools
import glob
import os
import re
import tempfile
import unittest

import yaml
from lab.binaries import ROOT, find_binary
from lab.shell import run

_CHART = os.path.join(ROOT, "charts", "weft")
_HELM = os.path.join(ROOT, ".deps/kubernetes/helm")
_SYSTEM = "weft-system"

# What each role may do: (namespaced, group, resource, names) -> verbs. Whoever widens a right changes it here.
_CONTROL_PLANE = {
    (False, "", "namespaces", ()): {"list", "watch"},
    (False, "", "pods", ()): {"list", "watch"},
    (False, "", "services", ()): {"list", "watch"},
    (False, "", "serviceaccounts", ()): {"list", "watch"},
    (False, "discovery.k8s.io", "endpointslices", ()): {"list", "watch"},
    (False, "split.smi-spec.io", "trafficsplits", ()): {"get", "list", "watch"},
    (False, "specs.smi-spec.io", "httproutegroups", ()): {"get", "list", "watch"},
    (False, "specs.smi-spec.io", "tcproutes", ()): {"get", "list", "watch"},
    (False, "weft.io", "meshconfigs", ()): {"list", "watch"},
    (False, "split.smi-spec.io", "trafficsplits/status", ()): {"patch"},
    (False, "specs.smi-spec.io", "httproutegroups/status", ()): {"patch"},
    (False, "", "events", ()): {"create", "get", "patch"},
    (False, "authentication.k8s.io", "tokenreviews", ()): {"create"},
    (False, "", "configmaps", ()): {"create"},
    (False, "", "configmaps", ("weft-root",)): {"list", "patch"},
    (True, "", "secrets", ()): {"create"},
    (True, "", "secrets", ("weft-ca", "weft-operator")): {"get", "patch"},
    (True, "", "configmaps", ("weft-replicas",)): {"get", "patch"},
    (True, "", "pods", ()): {"get"},
    (True, "coordination.k8s.io", "leases", ()): {"create"},
    (True, "coordination.k8s.io", "leases", ("weft-control-plane",)): {"get", "update"},
}
_INJECTOR = {
    (False, "", "namespaces", ()): {"get", "list", "watch"},
    (False, "", "services", ()): {"get", "list", "watch"},
    (False, "admissionregistration.k8s.io", "mutatingwebhookconfigurations", ("weft-injector",)): {"get", "patch"},
    (False, "admissionregistration.k8s.io", "validatingwebhookconfigurations", ("weft-injector",)): {"get", "patch"},
}

_COMBINATIONS = {
    "defaults": [],
    "one replica": ["controlPlane.replicas=1", "injector.replicas=1"],
    "replicas apart": ["controlPlane.antiAffinity=hard", "injector.antiAffinity=none", "controlPlane.replicas=3"],
    "policies": ["networkPolicy.enabled=true", "networkPolicy.apiServerPorts={8443}"],
    "registry": ["image.registry=registry.example/a/", "image.tag=9.9.9", "imagePullSecrets[0].name=key"],
    "mesh": ["mesh.mtlsMode=off", "mesh.lbMethod=random two", "mesh.denyUnknownDestinations=true"],
    "own CA": ["ca.intermediateSecret=mine", "ca.leafLifetime=30m", "trustDomain=example.org"],
    "nothing that may be left out": ["mesh.create=false", "injector.validation.enabled=false", "test.enabled=false",
                                     "prometheusAnnotations=false", "controlPlane.podDisruptionBudget=false"],
    "sidecar": ["sidecar.native=false", "sidecar.ignoreOutgoingPorts=25\\,8000-8100", "sidecar.workers=4"],
}


def template(*settings, namespace=_SYSTEM, flags=(), check=True):
    """The CompletedProcess of helm template with --set flags."""
    sets = [part for setting in settings for part in ("--set", setting)]
    return run([_HELM, "template", "weft", _CHART, "--namespace", namespace, *sets, *flags], check=check)


@functools.cache
def render(*settings, namespace=_SYSTEM, flags=()):
    """The objects of helm template."""
    rendered = template(*settings, namespace=namespace, flags=flags).stdout
    return [document for document in yaml.safe_load_all(rendered) if document]


def find(objects, kind, name):
    return next((o for o in objects if o["kind"] == kind and o["metadata"]["name"] == name), None)


def pod_specs(objects):
    for item in objects:
        if item["kind"] == "Deployment":
            yield item["metadata"]["name"], item["spec"]["template"]["spec"]
        elif item["kind"] == "Pod":
            yield item["metadata"]["name"], item["spec"]


def containers(spec):
    return [*spec.get("initContainers", []), *spec["containers"]]


def rights(objects, name):
    """What a ClusterRole and a Role of this name give, in the form of the tables above."""
    found = {}
    for kind in ("ClusterRole", "Role"):
        role = find(objects, kind, name)
        for rule in role["rules"] if role else []:
            for group in rule["apiGroups"]:
                for resource in rule["resources"]:
                    key = (kind == "Role", group, resource, tuple(sorted(rule.get("resourceNames", []))))
                    found.setdefault(key, set()).update(rule["verbs"])
    return found


class TemplateTest(unittest.TestCase):

    def test_helm_lint_finds_nothing_to_say(self):
        linted = run([_HELM, "lint", "--strict", _CHART])
        self.assertIn("0 chart(s) failed", linted.stdout)

    def test_every_combination_of_values_renders_into_the_meshs_namespace(self):
        for title, settings in _COMBINATIONS.items():
            with self.subTest(title):
                for item in render(*settings):
                    self.assertIn(item["metadata"].get("namespace", _SYSTEM), [_SYSTEM], item["kind"])
                    self.assertEqual(item["metadata"]["labels"]["app.kubernetes.io/part-of"], "weft")

    def test_without_a_namespace_it_makes_its_own(self):
        objects = render(namespace="default")
        self.assertEqual(find(objects, "Namespace", _SYSTEM)["metadata"]["annotations"],
                         {"helm.sh/resource-policy": "keep"})
        self.assertEqual(find(objects, "Deployment", "weft-injector")["metadata"]["namespace"], _SYSTEM)
        self.assertIsNone(find(render(), "Namespace", _SYSTEM))
        elsewhere = render(namespace="mesh")
        settings = yaml.safe_load(find(elsewhere, "ConfigMap", "weft-injector")["data"]["settings.yaml"])
        self.assertEqual((settings["namespace"], settings["controlPlane"]),
                         ("mesh", "weft-control-plane.mesh.svc:15012"))

    def test_values_that_make_no_sense_are_refused_by_name(self):
        for setting in ("mesh.mtlsMode=sometimes", "mesh.mtlsmode=strict", "controlPlane.replicas=0",
                        "controlPlane.pushDebounce=soon", "injector.webhook.failurePolicy=Maybe", "trustDomain=A B",
                        "sidecar.workers=many", "sidecar.ignoreIncomingPorts=http"):
            with self.subTest(setting):
                refused = template(setting, check=False)
                self.assertNotEqual(refused.returncode, 0)
                field = setting.split("=")[0].split(".")[-1]
                self.assertIn(field, refused.stderr)

    def test_containers_have_no_privilege_and_a_read_only_root(self):
        for title, settings in _COMBINATIONS.items():
            for name, spec in pod_specs(render(*settings)):
                with self.subTest(title, pod=name):
                    self.assertIs(spec["securityContext"]["runAsNonRoot"], True)
                    self.assertEqual(spec["securityContext"]["seccompProfile"], {"type": "RuntimeDefault"})
                    for container in containers(spec):
                        self.assertEqual(container["securityContext"],
                                         {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True,
                                          "capabilities": {"drop": ["ALL"]}})

    def test_one_replica_has_nothing_that_only_two_can_have(self):
        for name in ("weft-control-plane", "weft-injector"):
            one, two = render(*_COMBINATIONS["one replica"]), render()
            self.assertIsNone(find(one, "PodDisruptionBudget", name))
            self.assertNotIn("affinity", find(one, "Deployment", name)["spec"]["template"]["spec"])
            self.assertEqual(find(two, "PodDisruptionBudget", name)["spec"]["maxUnavailable"], 1)
            apart = find(two, "Deployment", name)["spec"]["template"]["spec"]["affinity"]["podAntiAffinity"]
            self.assertIn("preferredDuringSchedulingIgnoredDuringExecution", apart)

    def test_selectors_of_services_and_budgets_are_labels_of_their_pods(self):
        objects = render(*_COMBINATIONS["policies"])
        for name in ("weft-control-plane", "weft-injector"):
            deployment = find(objects, "Deployment", name)["spec"]
            labels = deployment["template"]["metadata"]["labels"].items()
            for selector in (deployment["selector"]["matchLabels"], find(objects, "Service", name)["spec"]["selector"],
                             find(objects, "PodDisruptionBudget", name)["spec"]["selector"]["matchLabels"],
                             find(objects, "NetworkPolicy", name)["spec"]["podSelector"]["matchLabels"]):
                self.assertLessEqual(selector.items(), labels)
                self.assertEqual(selector["app.kubernetes.io/name"], name)
            ports = {port["name"] for port in deployment["template"]["spec"]["containers"][0]["ports"]}
            for port in find(objects, "Service", name)["spec"]["ports"]:
                self.assertIn(port["targetPort"], ports)

    def test_nobody_has_more_rights_than_the_programs_use(self):
        self.assertEqual(rights(render(), "weft-control-plane"), _CONTROL_PLANE)
        self.assertEqual(rights(render(), "weft-injector"), _INJECTOR)
        own = rights(render(*_COMBINATIONS["own CA"]), "weft-control-plane")
        self.assertEqual(own, {**_CONTROL_PLANE, (True, "", "secrets", ("mine",)): {"get"}})

    def test_images_are_those_of_the_registry_and_the_version(self):
        with open(os.path.join(ROOT, "base/version.h"), encoding="utf-8") as file:
            version = re.search(r'kVersion = "([^"]+)"', file.read()).group(1)
        for settings, wanted in (((), f"weft/%s:{version}"),
                                 (_COMBINATIONS["registry"], "registry.example/a/weft/%s:9.9.9")):
            objects = render(*settings)
            for name, image in (("weft-control-plane", "control-plane"), ("weft-injector", "injector")):
                spec = find(objects, "Deployment", name)["spec"]["template"]["spec"]
                self.assertEqual(spec["containers"][0]["image"], wanted % image)
            sidecar = yaml.safe_load(find(objects, "ConfigMap", "weft-injector")["data"]["settings.yaml"])["image"]
            self.assertEqual(sidecar, wanted % "sidecar")

    def test_the_mesh_config_says_only_what_the_values_say(self):
        self.assertEqual(find(render(), "MeshConfig", "default")["spec"], {})
        self.assertEqual(find(render(*_COMBINATIONS["mesh"]), "MeshConfig", "default")["spec"],
                         {"mtlsMode": "off", "lbMethod": "random two", "denyUnknownDestinations": True})

    def test_old_clusters_get_ordinary_sidecars(self):
        for version, native in (("1.28.3", False), ("1.29.0", True), ("1.33.1-gke.5", True)):
            objects = render(flags=("--kube-version", version))
            settings = yaml.safe_load(find(objects, "ConfigMap", "weft-injector")["data"]["settings.yaml"])
            self.assertEqual(settings["nativeSidecar"], native, version)
            self.assertEqual(find(objects, "Pod", "weft-test") is not None, native, version)


class WebhookTest(unittest.TestCase):
    """Which webhook is shown a pod, worked out as an API server does."""

    def setUp(self):
        self.webhooks = find(render(), "MutatingWebhookConfiguration", "weft-injector")["webhooks"]

    @staticmethod
    def _selects(selector, labels):
        for term in selector["matchExpressions"]:
            among = labels.get(term["key"]) in term["values"]
            if among != (term["operator"] == "In"):
                return False
        return True

    def policies(self, namespace, pod=None, name="shop"):
        """The failure policies under which a pod is shown to the injector."""
        namespace = {"kubernetes.io/metadata.name": name, **namespace}
        return sorted({webhook["failurePolicy"] for webhook in self.webhooks
                       if self._selects(webhook["namespaceSelector"], namespace)
                       and self._selects(webhook["objectSelector"], pod or {})})

    def test_what_a_label_asks_for_fails_and_everything_else_passes_without_an_injector(self):
        ours, nsm = "weft.io/inject", "injector.nsm.nginx.com/auto-inject"
        cases = [
            ({}, {}, ["Ignore"]),
            ({ours: "enabled"}, {}, ["Fail"]),
            ({nsm: "enabled"}, {}, ["Fail"]),
            ({ours: "disabled"}, {}, ["Ignore"]),
            ({}, {ours: "enabled"}, ["Fail"]),
            ({}, {nsm: "true"}, ["Fail"]),
            ({ours: "disabled"}, {ours: "enabled"}, ["Fail"]),
            ({ours: "enabled"}, {ours: "disabled"}, []),
            ({}, {ours: "disabled"}, []),
            ({ours: "enabled", nsm: "enabled"}, {}, ["Fail"]),
        ]
        for namespace, pod, wanted in cases:
            with self.subTest(namespace=namespace, pod=pod):
                self.assertEqual(self.policies(namespace, pod), wanted)

    def test_the_clusters_and_the_meshs_own_namespaces_are_never_shown(self):
        for name in ("kube-system", "kube-node-lease", _SYSTEM):
            for labels in ({}, {"weft.io/inject": "enabled"}):
                self.assertEqual(self.policies(labels, {"weft.io/inject": "enabled"}, name), [])

    def test_the_ca_bundle_is_left_to_the_injector(self):
        for kind in ("MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"):
            for webhook in find(render(), kind, "weft-injector")["webhooks"]:
                self.assertNotIn("caBundle", webhook["clientConfig"])
                self.assertEqual(webhook["sideEffects"], "None")


class ProgramTest(unittest.TestCase):
    """The chart and the programs that it starts."""

    def test_every_flag_that_the_chart_passes_exists(self):
        objects = render(*_COMBINATIONS["own CA"])
        for name, spec in pod_specs(objects):
            for container in containers(spec):
                program = "weft-" + container["image"].split(":")[0].rsplit("/", 1)[-1]
                known = run([find_binary(program), "--help"]).stdout
                for argument in container["args"]:
                    with self.subTest(pod=name, argument=argument):
                        self.assertRegex(known, rf"(?m)(^|\s|,){argument.split('=')[0]}\b")

    def test_the_injector_understands_the_settings(self):
        for title, settings in _COMBINATIONS.items():
            with self.subTest(title), tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
                text = find(render(*settings), "ConfigMap", "weft-injector")["data"]["settings.yaml"]
                file.write(text)
                file.flush()
                self.assertNotIn(file.name, self._start(file.name))
                file.write("colour: red\n")
                file.flush()
                said = self._start(file.name)
                self.assertIn(file.name, said)
                self.assertIn("colour", said)

    @staticmethod
    def _start(settings):
        """What the injector says outside of a cluster, where it ends after it has read its settings."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith("KUBERNETES_")}
        ended = run([find_binary("weft-injector"), "--settings", settings, "--namespace", _SYSTEM], check=False,
                    env=environment)
        return ended.stderr


class DefinitionTest(unittest.TestCase):

    def definitions(self):
        for path in sorted(glob.glob(f"{_CHART}/crds/*.yaml") + glob.glob(f"{_CHART}/smi/*.yaml")):
            with open(path, encoding="utf-8") as file:
                definition = yaml.safe_load(file)
            self.assertEqual(os.path.basename(path), f"{definition['metadata']['name']}.yaml")
            yield definition

    def test_they_are_of_what_weft_implements_and_in_all_versions(self):
        served = {d["metadata"]["name"]: sorted(v["name"] for v in d["spec"]["versions"] if v["served"])
                  for d in self.definitions()}
        self.assertEqual(served, {
            "trafficsplits.split.smi-spec.io": ["v1alpha1", "v1alpha2", "v1alpha3", "v1alpha4"],
            "httproutegroups.specs.smi-spec.io": ["v1alpha3", "v1alpha4"],
            "tcproutes.specs.smi-spec.io": ["v1alpha3", "v1alpha4"],
            "meshconfigs.weft.io": ["v1"],
        })

    def test_versions_share_one_schema_and_every_one_has_a_status(self):
        for definition in self.definitions():
            first, *others = definition["spec"]["versions"]
            self.assertEqual(sum(version["storage"] for version in [first, *others]), 1)
            self.assertNotIn("conversion", definition["spec"])
            for version in [first, *others]:
                self.assertEqual(version["schema"], first["schema"])
                self.assertEqual(version["subresources"], {"status": {}})

    def test_words_of_a_mesh_config_are_those_of_the_values(self):
        with open(os.path.join(_CHART, "values.schema.json"), encoding="utf-8") as file:
            values = yaml.safe_load(file)["properties"]["mesh"]["properties"]
        definition = next(d for d in self.definitions() if d["spec"]["names"]["kind"] == "MeshConfig")
        spec = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]
        for field in ("mtlsMode", "lbMethod"):
            self.assertEqual(["", *spec[field]["enum"]], values[field]["enum"])
