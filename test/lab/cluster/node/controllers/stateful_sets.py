"""StatefulSets: pods with numbers, made and replaced one after the other."""

from lab.cluster.node.controllers.pods import OwnedPods, write_status
from lab.cluster.node.objects import (available, condition_true, deleting, finished, labels_of, split_key,
                                      template_hash)
from lab.cluster.node.work import Reconciler

_REVISION = "controller-revision-hash"


class StatefulSetController:
    """Volume claims become directories of the pod: nothing outlives it here."""

    def __init__(self, context):
        self._context = context
        self._sets = context.informers["statefulsets"]
        self._pods = OwnedPods(context, "statefulset-controller")
        self.reconciler = Reconciler("statefulsets", self._reconcile)
        self._pods.wake(self.reconciler, "StatefulSet")
        self._sets.add_handler(lambda event, old, new: self.reconciler.add(
            f"{new['metadata']['namespace']}/{new['metadata']['name']}"))

    def _reconcile(self, key):
        item = self._sets.get(*split_key(key))
        if item is None:
            return
        revision = f"{item['metadata']['name']}-{template_hash(item['spec']['template'])}"
        if not deleting(item):
            self._step(item, revision)
        self._write_status(item, revision)

    def _step(self, item, revision):
        """Does what may be done now: with ordered management, one pod at a time."""
        spec = item["spec"]
        replicas = spec.get("replicas", 1)
        first = (spec.get("ordinals") or {}).get("start", 0)
        ordered = spec.get("podManagementPolicy", "OrderedReady") == "OrderedReady"
        pods = {_ordinal(pod): pod for pod in self._pods.of(item)}
        for ordinal in range(first, first + replicas):
            pod = pods.get(ordinal)
            if pod is None:
                self._create(item, ordinal, revision)
                if ordered:
                    return
            elif finished(pod) and not deleting(pod):
                self._pods.delete(item, pod)
                return
            elif ordered and (deleting(pod) or not available(pod, spec.get("minReadySeconds", 0))):
                if _stale(pod, revision) and not deleting(pod) and self._rolls(item):
                    self._pods.delete(item, pod)  # a new template may be what makes it ready
                return
        for ordinal in sorted(pods, reverse=True):
            if not first <= ordinal < first + replicas:
                if not deleting(pods[ordinal]):
                    self._pods.delete(item, pods[ordinal])
                if ordered:
                    return
        self._roll(item, pods, first, revision)

    def _roll(self, item, pods, first, revision):
        """Replaces the pod of the highest number that is of an earlier template."""
        if not self._rolls(item):
            return
        strategy = item["spec"].get("updateStrategy") or {}
        partition = (strategy.get("rollingUpdate") or {}).get("partition", 0)
        for ordinal in sorted(pods, reverse=True):
            if ordinal < first + partition or deleting(pods[ordinal]):
                return
            if _stale(pods[ordinal], revision):
                self._pods.delete(item, pods[ordinal])
                return
            if not condition_true(pods[ordinal], "Ready"):
                return

    def _rolls(self, item):
        return (item["spec"].get("updateStrategy") or {}).get("type", "RollingUpdate") == "RollingUpdate"

    def _create(self, item, ordinal, revision):
        name = f"{item['metadata']['name']}-{ordinal}"

        def identify(pod):
            pod["spec"]["hostname"] = name
            if item["spec"].get("serviceName"):
                pod["spec"]["subdomain"] = item["spec"]["serviceName"]
            claims = [{"name": claim["metadata"]["name"], "emptyDir": {}}
                      for claim in item["spec"].get("volumeClaimTemplates") or ()]
            if claims:
                pod["spec"]["volumes"] = (pod["spec"].get("volumes") or []) + claims

        self._pods.create(item, item["spec"]["template"], name=name, change=identify, labels={
            "statefulset.kubernetes.io/pod-name": name, "apps.kubernetes.io/pod-index": str(ordinal),
            _REVISION: revision})

    def _write_status(self, item, revision):
        pods = [pod for pod in self._pods.of(item) if not finished(pod)]
        ready = [pod for pod in pods if condition_true(pod, "Ready") and not deleting(pod)]
        updated = [pod for pod in pods if not _stale(pod, revision)]
        held = item.get("status") or {}
        done = len(updated) == len(ready) == len(pods) == item["spec"].get("replicas", 1)
        counts = {"readyReplicas": len(ready), "updatedReplicas": len(updated),
                  "currentReplicas": len(updated) if done else len(pods) - len(updated)}
        write_status(self._context, self._sets, item, {
            "observedGeneration": item["metadata"].get("generation", 1), "replicas": len(pods),
            **{name: count for name, count in counts.items() if count},
            "availableReplicas": sum(available(pod, item["spec"].get("minReadySeconds", 0)) for pod in ready),
            "currentRevision": revision if done else held.get("currentRevision", revision),
            "updateRevision": revision, "collisionCount": 0})


def _ordinal(pod):
    return int(pod["metadata"]["name"].rsplit("-", 1)[1])


def _stale(pod, revision):
    return labels_of(pod).get(_REVISION) != revision
