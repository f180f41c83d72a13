"""A whole cluster on this machine: the lab's network, an API server, a node, and real kubectl and Helm.

    from lab.cluster.cluster import Cluster

    with Cluster() as cluster:
        cluster.apply(manifests)
        cluster.wait_for_rollout("deployment/tea", namespace="shop")
        cluster.curl("web-0", "shop", "http://tea/")
"""

import atexit
import json
import os
import signal

from lab import registry
from lab.binaries import PATHS, ROOT
from lab.cluster.node import layout
from lab.lab import Lab
from lab.process import Process
from lab.shell import run, wait_for

_PYTHON = "/usr/bin/python3"
_TEST = os.path.join(ROOT, "test")
_TOOLS = os.path.join(ROOT, ".deps/kubernetes")


class Cluster:
    """A context manager. `lab` is the Lab below it, `kubeconfig` a file that makes one its administrator."""

    def __init__(self, log_dir=None, binaries=None, api_flags=(), node_flags=()):
        """`binaries`: {program: path} instead of what was built; flags go to the API server and the node."""
        self.lab = Lab(log_dir, binaries)
        self._binaries = dict(binaries or {})
        self._api_flags, self._node_flags = list(api_flags), list(node_flags)
        self._closed = self._kept = False
        self.api = self.node = None

    def __enter__(self):
        self.lab.__enter__()
        atexit.register(self.close)
        try:
            self.directory, self.log_dir = self.lab.directory, self.lab.log_dir
            self.kubeconfig = os.path.join(self.directory, "kubeconfig")
            self._home = os.path.join(self.directory, "home")
            os.makedirs(self._home)
            self._node_directory = os.path.join(self.directory, "node")
            os.makedirs(self._node_directory)
            self.api_up()
            self._start_node()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_):
        if not self._kept:
            self.close()

    def keep(self):
        """Lets the cluster outlive this process; registry.remove() takes it away."""
        self._kept = True
        self.lab.keep()
        atexit.unregister(self.close)

    def close(self):
        """Takes everything away. Safe to repeat."""
        if self._closed or self._kept:
            return
        self._closed = True
        atexit.unregister(self.close)
        # At once: nobody is to start anything again while it is taken away.
        for process in (self.node, self.api):
            if process:
                process.kill()
        self.lab.close()

    # Clients.

    def kubectl(self, *arguments, stdin=None, check=True, timeout=120):
        """Real kubectl as the administrator; returns the CompletedProcess."""
        return run([os.path.join(_TOOLS, "kubectl"), *arguments], stdin=stdin, check=check, timeout=timeout,
                   env=self.environment())

    def helm(self, *arguments, check=True, timeout=300):
        """Real Helm as the administrator; returns the CompletedProcess."""
        return run([os.path.join(_TOOLS, "helm"), *arguments], check=check, timeout=timeout,
                   env=self.environment())

    def environment(self):
        """The environment in which kubectl, Helm and meshctl find the cluster."""
        return {**os.environ, "KUBECONFIG": self.kubeconfig, "HOME": self._home,
                "KUBECTL": os.path.join(_TOOLS, "kubectl"),
                "PATH": f"{_TOOLS}:{os.environ.get('PATH', '')}"}

    def apply(self, manifests, *flags):
        """kubectl apply of YAML or JSON text."""
        return self.kubectl("apply", *flags, "-f", "-", stdin=manifests)

    def get(self, what, name="", namespace=None, selector=None):
        """An object or a list of objects, decoded; None if there is no such object."""
        where = ["-n", namespace] if namespace else ["-A"] if not name else []
        named = [name] if name else ["-l", selector] if selector else []
        done = self.kubectl("get", what, *named, *where, "-o", "json", "--ignore-not-found")
        if not done.stdout.strip():
            return None if name else []
        decoded = json.loads(done.stdout)
        return decoded if name else decoded["items"]

    def pods(self, namespace, selector=None):
        """Names of the pods that run or are about to, without those that are being deleted."""
        return [pod["metadata"]["name"] for pod in self.get("pods", namespace=namespace, selector=selector)
                if not pod["metadata"].get("deletionTimestamp")]

    def wait_for_rollout(self, what, namespace="default", deadline=60):
        """Until a Deployment, DaemonSet or StatefulSet ("deployment/tea") has reached its template."""
        return self.kubectl("rollout", "status", what, "-n", namespace, f"--timeout={deadline}s",
                            timeout=deadline + 10)

    def wait_for_pod(self, name, namespace="default", condition="Ready", deadline=60):
        return self.kubectl("wait", f"pod/{name}", "-n", namespace, f"--for=condition={condition}",
                            f"--timeout={deadline}s", timeout=deadline + 10)

    # Pods.

    def exec(self, pod, namespace, argv, container=None, check=True, timeout=60, stdin=None):
        """Runs a program in a container of a pod (the first main one) as its user; the CompletedProcess."""
        state, name = self._container(pod, namespace, container)
        enter = state["containers"][name]["enter"]
        if enter is None:
            raise ValueError(f"container {name} of {namespace}/{pod} does not run")
        with open(state["containers"][name]["environment"]) as file:
            variables = json.load(file)
        return run([*enter, *argv], stdin=stdin, check=check, timeout=timeout, env=variables)

    def curl(self, pod, namespace, *arguments, check=True, timeout=30):
        """curl in a pod, as the application's user; the CompletedProcess."""
        return self.exec(pod, namespace, ["curl", "-sS", "--max-time", str(timeout), *arguments], check=check,
                         timeout=timeout + 10)

    def logs(self, pod, namespace, container=None, previous=False):
        """What a container has printed."""
        state, name = self._container(pod, namespace, container)
        path = state["containers"][name]["previous_log" if previous else "log"]
        if path is None:
            return ""
        with open(path, errors="replace") as log:
            return log.read()

    def netns(self, pod, namespace):
        """Name of a pod's network namespace."""
        return self._state(pod, namespace)["netns"]

    def kill_pod(self, pod, namespace):
        """As when its machine fails: its programs end at once, and the API server forgets it."""
        for container in self._state(pod, namespace)["containers"].values():
            if container["pid"]:
                _kill(container["pid"])
        self.kubectl("delete", "pod", pod, "-n", namespace, "--force", "--grace-period=0", "--wait=false")

    def crash_container(self, pod, namespace, container, number=signal.SIGKILL):
        """Sends a signal to a container's first process; the node restarts it as its policy says."""
        _kill(self._state(pod, namespace)["containers"][container]["pid"], number)

    # Parts that fail.

    def api_down(self):
        """Kills the API server, as a crash would."""
        self.api.kill()

    def api_up(self):
        """Starts the API server on what it has stored, and waits until it answers."""
        self.api = Process(
            "api", [_PYTHON, "-m", "lab.cluster.api", "--directory", os.path.join(self.directory, "api"),
                    "--kubeconfig", self.kubeconfig, "--node-namespace", self.lab.node.name,
                    "--node-directory", self._node_directory, "--node-listen", f"{self.lab.node_ip}:6443",
                    *self._api_flags],
            os.path.join(self.log_dir, "api.log"), env={**os.environ, "PYTHONPATH": _TEST})
        registry.add_process(self.lab.id, self.api.pid)
        wait_for(self._api_answers, "the API server to answer", deadline=30)

    def restart_node(self):
        """As when the machine reboots: every pod's programs end at once, and are started again."""
        self.node.kill()
        self._start_node()

    def restart_api_server(self):
        """Ends it in order and starts it again."""
        self.api.stop()
        self.api_up()

    def _api_answers(self):
        self.api.check_running()
        return os.path.exists(self.kubeconfig) and \
            self.kubectl("get", "--raw", "/version", check=False).returncode == 0

    def _start_node(self):
        ready = os.path.join(self._node_directory, "ready")
        if os.path.exists(ready):
            os.unlink(ready)
        programs = [f"{name}={path}" for name, path in self._binaries.items() if name in PATHS]
        self.node = Process(
            # Not by `ip netns exec`, which would hide the namespaces that the node makes from everybody else.
            "node", ["nsenter", f"--net=/run/netns/{self.lab.node.name}", "--", _PYTHON, "-m",
                     "lab.cluster.node", "--kubeconfig", self.kubeconfig, "--lab-id", self.lab.id,
                     "--directory", self._node_directory, "--log-dir", os.path.join(self.log_dir, "pods"),
                     "--ready-file", ready, *[part for one in programs for part in ("--binary", one)],
                     *self._node_flags],
            os.path.join(self.log_dir, "node.log"), env={**os.environ, "PYTHONPATH": _TEST})
        wait_for(lambda: self.node.check_running() and os.path.exists(ready), "the node to be ready",
                 deadline=30)

    def _state(self, pod, namespace):
        state = layout.read_state(self._node_directory, namespace, pod)
        if state is None:
            raise KeyError(f"no pod {namespace}/{pod} runs")
        return state

    def _container(self, pod, namespace, container):
        """(state of the pod, name of the container or of its first main one)."""
        state = self._state(pod, namespace)
        name = container or next(name for name, one in state["containers"].items() if one["kind"] == "main")
        if name not in state["containers"]:
            raise KeyError(f"pod {namespace}/{pod} has no container {name}")
        return state, name


def _kill(pid, number=signal.SIGKILL):
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass
