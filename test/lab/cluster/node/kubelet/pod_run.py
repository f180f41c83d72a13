"""The life of one pod on the node, from its namespace to its last status, told in order."""

import logging
import os
import shutil
import threading
import time

from lab.cluster.node import layout
from lab.cluster.node.client import ApiError, Unavailable
from lab.cluster.node.kubelet.container import INIT, MAIN, SIDECAR, Container
from lab.cluster.node.kubelet.environment import Environment
from lab.cluster.node.kubelet.network import HostNetwork, PodNetwork
from lab.cluster.node.kubelet.tokens import Tokens
from lab.cluster.node.kubelet.volumes import VolumeError, Volumes
from lab.cluster.node.objects import deleting, key_of
from lab.shell import CommandFailed

_VOLUME_RETRY_SECONDS = 0.5
_LONGEST_REFRESH_SECONDS = 60.0


class PodRun:
    """Has a thread of its own. `item` is the pod as the API server has it now."""

    def __init__(self, kubelet, item):
        self._kubelet = kubelet
        self.item = item
        self.spec = item["spec"]
        self.key = key_of(item)
        self.uid = item["metadata"]["uid"]
        self.name_space = item["metadata"]["namespace"]
        self.hostname = (self.spec.get("hostname") or item["metadata"]["name"])[:63]
        self.directory = layout.pod_directory(kubelet.directory, item)
        self.log_dir = kubelet.log_dir
        self.images = kubelet.images
        self.node_ips = kubelet.node_ips
        self.network_ready = self.initialized = self.torn_down = False
        self._mounted = False
        self.failure = None  # (reason, message) of a pod that failed as a whole
        self.network = HostNetwork(kubelet.node_namespace) if self.spec.get("hostNetwork") else \
            PodNetwork(kubelet.lab_id, kubelet.log_dir, kubelet.addresses, item)
        self.volumes = Volumes(self.directory, self._lookup, Tokens(kubelet.client, item), kubelet.capacity)
        self.has_inits = bool(self.spec.get("initContainers"))
        self.containers = [Container(self, spec, SIDECAR if spec.get("restartPolicy") == "Always" else INIT)
                           for spec in self.spec.get("initContainers") or ()]
        self.containers += [Container(self, spec, MAIN) for spec in self.spec["containers"]]
        self._changed = threading.Condition()
        self._ending = threading.Event()
        self._grace = None
        self._log = logging.getLogger(f"pod.{self.key}")

    @property
    def ip(self):
        return self.network.ips[0]

    def start(self):
        threading.Thread(target=self._run, name=self.key, daemon=True).start()

    def update(self, item):
        """Takes up a change of the object; a deletion begins the end."""
        self.item = item
        if deleting(item):
            self.end(item["metadata"].get("deletionGracePeriodSeconds",
                                          self.spec.get("terminationGracePeriodSeconds", 30)))
        else:
            self.references_changed()

    def end(self, grace_seconds):
        """Ends the pod; a shorter grace than before is not taken up."""
        if not self._ending.is_set():
            self._grace = grace_seconds
            self._ending.set()
            self.changed()

    def references_changed(self):
        """A ConfigMap, a Secret or the pod's own metadata may have changed: look at the volumes soon."""
        self._kubelet.refresher.add(self.key)

    def changed(self):
        """Something about a container has changed."""
        self._kubelet.statuses.add(self.key)
        with self._changed:
            self._changed.notify_all()

    def event(self, kind, reason, message, container=None):
        tell = self._kubelet.events.warning if kind == "Warning" else self._kubelet.events.normal
        field = ""
        if container:
            list_name = "containers" if container.kind == MAIN else "initContainers"
            field = f"spec.{list_name}{{{container.name}}}"
        tell("kubelet", self.item, reason, message, field)

    def environment(self):
        """Resolves variables against what the API server has now."""
        return Environment(self._with_address(), self._lookup, self._kubelet.services_of(self.name_space),
                           self._kubelet.capacity, *self._kubelet.api_address)

    def refresh_volumes(self):
        """Brings the volumes up to date; returns after how many seconds to come again, None for never."""
        if self.torn_down or not self._mounted:
            return None
        try:
            self.volumes.refresh(self._with_address())
        except (VolumeError, ApiError, Unavailable) as error:
            self._log.info("%s", error)
            return _VOLUME_RETRY_SECONDS
        due = self.volumes.next_renewal()
        return None if due is None else min(max(due - time.monotonic(), 1.0), _LONGEST_REFRESH_SECONDS)

    def write_state(self):
        """The file that others read; see layout.py."""
        layout.write_state(self._kubelet.directory, self.name_space, self.item["metadata"]["name"], {
            "uid": self.uid, "netns": None if self.torn_down else self.network.namespace.name, "ip": self.ip,
            "containers": {container.name: {
                "kind": container.kind, "pid": container.pid(), "log": container.log,
                "previous_log": container.previous_log, "environment": container.environment_path,
                "enter": container.enter_command()} for container in self.containers}})

    def _run(self):
        try:
            os.makedirs(self.directory, mode=0o755, exist_ok=True)
            if self._set_up():
                self._run_init_containers()
                self._run_main_containers()
            self._stop_containers()
        except Exception as error:  # whatever it was, the pod must end, and be seen to
            self._log.exception("the pod's run failed")
            self.failure = ("NodeError", f"{type(error).__name__}: {error}")
            self._stop_containers()
        finally:
            self._tear_down()

    def _set_up(self):
        """Network and volumes; false if the pod was to end before they were there."""
        try:
            self.network.create(self.name_space)
        except CommandFailed as error:
            self.event("Warning", "FailedCreatePodSandBox", f"Failed to create pod sandbox: {error}")
            self.failure = ("FailedCreatePodSandBox", str(error))
            return False
        if not self.spec.get("hostNetwork"):
            aliases = [f"{ip}\t{' '.join(alias['hostnames'])}" for alias in self.spec.get("hostAliases") or ()
                       for ip in [alias["ip"]]]
            self._kubelet.hosts.add(f"{self.network.namespace.etc}/hosts", self.name_space,
                                    [f"{ip}\t{self.hostname}" for ip in self.network.ips] + aliases)
        self.network_ready = True
        self.changed()
        while not self._ending.is_set():
            try:
                self.volumes.refresh(self._with_address())
                self._mounted = True
                self.references_changed()
                return True
            except (VolumeError, ApiError, Unavailable) as error:
                self.event("Warning", "FailedMount", str(error))
                self._ending.wait(_VOLUME_RETRY_SECONDS)
        return False

    def _run_init_containers(self):
        for container in self._of(INIT, SIDECAR):
            if self._ending.is_set():
                return
            if container.kind == SIDECAR:
                container.start()
                self._wait_until(lambda one=container: one.started)
            else:
                container.start()
                self._wait_until(lambda one=container: one.over)
                if container.over and container.exit_code != 0 and not self._ending.is_set():
                    self.failure = ("Error", f"init container {container.name} failed")
                    return
        if not self._ending.is_set():
            self.initialized = True
            self.changed()

    def _run_main_containers(self):
        if not self.initialized:
            return
        mains = self._of(MAIN)
        for container in mains:
            container.start()
        self._wait_until(lambda: all(container.over for container in mains))

    def _stop_containers(self):
        """All of them: the main ones together, then the sidecars in reverse order."""
        grace = self._grace if self._grace is not None else self.spec.get("terminationGracePeriodSeconds", 30)
        started = [container for container in self.containers if container.log]
        threads = []
        for container in started:
            after = self._ends_before(container)
            threads.append(threading.Thread(
                target=container.stop, daemon=True, name=f"stop {self.key}/{container.name}",
                args=(grace, after and (lambda seconds, these=after: _wait_for_end(these, seconds)))))
        for thread in threads:
            thread.start()
        for container in self.containers:
            if container not in started:
                container.stop(0)
        for thread in threads:
            thread.join()

    def _ends_before(self, container):
        """Who must have ended before a container is told to: for a sidecar, everybody that came after it."""
        if container.kind != SIDECAR:
            return []
        later = self.containers[self.containers.index(container) + 1:]
        return [one for one in later if one.kind != INIT and one.log]

    def _tear_down(self):
        self._kubelet.hosts.remove(f"{self.network.namespace.etc}/hosts")
        self.torn_down = True
        self.network.destroy()
        shutil.rmtree(self.directory, ignore_errors=True)
        self.changed()

    def _wait_until(self, condition):
        """Until it holds or the pod is to end."""
        with self._changed:
            while not condition() and not self._ending.is_set():
                self._changed.wait(1.0)

    def _of(self, *kinds):
        return [container for container in self.containers if container.kind in kinds]

    def _lookup(self, resource, name):
        return self._kubelet.informers[resource].get(self.name_space, name)

    def _with_address(self):
        """The pod as it sees itself: with the address that the API server may not have heard of yet."""
        status = {**(self.item.get("status") or {}), "hostIP": self.node_ips[0],
                  "hostIPs": [{"ip": ip} for ip in self.node_ips]}
        if self.network.ips:
            status.update(podIP=self.ip, podIPs=[{"ip": ip} for ip in self.network.ips])
        return {**self.item, "status": status}


def _wait_for_end(containers, seconds):
    deadline = time.monotonic() + seconds
    for container in containers:
        container.wait_until_over(max(deadline - time.monotonic(), 0))
