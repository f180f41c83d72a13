"""A canary by cookie, over mutual TLS, between real pods: builds Weft and shows it at work.

Pods are network namespaces on this machine, with nginx as the application. Needs root; takes everything
away again when it ends.
"""

import argparse
import math
import os
import shutil
import sys
import tempfile
import time

import bazel
from terminal import (StepFailed, bold, check, command, cross, dim, say, table, tick, timed, title)

sys.path.insert(0, os.path.join(bazel.ROOT, "test"))
from lab import CommandFailed, Deadline, Lab, registry, wait_for  # pylint: disable=wrong-import-position
from lab.load import exact_requests  # pylint: disable=wrong-import-position

_PROGRAMS = ["//control-plane:weft-control-plane", "//injector/init:weft-init",
             "//sidecar:weft-sidecar", "//tools/meshctl:meshctl"]
_BETA = "cookie: version=beta"
_MARKER = "a-secret-that-the-wire-must-not-show"
_REQUESTS = 4000

_CANARY = """\
apiVersion: specs.smi-spec.io/v1alpha3
kind: HTTPRouteGroup
metadata:
  name: tea-beta
  namespace: shop
spec:
  matches:
    - name: beta-users
      headers:
        - cookie: "version=beta"
---
apiVersion: split.smi-spec.io/v1alpha3
kind: TrafficSplit
metadata:
  name: tea-canary
  namespace: shop
spec:
  service: tea.1
  backends:
    - service: tea.1
      weight: 0
    - service: tea.2
      weight: 100
  matches:
    - kind: HTTPRouteGroup
      name: tea-beta
"""

_WEIGHTS = """\
apiVersion: split.smi-spec.io/v1alpha3
kind: TrafficSplit
metadata:
  name: tea-canary
  namespace: shop
spec:
  service: tea.1
  backends:
    - service: tea.1
      weight: {tea_1}
    - service: tea.2
      weight: {tea_2}
"""


class Shop:
    """A client, two versions of tea, and a pod without a sidecar."""

    def __init__(self, lab):
        self.lab = lab
        self.web = lab.add_pod("web")
        self.tea = {}
        for version in ("1", "2"):
            self.tea[version] = [
                lab.add_pod(f"tea-{version}-{letter}", service_account=f"tea-{version}",
                            labels={"app": "tea", "version": version}, controller=f"tea-{version}",
                            ports=(80,)) for letter in "ab"]
            lab.add_service(f"tea.{version}", {"app": "tea", "version": version},
                            [{"name": "http", "port": 80}])
        lab.add_service("tea", {"app": "tea"}, [{"name": "http", "port": 80}])
        self.stranger = lab.add_pod("stranger", meshed=False)

    def start(self):
        self.lab.publish()
        for version, pods in self.tea.items():
            for pod in pods:
                pod.start_nginx(f"tea.{version}")
        for pods in self.tea.values():
            for pod in pods:
                pod.app.wait_until_listening()
        self.lab.start_control_plane()
        self.lab.start_sidecars()

    def answers(self, headers=(), count=20):
        """Who answered `count` requests to tea.1, as {answer: how often}."""
        flags = [flag for header in headers for flag in ("-H", header)]
        body = self.web.curl("--fail-with-body", *flags, *["http://tea.1/"] * count).stdout
        return {answer: body.split().count(answer) for answer in sorted(set(body.split()))}

    def served(self, version):
        return sum(pod.app.served() for pod in self.tea[version])


def who(answers):
    return ", ".join(f"{count} by {answer}" for answer, count in answers.items())


def everyone_reaches_tea_1(shop):
    title("1. Without a split, everyone reaches tea.1")
    command("curl http://tea.1/")
    say(wait_for(lambda: shop.web.get("http://tea.1/"), "the first answer"))
    for label, headers in (("no cookie", ()), ("cookie version=beta", (_BETA,))):
        seen = shop.answers(headers)
        check(seen == {"tea.1": 20}, f"{label}: 20 of 20 requests answered by tea.1", who(seen))


def canary_by_cookie(shop):
    title("2. A canary by cookie: one file dropped into the control plane's directory")
    say(dim(_CANARY.rstrip()))
    shop.lab.manifests.write("canary.yaml", _CANARY)
    start = time.monotonic()
    wait_for(lambda: shop.web.get("http://tea.1/", [_BETA]) == "tea.2", "the canary to be in force")
    tick("in force, nothing restarted", time.monotonic() - start)
    command(f"curl -H '{_BETA}' http://tea.1/")
    say(shop.web.get("http://tea.1/", [_BETA]))
    command("curl http://tea.1/")
    say(shop.web.get("http://tea.1/"))
    for label, headers, expected in (("cookie version=beta", (_BETA,), "tea.2"),
                                     ("no cookie", (), "tea.1"),
                                     ("cookie version=alpha", ("cookie: version=alpha",), "tea.1")):
        seen = shop.answers(headers)
        check(seen == {expected: 20}, f"{label}: 20 of 20 requests answered by {expected}", who(seen))


def weights(shop):
    title("3. Weights: the same file, edited")
    rows = []
    for tea_1, tea_2 in ((90, 10), (50, 50), (0, 100)):
        shop.lab.manifests.write("canary.yaml", _WEIGHTS.format(tea_1=tea_1, tea_2=tea_2))
        wanted = {"shop/tea.1": tea_1, "shop/tea.2": tea_2}
        wait_for(lambda w=wanted: (seen := shop.web.weights("shop/tea.1")) and
                 all(held == w for held in seen), f"weights {tea_1} : {tea_2} to be in force")
        before = [shop.served("1"), shop.served("2")]
        answered = exact_requests(shop.web, "http://tea.1/", _REQUESTS)
        if answered != _REQUESTS:
            raise StepFailed(f"only {answered} of {_REQUESTS} requests were answered with 2xx")
        counts = [shop.served("1") - before[0], shop.served("2") - before[1]]
        share = tea_2 / 100
        allowed = 5 * math.sqrt(_REQUESTS * share * (1 - share))
        if abs(counts[1] - _REQUESTS * share) > allowed:
            raise StepFailed(f"{counts} at {tea_1}/{tea_2} is more than chance allows")
        rows.append([f"{tea_1} : {tea_2}", _REQUESTS, *(f"{100 * count / _REQUESTS:.1f} %"
                                                        for count in counts)])
    table(["weights", "requests", "tea.1", "tea.2"], rows)
    tick("shares are the weights, within what chance allows")


def wire(shop, on_wire):
    title("4. The wire between the pods, recorded since before the first request")
    shop.lab.manifests.write("canary.yaml", _CANARY)
    pod = shop.tea["1"][0]
    command(f"curl -H 'cookie: secret={_MARKER}' http://tea.1/echo")
    with shop.lab.capture(pod, interface="lo") as inside_a, \
            shop.lab.capture(shop.tea["1"][1], interface="lo") as inside_b:
        for _ in range(20):
            shop.web.get("http://tea.1/echo", [f"cookie: secret={_MARKER}"])
    on_wire.stop()
    streams = on_wire.streams()
    size = sum(map(len, streams.values()))
    versions = sorted(set(on_wire.tls_versions()))
    check(streams and size > 10000, f"{size // 1000} kB in {len(streams)} TCP streams recorded",
          f"{size} bytes in {len(streams)} streams")
    check(versions == ["TLSv1.3"], "every handshake chose TLS 1.3", f"versions {versions}")
    check(inside_a.contains(_MARKER.encode()) or inside_b.contains(_MARKER.encode()),
          "inside the pod, between sidecar and nginx, the secret is there to be found",
          "the search cannot find it even where it is plain")
    check(not on_wire.contains(_MARKER.encode()), "between the pods, not one byte of it",
          "the secret is readable on the wire")


def strict(shop):
    title("5. Strict: a caller without a sidecar is refused")
    pod = shop.tea["1"][0]
    url = f"http://{pod.ip}/"
    command(f"curl {url}   # from a pod that is not in the mesh")
    check(shop.stranger.get(url) == "tea.1", "permissive, the default: plaintext is let in",
          "no answer")
    for tea in shop.tea["1"]:
        tea.annotations["config.weft.io/mtls-mode"] = "strict"
    shop.lab.publish()
    say(dim("annotations: {config.weft.io/mtls-mode: strict}"))
    wait_for(lambda: shop.stranger.status_of(url) == 0, "plaintext to be refused")
    before = shop.served("1")
    refused = shop.stranger.curl(url, check=False)
    say(refused.stderr.strip())
    check(refused.returncode != 0 and shop.served("1") == before,
          "strict: refused, and nginx never saw it", "it was answered")
    seen = shop.answers()
    check(seen == {"tea.1": 20}, "mesh peers are served as before", who(seen))


def views(shop):
    title("6. What meshctl shows")
    for arguments in (["status"], ["proxies"], ["splits"],
                      ["routes", "explain", "--from", "shop/web", "-H", _BETA, "http://tea.1/"]):
        quoted = " ".join(f"'{word}'" if " " in word else word for word in arguments)
        command(f"meshctl {quoted}")
        shown = shop.lab.control_plane.meshctl(*arguments).stdout
        say(shown.rstrip())
        if not shown.strip():
            raise StepFailed(f"meshctl {quoted} showed nothing")
    tick("the operator sees what the sidecars do")


def print_what_to_try(lab):
    enter = f"ip netns exec {lab.pods['web'].net.name}"
    meshctl = (f"ip netns exec {lab.node.name} {lab.binary('meshctl')} --control-plane "
               f"{lab.control_plane.address} --state {lab.control_plane.state}")
    title("It keeps running. Try:")
    for what, line in (
            ("a request from the client's pod", f"{enter} curl -H '{_BETA}' http://tea.1/"),
            ("change the rules while it runs", f"$EDITOR {lab.manifests.path}/canary.yaml"),
            ("ask the control plane", f"{meshctl} proxies"),
            ("look into a sidecar", f"{enter} curl http://127.0.0.1:15000/config_dump"),
            ("its metrics", f"{enter} curl http://127.0.0.1:15020/metrics"),
            ("some load", f"{enter} wrk -d 5s http://tea.1/"),
            ("the logs", f"ls {lab.log_dir}"),
            ("end it", "tools/demo --stop")):
        say(f"{what}:")
        say(f"  {bold(line)}")


def stop_kept():
    kept = registry.kept()
    for lab_id, directory in kept.items():
        registry.remove(lab_id, directory)
        print(f"lab {lab_id} is gone")
    if not kept:
        print("no demo is running")


def build():
    title("Building")
    start = time.monotonic()
    options = [] if sys.stdout.isatty() else ["--show_progress_rate_limit=15", "--color=no",
                                                    "--ui_event_filters=-info"]
    if bazel.call("build", *options, *_PROGRAMS, quiet=False) != 0:
        raise StepFailed("the build failed; its messages are above")
    os.environ["WEFT_BIN"] = bazel.info("bazel-bin")
    tick("the four programs are built", time.monotonic() - start)


def tell(log_dir, keep):
    with Lab(log_dir=log_dir) as lab:
        title("A mesh on this machine")
        with timed("6 pods (one without a sidecar), 3 services, a control plane: up and ready"):
            shop = Shop(lab)
            # Everything that leaves or enters the client's pod, except its talk with the control plane.
            on_wire = lab.capture(shop.web, f"tcp and not host {lab.node_ip}").start()
            shop.start()
        everyone_reaches_tea_1(shop)
        canary_by_cookie(shop)
        weights(shop)
        wire(shop, on_wire)
        strict(shop)
        views(shop)
        if keep:
            lab.keep()
            # What stays together goes together.
            lab.log_dir = shutil.move(log_dir, os.path.join(lab.directory, "logs"))
            print_what_to_try(lab)


def main():
    parser = argparse.ArgumentParser(prog="tools/demo", description=__doc__)
    only = parser.add_mutually_exclusive_group()
    only.add_argument("--keep", action="store_true",
                      help="leave the mesh running and print what to try")
    only.add_argument("--stop", action="store_true", help="end a mesh that was kept")
    arguments = parser.parse_args()
    if os.geteuid() != 0:
        parser.error("needs root: it makes network namespaces")
    if arguments.stop:
        stop_kept()
        return 0
    print(bold("Weft: a canary by cookie, over mutual TLS, between real pods"))
    log_dir = tempfile.mkdtemp(prefix="weft-demo-logs-")
    try:
        build()
        shown = time.monotonic()
        tell(log_dir, arguments.keep)
    except (StepFailed, CommandFailed, Deadline, RuntimeError, OSError, ValueError) as failure:
        cross(failure)
        print(f"\nThe logs of every program are in {log_dir}")
        return 1
    except KeyboardInterrupt:
        shutil.rmtree(log_dir, ignore_errors=True)
        print("\nInterrupted; everything is taken away.")
        return 130
    if not arguments.keep:
        shutil.rmtree(log_dir, ignore_errors=True)
        print(f"\n{bold('Done')} in {time.monotonic() - shown:.0f} s after the build; everything is taken "
              f"away. tools/demo --keep leaves it running.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
