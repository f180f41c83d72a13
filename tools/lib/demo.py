"""A mesh on Kubernetes, on this machine: builds Weft and shows it at work with kubectl and helm.

The cluster is a small API server and a node whose pods are network namespaces; kubectl and Helm are the real
ones, and nginx is the application. Needs root; takes everything away again when it ends.
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
from lab import CommandFailed, Deadline, registry, wait_for  # pylint: disable=wrong-import-position
from lab.cluster.cluster import Cluster  # pylint: disable=wrong-import-position
from lab.cluster.mesh import BETA, Mesh  # pylint: disable=wrong-import-position

_PROGRAMS = ["//control-plane:weft-control-plane", "//injector:weft-injector",
             "//injector/init:weft-init", "//sidecar:weft-sidecar", "//tools/meshctl:meshctl"]
_EXAMPLES = os.path.join("docs", "examples", "tea")
_MARKER = "a-secret-that-the-wire-must-not-show"
_REQUESTS = 4000


class Shop(Mesh):
    """The pods of docs/examples/tea."""

    def kubectl(self, *arguments, show=True):
        """Runs kubectl as a reader could, and shows what it says."""
        if show:
            command("kubectl " + " ".join(f"'{word}'" if " " in word or "{" in word else word
                                          for word in arguments))
        answer = self.cluster.kubectl(*arguments).stdout
        if show:
            say(answer.rstrip())
        return answer


def who(answers):
    return ", ".join(f"{count} by {answer}" for answer, count in answers.items())


def install(shop):
    title("1. Install it")
    command("helm install weft charts/weft --namespace weft-system --create-namespace --wait")
    with timed("two control planes and an injector: up and ready"):
        shop.install()
    shop.kubectl("-n", "weft-system", "get", "pods")


def annotate_and_apply(shop):
    title("2. Annotate a namespace, apply an application that knows nothing of it")
    shop.kubectl("create", "namespace", "shop")
    shop.kubectl("annotate", "namespace", "shop", "weft.io/inject=enabled")
    shop.kubectl("-n", "shop", "apply", "-f", f"{_EXAMPLES}/shop.yaml")
    with timed("five pods, each with its sidecar: up and ready"):
        for deployment in ("tea-v1", "tea-v2", "web"):
            shop.kubectl("-n", "shop", "rollout", "status", f"deployment/{deployment}",
                         "--timeout=60s", show=False)
    shop.kubectl("-n", "shop", "get", "pods")


def canary_by_cookie(shop):
    title("3. A canary by cookie: two objects applied, nothing restarted")
    url = "http://tea-v1/"
    for label, headers in (("no cookie", ()), ("cookie version=beta", (BETA,))):
        seen = shop.answers(url, headers)
        check(seen == {"tea-v1": 20}, f"before, {label}: 20 of 20 requests answered by tea-v1",
              who(seen))
    with open(os.path.join(bazel.ROOT, _EXAMPLES, "canary.yaml"), encoding="utf-8") as manifest:
        say(dim(manifest.read().rstrip()))
    shop.kubectl("-n", "shop", "apply", "-f", f"{_EXAMPLES}/canary.yaml")
    start = time.monotonic()
    wait_for(lambda: shop.get(url, BETA) == "tea-v2", "the canary to be in force")
    tick("in force", time.monotonic() - start)
    for label, headers, expected in (("cookie version=beta", (BETA,), "tea-v2"),
                                     ("no cookie", (), "tea-v1"),
                                     ("cookie version=alpha", ("cookie: version=alpha",), "tea-v1")):
        seen = shop.answers(url, headers)
        check(seen == {expected: 20}, f"{label}: 20 of 20 requests answered by {expected}", who(seen))


def weights(shop):
    title("4. A rollout by weight: apply, then kubectl patch")
    shop.kubectl("-n", "shop", "apply", "-f", f"{_EXAMPLES}/weights.yaml")
    rows = []
    for v1, v2 in ((90, 10), (50, 50), (0, 100)):
        if v1 != 90:
            shop.kubectl("-n", "shop", "patch", "trafficsplit", "tea-rollout", "--type=json", "-p",
                         f'[{{"op":"replace","path":"/spec/backends/0/weight","value":{v1}}},'
                         f'{{"op":"replace","path":"/spec/backends/1/weight","value":{v2}}}]')
        wanted = {"shop/tea-v1": v1, "shop/tea-v2": v2}
        shop.get("http://tea/")
        shop.await_weights("shop/tea", wanted)
        counts = shop.answers("http://tea/", count=_REQUESTS)
        if sum(counts.values()) != _REQUESTS:
            raise StepFailed(f"of {_REQUESTS} requests {who(counts)}")
        share = v2 / 100
        allowed = 5 * math.sqrt(_REQUESTS * share * (1 - share))
        if abs(counts.get("tea-v2", 0) - _REQUESTS * share) > allowed:
            raise StepFailed(f"{who(counts)} at {v1}/{v2} is more than chance allows")
        rows.append([f"{v1} : {v2}", _REQUESTS,
                     *(f"{100 * counts.get(name, 0) / _REQUESTS:.1f} %" for name in ("tea-v1", "tea-v2"))])
    table(["weights", "requests", "tea-v1", "tea-v2"], rows)
    tick("shares are the weights, within what chance allows")


def wire(shop, on_wire):
    title("5. The wire between the pods, recorded since before the first request")
    command(f"curl -H 'cookie: secret={_MARKER}' http://tea-v1/")
    with shop.capture(shop.pod("app=web"), "shop", interface="lo") as inside:
        for _ in range(20):
            shop.get("http://tea-v1/", f"cookie: secret={_MARKER}")
    on_wire.stop()
    streams = on_wire.streams()
    size = sum(map(len, streams.values()))
    versions = sorted(set(on_wire.tls_versions()))
    check(streams and size > 10000, f"{size // 1000} kB in {len(streams)} TCP streams recorded",
          f"{size} bytes in {len(streams)} streams")
    check(versions == ["TLSv1.3"], "every handshake chose TLS 1.3", f"versions {versions}")
    check(inside.contains(_MARKER.encode()),
          "inside the pod, between curl and its sidecar, the secret is there to be found",
          "the search cannot find it even where it is plain")
    check(not on_wire.contains(_MARKER.encode()), "between the pods, not one byte of it",
          "the secret is readable on the wire")


def strict(shop):
    title("6. Strict: a caller without a sidecar is refused, the kubelet's probes are not")
    shop.kubectl("run", "stranger", "--image=curlimages/curl", "--", "sleep", "infinity")
    shop.kubectl("wait", "--for=condition=Ready", "pod/stranger", "--timeout=30s", show=False)
    address = shop.kubectl("-n", "shop", "get", "pod", shop.pod("version=v1"), "-o",
                           "jsonpath={.status.podIP}", show=False)

    def stranger():
        return shop.cluster.curl("stranger", "default", f"http://{address}/", check=False, timeout=5)

    command(f"kubectl exec stranger -- curl http://{address}/")
    check(stranger().stdout.strip() == "tea-v1", "permissive, the default: plaintext is let in",
          "no answer")
    shop.kubectl("patch", "meshconfig", "default", "--type=merge", "-p",
                 '{"spec":{"mtlsMode":"strict"}}')
    wait_for(lambda: stranger().returncode != 0, "plaintext to be refused")
    say(stranger().stderr.strip())
    tick("strict: refused")
    seen = shop.answers("http://tea-v1/")
    check(seen == {"tea-v1": 20}, "mesh peers are served as before", who(seen))
    ready = shop.kubectl("-n", "shop", "get", "deployments", "-o",
                         "jsonpath={.items[*].status.readyReplicas}", show=False)
    check(ready == "2 2 1", "every pod is ready: its probes go by the sidecar", f"ready: {ready}")


def views(shop):
    title("7. What meshctl and kubectl show")
    source = f"shop/{shop.pod('app=web')}"
    for arguments in (["status"], ["proxies"], ["splits"],
                      ["routes", "explain", "--from", source, "-H", BETA, "http://tea-v1/"]):
        quoted = " ".join(f"'{word}'" if " " in word else word for word in arguments)
        command(f"meshctl {quoted}")
        shown = shop.meshctl(*arguments).stdout
        say(shown.rstrip())
        if not shown.strip():
            raise StepFailed(f"meshctl {quoted} showed nothing")
    shop.kubectl("-n", "shop", "get", "trafficsplits")
    tick("the operator sees what the sidecars do")


def print_what_to_try(shop):
    cluster = shop.cluster
    variables = cluster.environment()
    title("It keeps running. Try:")
    for what, line in (
            ("take over the cluster", f"export KUBECONFIG={cluster.kubeconfig} "
                                      f"PATH={os.path.dirname(variables['KUBECTL'])}:$PATH"),
            ("change the rules", "kubectl -n shop edit trafficsplit tea-rollout"),
            ("ask the mesh", f"{cluster.lab.binary('meshctl')} proxies"),
            ("a request from the client's pod",
             f"kubectl -n shop exec deployment/web -- curl -s -H '{BETA}' http://tea-v1/"),
            ("the logs", f"ls {cluster.log_dir}"),
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
    tick("the five programs are built", time.monotonic() - start)


def tell(log_dir, keep):
    title("A cluster on this machine")
    start = time.monotonic()
    with Cluster(log_dir=log_dir) as cluster:
        tick("an API server and a node", time.monotonic() - start)
        shop = Shop(cluster)
        install(shop)
        annotate_and_apply(shop)
        # Everything that leaves or enters the client's pod, except its talk with the control plane.
        on_wire = shop.capture(shop.pod("app=web"), "shop", "tcp and not port 15012").start()
        canary_by_cookie(shop)
        weights(shop)
        wire(shop, on_wire)
        strict(shop)
        views(shop)
        if keep:
            cluster.keep()
            print_what_to_try(shop)


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
    print(bold("Weft: a mesh on Kubernetes, with kubectl and helm"))
    os.chdir(bazel.ROOT)
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
