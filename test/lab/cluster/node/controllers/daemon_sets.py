"""DaemonSets: one pod on every node, which here is one node."""

from lab.cluster.node.controllers.pods import OwnedPods, write_status
from lab.cluster.node.objects import (available, condition_true, deleting, finished, labels_of, split_key,
                                      template_hash)
from lab.cluster.node.work import Reconciler

_HASH = "controller-revision-hash"


class DaemonSetController:

    def __init__(self, context):
        self._context = context
        self._sets = context.informers["daemonsets"]
        self._nodes = context.informers["nodes"]
        self._pods = OwnedPods(context, "daemonset-controller")
        self.reconciler = Reconciler("daemonsets", self._reconcile)
        self._pods.wake(self.reconciler, "DaemonSet")
        self._sets.add_handler(lambda event, old, new: self.reconciler.add(
            f"{new['metadata']['namespace']}/{new['metadata']['name']}"))

    def _reconcile(self, key):
        item = self._sets.get(*split_key(key))
        if item is None:
            return
        template = item["spec"]["template"]
        digest = template_hash(template)
        node = self._nodes.get("", self._context.node_name)
        wanted = node is not None and \
            (template["spec"].get("nodeSelector") or {}).items() <= labels_of(node).items()
        pods = self._pods.of(item)
        if not deleting(item):
            rolls = (item["spec"].get("updateStrategy") or {}).get("type", "RollingUpdate") == "RollingUpdate"
            for pod in pods:
                stale = labels_of(pod).get(_HASH) != digest
                if not deleting(pod) and (not wanted or finished(pod) or (stale and rolls)):
                    self._pods.delete(item, pod)
            # The node's ports may be taken: the next one comes when the last has gone.
            if wanted and not pods:
                self._pods.create(item, template, labels={_HASH: digest})
        self._write_status(item, wanted, digest)

    def _write_status(self, item, wanted, digest):
        pods = [pod for pod in self._pods.of(item) if not deleting(pod)]
        ready = [pod for pod in pods if condition_true(pod, "Ready")]
        usable = sum(available(pod, item["spec"].get("minReadySeconds", 0)) for pod in ready)
        status = {"currentNumberScheduled": len(pods), "numberMisscheduled": 0,
                  "desiredNumberScheduled": int(wanted), "numberReady": len(ready),
                  "observedGeneration": item["metadata"].get("generation", 1)}
        counts = {"updatedNumberScheduled": sum(labels_of(pod).get(_HASH) == digest for pod in pods),
                  "numberAvailable": usable, "numberUnavailable": max(int(wanted) - usable, 0)}
        status.update({name: count for name, count in counts.items() if count})
        write_status(self._context, self._sets, item, status)
