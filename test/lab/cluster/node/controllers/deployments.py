"""Deployments: a ReplicaSet for each template, and the rollout from one to the next."""

import copy

from lab.cluster.node.client import ApiError
from lab.cluster.node.controllers.deployment_status import status_of
from lab.cluster.node.controllers.pods import OwnedPods, write_status
from lab.cluster.node.controllers.rollout import bounds, scale_plan
from lab.cluster.node.objects import (controlled_by, deleting, finished, owner_reference, split_key,
                                      template_hash)
from lab.cluster.node.work import Reconciler

_PREFIX = "deployment.kubernetes.io/"
_REVISION = _PREFIX + "revision"
_HASH = "pod-template-hash"
_NOT_COPIED = ("kubectl.kubernetes.io/last-applied-configuration",)


class DeploymentController:

    def __init__(self, context):
        self._context = context
        self._deployments = context.informers["deployments"]
        self._sets = context.informers["replicasets"]
        self._pods = OwnedPods(context, "deployment-controller")
        self.reconciler = Reconciler("deployments", self.reconcile)
        self._deployments.add_handler(lambda event, old, new: self.reconciler.add(
            f"{new['metadata']['namespace']}/{new['metadata']['name']}"))
        self._sets.add_handler(self._set_changed)
        self._pods.informer.add_handler(self._pod_changed)

    def _set_changed(self, event, old, new):
        for reference in new["metadata"].get("ownerReferences") or ():
            if reference["kind"] == "Deployment":
                self.reconciler.add(f"{new['metadata']['namespace']}/{reference['name']}")

    def _pod_changed(self, event, old, new):
        # A rollout by Recreate waits for the end of old pods, which no ReplicaSet's status tells.
        if event != "DELETED":
            return
        namespace = new["metadata"]["namespace"]
        for reference in new["metadata"].get("ownerReferences") or ():
            owner = self._sets.get(namespace, reference["name"])
            if reference["kind"] == "ReplicaSet" and owner:
                self._set_changed(event, None, owner)

    def reconcile(self, key):
        deployment = self._deployments.get(*split_key(key))
        if deployment is None or deleting(deployment):
            return
        sets = [item for item in self._sets.list(deployment["metadata"]["namespace"])
                if controlled_by(item, deployment)]
        current = next((item for item in sets if _same_template(item, deployment)), None)
        paused = deployment["spec"].get("paused", False)
        created = False
        if not paused:
            current, created = self._ensure_current(deployment, sets, current)
        old = [item for item in sets if current is None or
               item["metadata"]["uid"] != current["metadata"]["uid"]]
        if not paused:
            deployment = self._set_revision(deployment, current)
        current, old = self._scale(deployment, current, old, paused)
        self._write_status(deployment, current, old, created)
        if not paused:
            self._clean_up(deployment, old)

    def _ensure_current(self, deployment, sets, current):
        """The ReplicaSet of the present template, at the newest revision: (ReplicaSet, whether it is new)."""
        newest = max([_revision(item) for item in sets if item is not current], default=0)
        if current is None:
            return self._create_set(deployment, sets, newest + 1), True
        annotations = _annotations(deployment, max(_revision(current), newest + 1))
        return self._patch_set(current, annotations, None), False

    def _create_set(self, deployment, sets, revision):
        metadata, spec = deployment["metadata"], deployment["spec"]
        collisions = (deployment.get("status") or {}).get("collisionCount", 0)
        digest = template_hash(spec["template"], collisions)
        template = copy.deepcopy(spec["template"])
        labels = template.setdefault("metadata", {}).setdefault("labels", {})
        labels[_HASH] = digest
        selector = copy.deepcopy(spec["selector"])
        selector.setdefault("matchLabels", {})[_HASH] = digest
        name = f"{metadata['name']}-{digest}"
        size = self._plan(deployment, {"metadata": {"name": name}, "spec": {"replicas": 0}}, sets,
                          False).get(name, 0)
        item = {
            "apiVersion": "apps/v1", "kind": "ReplicaSet",
            "metadata": {"name": name, "namespace": metadata["namespace"],
                         "labels": dict(labels), "annotations": _annotations(deployment, revision),
                         "ownerReferences": [owner_reference(deployment)]},
            "spec": {"replicas": size, "selector": selector, "template": template}}
        if spec.get("minReadySeconds"):
            item["spec"]["minReadySeconds"] = spec["minReadySeconds"]
        try:
            created = self._context.client.create("replicasets", metadata["namespace"], item)
        except ApiError as error:
            if error.reason == "AlreadyExists":
                # One of an earlier deployment of this name, which is still being collected.
                write_status(self._context, self._deployments, deployment, {
                    **(deployment.get("status") or {}), "collisionCount": collisions + 1})
            raise
        self._sets.observe(created)
        self._tell_scaled(deployment, name, 0, size)
        return created

    def _set_revision(self, deployment, current):
        wanted = str(_revision(current))
        if (deployment["metadata"].get("annotations") or {}).get(_REVISION) == wanted:
            return deployment
        metadata = deployment["metadata"]
        patched = self._context.client.patch("deployments", metadata["namespace"], metadata["name"],
                                             {"metadata": {"annotations": {_REVISION: wanted}}})
        self._deployments.observe(patched)
        return {**patched, "apiVersion": "apps/v1", "kind": "Deployment"}

    def _scale(self, deployment, current, old, paused):
        """Moves the numbers of replicas as far as the strategy lets them move now."""
        plan = self._plan(deployment, current, old, paused)
        scaled = []
        for item in ([current] if current else []) + old:
            wanted = plan.get(item["metadata"]["name"])
            annotations = dict(item["metadata"].get("annotations") or {})
            if item is current:
                annotations = _annotations(deployment, _revision(item))
            before = item["spec"].get("replicas", 0)
            scaled.append(self._patch_set(item, annotations, wanted))
            if wanted is not None:
                self._tell_scaled(deployment, item["metadata"]["name"], before, wanted)
        return (scaled[0], scaled[1:]) if current else (None, scaled)

    def _plan(self, deployment, current, old, paused):
        """See scale_plan."""
        recreate = deployment["spec"].get("strategy", {}).get("type") == "Recreate"
        old_pods = any(not finished(pod) for item in old for pod in self._pods.of(item))
        return scale_plan(deployment["spec"], current, old, paused, recreate, old_pods)

    def _tell_scaled(self, deployment, name, before, size):
        if size != before:
            self._context.events.normal(
                "deployment-controller", deployment, "ScalingReplicaSet",
                f"Scaled {'up' if size > before else 'down'} replica set {name} from {before} to {size}")

    def _patch_set(self, item, annotations, replicas):
        """Writes what differs; returns the ReplicaSet as it is now."""
        patch = {}
        held = item["metadata"].get("annotations") or {}
        changed = {key: value for key, value in annotations.items() if held.get(key) != value}
        if changed:
            patch["metadata"] = {"annotations": changed}
        if replicas is not None and item["spec"].get("replicas", 0) != replicas:
            patch["spec"] = {"replicas": replicas}
        if not patch:
            return item
        metadata = item["metadata"]
        patched = self._context.client.patch("replicasets", metadata["namespace"], metadata["name"], patch)
        self._sets.observe(patched)
        return {**patched, "apiVersion": "apps/v1", "kind": "ReplicaSet"}

    def _write_status(self, deployment, current, old, created):
        status, again = status_of(deployment, current, old, created)
        write_status(self._context, self._deployments, deployment, status)
        if again:
            metadata = deployment["metadata"]
            self.reconciler.add(f"{metadata['namespace']}/{metadata['name']}", after=again)

    def _clean_up(self, deployment, old):
        """Deletes the oldest ReplicaSets beyond the history limit."""
        empty = [item for item in old if not item["spec"].get("replicas", 0) and not deleting(item) and
                 not (item.get("status") or {}).get("replicas", 0)]
        limit = deployment["spec"].get("revisionHistoryLimit", 10)
        for item in sorted(empty, key=_revision)[:max(len(empty) - limit, 0)]:
            metadata = item["metadata"]
            self._context.client.delete("replicasets", metadata["namespace"], metadata["name"],
                                        uid=metadata["uid"])


def _annotations(deployment, revision):
    """Those of a current ReplicaSet: the deployment's, its revision, and the bounds of its size."""
    kept = {key: value for key, value in (deployment["metadata"].get("annotations") or {}).items()
            if key not in _NOT_COPIED and not key.startswith(_PREFIX)}
    desired = deployment["spec"].get("replicas", 1)
    most = desired + bounds(deployment["spec"])[0]
    return {**kept, _PREFIX + "desired-replicas": str(desired), _PREFIX + "max-replicas": str(most),
            _REVISION: str(revision)}


def _revision(item):
    text = (item["metadata"].get("annotations") or {}).get(_REVISION, "0")
    return int(text) if text.isdigit() else 0


def _same_template(replica_set, deployment):
    template = copy.deepcopy(replica_set["spec"]["template"])
    labels = (template.get("metadata") or {}).get("labels") or {}
    labels.pop(_HASH, None)
    wanted = copy.deepcopy(deployment["spec"]["template"])
    for one in (template, wanted):
        metadata = one.setdefault("metadata", {})
        metadata.pop("creationTimestamp", None)
        metadata.setdefault("labels", {})
    return template == wanted
