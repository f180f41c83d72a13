"""The node: its controllers against recordings of the real ones, and pods that run for real."""

import copy
import glob
import http.server
import json
import os
import re
import socket
import subprocess
import threading
import unittest

from lab import wait_for
from lab.cluster.node.controllers import Context
from lab.cluster.node.controllers.endpoint_slices import EndpointSliceController
from lab.cluster.node.controllers.endpoints_mirror import EndpointsMirror
from lab.cluster.node.controllers.rollout import bounds, scale_plan
from lab.cluster.node.informer import Informers
from lab.cluster.node.kubelet.environment import ConfigError, expand, field_of
from lab.cluster.node.kubelet.images import ImageNotFound, Images
from lab.cluster.node.kubelet.probes import ProbeFailed, run_probe
from lab.cluster.node.kubelet.security import privileges_of
from lab.cluster.node.objects import condition_of, merge_patch, quantity, selected
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
        return self.put(resource, item, "ADDED")

    def update(self, resource, body, subresource=""):
        return self.put(resource, copy.deepcopy(body), "MODIFIED")

    def delete(self, resource, namespace, name, **_):
        return self.put(resource, self.objects.pop((resource, namespace, name)), "DELETED")

    def find(self, resource, namespace, name):
        return self.objects.get((resource, namespace, name))

    def put(self, resource, item, event):
        self._revision += 1
        item = copy.deepcopy(item)
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


class SpecTest(unittest.TestCase):

    def test_variables_are_expanded_as_in_kubernetes(self):
        for text, expected in (("$(A)/x", "1/x"), ("$(MISSING)", "$(MISSING)"), ("$$(A)", "$(A)"),
                               ("$A", "$A"), ("$(A)$(B)", "12"), ("$$$(A)", "$1"), ("$(A", "$(A")):
            self.assertEqual(expand(text, {"A": "1", "B": "2"}), expected, text)

    def test_quantities_are_numbers(self):
        for text, number in (("100m", 0.1), ("2", 2), ("64Mi", 67108864), ("1k", 1000), ("1Gi", 2**30)):
            self.assertAlmostEqual(quantity(text), number)

    def test_fields_of_the_downward_api(self):
        pod = {"metadata": {"name": "web", "namespace": "shop", "uid": "1", "annotations": {},
                            "labels": {"app": "web", "v": '"1"'}},
               "spec": {"nodeName": "n"}, "status": {"podIP": "10.244.1.1"}}
        for path, value in (("metadata.name", "web"), ("metadata.labels['app']", "web"),
                            ("metadata.annotations['none']", ""), ("status.podIP", "10.244.1.1"),
                            ("spec.serviceAccountName", "default"),
                            ("metadata.labels", 'app="web"\nv="\\"1\\""')):
            self.assertEqual(field_of(pod, path), value)
        with self.assertRaisesRegex(ConfigError, "spec.color"):
            field_of(pod, "spec.color")

    def test_security_contexts_become_users_and_capabilities(self):
        class Image:
            user = 1337

        def privileges(pod=None, **container):
            return privileges_of({"securityContext": pod or {}},
                                 {"name": "c", "securityContext": container}, Image)

        self.assertEqual((privileges().uid, privileges().gid), (1337, 1337))
        self.assertEqual(privileges({"runAsUser": 5}, runAsGroup=6).setpriv[1:3], ("--reuid=5", "--regid=6"))
        only = privileges(runAsUser=0, capabilities={"drop": ["ALL"], "add": ["NET_ADMIN", "CAP_NET_RAW"]})
        self.assertIn("--bounding-set=-all,+net_admin,+net_raw", only.setpriv)
        self.assertIn("--no-new-privs", privileges(allowPrivilegeEscalation=False).setpriv)
        with self.assertRaisesRegex(ConfigError, "runAsNonRoot"):
            privileges({"runAsNonRoot": True}, runAsUser=0)

    def test_selectors_and_patches(self):
        labels = {"app": "web", "tier": "front"}
        for selector, selects in (
                (None, False), ({}, True), ({"matchLabels": {"app": "web"}}, True),
                ({"matchExpressions": [{"key": "app", "operator": "In", "values": ["api"]}]}, False),
                ({"matchExpressions": [{"key": "gone", "operator": "DoesNotExist"}]}, True)):
            self.assertEqual(selected(selector, labels), selects, selector)
        self.assertEqual(merge_patch({"a": 1, "b": {"c": 1, "d": 2}}, {"b": {"c": 2, "d": 2}, "e": []}),
                         {"a": None, "b": {"c": 2}, "e": []})

    def test_images_are_known_by_name_whatever_their_registry_and_tag(self):
        images = Images("/nonexistent")
        for reference, name in (("weft/app", "weft/app"), ("registry:5000/weft/app:1.0", "weft/app"),
                                ("nginx:1.27@sha256:abc", "nginx"), ("docker.io/library/nginx", "nginx")):
            self.assertEqual(images._name_of(reference), name)
        with self.assertRaisesRegex(ImageNotFound, "other/nginx/x:1"):
            images.get("other/nginx/x:1")
        self.assertIsNone(condition_of({"status": {}}, "Ready"))


class Answers(http.server.BaseHTTPRequestHandler):
    """Answers what its class says, and remembers what it was asked."""
    protocol_version = "HTTP/1.1"
    status, body, seen = 200, b"", None

    def do_GET(self):
        type(self).seen = dict(self.headers)
        self.rfile.read(int(self.headers.get("content-length") or 0))
        self.send_response(self.status)
        self.send_header("content-length", str(len(self.body)))
        self.end_headers()
        self.wfile.write(self.body)

    do_POST = do_GET

    def log_message(self, *_):
        pass


class ProbesTest(unittest.TestCase):

    def serve(self, **answer):
        """Starts a server that answers so; its handler class and its port."""
        handler = type("Handler", (Answers,), answer)
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        return handler, server.server_address[1]

    def probe(self, **probe):
        container = {"ports": [{"name": "http", "containerPort": self.port}]}
        return run_probe(probe, container, "127.0.0.1", None)

    def test_http_probes_go_by_status_and_send_their_headers(self):
        for status, passes in ((200, True), (204, True), (302, True), (399, True), (400, False),
                               (500, False)):
            handler, self.port = self.serve(status=status)
            action = {"port": "http", "path": "/x", "httpHeaders": [{"name": "Host", "value": "tea"}]}
            if passes:
                self.probe(httpGet=action)
                self.assertEqual(handler.seen["Host"], "tea")
                self.assertTrue(handler.seen["User-Agent"].startswith("kube-probe/"))
            else:
                with self.assertRaisesRegex(ProbeFailed, f"statuscode: {status}"):
                    self.probe(httpGet=action)

    def test_ports_that_nobody_listens_on_and_names_that_nobody_knows_fail(self):
        with socket.create_server(("127.0.0.1", 0)) as server:
            self.port = server.getsockname()[1]
            self.probe(tcpSocket={"port": "http"})
        for probe in ({"tcpSocket": {"port": self.port}}, {"httpGet": {"port": self.port}},
                      {"grpc": {"port": self.port}}, {"httpGet": {"port": "unknown"}}):
            with self.assertRaises(ProbeFailed):
                self.probe(**probe)

    def test_grpc_probes_ask_the_health_service(self):
        for body, passes in ((b"\0\0\0\0\2\x08\1", True), (b"\0\0\0\0\2\x08\2", False)):
            _, backend = self.serve(body=body)
            with socket.create_server(("127.0.0.1", 0)) as server:
                self.port = server.getsockname()[1]
            # HTTP/2 in, HTTP/1.1 out.
            proxy = subprocess.Popen(
                ["nghttpx", "--conf=/dev/null", "--errorlog-file=/dev/null", "--workers=1",
                 f"--frontend=127.0.0.1,{self.port};no-tls", f"--backend=127.0.0.1,{backend}"],
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            self.addCleanup(proxy.wait)
            self.addCleanup(proxy.terminate)
            wait_for(lambda: not socket.create_connection(("127.0.0.1", self.port)).close(), "nghttpx")
            if passes:
                self.probe(grpc={"port": self.port, "service": "tea"}, timeoutSeconds=5)
            else:
                with self.assertRaisesRegex(ProbeFailed, "SERVING"):
                    self.probe(grpc={"port": self.port}, timeoutSeconds=5)


if __name__ == "__main__":
    unittest.main()
