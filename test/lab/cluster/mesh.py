"""Weft in a cluster, and the shop of docs/examples/tea in it: what the demo shows and the tests try."""

import collections
import json
import os

from lab.binaries import ROOT
from lab.capture import Capture
from lab.namespace import APPLICATION_UID, Namespace
from lab.shell import run, wait_for

CHART = os.path.join(ROOT, "charts", "weft")
EXAMPLES = os.path.join(ROOT, "docs", "examples", "tea")
SYSTEM = "weft-system"
BETA = "cookie: version=beta"


class Client:
    """Where lab.load starts its programs."""

    application_uid = APPLICATION_UID

    def __init__(self, net):
        self.net = net

    def run(self, argv, **options):
        return self.net.run(argv, uid=self.application_uid, **options)


class Mesh:
    """A cluster with Weft; `cluster` is the Cluster."""

    def __init__(self, cluster):
        self.cluster = cluster

    def install(self, *flags):
        """helm install, until control plane and injector are ready."""
        return self.cluster.helm("install", "weft", CHART, "--namespace", SYSTEM, "--create-namespace",
                                 "--wait", "--timeout", "2m", *flags)

    def open_shop(self):
        """The shop in an annotated namespace, until every pod of it is ready."""
        self.cluster.kubectl("create", "namespace", "shop")
        self.cluster.kubectl("annotate", "namespace", "shop", "weft.io/inject=enabled")
        self.cluster.kubectl("-n", "shop", "apply", "-f", os.path.join(EXAMPLES, "shop.yaml"))
        self.await_shop()

    def await_shop(self):
        for deployment in ("tea-v1", "tea-v2", "web"):
            self.cluster.wait_for_rollout(f"deployment/{deployment}", "shop")

    def meshctl(self, *arguments, check=True, timeout=60):
        return run([self.cluster.lab.binary("meshctl"), *arguments], check=check, timeout=timeout,
                   env=self.cluster.environment())

    def pod(self, app, namespace="shop"):
        """The first pod with a label, such as "app=web"."""
        return self.cluster.pods(namespace, app)[0]

    def curl(self, *arguments, check=True):
        """curl in the shop's client."""
        return self.cluster.curl(self.pod("app=web"), "shop", *arguments, check=check, timeout=60)

    def get(self, url, *headers):
        """Body of a GET that must succeed."""
        flags = [flag for header in headers for flag in ("-H", header)]
        return self.curl("--fail-with-body", *flags, url).stdout.strip()

    def status_of(self, url, *arguments):
        """Status code of a request; 0 if no response came."""
        done = self.curl("-o", "/dev/null", "-w", "%{http_code}", *arguments, url, check=False)
        return int(done.stdout or 0)

    def answers(self, url, headers=(), count=20):
        """Who answered `count` requests on one connection: {answer: how often}."""
        flags = [flag for header in headers for flag in ("-H", header)]
        return dict(collections.Counter(
            self.curl("--fail-with-body", *flags, f"{url}?[1-{count}]").stdout.split()))

    def admin(self, pod, path, namespace="shop"):
        """Body of a GET on the admin port of a pod's sidecar."""
        return self.cluster.curl(pod, namespace, "--fail-with-body",
                                 f"http://127.0.0.1:15000{path}").stdout

    def weights(self, service):
        """{backend: weight} by which the client's sidecar shares out requests to "namespace/service"."""
        resources = json.loads(self.admin(self.pod("app=web"), "/config_dump"))["resources"]
        for resource in resources:
            destination = resource.get("destination", {})
            if destination.get("service") == service:
                return {backend["service"]: int(backend.get("weight", 0))
                        for backend in destination["rules"][-1].get("backends", [])}
        return {}

    def await_weights(self, service, wanted, deadline=10.0):
        """Until the client's sidecar has these weights; it must have dialled the service."""
        wait_for(lambda: self.weights(service) == wanted, f"weights {wanted} of {service}", deadline)

    def client(self):
        """The network of the shop's client, for programs that make load: not part of its pod, so names are
        not known there."""
        return Client(Namespace(self.cluster.netns(self.pod("app=web"), "shop"), self.cluster.log_dir))

    def capture(self, pod, namespace, packet_filter="tcp", interface="eth0"):
        """A Capture on a pod's interface, not started yet."""
        directory = os.path.join(self.cluster.directory, "captures")
        os.makedirs(directory, exist_ok=True)
        path = os.path.join(directory, f"{pod}-{interface}-{len(os.listdir(directory))}.pcap")
        network = Namespace(self.cluster.netns(pod, namespace), self.cluster.log_dir)
        return Capture(network, interface, path, packet_filter)
