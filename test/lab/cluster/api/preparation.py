"""What a write may change of an object that is stored, and what only the server does."""

# metadata that the server alone decides.
SERVER_METADATA = ("uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "selfLink")

_METADATA_ORDER = ("name", "generateName", "namespace", "selfLink", "uid", "resourceVersion", "generation",
                   "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "labels",
                   "annotations", "ownerReferences", "finalizers", "managedFields")


def ordered_metadata(metadata):
    """Metadata in the order of the wire, without what is empty."""
    return {name: metadata[name] for name in _METADATA_ORDER
            if name in metadata and metadata[name] not in (None, {}, [], "")}


def for_update(write, old, new):
    """What an update of this path may change; everything else stays as it is."""
    kind, before = write.kind, old["metadata"]
    if write.subresource == "status":
        result = dict(old)
        if "status" in new:
            result["status"] = new["status"]
        metadata = dict(before)
        metadata["managedFields"] = new["metadata"].get("managedFields", before.get("managedFields"))
        if kind.custom is None and kind.resource in ("pods", "nodes", "namespaces"):
            for name in ("labels", "annotations"):
                if new["metadata"].get(name) is not None:
                    metadata[name] = new["metadata"][name]
        result["metadata"] = metadata
        return result
    result = dict(new)
    metadata = dict(new["metadata"])
    for name in SERVER_METADATA + ("generation", "generateName"):
        if name in before:
            metadata[name] = before[name]
        else:
            metadata.pop(name, None)
    result["metadata"] = metadata
    if kind.has_status:
        if "status" in old:
            result["status"] = old["status"]
        else:
            result.pop("status", None)
    return result


def count_generation(kind, old, new):
    """The generation grows with every change of anything but metadata and status."""
    if not (kind.generation or kind.custom is not None):
        return
    ignored = ["metadata", "apiVersion", "kind"] + (["status"] if kind.has_status else [])
    if any(new.get(name) != old.get(name) for name in set(new) | set(old) if name not in ignored):
        new["metadata"]["generation"] = old["metadata"].get("generation", 1) + 1
