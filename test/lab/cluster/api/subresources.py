"""Subresources with objects of their own: scale, binding, eviction; and the finalization of namespaces."""

import json

from lab.cluster.api import builtin, decoding, definitions, patches, statuses
from lab.cluster.api.interfaces import StatusError
from lab.cluster.api.managed import now
from lab.cluster.api.tables import selector_text
from lab.cluster.api.views import from_storage

_SCALE_PATHS = {"specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas"}


def _stored(server, write):
    stored = server.store.get(write.kind.storage_key, write.namespace, write.name)
    if stored is None:
        raise statuses.not_found(write.kind, write.name)
    return stored


def _scale_of(write, obj):
    """The Scale of an object."""
    paths = write.kind.custom.scale if write.kind.custom is not None else _SCALE_PATHS

    def at(name):
        return next(iter(definitions.json_path(obj, paths[name])), 0) if paths.get(name) else 0
    metadata = obj["metadata"]
    scale = {"kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": {
        name: metadata[name] for name in ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
        if name in metadata}, "spec": {}, "status": {"replicas": at("statusReplicasPath") or 0}}
    if at("specReplicasPath"):
        scale["spec"]["replicas"] = at("specReplicasPath")
    if write.kind.custom is None:
        scale["status"]["selector"] = selector_text(obj["spec"].get("selector"))
    elif paths.get("labelSelectorPath"):
        scale["status"]["selector"] = str(at("labelSelectorPath") or "")
    return scale


def _get_scale(server, write):
    return 200, _scale_of(write, _stored(server, write).object)


def _set_scale(server, write):
    request = write.exchange.request
    old = _stored(server, write)
    scale = _scale_of(write, old.object)
    if request.method == "PUT":
        scale = decoding.read(request, server.kinds).object
    else:
        patch = decoding.from_json(request.body).object
        try:
            change = patches.apply_json_patch if isinstance(patch, list) else patches.merge
            scale = change(scale, patch)
        except patches.PatchFailed as error:
            raise StatusError(422, "Invalid", str(error), {}) from None
    replicas = (scale.get("spec") or {}).get("replicas", 0)
    if isinstance(replicas, bool) or not isinstance(replicas, int) or replicas < 0:
        causes = statuses.Causes()
        causes.invalid("spec.replicas", replicas, "must be greater than or equal to 0")
        causes.raise_for("Scale.autoscaling", "autoscaling", "Scale", write.name)
    paths = write.kind.custom.scale if write.kind.custom is not None else _SCALE_PATHS
    change = {"metadata": {}}
    version = (scale.get("metadata") or {}).get("resourceVersion")
    if version and version != old.object["metadata"]["resourceVersion"]:
        raise statuses.conflict(write.kind, write.name)
    node = change
    names = paths["specReplicasPath"].strip(".").split(".")
    for name in names[:-1]:
        node = node.setdefault(name, {})
    node[names[-1]] = replicas
    # The object itself is written as by a merge patch of the main resource.
    inner = type(write)(**{**vars(write), "subresource": ""})
    obj = server.writer.patch(inner, "application/merge-patch+json", json.dumps(change).encode())
    return 200, _scale_of(write, obj)


def _bind(server, write):
    """pods/binding: what a scheduler does."""
    binding = decoding.read(write.exchange.request, server.kinds).object
    node = (binding.get("target") or {}).get("name") if isinstance(binding, dict) else None
    if not node:
        raise statuses.bad_request("binding: target.name is required")

    def bind(pod):
        if pod["metadata"].get("deletionTimestamp"):
            raise statuses.conflict(write.kind, write.name,
                                    f"pod {write.name} is being deleted, cannot be assigned to "
                                    "a host")
        if pod["spec"].get("nodeName"):
            raise statuses.conflict(write.kind, write.name, f"pod {write.name} is already assigned to node "
                                    f'"{pod["spec"]["nodeName"]}"')
        pod["spec"]["nodeName"] = node
        builtin.label_topology(server.store, pod)
        conditions = [entry for entry in pod["status"].get("conditions") or []
                      if entry["type"] != "PodScheduled"]
        pod["status"]["conditions"] = conditions + [{"type": "PodScheduled", "status": "True",
                                                     "lastProbeTime": None,
                                                     "lastTransitionTime": now()}]
    _stored(server, write)
    if not write.dry_run:
        server.update("", "pods", write.namespace, write.name, bind)
    return 201, {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}


def _evict(server, write):
    """pods/eviction: a deletion that respects disruption budgets."""
    eviction = decoding.read(write.exchange.request, server.kinds).object or {}
    stored = _stored(server, write)
    labels = stored.object["metadata"].get("labels") or {}
    for budget in server.list("policy", "poddisruptionbudgets", write.namespace):
        selector = (budget["spec"].get("selector") or {}).get("matchLabels") or {}
        if selector and all(labels.get(key) == value for key, value in selector.items()) and \
                not (budget.get("status") or {}).get("disruptionsAllowed", 0):
            raise StatusError(429, "TooManyRequests",
                              "Cannot evict pod as it would violate the pod's disruption budget.",
                              {"causes": [{"reason": "DisruptionBudget", "message": "The disruption budget "
                                           f"{budget['metadata']['name']} does not allow it now"}]})
    server.remover.delete(write, dict(eviction.get("deleteOptions") or {}))
    return 201, {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}


def _finalize(server, write):
    """namespaces/finalize: takes finalizers of the spec away."""
    wanted = decoding.read(write.exchange.request, server.kinds).object

    def change(namespace):
        namespace["spec"]["finalizers"] = (wanted.get("spec") or {}).get("finalizers") or []
    _stored(server, write)
    return 200, from_storage(write.kind, server.update("", "namespaces", "", write.name, change))


HANDLERS = {
    ("scale", "get"): _get_scale,
    ("scale", "update"): _set_scale,
    ("scale", "patch"): _set_scale,
    ("binding", "create"): _bind,
    ("eviction", "create"): _evict,
    ("finalize", "update"): _finalize,
}
