"""The lab's API server answers as a real one did: recorded requests, replayed, and what came back."""

import concurrent.futures
import json
import re
import unittest

from lab.cluster.api.testing import Instance, differences, fill_world, normal, recordings

# What is recorded about things that are stories of their own (api_stories_test.py) or not this server's.
_LISTS_APART = ("chunked-configmaps", "chunked-configmaps-label-selector", "rv-0", "rv-exact",
                "rv-not-older-than",
                "namespaces", "services", "pods-accept-yaml")
_WATCHES_APART = ("periodic-bookmarks", "namespace-deleted", "services-namespace-deleted")
_ERRORS_WITHOUT_DEFINITIONS = ("404-group-not-installed", "404-group-not-installed-watch",
                               "404-group-discovery-not-installed", "403-crd-not-installed")

# The recordings of write/ build upon each other in this order.
_WRITES = ("put-without-resourceversion", "create-without-kind-builtin", "create-generate-name",
           "patch-merge",
           "patch-json", "patch-strategic", "apply-create", "apply-conflict-409", "apply-force", "apply-crd",
           "create-yaml", "put-crd", "put-crd-change", "delete-pod-graceful", "delete-pod-now",
           "delete-with-finalizer", "remove-finalizer", "delete-collection", "delete-configmap",
           "delete-custom-resource", "delete-namespace", "service-create", "pod-create-defaults", "dry-run",
           "fieldvalidation-strict-400", "fieldvalidation-warn", "fieldvalidation-ignore",
           "fieldvalidation-strict-crd-400", "fieldvalidation-warn-crd-pruned",
           "fieldvalidation-strict-duplicate-400", "status-subresource-missing-404")


def send(instance, request, agent="kubectl/v1.34", **changes):
    """Sends a recorded request; `changes` replace parts of it, `agent` says who acts."""
    request = {**request, **changes}
    headers = {name: value for name, value in request.get("headers", {}).items() if name != "Authorization"}
    if "contentType" in request:
        headers.update({"Content-Type": request["contentType"], "User-Agent": agent})
    return instance.request(request["method"], request["path"], request.get("body"), headers)


def compare(recorded, answer):
    """What differs between a recorded response and an answer."""
    code, headers, body = answer
    found = []
    if code != recorded["status"]:
        found.append(f"recorded status {recorded['status']}, got {code}")
    if headers["Content-Type"] != recorded["headers"].get("Content-Type"):
        found.append(f"recorded {recorded['headers'].get('Content-Type')}, got {headers['Content-Type']}")
    for name in ("Retry-After", "Warning"):
        wanted = recorded["headers"].get(name)
        wanted = [wanted] if isinstance(wanted, str) else wanted or []
        if wanted != (headers.get_all(name) or []):
            found.append(f"{name}: recorded {wanted}, got {headers.get_all(name)}")
    if isinstance(body, bytes):
        body = body.decode() or None
    return found + differences(normal(recorded.get("body")), normal(body))


class ReplayTest(unittest.TestCase):

    def instance(self, **settings):
        instance = Instance(**settings)
        self.addCleanup(instance.close)
        fill_world(instance)
        return instance

    def check(self, name, found):
        with self.subTest(recording=name):
            self.assertEqual(found, [])

    def test_lists_and_gets(self):
        instance = self.instance()
        for name, recording in recordings("list").items():
            if name not in _LISTS_APART:
                self.check(name, compare(recording["response"], send(instance, recording["request"])))

    def test_errors(self):
        instance = self.instance()
        instance.create("/api/v1/namespaces/shop/configmaps",
                        {"metadata": {"name": "e1"}, "data": {"a": "b"}})
        self.terminating_namespace(instance)
        for name, recording in recordings("errors").items():
            if name in _ERRORS_WITHOUT_DEFINITIONS or name == "409-conflict":
                continue
            answer = self.error(instance, name, recording["request"])
            answer = (answer[0], answer[1], without_current_version(answer[2]))
            response = {**recording["response"],
                        "body": without_current_version(recording["response"].get("body"))}
            self.check(name, compare(response, answer))

    def error(self, instance, name, request):
        if name == "409-delete-precondition":
            request = {**request, "body": {**request["body"]}}
        if name == "413-body-too-large":
            return send(instance, request, body=json.dumps({"data": {"a": "x" * (3 * 1024 * 1024)}}))
        if name == "422-configmap-too-large":
            return send(instance, request,
                        body={"metadata": {"name": "big"}, "data": {"a": "x" * (1024 * 1024 + 1)}})
        return send(instance, request)

    @staticmethod
    def terminating_namespace(instance):
        """One that a finalizer of something in it keeps from going."""
        instance.create("/api/v1/namespaces", {"metadata": {"name": "gone"}})
        instance.create("/api/v1/namespaces/gone/configmaps",
                        {"metadata": {"name": "x", "finalizers": ["weft.io/x"]}})
        instance.request("DELETE", "/api/v1/namespaces/gone")

    def test_an_old_resource_version_is_a_conflict(self):
        instance = self.instance()
        path = "/api/v1/namespaces/shop/configmaps"
        old = instance.create(path, {"metadata": {"name": "e1"}, "data": {"a": "b"}})
        instance.request("PATCH", f"{path}/e1", {"data": {"a": "c"}},
                         {"Content-Type": "application/merge-patch+json"})
        recording = recordings("errors")["409-conflict"]
        self.check("409-conflict",
                   compare(recording["response"], send(instance, recording["request"], body=old)))

    def test_what_is_not_installed(self):
        instance = Instance()
        self.addCleanup(instance.close)
        for name in _ERRORS_WITHOUT_DEFINITIONS[:3]:
            recording = recordings("errors")[name]
            self.check(name, compare(recording["response"], send(instance, recording["request"])))

    def test_discovery(self):
        instance = self.instance()
        for name, recording in recordings("discovery").items():
            request = recording["request"]
            code, headers, answer = send(instance, request)
            if "resources" in answer:
                # A real server serves more than this one.
                served = {resource["name"] for resource in answer["resources"]}
                recorded = [resource for resource in recording["response"]["body"]["resources"]
                            if resource["name"] in served]
                for resource in recorded:
                    resource.pop("storageVersionHash", None)
                recording["response"]["body"]["resources"] = recorded
            self.check(name, compare(recording["response"], (code, headers, answer)))

    def test_a_definition_is_completed(self):
        instance = Instance()
        self.addCleanup(instance.close)
        recording = recordings("crd")["crd-create"]
        self.check("crd-create", compare(recording["response"], send(instance, recording["request"])))

    def test_writes(self):
        instance = self.instance()
        self.prepare_writes(instance)
        found = recordings("write")
        self.assertEqual(set(found) - set(_WRITES), set(), "every recording has its place")
        for name in _WRITES:
            request = found[name]["request"]
            if name.startswith("put-crd"):
                request = {**request, "body": self.fresh(instance, request)}
            self.check(name, compare(found[name]["response"], send(instance, request)))

    @staticmethod
    def fresh(instance, request):
        """The recorded body with the resourceVersion that the object has here."""
        _, _, now = instance.request("GET", request["path"])
        metadata = {**request["body"]["metadata"], "resourceVersion": now["metadata"]["resourceVersion"]}
        return {**request["body"], "metadata": metadata}

    @staticmethod
    def prepare_writes(instance):
        configmaps = "/api/v1/namespaces/shop/configmaps"
        instance.request("POST", configmaps, {"metadata": {"name": "e1"}, "data": {"a": "c"}})
        instance.create(configmaps, {"metadata": {"name": "fin", "finalizers": ["weft.io/keep"]}})
        instance.create("/api/v1/namespaces", {"metadata": {"name": "del"}})
        instance.create("/api/v1/namespaces/shop/pods", {
            "metadata": {"name": "del", "labels": {"app": "del"}}, "spec": {"nodeName": "n1", "containers": [
                {"name": "app", "image": "registry.example/app:1",
                 "ports": [{"name": "http", "containerPort": 8080}]}]}})
        # The TrafficSplit of the recordings has been changed once by then.
        instance.request("PATCH", "/apis/split.smi-spec.io/v1alpha3/namespaces/shop/trafficsplits/web",
                         {"spec": {
            "backends": [{"service": "web-v1", "weight": 80}, {"service": "web-v2", "weight": 20}]}},
            {"Content-Type": "application/merge-patch+json", "User-Agent": "kubectl/v1"})
        instance.request("PATCH", f"{configmaps}/chunk-0", {"data": {"n": "00"}},
                         {"Content-Type": "application/merge-patch+json"})
        for name in ("chunk-9r", "chunk-9s"):
            instance.request("POST", configmaps, {"metadata": {"name": name, "labels": {"set": "chunk"}}})

    def test_watches(self):
        self.replay_streams({**{f"watch/{name}": lines for name, lines in recordings("watch", "jsonl").items()
                                if name not in _WATCHES_APART},
                             **{f"watchlist/{name}": lines
                                for name, lines in recordings("watchlist", "jsonl").items()}})

    def replay_streams(self, streams):
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            futures = {name: pool.submit(self.replay_stream, name, lines) for name, lines in streams.items()}
            for name, future in futures.items():
                self.check(name, future.result())

    def replay_stream(self, name, lines):
        instance = Instance()
        try:
            fill_world(instance)
            path = re.sub(r"timeoutSeconds=\d+", "timeoutSeconds=3", lines[0]["request"]["path"])
            if "timeoutSeconds" not in path:
                path += "&timeoutSeconds=3"
            if "=99999999" not in path:
                path = re.sub(r"resourceVersion=[1-9]\d*", f"resourceVersion={instance.store.version}", path)
            stream = instance.watch(path,
                                    {name: value for name, value in lines[0]["request"]["headers"].items()
                                           if name != "Authorization"})
            for line in lines:
                if "action" in line:
                    agent = "kubelet" if line["action"].startswith("kubelet") else "kubectl/v1.34"
                    code, _, answer = send(instance, line["request"], agent)
                    if code != line["status"]:
                        return [f"{line['action']}: recorded {line['status']}, got {code}: {answer}"]
            return self.compare_streams([line["event"] for line in lines if "event" in line], stream.events())
        finally:
            instance.close()

    @staticmethod
    def compare_streams(recorded, got):
        """Events in their order; the bookmarks before the end may be fewer or more, but not different."""
        def split(events):
            plain = [event for event in events if event["type"] != "BOOKMARK" or
                     "annotations" in event["object"]["metadata"]]
            return plain, [event for event in events if event not in plain]
        (recorded, recorded_bookmarks), (got, bookmarks) = split(recorded), split(got)
        found = differences(without_history(recorded), without_history(got))
        if recorded_bookmarks and not bookmarks:
            found.append(f"recorded {len(recorded_bookmarks)} bookmarks before the end, got none")
        for bookmark in bookmarks if recorded_bookmarks else []:
            found += differences(normal(recorded_bookmarks[0]), normal(bookmark), "bookmark")
        return found


def without_history(events):
    """Without what namespaces and services of the start were given by another server's first start."""
    events = normal(events)
    for event in events:
        metadata = event["object"].get("metadata", {})
        if metadata.get("name") in ("default", "kube-node-lease", "kube-public", "kube-system", "kubernetes"):
            metadata.pop("managedFields", None)
            event["object"].get("spec", {}).pop("ports", None)
        if event["type"] == "ERROR":
            event["object"] = without_current_version(event["object"])
    return events


def without_current_version(body):
    """A message may name the version that the server has now, or how its JSON parser complains."""
    if isinstance(body, dict) and "message" in body:
        message = re.sub(r"current: \d+", "current: VERSION", body["message"])
        message = re.sub(r"(continue key is not valid: ).*", r"\1REASON", message)
        body = {**body, "message": message}
    return body
