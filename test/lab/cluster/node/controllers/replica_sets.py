"""ReplicaSets: as many pods as wanted, made from a template."""

from lab.cluster.node.client import ApiError
from lab.cluster.node.controllers.pods import OwnedPods, cheapest_first, write_status
from lab.cluster.node.objects import (available, condition_of, condition_true, deleting, finished,
                                      labels_of, now, split_key)
from lab.cluster.node.work import Reconciler


class ReplicaSetController:

    def __init__(self, context):
        self._context = context
        self._sets = context.informers["replicasets"]
        self._pods = OwnedPods(context, "replicaset-controller")
        self.reconciler = Reconciler("replicasets", self.reconcile)
        self._pods.wake(self.reconciler, "ReplicaSet")
        self._sets.add_handler(lambda event, old, new: self.reconciler.add(
            f"{new['metadata']['namespace']}/{new['metadata']['name']}"))

    def reconcile(self, key):
        replica_set = self._sets.get(*split_key(key))
        if replica_set is None:
            return
        failure = None
        if not deleting(replica_set):
            failure = self._scale(replica_set)
        self._write_status(replica_set, failure)
        if failure:
            raise failure

    def _scale(self, replica_set):
        """Returns the error that kept it from making a pod, or None."""
        active = _active(self._pods.of(replica_set))
        missing = replica_set["spec"].get("replicas", 1) - len(active)
        try:
            for _ in range(missing):
                self._pods.create(replica_set, replica_set["spec"]["template"])
        except ApiError as error:
            return error
        for pod in cheapest_first(active)[:max(-missing, 0)]:
            self._pods.delete(replica_set, pod)
        return None

    def _write_status(self, replica_set, failure):
        pods = self._pods.of(replica_set)
        active = _active(pods)
        spec = replica_set["spec"]
        minimum = spec.get("minReadySeconds", 0)
        labels = ((spec["template"].get("metadata") or {}).get("labels") or {}).items()
        ready = [pod for pod in active if condition_true(pod, "Ready")]
        counts = {
            "fullyLabeledReplicas": sum(labels <= labels_of(pod).items() for pod in active),
            "readyReplicas": len(ready),
            "availableReplicas": sum(available(pod, minimum) for pod in ready)}
        status = {"replicas": len(active),
                  **{name: count for name, count in counts.items() if count},
                  "terminatingReplicas": sum(deleting(pod) and not finished(pod) for pod in pods),
                  "observedGeneration": replica_set["metadata"].get("generation", 1)}
        if failure:
            held = condition_of(replica_set, "ReplicaFailure")
            status["conditions"] = [{
                "type": "ReplicaFailure", "status": "True",
                "lastTransitionTime": held["lastTransitionTime"] if held else now(),
                "reason": "FailedCreate", "message": failure.message}]
        write_status(self._context, self._sets, replica_set, status)
        if minimum and counts["availableReplicas"] < len(ready):
            self.reconciler.add(f"{replica_set['metadata']['namespace']}/{replica_set['metadata']['name']}",
                                after=min(minimum, 1.0))


def _active(pods):
    return [pod for pod in pods if not deleting(pod) and not finished(pod)]
