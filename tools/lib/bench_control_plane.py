"""The control plane under a fleet: the real program, and simulated sidecars over mutual TLS."""

import json
import os
import random
import select
import shutil
import socket
import subprocess
import tempfile
import time

import bazel
from bench_mesh import WIDE, Mesh
from bench_process import Process, percentile, raise_descriptor_limit
from terminal import StepFailed, say, table, tick, title

_PROGRAMS = {"control-plane": "//control-plane:weft-control-plane",
             "fleet": "//control-plane/discovery/fleet:weft-fleet",
             "meshctl": "//tools/meshctl:meshctl"}
_PATIENCE = 120
# What is aimed at, for the full size on two cores: (figure, most, unit).
_GOALS = {"one_change_last_p99_ms": (100, "ms"), "everyone_last_p99_ms": (100, "ms"),
          "rss_mb": (500, "MB"), "idle_cpu_percent": (1, "%"), "reconnect_s": (20, "s"),
          "restart_s": (20, "s")}


def add_to(subjects):
    parser = subjects.add_parser("control-plane", description=__doc__,
                                 help="configuration of a large mesh: how soon, at what cost")
    parser.add_argument("--services", type=int, default=1000)
    parser.add_argument("--endpoints", type=int, default=10, help="of each service, at most 16")
    parser.add_argument("--sidecars", type=int, default=2000)
    parser.add_argument("--changes", type=int, default=100, help="of one endpoint, of each sort")
    parser.add_argument("--quick", action="store_true",
                        help="a tenth of the size, a few changes: whether it works at all")
    parser.add_argument("--no-slope", action="store_true", help="not again with a mesh a tenth of the size")
    parser.add_argument("--json", default=os.path.join(bazel.ROOT, ".deps", "bench", "control-plane.json"),
                        help="where the figures go")
    parser.add_argument("--binaries", metavar="DIR",
                        help="programs to measure, instead of building them")
    parser.add_argument("--keep", action="store_true", help="leave manifests and logs behind")
    parser.set_defaults(run=run)


def _build(directory):
    if directory:
        return {name: os.path.join(directory, os.path.basename(label.replace(":", "/")))
                for name, label in _PROGRAMS.items()}
    options = ["--config=release"]
    if bazel.call("build", *options, *_PROGRAMS.values()) != 0:
        raise StepFailed("the build failed; its messages are above")
    root = bazel.info("bazel-bin", *options)
    return {name: os.path.join(root, label.removeprefix("//").replace(":", "/"))
            for name, label in _PROGRAMS.items()}


def _free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _wait(condition, what):
    deadline = time.monotonic() + _PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            raise StepFailed(f"waited {_PATIENCE} s in vain for {what}")
        time.sleep(0.01)


class Fleet:
    """The program that simulates sidecars, see control-plane/discovery/fleet/fleet.h."""

    def __init__(self, program, address, root, token, plan, log):
        self.process = Process([program, "--control-plane", address, "--root", root, "--join-token", token,
                                "--plan", plan], log, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self._text = b""

    def tell(self, order):
        self.process.stdin.write(f"{order}\n".encode())
        self.process.stdin.flush()

    def report(self):
        """The next report."""
        while b"\n" not in self._text:
            if not select.select([self.process.stdout], [], [], _PATIENCE)[0]:
                raise StepFailed(f"the fleet has said nothing for {_PATIENCE} s")
            read = os.read(self.process.stdout.fileno(), 1 << 20)
            if not read:
                with open(self.process.log, encoding="utf-8") as log:
                    raise StepFailed(f"the fleet has ended: {log.read()[-500:]}")
            self._text += read
        line, self._text = self._text.split(b"\n", 1)
        return json.loads(line)

    def ask(self, order):
        self.tell(order)
        return self.report()


class Run:
    """One control plane of one size, with its fleet."""

    def __init__(self, programs, directory, services, endpoints, sidecars):
        os.makedirs(directory)
        self._programs, self._directory = programs, directory
        self.mesh = Mesh(directory, services, endpoints, sidecars)
        self._state = os.path.join(directory, "state")
        self._ports = _free_port(), _free_port()
        self.control_plane = self.fleet = None
        self.figures = {"services": services, "endpoints": self.mesh.endpoints_total(),
                        "sidecars": sidecars}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process in (self.fleet and self.fleet.process, self.control_plane):
            if process:
                process.stop(kill=True)

    def _start_control_plane(self):
        self.control_plane = Process(
            [self._programs["control-plane"], "--source", f"dir:{self.mesh.manifests}",
             "--state", self._state, "--listen", f"127.0.0.1:{self._ports[0]}",
             "--http-listen", f"127.0.0.1:{self._ports[1]}"],
            os.path.join(self._directory, "control-plane.log"))
        _wait(self._ready, "the control plane to be ready")

    def _ready(self):
        if not self.control_plane.alive():
            raise StepFailed(f"the control plane has ended; see {self.control_plane.log}")
        try:
            with socket.create_connection(("127.0.0.1", self._ports[1]), timeout=1) as connection:
                connection.sendall(b"GET /healthz/ready HTTP/1.1\r\nHost: l\r\nConnection: close\r\n\r\n")
                return connection.recv(100).startswith(b"HTTP/1.1 200")
        except OSError:
            return False

    def start(self):
        self.mesh.write()
        start = time.monotonic()
        self._start_control_plane()
        self.figures["start_s"] = time.monotonic() - start
        self.figures["rss_alone_mb"] = self.control_plane.rss_mb()
        token = os.path.join(self._directory, "token")
        subprocess.run([self._programs["meshctl"], "token", "create", "--state", self._state,
                        "-n", "fleet", "--service-account", "fleet", "--ttl", "1h", "--out", token],
                       check=True, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        self.fleet = Fleet(self._programs["fleet"], f"127.0.0.1:{self._ports[0]}",
                           os.path.join(self._state, "root.pem"), token, self.mesh.plan,
                           os.path.join(self._directory, "fleet.log"))

    def connect(self):
        """Everyone comes for the first time, at one moment."""
        cpu = self.control_plane.cpu_seconds()
        start = time.monotonic_ns()
        settled = self.fleet.ask("connect")
        self.figures["connect_s"] = (settled["at"] - start) / 1e9
        self.figures["connect_cpu_s"] = self.control_plane.cpu_seconds() - cpu
        self.figures["rss_mb"] = self.control_plane.rss_mb()

    def idle(self, seconds):
        time.sleep(2)  # what was sent before may still be settling
        self.figures["idle_cpu_percent"] = self.control_plane.idle_percent(seconds)

    def changes(self, name, count, service_of):
        """One endpoint of a service gets another address, again and again: until the last of the sidecars
        that use the service has acknowledged it."""
        lasts, singles, affected = [], [], []
        cpu, before = self.control_plane.cpu_seconds(), self.fleet.ask("counts")
        for _ in range(count):
            # Apart from one another, and not in step with any timer of the control plane.
            time.sleep(random.uniform(0.15, 0.25))
            service, address = service_of(), self.mesh.new_address()
            watching = self.fleet.ask(f"watch Endpoints {self.mesh.endpoints_name(service)} {address}")
            if watching["watching"] == 0:
                continue
            start = time.monotonic_ns()
            self.mesh.write_slice(service, {0: address})
            times = [(at - start) / 1e6 for at in self.fleet.report()["reached"]]
            affected.append(len(times))
            singles += times
            lasts.append(max(times))
        after = self.fleet.ask("counts")
        self.figures.update({
            f"{name}_affected": sum(affected) / len(affected),
            f"{name}_last_p50_ms": percentile(lasts, 0.5), f"{name}_last_p99_ms": percentile(lasts, 0.99),
            f"{name}_p50_ms": percentile(singles, 0.5), f"{name}_p99_ms": percentile(singles, 0.99),
            f"{name}_bytes": (after["received"] - before["received"]) / len(lasts),
            f"{name}_cpu_us_per_sidecar":
                1e6 * (self.control_plane.cpu_seconds() - cpu) / max(1, sum(affected))})

    def rollout(self, step=5, pause=0.1):
        """All hundred endpoints of a service are replaced, some at a time."""
        cpu, before = self.control_plane.cpu_seconds(), self.fleet.ask("counts")
        states = list(self.mesh.wide_rollout(step))
        name = self.mesh.endpoints_name(WIDE)
        affected = self.fleet.ask(f"watch Endpoints {name} {states[-1][0]}")["watching"]
        start = time.monotonic_ns()
        for _, replaced in states:
            written = time.monotonic_ns()
            self.mesh.write_slice(WIDE, replaced)
            time.sleep(pause)
        reached = self.fleet.report()["reached"]
        after = self.fleet.ask("counts")
        self.figures.update({"rollout_affected": affected, "rollout_s": (max(reached) - start) / 1e9,
                             "rollout_last_ms": (max(reached) - written) / 1e6,
                             "rollout_bytes": after["received"] - before["received"],
                             "rollout_responses": (after["messages"] - before["messages"]) / affected,
                             "rollout_cpu_s": self.control_plane.cpu_seconds() - cpu})

    def reconnect(self):
        """Everyone loses its connection at one moment and comes back at once."""
        cpu = self.control_plane.cpu_seconds()
        start = time.monotonic_ns()
        settled = self.fleet.ask("drop 0")
        self.figures.update({"reconnect_s": (settled["at"] - start) / 1e9,
                             "reconnect_cpu_s": self.control_plane.cpu_seconds() - cpu})

    def restart(self):
        """The control plane is killed and started again; the sidecars come back as they find it."""
        self.control_plane.stop(kill=True)
        start = time.monotonic_ns()
        self._start_control_plane()
        ready = time.monotonic_ns()
        settled = self.fleet.ask("await")
        self.figures.update({"restart_s": (settled["at"] - start) / 1e9,
                             "restart_ready_s": (ready - start) / 1e9,
                             "rss_after_restart_mb": self.control_plane.rss_mb()})

    def finish(self):
        self.figures["rss_end_mb"] = self.control_plane.rss_mb()


def measure(programs, directory, size, changes, idle_seconds):
    """The figures of one size."""
    with Run(programs, directory, **size) as run_:
        title(f"{size['services']} services, {run_.mesh.endpoints_total()} endpoints, "
              f"{size['sidecars']} sidecars")
        run_.start()
        run_.connect()
        tick("all connected and served", run_.figures["connect_s"])
        run_.idle(idle_seconds)
        tick(f"idle for {idle_seconds} s")
        run_.changes("one_change", changes, run_.mesh.random_service)
        tick(f"{changes} changes of an endpoint that a few use")
        run_.changes("everyone", changes, lambda: "s0")
        tick(f"{changes} changes of an endpoint that everyone uses")
        run_.rollout()
        tick("a rollout of 100 pods", run_.figures["rollout_s"])
        run_.reconnect()
        tick("all came back to the same control plane", run_.figures["reconnect_s"])
        run_.restart()
        tick("all came back to a new control plane", run_.figures["restart_s"])
        run_.finish()
        return run_.figures


_ROWS = [  # (figure, what it is, unit)
    ("start_s", "start: manifests read, ready", "s"), ("rss_alone_mb", "memory without sidecars", "MB"),
    ("connect_s", "all connect at once, everything served", "s"),
    ("connect_cpu_s", "  CPU of the control plane", "s"),
    ("rss_mb", "memory with all connected", "MB"), ("rss_end_mb", "memory at the end", "MB"),
    ("idle_cpu_percent", "CPU while idle", "%"),
    ("one_change_affected", "one endpoint changes: sidecars affected", ""),
    ("one_change_last_p50_ms", "  last acknowledgement, median", "ms"),
    ("one_change_last_p99_ms", "  last acknowledgement, p99", "ms"),
    ("one_change_bytes", "  bytes to all of them", "B"),
    ("everyone_affected", "one endpoint changes that everyone uses", ""),
    ("everyone_last_p50_ms", "  last acknowledgement, median", "ms"),
    ("everyone_last_p99_ms", "  last acknowledgement, p99", "ms"),
    ("everyone_p50_ms", "  any sidecar's, median", "ms"),
    ("everyone_cpu_us_per_sidecar", "  CPU per sidecar", "us"),
    ("everyone_bytes", "  bytes to all of them", "B"),
    ("rollout_affected", "rollout of 100 pods in 2 s: sidecars affected", ""),
    ("rollout_last_ms", "  last step to last acknowledgement", "ms"),
    ("rollout_responses", "  responses to each", ""), ("rollout_bytes", "  bytes to all of them", "B"),
    ("reconnect_s", "all reconnect at once", "s"), ("reconnect_cpu_s", "  CPU of the control plane", "s"),
    ("restart_s", "control plane killed, started, all back", "s")]


def _print(results):
    title("Figures")
    header = ["", *(f"{figures['services']} services, {figures['sidecars']} sidecars"
                    for figures in results), "", "goal"]
    rows = []
    for key, what, unit in _ROWS:
        values = [figures[key] for figures in results]
        goal = f"< {_GOALS[key][0]}" if key in _GOALS else ""
        rows.append([what, *(f"{value:,.2f}" if value < 10 else f"{value:,.0f}" for value in values),
                     unit, goal])
    table(header, rows)


def run(options):
    """One subject of tools/bench."""
    raise_descriptor_limit()
    if options.quick:
        options.services, options.sidecars, options.changes = 100, 200, 10
    programs = _build(options.binaries)
    size = {"services": options.services, "endpoints": options.endpoints, "sidecars": options.sidecars}
    sizes = [size]
    if not options.no_slope and not options.quick:
        sizes.append({**size, "services": options.services // 10, "sidecars": options.sidecars // 10})
    directory = tempfile.mkdtemp(prefix="weft-bench-")
    try:
        results = [measure(programs, os.path.join(directory, str(number)), each, options.changes,
                           3 if options.quick else 10) for number, each in enumerate(sizes)]
    finally:
        if not options.keep:
            shutil.rmtree(directory, ignore_errors=True)
        else:
            say(f"manifests and logs are in {directory}")
    _print(results)
    os.makedirs(os.path.dirname(os.path.abspath(options.json)), exist_ok=True)
    with open(options.json, "w", encoding="utf-8") as file:
        json.dump({"cpus": os.cpu_count(), "results": results}, file, indent=1)
    say(f"figures: {options.json}")
    if options.quick:
        return
    missed = [f"{key} {results[0][key]:.1f} {unit}, aimed at {most}"
              for key, (most, unit) in _GOALS.items() if results[0][key] > most]
    if missed:
        say("missed: " + "; ".join(missed))
