"""The kubelet: runs the pods that are bound to the node, and tells the API server how they are."""

import logging
import os
import shutil
import threading

from lab import shell
from lab.cluster.node import layout
from lab.cluster.node.client import ApiError, Unavailable
from lab.cluster.node.kubelet.hosts import Hosts
from lab.cluster.node.kubelet.network import NODE_IP, NODE_IP6, Addresses
from lab.cluster.node.kubelet.pod_run import PodRun
from lab.cluster.node.kubelet.status import status_of
from lab.cluster.node.objects import deleting, finished, key_of, merge_patch, now, split_key
from lab.cluster.node.work import Reconciler
from lab.namespace import remove_namespace

_STATUS_RETRY_SECONDS = 0.5


class Kubelet:
    """`images`, `directory`, `log_dir` and the rest are for its pods to read."""

    node_ips = (NODE_IP, NODE_IP6)
    capacity = {"cpu": "2", "memory": "8Gi", "ephemeral-storage": "50Gi", "pods": "250"}

    def __init__(self, context, images, directory, log_dir, lab_id, api_address):
        self._context = context
        self.client, self.informers, self.events = context.client, context.informers, context.events
        self.images, self.directory, self.log_dir = images, directory, log_dir
        self.lab_id, self.api_address = lab_id, api_address
        self.node_namespace = f"weft-{lab_id}-node"
        self.addresses = Addresses()
        self.hosts = Hosts(context)
        # By key: a pod may have to wait until the end of an earlier one of its name.
        self._runs = {}
        self._lock = threading.Lock()
        self._pods = context.informers["pods"]
        self.statuses = Reconciler("statuses", self._write_status)
        self.refresher = Reconciler("volumes", self._refresh)
        self._deleter = Reconciler("pod-deletions", self._delete)
        self._pods.add_handler(self._pod_changed)
        for resource in ("configmaps", "secrets"):
            context.informers[resource].add_handler(self._reference_changed)
        context.informers["services"]  # what services_of reads
        self._log = logging.getLogger("kubelet")

    def reconcilers(self):
        return [self.statuses, self.refresher, self._deleter, self.hosts.reconciler]

    def services_of(self, name_space):
        return self.informers["services"].list(name_space)

    def sweep(self):
        """Takes away what an earlier node of this lab has left: its pods start anew, as after a reboot."""
        prefix = f"weft-{self.lab_id}-"
        for line in shell.run(["ip", "netns", "list"], check=False).stdout.splitlines():
            name = line.split()[0]
            # A pod's has its namespace and its name in it, with a dot between; the node's own has none.
            if name.startswith(prefix) and "." in name:
                remove_namespace(name)
        shutil.rmtree(os.path.join(self.directory, "pods"), ignore_errors=True)
        os.makedirs(os.path.join(self.directory, "pods"))

    def register(self):
        """Makes the Node, ready, or brings an earlier one up to date."""
        name = self._context.node_name
        labels = {"kubernetes.io/hostname": name, "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64",
                  "topology.kubernetes.io/zone": "lab-a", "topology.kubernetes.io/region": "lab"}
        body = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": labels},
                "spec": {"podCIDR": "10.244.0.0/16", "podCIDRs": ["10.244.0.0/16", "fd00:244::/64"]}}
        try:
            self.client.create("nodes", "", body)
        except ApiError as error:
            if error.reason != "AlreadyExists":
                raise
        condition = {"type": "Ready", "status": "True", "lastHeartbeatTime": now(),
                     "lastTransitionTime": now(), "reason": "KubeletReady",
                     "message": "kubelet is posting ready status"}
        self.client.patch("nodes", "", name, {"status": {
            "capacity": self.capacity, "allocatable": self.capacity, "conditions": [condition],
            "addresses": [{"type": "InternalIP", "address": ip} for ip in self.node_ips] +
                         [{"type": "Hostname", "address": name}],
            "nodeInfo": {"kubeletVersion": "v1.34.5", "kubeProxyVersion": "", "operatingSystem": "linux",
                         "architecture": "amd64", "osImage": "lab", "containerRuntimeVersion": "lab://1",
                         "kernelVersion": "", "bootID": "", "machineID": "", "systemUUID": ""}}}, "status")

    def _pod_changed(self, event, old, new):
        if new["spec"].get("nodeName") != self._context.node_name:
            return
        key, uid = key_of(new), new["metadata"]["uid"]
        with self._lock:
            run = self._runs.get(key)
            if event == "DELETED":
                if run and run.uid == uid:
                    run.end(0)
                else:
                    layout.forget_state(self.directory, *split_key(key), uid)
                return
            if run is None and not finished(new):
                if deleting(new):
                    self._deleter.add((key, uid))
                    return
                run = self._runs[key] = PodRun(self, new)
                run.start()
                return
        if run is None:
            if deleting(new):
                self._deleter.add((key, uid))
        elif run.uid == uid:
            run.update(new)
        else:
            run.end(0)

    def _reference_changed(self, event, old, new):
        if event == "DELETED":
            return
        name_space = new["metadata"]["namespace"]
        with self._lock:
            runs = [run for run in self._runs.values() if run.name_space == name_space]
        for run in runs:
            run.references_changed()

    def _refresh(self, key):
        run = self._runs.get(key)
        after = run.refresh_volumes() if run else None
        if after is not None:
            self.refresher.add(key, after)

    def _write_status(self, key):
        run = self._runs.get(key)
        if run is None:
            return
        current = self._pods.get(*split_key(key))
        if current is not None and current["metadata"]["uid"] == run.uid:
            run.item = current
            self._patch(run)
        if run.network_ready:
            run.write_state()
        if not run.torn_down:
            return
        # It is over: either it was deleted, or it has ended by itself and stays as a record.
        with self._lock:
            if self._runs.get(key) is run:
                del self._runs[key]
        if current is None or current["metadata"]["uid"] != run.uid:
            layout.forget_state(self.directory, *split_key(key), run.uid)
            if current is not None:
                self._pod_changed("ADDED", None, current)
        elif deleting(current):
            self._deleter.add((key, run.uid))

    def _patch(self, run):
        patch = merge_patch(run.item.get("status") or {}, status_of(run))
        if not patch:
            return
        metadata = run.item["metadata"]
        try:
            self._pods.observe(self.client.patch(
                "pods", metadata["namespace"], metadata["name"],
                {"metadata": {"uid": run.uid}, "status": patch}, "status"))
        except ApiError as error:
            if error.code not in (404, 409, 422):
                raise
            self._log.info("%s: %s", run.key, error)
        except Unavailable:
            self.statuses.add(run.key, _STATUS_RETRY_SECONDS)
            if run.torn_down:
                raise  # the last status must be told

    def _delete(self, entry):
        """Lets the object of a pod go whose containers have ended."""
        key, uid = entry
        name_space, name = split_key(key)
        try:
            self.client.delete("pods", name_space, name, uid=uid, grace_seconds=0)
        except ApiError as error:
            if error.code not in (404, 409):
                raise
