"""Making and deleting the pods of a controller's object, with the events that tell of it."""

import copy

from lab.cluster.node.client import ApiError
from lab.cluster.node.objects import condition_true, controlled_by, owner_reference


class OwnedPods:
    """The pods whose controller is of one kind ("ReplicaSet")."""

    def __init__(self, context, component):
        self._context = context
        self._component = component
        self.informer = context.informers["pods"]

    def wake(self, reconciler, kind):
        """A change of a pod is work for its controller, if that is of this kind."""
        def changed(event, old, new):
            for reference in new["metadata"].get("ownerReferences") or ():
                if reference.get("controller") and reference["kind"] == kind:
                    reconciler.add(f"{new['metadata']['namespace']}/{reference['name']}")
        self.informer.add_handler(changed)

    def of(self, owner):
        """All pods of an object, also finished and terminating ones."""
        return [pod for pod in self.informer.list(owner["metadata"]["namespace"])
                if controlled_by(pod, owner)]

    def create(self, owner, template, name="", labels=None, change=None):
        """Makes one pod from a template. `name` is for controllers that number their pods; `change` edits the
        pod before it is sent. Raises ApiError after an event has told the reason."""
        metadata = copy.deepcopy(template.get("metadata") or {})
        metadata["namespace"] = owner["metadata"]["namespace"]
        metadata["labels"] = {**(metadata.get("labels") or {}), **(labels or {})}
        metadata["ownerReferences"] = [owner_reference(owner)]
        if name:
            metadata["name"] = name
        else:
            metadata["generateName"] = owner["metadata"]["name"] + "-"
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata,
               "spec": copy.deepcopy(template["spec"])}
        if change:
            change(pod)
        try:
            created = self._context.client.create("pods", metadata["namespace"], pod)
        except ApiError as error:
            self._context.events.warning(self._component, owner, "FailedCreate",
                                         f"Error creating: {error.message}")
            raise
        self.informer.observe(created)
        self._context.events.normal(self._component, owner, "SuccessfulCreate",
                                    f"Created pod: {created['metadata']['name']}")
        return created

    def delete(self, owner, pod):
        metadata = pod["metadata"]
        try:
            answer = self._context.client.delete("pods", metadata["namespace"], metadata["name"],
                                                 uid=metadata["uid"])
        except ApiError as error:
            if error.code in (404, 409):
                return
            raise
        if answer.get("kind") == "Pod" and answer["metadata"].get("deletionTimestamp"):
            self.informer.observe(answer)
        self._context.events.normal(self._component, owner, "SuccessfulDelete",
                                    f"Deleted pod: {metadata['name']}")


def cheapest_first(pods):
    """The order in which pods are given up: not scheduled, not ready, then the youngest."""
    pods = sorted(pods, key=lambda pod: pod["metadata"]["creationTimestamp"], reverse=True)
    return sorted(pods, key=lambda pod: (bool(pod["spec"].get("nodeName")),
                                         condition_true(pod, "Ready")))


def write_status(context, informer, item, status):
    """Writes a status if it differs from what the object has; the caller has not changed `item`."""
    if (item.get("status") or {}) != status:
        informer.observe(context.client.update(informer.resource, {**item, "status": status}, "status"))
