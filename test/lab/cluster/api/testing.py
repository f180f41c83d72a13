"""For tests: an API server inside the test's own process, a client, and how answers are compared with
recordings."""

import glob
import http.client
import json
import os
import re
import shutil
import socket
import ssl
import tempfile
import unittest

import yaml

from lab.cluster.api import bootstrap
from lab.cluster.api.allow import AllowAll
from lab.cluster.api.certificates import Authority
from lab.cluster.api.http import Server
from lab.cluster.api.server import ApiServer
from lab.cluster.api.storage import Storage
from lab.shell import wait_for

TESTDATA = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "testdata")


class Settings:
    """Settings of a server under test."""

    def __init__(self, bookmark_interval=60.0, streaming_lists=True):
        self.bookmark_interval = bookmark_interval
        self.streaming_lists = streaming_lists


class Instance:
    """A server with everything but access control."""

    def __init__(self, history=10000, **settings):
        self.directory = tempfile.mkdtemp(prefix="weft-api-")
        authority = Authority(self.directory)
        self.store = Storage(None, history)
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        bootstrap.fill(self.store, "10.96.0.1", 6443, None)
        self.server = ApiServer(self.store, Settings(**settings))
        Server(authority.server_context(["127.0.0.1"]), self.server.handle,
               self.server.refuse).listen(self._socket)
        self.server.start(AllowAll())
        self.context = ssl.create_default_context(cadata=authority.certificate_pem.decode())
        self.context.check_hostname = False
        self.kubeconfig = os.path.join(self.directory, "kubeconfig")
        authority.write_kubeconfig(self.kubeconfig, f"https://127.0.0.1:{self.port}")

    def close(self):
        self._socket.close()
        shutil.rmtree(self.directory, ignore_errors=True)

    def connection(self):
        return http.client.HTTPSConnection("127.0.0.1", self.port, context=self.context, timeout=30)

    def request(self, method, path, body=None, headers=None):
        """(code, headers, body), the body decoded if it is JSON."""
        connection = self.connection()
        try:
            if body is not None and not isinstance(body, (str, bytes)):
                body = json.dumps(body)
            if isinstance(body, str):
                body = body.encode()
            connection.request(method, path, body, {"Accept": "application/json", **(headers or {})})
            response = connection.getresponse()
            data = response.read()
            if data and response.headers["Content-Type"].startswith("application/json"):
                data = json.loads(data)
            return response.status, response.headers, data
        finally:
            connection.close()

    def create(self, path, body):
        code, _, answer = self.request("POST", path, body, {"Content-Type": "application/json",
                                                            "User-Agent": "kubectl/v1.34"})
        if code != 201:
            raise AssertionError(f"POST {path}: {code} {answer}")
        return answer

    def load(self, objects):
        """Stores objects as they are."""
        lines = b"\n".join(json.dumps(obj).encode() for obj in objects)
        code, _, answer = self.request("POST", "/debug/load", lines)
        if code != 200:
            raise AssertionError(f"load: {code} {answer}")

    def watch(self, path, headers=None):
        """A Stream of a watch that has begun."""
        return Stream(self.connection(), path, headers)

    def install_definitions(self):
        """The three definitions of the recordings."""
        for name in ("trafficsplits", "httproutegroups", "traffictargets"):
            with open(os.path.join(TESTDATA, "inputs", f"crd-{name}.yaml")) as file:
                definition = yaml.safe_load(file)
            self.create("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", definition)
            spec = definition["spec"]
            version = spec["versions"][0]["name"]
            path = f"/apis/{spec['group']}/{version}/{spec['names']['plural']}"
            wait_for(lambda: self.watched(path), f"{name} to be served")

    def watched(self, path):
        """Whether something can be watched by now."""
        stream = self.watch(f"{path}?watch=true")
        stream.close()
        return stream.code == 200


class Stream:
    """The events of a watch."""

    def __init__(self, connection, path, headers):
        self._connection = connection
        connection.request("GET", path, headers={"Accept": "application/json", **(headers or {})})
        self.response = connection.getresponse()
        self.code = self.response.status

    def next(self):
        """The next event, or None at the end of the stream."""
        line = self.response.readline()
        return json.loads(line) if line else None

    def events(self):
        """All until the end."""
        return list(iter(self.next, None))

    def close(self):
        self._connection.close()


def recordings(folder, suffix="json"):
    """{file name without suffix: recording} of a folder."""
    found = {}
    for path in sorted(glob.glob(os.path.join(TESTDATA, folder, f"*.{suffix}"))):
        with open(path) as file:
            name = os.path.basename(path).removesuffix(f".{suffix}")
            found[name] = json.load(file) if suffix == "json" else [json.loads(line) for line in file]
    return found


_PATTERNS = (
    (re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"), "UID"),
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{6})?Z"), "TIME"),
    (re.compile(r"kube-api-access-\w{5}"), "kube-api-access-XXXXX"),
    (re.compile(r"10\.96\.\d+\.\d+"), "CLUSTER-IP"),
    (re.compile(r"^gen-\w{5}$"), "gen-XXXXX"),
    (re.compile(r"^(\d+[smhdy])+$"), "AGE"),
)
_VERSIONS = ("resourceVersion", "continue")


def normal(value):
    """What must be the same in every run: without times, uids, versions and random names."""
    if isinstance(value, dict):
        return {key: "VERSION" if key in _VERSIONS and entry else normal(entry)
                for key, entry in value.items()
                if key != "description"}
    if isinstance(value, list):
        if value and isinstance(value[0], dict) and "fieldsType" in value[0]:
            # Managers of the same second are sorted by name, and here everything is in one second.
            value = sorted(value, key=lambda entry: (entry["manager"], entry.get("subresource", "")))
        return [normal(entry) for entry in value]
    if isinstance(value, str):
        for pattern, replacement in _PATTERNS:
            value = pattern.sub(replacement, value)
    return value


def differences(recorded, got, path=""):
    """What differs, a line each."""
    if isinstance(recorded, dict) and isinstance(got, dict):
        found = []
        for key in {**recorded, **got}:
            inside = f"{path}.{key}"
            if key not in got:
                found.append(f"{inside} is missing: {json.dumps(recorded[key])[:200]}")
            elif key not in recorded:
                found.append(f"{inside} is too much: {json.dumps(got[key])[:200]}")
            else:
                found += differences(recorded[key], got[key], inside)
        return found
    if isinstance(recorded, list) and isinstance(got, list) and len(recorded) == len(got):
        return [line for index, (one, other) in enumerate(zip(recorded, got))
                for line in differences(one, other, f"{path}[{index}]")]
    if recorded != got:
        return [f"{path}: recorded {json.dumps(recorded)[:400]}, got {json.dumps(got)[:400]}"]
    return []


def fill_world(instance):
    """The objects of the recordings' cluster."""
    instance.install_definitions()
    objects = []
    lists = recordings("list")
    for name in ("namespaces", "pods", "services", "endpointslices", "secrets", "trafficsplits",
                 "httproutegroups",
                 "traffictargets"):
        answer = lists[name]["response"]["body"]
        kind = answer["kind"].removesuffix("List")
        objects += [{"kind": kind, "apiVersion": answer["apiVersion"], **item} for item in answer["items"]]
    objects += [line["event"]["object"] for line in recordings("watch", "jsonl")["no-resourceversion"]
                if "event" in line]
    for step in lists["chunked-configmaps"]["steps"]:
        objects += [{"kind": "ConfigMap", "apiVersion": "v1", **item}
                    for item in step["response"]["body"].get("items") or []]
    objects += [{"kind": "Node", "apiVersion": "v1", "metadata": {
        "name": f"n{number}", "uid": f"node-{number}", "creationTimestamp": "2026-11-22T20:24:42Z",
        "labels": {"topology.kubernetes.io/zone": zone}}, "spec": {}, "status": {}}
        for number, zone in ((1, "zone-a"), (2, "zone-b"))]
    existing = {("Namespace", "default"), ("Namespace", "kube-node-lease"), ("Namespace", "kube-public"),
                ("Namespace", "kube-system"), ("Service", "kubernetes")}
    instance.load([obj for obj in objects if (obj["kind"], obj["metadata"]["name"]) not in existing])
    for name in ("default", "web"):
        instance.create("/api/v1/namespaces/shop/serviceaccounts", {"metadata": {"name": name}})


class InstanceTestCase(unittest.TestCase):
    """Tests that have servers of their own."""

    def instance(self, **settings):
        instance = Instance(**settings)
        self.addCleanup(instance.close)
        return instance

    def names(self, answer):
        return [item["metadata"]["name"] for item in answer["items"]]

    def get(self, instance, path, code=200):
        got, _, answer = instance.request("GET", path)
        self.assertEqual(got, code, answer)
        return answer
