"""Questions that are asked of Kubernetes objects everywhere: selectors, owners, conditions, times."""

import datetime
import hashlib
import json

# Kubernetes' alphabet for generated names: no vowels, so no words.
_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"


def now():
    """The time as Kubernetes writes it, in whole seconds."""
    return datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def seconds_since(text):
    """How long ago a time of an object was."""
    then = datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))
    return (datetime.datetime.now(datetime.timezone.utc) - then).total_seconds()


def key_of(item):
    """"namespace/name"; the name alone for objects without a namespace."""
    metadata = item["metadata"]
    namespace = metadata.get("namespace")
    return f"{namespace}/{metadata['name']}" if namespace else metadata["name"]


def split_key(key):
    namespace, _, name = key.rpartition("/")
    return namespace, name


def labels_of(item):
    return item["metadata"].get("labels") or {}


def selected(selector, labels):
    """Whether a LabelSelector selects these labels. An empty one selects all, None selects nothing."""
    if selector is None:
        return False
    for key, value in (selector.get("matchLabels") or {}).items():
        if labels.get(key) != value:
            return False
    for expression in selector.get("matchExpressions") or ():
        key, values = expression["key"], expression.get("values") or []
        holds = {"In": key in labels and labels[key] in values,
                 "NotIn": key not in labels or labels[key] not in values,
                 "Exists": key in labels,
                 "DoesNotExist": key not in labels}[expression["operator"]]
        if not holds:
            return False
    return True


def controller_of(item):
    """The owner reference of the object's controller, or None."""
    for reference in item["metadata"].get("ownerReferences") or ():
        if reference.get("controller"):
            return reference
    return None


def controlled_by(item, owner):
    reference = controller_of(item)
    return reference is not None and reference["uid"] == owner["metadata"]["uid"]


def owner_reference(owner):
    return {"apiVersion": owner["apiVersion"], "kind": owner["kind"],
            "name": owner["metadata"]["name"], "uid": owner["metadata"]["uid"],
            "controller": True, "blockOwnerDeletion": True}


def deleting(item):
    return bool(item["metadata"].get("deletionTimestamp"))


def condition_of(item, kind):
    for condition in (item.get("status") or {}).get("conditions") or ():
        if condition["type"] == kind:
            return condition
    return None


def condition_true(item, kind):
    condition = condition_of(item, kind)
    return condition is not None and condition["status"] == "True"


def finished(pod):
    return (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed")


def available(pod, min_ready_seconds):
    """Whether a pod has been ready for that long."""
    ready = condition_of(pod, "Ready")
    if ready is None or ready["status"] != "True":
        return False
    return not min_ready_seconds or seconds_since(ready["lastTransitionTime"]) >= min_ready_seconds


def template_hash(template, collisions=0):
    """A name-safe hash of a pod template, ten characters as Kubernetes' own."""
    text = json.dumps(template, sort_keys=True) + (str(collisions) if collisions else "")
    digest = hashlib.sha256(text.encode()).digest()
    return "".join(_ALPHABET[byte % len(_ALPHABET)] for byte in digest[:10])


def quantity(text):
    """A resource quantity as a number: "100m" is 0.1, "64Mi" is 67108864."""
    text = str(text)
    for suffix, factor in (("Ki", 2**10), ("Mi", 2**20), ("Gi", 2**30), ("Ti", 2**40), ("m", 1e-3),
                           ("k", 1e3), ("M", 1e6), ("G", 1e9), ("T", 1e12)):
        if text.endswith(suffix):
            return float(text[:-len(suffix)]) * factor
    return float(text)


def merge_patch(old, new):
    """What turns `old` into `new` as a JSON merge patch (RFC 7386); {} if they are equal."""
    patch = {}
    for key, value in new.items():
        if key not in old:
            patch[key] = value
        elif isinstance(value, dict) and isinstance(old[key], dict):
            inner = merge_patch(old[key], value)
            if inner:
                patch[key] = inner
        elif value != old[key]:
            patch[key] = value
    for key in old:
        if key not in new:
            patch[key] = None
    return patch


def reference_of(item):
    """What names an object exactly: kind, apiVersion, name and uid."""
    return {"kind": item["kind"], "apiVersion": item["apiVersion"],
            "name": item["metadata"]["name"], "uid": item["metadata"]["uid"]}
