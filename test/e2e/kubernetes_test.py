"""The mesh on Kubernetes, as its users meet it: with kubectl and Helm."""

import json
import os
import time
import unittest

from lab import wait_for
from lab.cluster.cluster import Cluster
from lab.cluster.mesh import BETA, CHART, EXAMPLES, SYSTEM, Mesh
from lab.load import Load


def names_of(containers):
    return [container["name"] for container in containers]


class ClusterTest(unittest.TestCase):
    """A cluster with Weft and the shop, one for every class."""

    helm_flags = ()

    @classmethod
    def setUpClass(cls):
        logs = os.environ.get("WEFT_TEST_LOGS")
        cls.cluster = Cluster(log_dir=os.path.join(logs, cls.__name__) if logs else None).__enter__()
        cls.addClassCleanup(cls.cluster.close)
        cls.mesh = Mesh(cls.cluster)
        cls.mesh.install(*cls.helm_flags)
        cls.mesh.open_shop()

    def eventually(self, condition, what, deadline=15.0):
        return wait_for(condition, what, deadline)

    def example(self, name):
        """Applies a file of docs/examples/tea until the test ends."""
        path = os.path.join(EXAMPLES, name)
        self.cluster.kubectl("-n", "shop", "apply", "-f", path)
        self.addCleanup(self.cluster.kubectl, "-n", "shop", "delete", "--ignore-not-found", "-f", path)

    def apply(self, manifests, namespace="shop"):
        """Applies manifests until the test ends."""
        self.cluster.kubectl("-n", namespace, "apply", "-f", "-", stdin=manifests)
        self.addCleanup(self.cluster.kubectl, "-n", namespace, "delete", "--ignore-not-found", "-f", "-",
                        stdin=manifests)

    def refused(self, manifests, namespace="shop"):
        """What kubectl apply says about manifests that it must not take."""
        done = self.cluster.kubectl("-n", namespace, "apply", "-f", "-", stdin=manifests, check=False)
        self.assertNotEqual(done.returncode, 0, done.stdout)
        return done.stderr

    def describe(self, kind, name):
        return self.cluster.kubectl("-n", "shop", "describe", kind, name).stdout


def split_yaml(name, root, backends, version="v1alpha3", matches=()):
    lines = [f"apiVersion: split.smi-spec.io/{version}", "kind: TrafficSplit",
             f"metadata: {{name: {name}}}", "spec:", f"  service: {root}", "  backends:"]
    lines += [f"    - {{service: {service}, weight: {weight}}}" for service, weight in backends.items()]
    if matches:
        lines += ["  matches:"] + [f"    - {{kind: HTTPRouteGroup, name: {match}}}" for match in matches]
    return "\n".join(lines) + "\n"


class KubernetesTest(ClusterTest):

    def test_pods_of_an_annotated_namespace_have_a_sidecar_and_others_have_none(self):
        pod = self.cluster.get("pod", self.mesh.pod("app=web"), "shop")
        self.assertEqual(names_of(pod["spec"]["containers"]), ["curl"])
        self.assertEqual(names_of(pod["spec"]["initContainers"]), ["weft-init", "weft-sidecar"])
        self.assertEqual(pod["spec"]["initContainers"][1]["restartPolicy"], "Always")
        self.cluster.kubectl("run", "plain", "--image=curlimages/curl", "--", "sleep", "infinity")
        self.addCleanup(self.cluster.kubectl, "delete", "pod", "plain", "--grace-period=1")
        self.assertNotIn("initContainers", self.cluster.get("pod", "plain", "default")["spec"])

    def test_a_canary_by_cookie(self):
        url = "http://tea-v1/"
        self.assertEqual(self.mesh.answers(url, [BETA]), {"tea-v1": 20})
        self.example("canary.yaml")
        self.eventually(lambda: self.mesh.get(url, BETA) == "tea-v2", "the canary to be in force")
        self.assertEqual(self.mesh.answers(url, [BETA]), {"tea-v2": 20})
        self.assertEqual(self.mesh.answers(url), {"tea-v1": 20})
        self.cluster.kubectl("-n", "shop", "delete", "trafficsplit", "tea-canary")
        self.eventually(lambda: self.mesh.get(url, BETA) == "tea-v1", "the canary to end")

    def test_a_rollout_that_a_controller_drives_by_whole_objects(self):
        for version in ("v1alpha1", "v1alpha2", "v1alpha3", "v1alpha4"):
            with self.subTest(version=version):
                path = f"/apis/split.smi-spec.io/{version}/namespaces/shop/trafficsplits"
                self.apply(split_yaml("rollout", "tea", {"tea-v1": 100, "tea-v2": 0}, version))
                self.mesh.get("http://tea/")
                self.mesh.await_weights("shop/tea", {"shop/tea-v1": 100, "shop/tea-v2": 0})
                for share in (10, 100):
                    # The status may be written in between: then the controller does its step again.
                    self.eventually(lambda p=path, s=share: self.step(p, s).returncode == 0, "the step")
                    self.mesh.await_weights("shop/tea", {"shop/tea-v1": 100 - share, "shop/tea-v2": share})
                self.assertEqual(self.mesh.answers("http://tea/"), {"tea-v2": 20})
                self.cluster.kubectl("-n", "shop", "delete", "trafficsplit", "rollout")

    def step(self, path, share):
        """One step of a controller: it reads the split and writes the whole object back."""
        split = json.loads(self.cluster.kubectl("get", "--raw", f"{path}/rollout").stdout)
        for backend, weight in zip(split["spec"]["backends"], (100 - share, share)):
            backend["weight"] = weight
        return self.cluster.kubectl("replace", "--raw", f"{path}/rollout", "-f", "-",
                                    stdin=json.dumps(split), check=False)

    def test_mistakes_are_refused_with_the_field_that_is_wrong(self):
        cases = [
            (split_yaml("bad", "tea", {"tea-v1": -1}), "weight"),
            (split_yaml("bad", "", {"tea-v1": 1}), "service"),
            ("apiVersion: split.smi-spec.io/v1alpha3\nkind: TrafficSplit\nmetadata: {name: bad}\n"
             "spec: {service: tea, backends: []}\n", "backends"),
            ("apiVersion: specs.smi-spec.io/v1alpha3\nkind: HTTPRouteGroup\nmetadata: {name: bad}\n"
             "spec: {matches: [{name: a, pathRegex: '('}]}\n", "pathRegex"),
            ("apiVersion: specs.smi-spec.io/v1alpha3\nkind: HTTPRouteGroup\nmetadata: {name: bad}\n"
             "spec: {matches: [{name: a, methods: [GET]}, {name: a, methods: [PUT]}]}\n", "name"),
        ]
        for manifest, field in cases:
            with self.subTest(manifest=manifest):
                self.assertIn(field, self.refused(manifest))

    def test_what_is_legal_but_a_trap_is_a_warning(self):
        manifest = ("apiVersion: specs.smi-spec.io/v1alpha3\nkind: HTTPRouteGroup\n"
                    "metadata: {name: trap}\nspec: {matches: [{name: a, headers: {cookie: 'version=beta'}}]}\n")
        done = self.cluster.kubectl("-n", "shop", "apply", "-f", "-", stdin=manifest)
        self.addCleanup(self.cluster.kubectl, "-n", "shop", "delete", "httproutegroup", "trap")
        self.assertIn("Warning:", done.stderr)
        self.assertIn("cookie", done.stderr)

    def test_problems_are_conditions_and_events_of_the_split(self):
        self.apply(split_yaml("first", "tea", {"tea-v1": 1, "tea-v9": 1}))
        self.eventually(lambda: self.condition("first", "ResolvedRefs") == "False", "the condition")
        self.assertEqual(self.condition("first", "Accepted"), "True")
        self.eventually(lambda: "Warning" in self.describe("trafficsplit", "first").split("Events:")[1],
                        "the event")
        self.assertIn("tea-v9", self.describe("trafficsplit", "first").split("Events:")[1])
        self.apply(split_yaml("second", "tea", {"tea-v2": 1}))
        self.eventually(lambda: self.condition("second", "Accepted") == "False", "the conflict")
        # Nobody writes again what is there already.
        version = self.cluster.get("trafficsplit", "second", "shop")["metadata"]["resourceVersion"]
        self.apply(split_yaml("third", "tea-v2", {"tea-v1": 1}))
        self.eventually(lambda: self.condition("third", "Accepted") == "True", "its status")
        self.assertEqual(self.cluster.get("trafficsplit", "second", "shop")["metadata"]["resourceVersion"],
                         version)

    def condition(self, split, kind):
        """Status of a condition of a TrafficSplit; None if there is none yet."""
        status = self.cluster.get("trafficsplit", split, "shop").get("status", {})
        return {one["type"]: one["status"] for one in status.get("conditions", [])}.get(kind)

    def test_a_job_with_a_sidecar_completes(self):
        self.apply("""
apiVersion: batch/v1
kind: Job
metadata: {name: order}
spec:
  template:
    spec:
      restartPolicy: Never
      containers:
        - name: curl
          image: curlimages/curl
          command: [curl, -sS, --fail, "http://tea-v1/"]
""")
        self.cluster.kubectl("-n", "shop", "wait", "job/order", "--for=condition=Complete",
                             "--timeout=60s")

    def test_meshctl_looks_into_the_cluster(self):
        self.example("canary.yaml")
        self.mesh.get("http://tea-v1/")
        self.eventually(lambda: "tea-canary" in self.mesh.meshctl("splits").stdout, "the split")
        self.assertIn("shop/web-", self.mesh.meshctl("proxies").stdout)
        source = f"shop/{self.mesh.pod('app=web')}"
        told = self.mesh.meshctl("routes", "explain", "--from", source, "-H", BETA, "http://tea-v1/").stdout
        self.assertIn("shop/tea-canary", told)
        self.assertEqual(self.mesh.meshctl("check").returncode, 0)

    def test_helm_upgrade_keeps_the_authority(self):
        before = self.cluster.get("configmap", "weft-root", SYSTEM)["data"]["root.pem"]
        self.cluster.helm("upgrade", "weft", CHART, "--namespace", SYSTEM, "--reuse-values", "--set",
                          "controlPlane.logLevel=debug", "--wait", "--timeout", "2m")
        after = self.cluster.get("configmap", "weft-root", SYSTEM)["data"]["root.pem"]
        self.assertEqual(before, after)
        self.assertEqual(self.mesh.answers("http://tea-v1/"), {"tea-v1": 20})
        # The webhook's certificate is vouched for again, whatever Helm wrote.
        self.cluster.kubectl("-n", "shop", "rollout", "restart", "deployment/web")
        self.mesh.await_shop()
        pod = self.cluster.get("pod", self.mesh.pod("app=web"), "shop")
        self.assertIn("weft-sidecar", names_of(pod["spec"]["initContainers"]))


class StrictTest(ClusterTest):

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.cluster.kubectl("patch", "meshconfig", "default", "--type=merge", "-p",
                            '{"spec":{"mtlsMode":"strict"}}')
        cls.cluster.kubectl("run", "stranger", "--image=curlimages/curl", "--", "sleep", "infinity")
        cls.cluster.wait_for_pod("stranger")

    def test_a_stranger_is_refused_and_probes_are_not(self):
        address = self.cluster.get("pod", self.mesh.pod("version=v1"), "shop")["status"]["podIP"]
        self.eventually(lambda: self.cluster.curl("stranger", "default", f"http://{address}/",
                                                  check=False).returncode != 0, "plaintext to be refused")
        self.assertEqual(self.mesh.answers("http://tea-v1/"), {"tea-v1": 20})
        # New pods become ready: the kubelet's probes go by the sidecar.
        self.cluster.kubectl("-n", "shop", "rollout", "restart", "deployment/tea-v1")
        self.cluster.wait_for_rollout("deployment/tea-v1", "shop")
        self.assertEqual(self.mesh.answers("http://tea-v1/"), {"tea-v1": 20})

    def test_probes_of_every_kind_see_the_application_and_not_the_sidecar(self):
        container = ("{{name: {name}, image: nginx, ports: [{{containerPort: 8080, name: http}}],\n"
                     "  env: [{{name: PORT, value: '8080'}}, {{name: ANSWER, value: fine}}],\n"
                     "  readinessProbe: {{{probe}, periodSeconds: 1}}}}")
        cases = {"http": "httpGet: {path: /, port: http}", "tcp": "tcpSocket: {port: 8080}",
                 "bad-port": "tcpSocket: {port: 8099}", "bad-scheme": "httpGet: {scheme: HTTPS, path: /, port: 8080}"}
        for name, probe in cases.items():
            self.apply(f"apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}}}\nspec:\n"
                       f"  containers:\n  - {container.format(name='app', probe=probe)}\n")
        for name in ("http", "tcp"):
            self.cluster.wait_for_pod(name, "shop")
        for name in ("bad-port", "bad-scheme"):
            self.eventually(lambda n=name: "probe failed" in self.describe("pod", n), "the probe to fail", 30)
            self.assertEqual(self.cluster.get("pod", name, "shop")["status"]["phase"], "Running")


class ReplicaTest(ClusterTest):
    """What the control plane loses or changes, the traffic does not notice."""

    helm_flags = ("--set", "ca.leafLifetime=15s", "--set", "controlPlane.extraArgs={--rotation-settle=2s}")

    def roots(self, namespace):
        return self.cluster.get("configmap", "weft-root", namespace)["data"]["root.pem"]

    def load(self):
        address = self.cluster.get("service", "tea", "shop")["spec"]["clusterIP"]
        return Load(self.mesh.client(), f"http://{address}/", 8)

    def shift(self, share, deadline=2.0):
        """Shifts the weights; the client's sidecar must have them within the deadline."""
        self.cluster.kubectl("-n", "shop", "patch", "trafficsplit", "tea-rollout", "--type=merge", "-p",
                             json.dumps({"spec": {"backends": [
                                 {"service": "tea-v1", "weight": 100 - share},
                                 {"service": "tea-v2", "weight": share}]}}))
        self.mesh.await_weights("shop/tea", {"shop/tea-v1": 100 - share, "shop/tea-v2": share}, deadline)

    def test_a_replica_that_is_killed_and_an_api_server_that_restarts_fail_no_request(self):
        self.example("weights.yaml")
        self.mesh.get("http://tea/")
        self.mesh.await_weights("shop/tea", {"shop/tea-v1": 90, "shop/tea-v2": 10})
        web = self.mesh.pod("app=web")
        load = self.load()
        for share in (20, 30):
            victim = self.cluster.pods(SYSTEM, "app.kubernetes.io/name=weft-control-plane")[0]
            self.cluster.kill_pod(victim, SYSTEM)
            self.shift(share)
            self.cluster.wait_for_rollout("deployment/weft-control-plane", SYSTEM)
        self.cluster.api_down()
        answered = self.cluster.exec(web, "shop", ["curl", "-sS", "--fail", "http://tea/?[1-500]"],
                                     container="curl")
        self.assertEqual(len(answered.stdout.split()), 500)
        self.cluster.api_up()
        self.shift(40, deadline=15.0)
        result = load.stop()
        self.assertEqual(result.failed, 0, result.summary)
        self.assertGreater(result.requests, 1000, result.summary)

    def test_the_root_rotates_without_a_failed_request(self):
        before = self.roots("shop")
        self.mesh.get("http://tea/")
        load = self.load()
        self.mesh.meshctl("ca", "rotate", timeout=180)
        self.eventually(lambda: self.roots("shop").count("BEGIN CERTIFICATE") == 1, "one root to be published")
        after = self.roots("shop")
        self.assertNotEqual(after, before)
        self.assertEqual(after, self.roots(SYSTEM))
        result = load.stop()
        self.assertEqual(result.failed, 0, result.summary)
        self.assertGreater(result.requests, 1000, result.summary)
        # Who comes now trusts the new root only, and the webhook is vouched for by it.
        self.cluster.kubectl("-n", "shop", "rollout", "restart", "deployment/tea-v2")
        self.mesh.await_shop()
        self.assertEqual(self.mesh.answers("http://tea-v2/"), {"tea-v2": 20})
