"""The shop that the tests work in: a client, two versions of tea, and the Services in front of them."""

import os
import unittest

from lab import Lab, wait_for

HTTP = [{"name": "http", "port": 80}]
BETA = "cookie: version=beta"


def route_group(name="tea-beta", cookie="version=beta"):
    """An HTTPRouteGroup of the requests that carry a cookie."""
    return {"apiVersion": "specs.smi-spec.io/v1alpha3", "kind": "HTTPRouteGroup",
            "metadata": {"name": name, "namespace": "shop"},
            "spec": {"matches": [{"name": "beta", "headers": [{"cookie": cookie}]}]}}


def split(weights, root="tea.1", matches=(), name="tea-canary"):
    """A TrafficSplit: weights is {service: weight}, matches names HTTPRouteGroups."""
    spec = {"service": root,
            "backends": [{"service": service, "weight": weight}
                         for service, weight in weights.items()]}
    if matches:
        spec["matches"] = [{"kind": "HTTPRouteGroup", "name": group} for group in matches]
    return {"apiVersion": "split.smi-spec.io/v1alpha3", "kind": "TrafficSplit",
            "metadata": {"name": name, "namespace": "shop"}, "spec": spec}


def canary():
    """The scenario that must always work: cookie version=beta to tea.2, everyone else to tea.1."""
    return [route_group(), split({"tea.1": 0, "tea.2": 100}, matches=["tea-beta"])]


def add_tea(lab, version, replicas=1, **options):
    """Pods of one version with their Service: tea-<version>-a, tea-<version>-b, ..."""
    pods = [lab.add_pod(f"tea-{version}-{letter}", service_account=f"tea-{version}",
                        labels={"app": "tea", "version": str(version)}, controller=f"tea-{version}",
                        ports=(80,), **options) for letter in "abcd"[:replicas]]
    lab.add_service(f"tea.{version}", {"app": "tea", "version": str(version)}, HTTP)
    return pods


class LabTest(unittest.TestCase):
    """A lab of its own for every class; make() fills it."""

    binaries = None

    @classmethod
    def setUpClass(cls):
        logs = os.environ.get("WEFT_TEST_LOGS")
        logs = os.path.join(logs, cls.__name__) if logs else None
        cls.lab = Lab(log_dir=logs, binaries=cls.binaries).__enter__()
        cls.addClassCleanup(cls.lab.close)
        cls.make()

    @classmethod
    def make(cls):
        raise NotImplementedError

    def eventually(self, condition, what, deadline=10.0):
        return wait_for(condition, what, deadline)


class ShopTest(LabTest):
    """web, tea.1 and tea.2 in the mesh, without any split."""

    control_plane_flags = ()
    sidecar_flags = ()
    replicas = 1

    @classmethod
    def make(cls):
        lab = cls.lab
        cls.web = lab.add_pod("web")
        cls.tea_1 = add_tea(lab, 1, cls.replicas)
        cls.tea_2 = add_tea(lab, 2, cls.replicas)
        lab.add_service("tea", {"app": "tea"}, HTTP)
        cls.extend()
        lab.publish()
        for version, pods in ((1, cls.tea_1), (2, cls.tea_2)):
            for pod in pods:
                pod.start_nginx(f"tea.{version}")
        for pod in cls.tea_1 + cls.tea_2:
            pod.app.wait_until_listening()
        lab.start_control_plane(*cls.control_plane_flags)
        lab.start_sidecars(*cls.sidecar_flags)
        # The first request asks for its destination; from here on the shop is open.
        wait_for(lambda: cls.web.get("http://tea.1/") == "tea.1", "the shop to answer")

    @classmethod
    def extend(cls):
        """More pods and services, before anything starts."""

    def apply(self, *objects, file_name="canary.yaml"):
        """Puts a manifest into the directory until the test ends."""
        self.lab.manifests.write(file_name, objects)
        self.addCleanup(self._delete, file_name)

    def _delete(self, file_name):
        if os.path.exists(os.path.join(self.lab.manifests.path, file_name)):
            self.lab.manifests.delete(file_name)
            # The next test begins where no split is in force.
            wait_for(lambda: '"split"' not in self.web.admin("/config_dump"), "the split to be gone")

    def answers(self, url="http://tea.1/", headers=(), count=10):
        """What `count` requests on one connection were answered, as {answer: how often}."""
        flags = [flag for header in headers for flag in ("-H", header)]
        body = self.web.curl("--fail-with-body", *flags, *[url] * count).stdout
        seen = {}
        for line in body.split():
            seen[line] = seen.get(line, 0) + 1
        return seen
