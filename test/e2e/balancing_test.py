"""Each balancing method, by the name that users know, does what it says."""

import json

from lab import wait_for
from lab.steady import Fickle, Steady
from shop import HTTP, LabTest

# Endpoints: `fast`; `slow`, whose responses begin late; `late`, whose responses begin at once and end late.
SECONDS = 0.05


def even(share):
    return min(share.values()) > 0.2


def fewest_under_way(share):
    return share["fast"] > max(share["slow"], share["late"]) * 1.2


def soonest_head(share):
    # Of two random endpoints the slow one is only ever tried anew.
    return share["slow"] < min(0.28, share["late"]) and share["fast"] > 0.25


def soonest_end(share):
    # One pair in three is without the fast one.
    return share["fast"] > 0.5 and share["slow"] < 0.35 and share["late"] < 0.35


METHODS = {
    "round_robin": ("LB_METHOD_ROUND_ROBIN", even),
    "least_conn": ("LB_METHOD_LEAST_CONN", fewest_under_way),
    "least_time": ("LB_METHOD_LEAST_TIME", soonest_head),
    "least_time last_byte": ("LB_METHOD_LEAST_TIME_LAST_BYTE", soonest_end),
    "least_time last_byte inflight": ("LB_METHOD_LEAST_TIME_LAST_BYTE_INFLIGHT", soonest_end),
    "random": ("LB_METHOD_RANDOM", even),
    "random two": ("LB_METHOD_RANDOM_TWO", fewest_under_way),
    "random two least_conn": ("LB_METHOD_RANDOM_TWO_LEAST_CONN", fewest_under_way),
    "random two least_time": ("LB_METHOD_RANDOM_TWO_LEAST_TIME", soonest_head),
    "random two least_time=last_byte": ("LB_METHOD_RANDOM_TWO_LEAST_TIME_LAST_BYTE", soonest_end),
}


class BalancingTest(LabTest):

    @classmethod
    def make(cls):
        lab = cls.lab
        cls.web = lab.add_pod("web")
        cls.tea = {name: lab.add_pod(name, service_account="tea", labels={"app": "tea"},
                                     ports=(80,)) for name in ("fast", "slow", "late")}
        cls.service = lab.add_service("tea", {"app": "tea"}, HTTP)
        lab.publish()
        for name, pod in cls.tea.items():
            pod.app = Fickle(pod, head_seconds=SECONDS if name == "slow" else 0,
                             body_seconds=SECONDS if name == "late" else 0)
        for pod in cls.tea.values():
            pod.app.wait_until_listening()
        lab.start_control_plane()
        # One worker: what is measured of an endpoint is known to all.
        lab.start_sidecars("--workers", "1")
        wait_for(lambda: cls.web.status_of("http://tea/") == 200, "tea to answer")

    def await_method(self, method):
        def in_force():
            resources = json.loads(self.web.admin("/config_dump"))["resources"]
            return [resource["destination"].get("lb_method") for resource in resources
                    if resource["type"] == "Destination" and
                    resource["destination"].get("service") == "shop/tea"]
        self.eventually(lambda: set(in_force()) == {method}, method)

    def share(self, requests=250):
        """{endpoint: its part} of a load."""
        load = Steady(self.web, "http://tea/", per_second=400, connections=15)
        served = {name: sum(pod.app.seen().values()) for name, pod in self.tea.items()}

        def so_far():
            return sum(sum(pod.app.seen().values()) - served[name]
                       for name, pod in self.tea.items())

        self.eventually(lambda: so_far() >= requests, "the load to be on", 20)
        totals = load.stop()
        self.assertEqual(totals.failed, [], totals)
        return {name: totals.by.get(name, 0) / sum(totals.by.values()) for name in self.tea}

    def test_every_method_of_a_service_does_what_it_says(self):
        for name, (method, fits) in METHODS.items():
            with self.subTest(method=name):
                self.service.annotations = {"config.nsm.nginx.com/lb-method": name}
                self.lab.publish()
                self.await_method(method)
                share = self.share()
                self.assertTrue(fits(share), share)

    def test_every_method_can_be_mesh_wide_and_a_service_beats_it(self):
        def mesh_wide(name):
            self.lab.manifests.write("mesh.yaml", [
                {"apiVersion": "weft.io/v1", "kind": "MeshConfig", "metadata": {"name": "default"},
                 "spec": {"lbMethod": name}}])

        self.service.annotations = {}
        self.lab.publish()
        for name, (method, _) in METHODS.items():
            mesh_wide(name)
            self.await_method(method)
        self.service.annotations = {"config.weft.io/lb-method": "random"}
        self.lab.publish()
        mesh_wide("least_conn")
        self.await_method("LB_METHOD_RANDOM")
        self.service.annotations = {}
        self.lab.publish()
        self.await_method("LB_METHOD_LEAST_CONN")
        self.lab.manifests.delete("mesh.yaml")
        self.await_method("LB_METHOD_LEAST_TIME")
