"""Runs a mesh under mixed load and constant change for a given time, then lets it rest, and compares with an
earlier rest: memory, descriptors and subscriptions must not have grown, and no request may have failed.

Load: HTTP/1.1 on kept and on fresh connections, HTTP/2, opaque TCP. Change: weights of a split every second, a pod
that leaves and comes back, certificates that live 20 seconds, a control plane that is killed once a minute.
"""

import argparse
import json
import os
import sys
import threading
import time

import bazel
import fuzz
import terminal

sys.path[:0] = [os.path.join(bazel.ROOT, "test"), os.path.join(bazel.ROOT, "test", "e2e")]
from lab import Lab, wait_for  # pylint: disable=wrong-import-position
from lab.http2_apps import Http2Nginx  # pylint: disable=wrong-import-position
import soak_load  # pylint: disable=wrong-import-position
from shop import HTTP, add_tea, split  # pylint: disable=wrong-import-position

_PROGRAMS = ["//control-plane:weft-control-plane", "//sidecar:weft-sidecar", "//injector/init:weft-init",
             "//tools/meshctl:meshctl"]
_RESULT = os.path.join(bazel.ROOT, ".deps", "soak.json")
_LEAF_LIFETIME = "20s"
_WARM_UP_S = 30
_REST_S = 65            # longer than a pooled connection is kept
_CONTROL_PLANE_RESTART_S = 60
_READINESS_S = 7

# What may be more at the end than at the beginning: allocators keep pages, and a renewal may be under way.
_GROWTH_SHARE, _GROWTH_BYTES = 1.10, 2 * 1024 * 1024
_GROWTH_DESCRIPTORS = 4


class Mesh:
    """A client, two versions of tea, a server of HTTP/2, and one that sends everything back."""

    def __init__(self, lab):
        self.lab = lab
        self.web = lab.add_pod("web")
        self.tea_1, self.tea_2 = add_tea(lab, 1, 2), add_tea(lab, 2, 2)
        lab.add_service("tea", {"app": "tea"}, HTTP)
        self.echo = lab.add_pod("echo", ports=(9000,))
        self.echo_service = lab.add_service("echo", {"app": "echo"}, [{"name": "tcp-echo", "port": 9000}])
        self.http2 = lab.add_pod("grpc", ports=(80,))
        lab.add_service("grpc", {"app": "grpc"}, [{"name": "http2", "port": 80}])
        lab.publish()
        Http2Nginx(self.http2, "http2", (80,)).wait_until_listening()
        for version, pods in ((1, self.tea_1), (2, self.tea_2)):
            for pod in pods:
                pod.start_nginx(f"tea.{version}").wait_until_listening()
        soak_load.Echo(self.echo, 9000)
        lab.start_control_plane("--leaf-lifetime", _LEAF_LIFETIME)
        lab.start_sidecars()
        wait_for(lambda: self.web.get("http://tea.1/") == "tea.1", "the mesh to answer")

    @property
    def meshed(self):
        return [self.web, *self.tea_1, *self.tea_2, self.http2, self.echo]

    def state(self):
        """{program: {quantity: value}} now. The control plane has none, since it is a new process each time."""
        return {pod.name: {"rss": pod.sidecar.rss_bytes(), "descriptors": pod.sidecar.open_files(),
                           "subscriptions": pod.metric("weft_discovery_subscriptions")}
                for pod in self.meshed}


class Change(threading.Thread):
    """Changes the mesh until stop()."""

    def __init__(self, mesh):
        super().__init__(daemon=True)
        self._mesh, self._over = mesh, threading.Event()
        self.splits = self.restarts = 0
        self.error = None

    def run(self):
        try:
            self._run()
        except Exception as error:  # pylint: disable=broad-exception-caught
            self.error = error

    def _run(self):
        lab, pod = self._mesh.lab, self._mesh.tea_1[1]
        restart, readiness = time.monotonic(), time.monotonic()
        while not self._over.wait(1):
            share = (self.splits * 30) % 101
            lab.manifests.write("canary.yaml", [split({"tea.1": 100 - share, "tea.2": share})])
            self.splits += 1
            now = time.monotonic()
            if now - readiness >= _READINESS_S:
                pod.ready = not pod.ready
                lab.publish()
                readiness = now
            if now - restart >= _CONTROL_PLANE_RESTART_S:
                lab.control_plane.kill()
                lab.control_plane.start()
                self.restarts += 1
                restart = now

    def stop(self):
        """Leaves the mesh as it was found."""
        self._over.set()
        self.join()
        if self.error:
            raise self.error
        self._mesh.tea_1[1].ready = True
        self._mesh.lab.publish()
        if os.path.exists(os.path.join(self._mesh.lab.manifests.path, "canary.yaml")):
            self._mesh.lab.manifests.delete("canary.yaml")


def work(mesh, seconds):
    """Load and change for so long; the load's totals, by kind, and the change."""
    change = Change(mesh)
    change.start()
    totals = soak_load.run(mesh, seconds)
    change.stop()
    return totals, change


def grown(before, after):
    """Sentences on what has grown beyond what may."""
    for program, quantities in after.items():
        was = before[program]
        if quantities["rss"] > was["rss"] * _GROWTH_SHARE + _GROWTH_BYTES:
            yield f"{program}: {was['rss'] >> 10} KiB resident at first, {quantities['rss'] >> 10} KiB at the end"
        if quantities["descriptors"] > was["descriptors"] + _GROWTH_DESCRIPTORS:
            yield f"{program}: {was['descriptors']} descriptors at first, {quantities['descriptors']} at the end"
        if quantities["subscriptions"] > was["subscriptions"]:
            yield f"{program}: {was['subscriptions']:.0f} subscriptions at first, " \
                  f"{quantities['subscriptions']:.0f} at the end"


def rest(mesh):
    time.sleep(_REST_S)
    return mesh.state()


def soak(seconds):
    """The whole story; returns what went wrong, as sentences."""
    with Lab() as lab:
        terminal.title(f"A mesh of {_LEAF_LIFETIME} certificates under load and change for {seconds} s")
        mesh = Mesh(lab)
        work(mesh, _WARM_UP_S)
        before = rest(mesh)
        terminal.tick("warmed up and rested")
        totals, change = work(mesh, seconds)
        terminal.tick(f"{change.splits} changes of a split, {change.restarts} restarts of the control plane")
        after = rest(mesh)
        wrong = list(grown(before, after))
        for kind, (done, failed) in totals.items():
            terminal.tick(f"{kind}: {done:,} done, {failed} failed")
            if failed or not done:
                wrong.append(f"{kind}: {failed} of {done + failed:,} failed")
        for pod in mesh.meshed:
            pod.sidecar.check_running()
        terminal.title("At rest, before and after")
        for program, quantities in after.items():
            was = before[program]
            terminal.say(f"{program:10} {was['rss'] >> 10:>7,} -> {quantities['rss'] >> 10:>7,} KiB   "
                         f"{was['descriptors']:>3} -> {quantities['descriptors']:>3} descriptors   "
                         f"{was['subscriptions']:.0f} -> {quantities['subscriptions']:.0f} subscriptions")
    os.makedirs(os.path.dirname(_RESULT), exist_ok=True)
    with open(_RESULT, "w", encoding="ascii") as result:
        json.dump({"seconds": seconds, "load": totals, "before": before, "after": after, "wrong": wrong}, result,
                  indent=2)
    return wrong


def main():
    parser = argparse.ArgumentParser(prog="tools/soak", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--time", type=fuzz.duration_seconds, default="10m", metavar="DURATION",
                        help="under load and change: 90s, 10m, 8h (default: 10m)")
    parser.add_argument("--binaries", metavar="DIR", help="programs to run, instead of building them")
    arguments = parser.parse_args()
    if not arguments.binaries:
        if bazel.call("build", *_PROGRAMS) != 0:
            return 1
        arguments.binaries = bazel.info("bazel-bin")
    os.environ["WEFT_BIN"] = arguments.binaries
    wrong = soak(arguments.time)
    for sentence in wrong:
        terminal.cross(sentence)
    if not wrong:
        terminal.tick("nothing has grown, nothing has failed")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
