"""What a request costs on its way through two proxies: Weft's sidecars, nginx and HAProxy, side by side, in turn,
several rounds. CPU is that of the proxies alone, by the kernel's accounting; client and server share the machine.
"""

import json
import os
import re
import statistics
import sys

import bazel
from bench_process import raise_descriptor_limit
from terminal import StepFailed, say, table, tick, title

sys.path.insert(0, os.path.join(bazel.ROOT, "test"))
from lab import Lab  # pylint: disable=wrong-import-position
import bench_contenders  # pylint: disable=wrong-import-position

_PROGRAMS = ["//control-plane:weft-control-plane", "//sidecar:weft-sidecar", "//injector/init:weft-init",
             "//tools/meshctl:meshctl"]
_LOADS = [("1KB", 1), ("1KB", 16), ("1KB", 64), ("1KB", 256), ("128B", 64), ("16KB", 64), ("1MB", 16)]
_QUICK_LOADS = [("1KB", 1), ("1KB", 64)]
# Weft's CPU per request over the better peer's: at most.
_GOALS = {("1KB", 1): 0.8, ("1KB", 16): 0.5, ("1KB", 64): 0.5, ("1KB", 256): 0.5, ("1MB", 16): 0.8}


def add_to(subjects):
    parser = subjects.add_parser("data-path", description=__doc__, help="sidecars next to nginx and HAProxy")
    parser.add_argument("--rounds", type=int, default=3, help="of each load and contender")
    parser.add_argument("--seconds", type=int, default=4, help="of load in each round")
    parser.add_argument("--workers", type=int, default=1, help="threads of each proxy")
    parser.add_argument("--contenders", default=",".join(bench_contenders.ALL), help="which, with commas")
    parser.add_argument("--quick", action="store_true", help="two loads, one short round")
    parser.add_argument("--json", default=os.path.join(bazel.ROOT, ".deps/bench/data-path.json"),
                        help="where the figures go")
    parser.add_argument("--binaries", metavar="DIR", help="programs to measure, instead of building them")
    parser.set_defaults(run=run)


def _microseconds(text):
    number, unit = re.fullmatch(r"([\d.]+)(us|ms|s)", text).groups()
    return float(number) * {"us": 1, "ms": 1e3, "s": 1e6}[unit]


def _wrk(pod, url, connections, seconds):
    """(requests, microseconds at p50, at p99)."""
    output = pod.run(["wrk", "-t", "1", "-c", connections, "-d", f"{seconds}s", "--latency", "--timeout", "10s",
                      url], timeout=seconds + 60).stdout
    if "Non-2xx" in output or "Socket errors" in output:
        raise StepFailed(f"wrk to {url}: {output}")
    found = [re.search(pattern, output, re.MULTILINE)
             for pattern in (r"(\d+) requests in", r"^\s+50%\s+(\S+)", r"^\s+99%\s+(\S+)")]
    return int(found[0][1]), _microseconds(found[1][1]), _microseconds(found[2][1])


def _round(contender, size, connections, seconds):
    before = contender.cpu()
    requests, p50, p99 = _wrk(contender.client, contender.url(size), connections, seconds)
    outbound, inbound = ((now - then) / requests / 1e3 for then, now in zip(before, contender.cpu()))
    return {"outbound_us": outbound, "inbound_us": inbound, "cpu_us": outbound + inbound,
            "requests_per_s": requests / seconds, "p50_us": p50, "p99_us": p99,
            "rss_mb": sum(contender.rss()) / 1e6}


def _measure(contenders, loads, rounds, seconds):
    """{size/connections: {contender: {figure: (median, least, most)}}}"""
    results = {}
    for size, connections in loads:
        taken = {contender.name: [] for contender in contenders}
        for contender in contenders:  # fills pools and caches
            _wrk(contender.client, contender.url(size), connections, 1)
        for _ in range(rounds):
            for contender in contenders:
                taken[contender.name].append(_round(contender, size, connections, seconds))
        results[f"{size}/{connections}"] = {
            name: {figure: (statistics.median(values), min(values), max(values))
                   for figure in samples[0] for values in [[sample[figure] for sample in samples]]}
            for name, samples in taken.items()}
        tick(f"{size} over {connections} connections")
    return results


def _best_peer(by_contender):
    peers = [name for name in bench_contenders.PEERS if name in by_contender]
    return min((by_contender[name]["cpu_us"][0] for name in peers), default=None)


def _print(results):
    for load, by_contender in results.items():
        size, connections = load.split("/")
        title(f"{size} responses, {connections} connections")
        best = _best_peer(by_contender)
        rows = []
        for name, figures in by_contender.items():
            cpu, least, most = figures["cpu_us"]
            rows.append([name, f"{cpu:,.1f}", f"{least:,.1f}-{most:,.1f}", f"{figures['outbound_us'][0]:,.1f}",
                         f"{figures['inbound_us'][0]:,.1f}",
                         f"{cpu / best:.2f}" if best and cpu else "",
                         f"{figures['requests_per_s'][0]:,.0f}", f"{figures['p50_us'][0]:,.0f}",
                         f"{figures['p99_us'][0]:,.0f}", f"{figures['rss_mb'][0]:,.1f}"])
        table(["", "CPU us/request", "spread", "outbound", "inbound", "x best peer", "requests/s", "p50 us",
               "p99 us", "RSS MB"], rows)


def _missed(results):
    for (size, connections), most in _GOALS.items():
        by_contender = results.get(f"{size}/{connections}", {})
        best = _best_peer(by_contender)
        if best and "weft" in by_contender:
            ratio = by_contender["weft"]["cpu_us"][0] / best
            if ratio > most:
                yield f"{size} over {connections} connections: {ratio:.2f} x the better peer, aimed at {most}"


def run(options):
    """One subject of tools/bench."""
    raise_descriptor_limit()
    names = options.contenders.split(",")
    if unknown := [name for name in names if name not in bench_contenders.ALL]:
        raise StepFailed(f"--contenders: {', '.join(unknown)}: not one of {', '.join(bench_contenders.ALL)}")
    if not options.binaries:
        if bazel.call("build", "--config=release", *_PROGRAMS) != 0:
            raise StepFailed("the programs do not build")
        options.binaries = bazel.info("bazel-bin", "--config=release")
    os.environ["WEFT_BIN"] = options.binaries
    rounds, seconds = (1, 2) if options.quick else (options.rounds, options.seconds)
    with Lab() as lab:
        title(f"{', '.join(names)}; {options.workers} worker each")
        contenders = [bench_contenders.ALL[name](lab, name, options.workers) for name in names]
        lab.publish()
        for contender in contenders:
            contender.start_application()
        lab.start_control_plane()
        lab.start_sidecars("--workers", options.workers)
        for contender in contenders:
            contender.start()
        for contender in contenders:
            contender.await_answer()
        tick("all of them carry requests")
        results = _measure(contenders, _QUICK_LOADS if options.quick else _LOADS, rounds, seconds)
    _print(results)
    os.makedirs(os.path.dirname(os.path.abspath(options.json)), exist_ok=True)
    with open(options.json, "w", encoding="utf-8") as file:
        json.dump({"cpus": os.cpu_count(), "workers": options.workers, "rounds": rounds, "seconds": seconds,
                   "results": results}, file, indent=1)
    say(f"figures: {options.json}")
    for sentence in _missed(results):
        say(f"missed: {sentence}")
