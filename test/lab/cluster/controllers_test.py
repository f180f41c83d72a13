"""The controllers against recordings of the real ones: the same causes must have the same effects."""

import copy
import glob
import json
import os
import re
import unittest

from lab.cluster.node.controllers import Context
from lab.cluster.node.controllers.deployments import DeploymentController
from lab.cluster.node.controllers.endpoint_slices import EndpointSliceController
from lab.cluster.node.controllers.endpoints_mirror import EndpointsMirror
from lab.cluster.node.controllers.replica_sets import ReplicaSetController
from lab.cluster.node.controllers.rollout import bounds, scale_plan
from lab.cluster.node.informer import Informers
from lab.cluster.node.objects import condition_of
from lab.cluster.node.resources import api_version, kind_of

_DATA = os.path.join(os.path.dirname(os.path.abspath(__file__)), "testdata")
_PATH = re.compile(r"/(?:api|apis/[^/]+)/v1/namespaces/([^/]+)/([a-z]+)(?:/([^/]+))?(?:/([a-z]+))?$")


class StandIn:
    """As much of an API server as controllers write to: it stores, and tells the informers."""

    def __init__(self):
        self.informers = Informers(self)
        self.objects = {}
        self.written = []  # (event, object) of EndpointSlices
        self._revision = 0

    def create(self, resource, namespace, body, name="", subresource=""):
        item = {"apiVersion": api_version(resource), "kind": kind_of(resource), **copy.deepcopy(body)}
        metadata = item["metadata"]
        metadata["namespace"] = namespace
        metadata.setdefault("name", f"{metadata.get('generateName')}{self._revision:05}")
        metadata.update(uid=f"uid of {metadata['name']}", creationTimestamp="2026-11-22T20:00:00Z")
        if resource in ("deployments", "replicasets"):
            metadata["generation"] = 1
        return self.put(resource, item, "ADDED")

    def update(self, resource, body, subresource=""):
        return self.put(resource, copy.deepcopy(body), "MODIFIED")

    def patch(self, resource, namespace, name, patch, subresource=""):
        return self.put(resource, merged(self.find(resource, namespace, name), patch), "MODIFIED")

    def delete(self, resource, namespace, name, uid=None, **_):
        if resource == "pods" and uid:  # of a controller, not of a kubelet
            return self.patch(resource, namespace, name,
                              {"metadata": {"deletionTimestamp": "2026-11-22T20:30:00Z"}})
        return self.put(resource, self.objects.pop((resource, namespace, name)), "DELETED")

    def find(self, resource, namespace, name):
        return self.objects.get((resource, namespace, name))

    def put(self, resource, item, event):
        self._revision += 1
        item = copy.deepcopy(item)
        held = self.objects.get((resource, item["metadata"].get("namespace", ""), item["metadata"]["name"]))
        if held and "generation" in held["metadata"] and held["spec"] != item["spec"]:
            item["metadata"]["generation"] += 1
        item["metadata"]["resourceVersion"] = str(self._revision)
        if event != "DELETED":
            self.objects[(resource, item["metadata"].get("namespace", ""), item["metadata"]["name"])] = item
        if resource == "endpointslices":
            self.written.append((event, copy.deepcopy(item)))
        self.informers[resource].apply({"type": event, "object": item})
        return item


def _text(value):
    return json.dumps(value, sort_keys=True)


def slice_content(event, item):
    """What a recording and a replay must have in common; the order of ports and of slices is free."""
    endpoints = copy.deepcopy(item["endpoints"])
    for endpoint in endpoints or ():
        if "targetRef" in endpoint:
            del endpoint["targetRef"]["uid"]
        endpoint.pop("hints", None)
    labels = {key: value for key, value in item["metadata"]["labels"].items()}
    owner = item["metadata"]["ownerReferences"][0]
    return [event, item["addressType"], endpoints and sorted(endpoints, key=_text),
            item["ports"] and sorted(item["ports"], key=_text), labels, owner["kind"], owner["name"]]


class Replay:
    """Does to a StandIn what a recording's actions did to a real API server."""

    def __init__(self, path):
        self.api = StandIn()
        context = Context(self.api, self.api.informers, None, "lab-node", "")
        self._controllers = [EndpointSliceController(context), EndpointsMirror(context)]
        for number in (1, 2):
            self.api.put("nodes", {"apiVersion": "v1", "kind": "Node", "metadata": {
                "name": f"n{number}", "labels": {"topology.kubernetes.io/zone": f"zone-{'ab'[number - 1]}"}}},
                "ADDED")
        with open(path) as file:
            self._lines = [json.loads(line) for line in file]

    def recorded(self):
        return [slice_content(line["event"]["type"], line["event"]["object"]) for line in self._lines
                if "event" in line]

    def run(self):
        for line in self._lines:
            if "action" in line:
                self._act(line["request"])
        return [slice_content(*written) for written in self.api.written]

    def _act(self, request):
        namespace, resource, name, subresource = _PATH.match(request["path"]).groups()
        body = request.get("body")
        if name is None:
            if resource == "services":
                body = self._defaulted(body)
            name = self.api.create(resource, namespace, body)["metadata"]["name"]
        else:
            self._change(resource, namespace, name, subresource, request["method"], body)
        for service in [key[2] for key in list(self.api.objects) if key[0] == "services"] + [name]:
            for controller in self._controllers:
                controller.reconcile(f"{namespace}/{service}")

    def _defaulted(self, service):
        spec = {"ipFamilies": ["IPv4"], **service["spec"]}
        if spec.get("ipFamilyPolicy") == "RequireDualStack":
            spec["ipFamilies"] = ["IPv4", "IPv6"]
        return {**service, "spec": spec}

    def _change(self, resource, namespace, name, subresource, method, body):
        item = copy.deepcopy(self.api.find(resource, namespace, name))
        if subresource == "binding":
            item["spec"]["nodeName"] = body["target"]["name"]
        elif method == "DELETE":
            if resource != "pods" or (body or {}).get("gracePeriodSeconds") == 0:
                self.api.delete(resource, namespace, name)
                return
            item["metadata"]["deletionTimestamp"] = "2026-11-22T20:30:00Z"
        elif isinstance(body, list):
            item["spec"]["ports"].append(body[0]["value"])
        else:
            for part in ("status", "spec"):
                item.setdefault(part, {}).update(body.get(part) or {})
        self.api.put(resource, item, "MODIFIED")


class EndpointSlicesTest(unittest.TestCase):

    def test_slices_are_written_as_the_real_controllers_write_them(self):
        paths = sorted(glob.glob(f"{_DATA}/controllers/endpointslice-*.jsonl"))
        self.assertGreater(len(paths), 9)
        for path in paths:
            with self.subTest(recording=os.path.basename(path)):
                replay = Replay(path)
                mine, recorded = replay.run(), replay.recorded()
                self.assertEqual(sorted(mine, key=_text), sorted(recorded, key=_text))

    def test_more_than_a_hundred_endpoints_make_a_second_slice(self):
        api = StandIn()
        controller = EndpointSliceController(Context(api, api.informers, None, "lab-node", ""))
        api.put("nodes", {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n1"}}, "ADDED")
        api.create("services", "shop", {"metadata": {"name": "web"}, "spec": {
            "selector": {"app": "web"}, "ports": [{"port": 80}], "ipFamilies": ["IPv4"]}})
        for number in range(103):
            api.create("pods", "shop", {
                "metadata": {"name": f"p{number:03}", "labels": {"app": "web"}},
                "spec": {"nodeName": "n1", "containers": []},
                "status": {"podIP": f"10.244.1.{number}",
                           "conditions": [{"type": "Ready", "status": "True"}]}})
        controller.reconcile("shop/web")
        slices = api.informers["endpointslices"].list("shop")
        self.assertEqual(sorted(len(item["endpoints"]) for item in slices), [3, 100])
        before = len(api.written)
        controller.reconcile("shop/web")
        self.assertEqual(len(api.written), before, "nothing has changed, nothing is written")


class Deployments:
    """A StandIn with the two controllers of Deployments, which work until there is nothing left to do."""

    class NoEvents:
        def normal(self, *_):
            pass

        warning = normal

    def __init__(self):
        self.api = StandIn()
        context = Context(self.api, self.api.informers, self.NoEvents(), "lab-node", "")
        self._controllers = {"deployments": DeploymentController(context),
                             "replicasets": ReplicaSetController(context)}
        self.sizes = []  # (replicas of the newest ReplicaSet, of the one before)

    def settle(self):
        before = None
        while before != self.api.objects:
            before = dict(self.api.objects)
            for resource, _, name in list(before):
                if resource in self._controllers:
                    self._controllers[resource].reconcile(f"dep/{name}")
                    self._note()

    def _note(self):
        sets = sorted(self.all("replicasets"), key=lambda item: -int(
            item["metadata"]["annotations"]["deployment.kubernetes.io/revision"]))
        sizes = tuple(item["spec"]["replicas"] for item in sets)
        if not self.sizes or self.sizes[-1] != sizes:
            self.sizes.append(sizes)

    def all(self, resource):
        return [item for key, item in self.api.objects.items() if key[0] == resource]

    def step(self):
        """What a kubelet does next: a pod that was deleted goes, or a pod becomes ready. False if nothing."""
        for pod in self.all("pods"):
            place = "pods", "dep", pod["metadata"]["name"]
            if pod["metadata"].get("deletionTimestamp"):
                self.api.put("pods", self.api.objects.pop(place), "DELETED")
                return True
            if not condition_of(pod, "Ready"):
                self.api.patch(*place, {"status": {"conditions": [
                    {"type": "Ready", "status": "True", "lastTransitionTime": "2026-11-22T20:00:00Z"}]}})
                return True
        return False

    def run(self):
        self.settle()
        while self.step():
            self.settle()


def merged(item, patch):
    """RFC 7386."""
    result = dict(item)
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        elif isinstance(value, dict) and isinstance(result.get(key), dict):
            result[key] = merged(result[key], value)
        else:
            result[key] = value
    return result


def essence(item):
    """What does not differ from one cluster to the next: no times, versions, uids; hashes by their place."""
    digest = item["metadata"].get("labels", {}).get("pod-template-hash", "none")
    kept = {part: item.get(part) for part in ("kind", "spec", "status")}
    metadata = {name: item["metadata"].get(name) for name in (
        "namespace", "generation", "labels", "annotations", "ownerReferences")}
    kept["metadata"] = {name: value for name, value in metadata.items() if value}
    text = _text(kept).replace(digest, "HASH")
    text = re.sub(r'"(uid|lastUpdateTime|lastTransitionTime)": "[^"]*"', r'"\1": ""', text)
    return re.sub(r"web-[a-z0-9]{10}", "web-HASH", text)


class DeploymentTest(unittest.TestCase):

    maxDiff = None

    def recording(self, name):
        with open(f"{_DATA}/controllers/deployment-{name}.jsonl") as file:
            lines = [json.loads(line) for line in file]
        last = {}
        for line in lines:
            if line.get("event", {}).get("object", {}).get("kind") in ("Deployment", "ReplicaSet"):
                item = line["event"]["object"]
                last[item["metadata"]["name"]] = item
        return [line["request"] for line in lines if "action" in line], last

    def create(self):
        """The recorded Deployment, as the API server has defaulted it, rolled out."""
        with open(f"{_DATA}/controllers/deployment-create.jsonl") as file:
            added = next(line["event"]["object"] for line in map(json.loads, file) if "event" in line)
        deployments = Deployments()
        self.template = added["spec"]["template"]
        deployments.api.create("deployments", "dep", {
            "metadata": {"name": "web", "labels": added["metadata"]["labels"]}, "spec": added["spec"]})
        deployments.run()
        return deployments

    def test_a_new_deployment_ends_as_the_real_controllers_leave_it(self):
        deployments = self.create()
        _, last = self.recording("create")
        for mine in deployments.all("deployments") + deployments.all("replicasets"):
            real = last["web" if mine["kind"] == "Deployment" else "web-6bd64467c8"]
            self.assertEqual(essence(mine), essence(real))
        self.assertEqual(deployments.sizes, [(2,)])

    def test_a_rolling_update_takes_the_steps_of_the_real_controllers(self):
        deployments = self.create()
        deployments.sizes.clear()
        deployments.api.patch("deployments", "dep", "web", {"spec": {"template": {"spec": {
            "containers": [{**self.template["spec"]["containers"][0], "image": "registry.example/app:2"}]}}}})
        deployments.run()
        self.assertEqual(deployments.sizes, [(1, 2), (1, 1), (2, 1), (2, 0)])
        _, last = self.recording("rolling-update")
        real = {name: {**item, "spec": {**item["spec"], "template": None}} for name, item in last.items()}
        for mine in deployments.all("deployments") + deployments.all("replicasets"):
            revision = mine["metadata"]["annotations"]["deployment.kubernetes.io/revision"]
            name = "web" if mine["kind"] == "Deployment" else \
                {"1": "web-6bd64467c8", "2": "web-5b67bf7774"}[revision]
            mine = {**mine, "spec": {**mine["spec"], "template": None}}
            self.assertEqual(essence(mine), essence(real[name]))

    def test_a_deployment_that_shrinks_gives_up_pods(self):
        deployments = self.create()
        deployments.api.patch("deployments", "dep", "web", {"spec": {"replicas": 1}})
        deployments.run()
        self.assertEqual(deployments.sizes, [(2,), (1,)])
        self.assertEqual(len(deployments.all("pods")), 1)
        status = deployments.all("deployments")[0]["status"]
        self.assertEqual((status["replicas"], status["observedGeneration"]), (1, 2))


class RolloutTest(unittest.TestCase):

    def test_bounds_are_rounded_as_kubernetes_rounds_them(self):
        for replicas, surge, unavailable, expected in (
                (2, "25%", "25%", (1, 0)), (4, "25%", "25%", (1, 1)), (10, "25%", "25%", (3, 2)),
                (1, 0, 1, (0, 1)), (3, 0, "10%", (0, 1)), (5, 2, 0, (2, 0))):
            spec = {"replicas": replicas, "strategy": {"rollingUpdate": {
                "maxSurge": surge, "maxUnavailable": unavailable}}}
            self.assertEqual(bounds(spec), expected, spec)

    def test_a_rollout_goes_as_far_as_its_bounds_let_it(self):
        def replica_set(name, size, available):
            return {"metadata": {"name": name}, "spec": {"replicas": size},
                    "status": {"availableReplicas": available}}

        spec = {"replicas": 4, "strategy": {"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 1}}}
        for new, old, plan in (
                ((0, 0), (4, 4), {"new": 1, "old": 3}),   # one more, one less
                ((1, 0), (3, 3), {"new": 2}),             # the one that went leaves room for one that comes
                ((2, 1), (3, 3), {"old": 2}),
                ((2, 2), (2, 2), {"new": 3, "old": 1}),
                ((4, 3), (1, 1), {"old": 0}),
                ((1, 0), (4, 2), {"old": 3}),             # of those that are not ready, as many as may
                ((5, 5), (0, 0), {"new": 4})):
            found = scale_plan(spec, replica_set("new", *new), [replica_set("old", *old)], False, False, True)
            self.assertEqual(found, plan, (new, old))

    def test_recreate_waits_for_the_end_of_the_old_pods(self):
        spec = {"replicas": 2, "strategy": {"type": "Recreate"}}
        new = {"metadata": {"name": "new"}, "spec": {"replicas": 0}}
        old = {"metadata": {"name": "old"}, "spec": {"replicas": 2}}
        self.assertEqual(scale_plan(spec, new, [old], False, True, True), {"old": 0})
        old["spec"]["replicas"] = 0
        self.assertEqual(scale_plan(spec, new, [old], False, True, True), {})
        self.assertEqual(scale_plan(spec, new, [old], False, True, False), {"new": 2})


if __name__ == "__main__":
    unittest.main()
