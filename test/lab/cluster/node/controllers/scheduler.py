"""The scheduler: every pod that has no node yet is bound to ours, if its node selector allows."""

from lab.cluster.node.objects import deleting, finished, labels_of, split_key
from lab.cluster.node.work import Reconciler

_RETRY_SECONDS = 5.0


class Scheduler:

    def __init__(self, context):
        self._context = context
        self._pods = context.informers["pods"]
        self._nodes = context.informers["nodes"]
        self.reconciler = Reconciler("scheduler", self._reconcile)
        self._pods.add_handler(self._changed)

    def _changed(self, event, old, new):
        if event != "DELETED" and not new["spec"].get("nodeName"):
            self.reconciler.add(f"{new['metadata']['namespace']}/{new['metadata']['name']}")

    def _reconcile(self, key):
        pod = self._pods.get(*split_key(key))
        if pod is None or pod["spec"].get("nodeName") or deleting(pod) or finished(pod):
            return
        node_name = self._context.node_name
        node = self._nodes.get("", node_name)
        if node is None:
            self.reconciler.add(key, after=0.2)
            return
        wanted = (pod["spec"].get("nodeSelector") or {}).items()
        if not wanted <= labels_of(node).items():
            self._context.events.warning(
                "default-scheduler", pod, "FailedScheduling",
                "0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector.")
            self.reconciler.add(key, after=_RETRY_SECONDS)
            return
        metadata = pod["metadata"]
        self._context.client.create("pods", metadata["namespace"], {
            "apiVersion": "v1", "kind": "Binding",
            "metadata": {"name": metadata["name"], "namespace": metadata["namespace"],
                         "uid": metadata["uid"]},
            "target": {"apiVersion": "v1", "kind": "Node", "name": node_name}},
            name=metadata["name"], subresource="binding")
        self._context.events.normal(
            "default-scheduler", pod, "Scheduled",
            f"Successfully assigned {metadata['namespace']}/{metadata['name']} to {node_name}")
