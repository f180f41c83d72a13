"""JSON patch (RFC 6902), JSON merge patch (RFC 7396) and Kubernetes' strategic merge patch."""

import copy

from lab.cluster.api.interfaces import StatusError
from lab.cluster.api.statuses import bad_request


class PatchFailed(Exception):
    """A JSON patch that cannot be applied to this object."""


def merge(target, patch):
    """The object after a JSON merge patch; shares what it does not change."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merge(result.get(key), value)
    return result


def apply_json_patch(target, operations):
    """The object after a JSON patch. Raises PatchFailed."""
    if not isinstance(operations, list):
        raise bad_request("a JSON patch must be a list of operations")
    target = copy.deepcopy(target)
    for operation in operations:
        if not isinstance(operation, dict) or not isinstance(operation.get("path"), str):
            raise bad_request("an operation of a JSON patch needs op and path")
        target = _apply(target, operation)
    return target


def _apply(target, operation):
    op, path = operation.get("op"), _pointer(operation["path"])
    if op in ("add", "replace", "test") and "value" not in operation:
        raise PatchFailed(f"{op} operation without value")
    if op == "add":
        return _set(target, path, copy.deepcopy(operation["value"]), insert=True)
    if op == "replace":
        _get(target, path)
        return _set(target, path, copy.deepcopy(operation["value"]), insert=False)
    if op == "remove":
        return _remove(target, path)
    if op == "test":
        if _get(target, path, missing=None) != operation["value"]:
            raise PatchFailed(f"testing value {operation['path']} failed")
        return target
    if op in ("move", "copy"):
        source = _pointer(operation.get("from", ""))
        value = copy.deepcopy(_get(target, source))
        if op == "move":
            target = _remove(target, source)
        return _set(target, path, value, insert=True)
    raise PatchFailed(f"Unexpected kind: {op}")


def _pointer(text):
    if text == "":
        return []
    if not text.startswith("/"):
        raise PatchFailed(f"path {text!r} does not start with /")
    return [part.replace("~1", "/").replace("~0", "~") for part in text[1:].split("/")]


_RAISE = object()


def _step(value, part, path):
    if isinstance(value, dict) and part in value:
        return value[part]
    if isinstance(value, list) and part.lstrip("-").isdigit() and -len(value) <= int(part) < len(value):
        return value[int(part)]
    raise PatchFailed(f"doc is missing path: /{'/'.join(path)}")


def _get(target, path, missing=_RAISE):
    try:
        for part in path:
            target = _step(target, part, path)
    except PatchFailed:
        if missing is _RAISE:
            raise
        return missing
    return target


def _set(target, path, value, insert):
    if not path:
        return value
    parent = _get(target, path[:-1])
    last = path[-1]
    if isinstance(parent, dict):
        parent[last] = value
    elif isinstance(parent, list):
        index = len(parent) if last == "-" else int(last) if last.isdigit() else -1
        if not 0 <= index <= len(parent) - (0 if insert else 1):
            raise PatchFailed(f"index {last} out of bounds at /{'/'.join(path)}")
        if insert:
            parent.insert(index, value)
        else:
            parent[index] = value
    else:
        raise PatchFailed(f"doc is missing path: /{'/'.join(path)}")
    return target


def _remove(target, path):
    if not path:
        return {}
    parent = _get(target, path[:-1])
    _step(parent, path[-1], path)
    if isinstance(parent, dict):
        del parent[path[-1]]
    else:
        del parent[int(path[-1])]
    return target


def strategic(target, patch, shape):
    """The object after a strategic merge patch; lists with a merge key are merged by it."""
    if not isinstance(patch, dict):
        return patch
    directive = patch.get("$patch")
    if directive == "replace":
        return {key: value for key, value in patch.items() if key != "$patch"}
    if directive == "delete":
        return {}
    result = dict(target) if isinstance(target, dict) else {}
    if shape is not None and shape.retain and "$retainKeys" in patch:
        result = {key: value for key, value in result.items() if key in patch["$retainKeys"]}
    for key, value in patch.items():
        if key.startswith("$deleteFromPrimitiveList/"):
            name = key.partition("/")[2]
            result[name] = [item for item in result.get(name) or [] if item not in value]
        elif not key.startswith("$"):
            _strategic_field(result, key, value, patch.get(f"$setElementOrder/{key}"), _inside(shape, key))
    for key, order in patch.items():
        name = key.removeprefix("$setElementOrder/")
        if name != key and name not in patch and isinstance(result.get(name), list):
            result[name] = _ordered(result[name], order, _inside(shape, name))
    return result


def _inside(shape, key):
    if shape is None:
        return None
    if shape.kind == "struct":
        return shape.fields.get(key)
    return shape.item if shape.kind == "map" else None


def _strategic_field(result, key, value, order, shape):
    if value is None:
        result.pop(key, None)
    elif isinstance(value, list) and shape is not None and shape.kind == "list" and shape.merge:
        merged = _strategic_list(result.get(key) or [], value, shape)
        result[key] = _ordered(merged, order, shape) if order else merged
    elif isinstance(value, dict):
        result[key] = strategic(result.get(key), value, shape)
    else:
        result[key] = value


def _strategic_list(target, patch, shape):
    if any(isinstance(item, dict) and item.get("$patch") == "replace" and len(item) == 1 for item in patch):
        return [item for item in patch if item.get("$patch") != "replace"]
    key = shape.merge_key
    if not key:
        return list(target) + [item for item in patch if item not in target]
    result, appended = list(target), []
    for item in patch:
        if not isinstance(item, dict) or key not in item:
            raise StatusError(400, "BadRequest", f"map: {item} does not contain declared merge key: {key}")
        if item.get("$patch") == "delete":
            result = [old for old in result if old.get(key) != item[key]]
            continue
        for index, old in enumerate(result):
            if old.get(key) == item[key]:
                result[index] = strategic(old, item, shape.item)
                break
        else:
            appended.append(strategic({}, item, shape.item))
    # What the patch adds comes first, as in the API server.
    return appended + result


def _ordered(items, order, shape):
    """Items in the order the client wants; those it does not name keep their place after the one before
    them."""
    key = shape.merge_key if shape is not None else ""
    wanted = [entry.get(key) if key and isinstance(entry, dict) else entry for entry in order]

    def identity(item):
        return item.get(key) if key and isinstance(item, dict) else item

    named = sorted((item for item in items if identity(item) in wanted),
                   key=lambda item: wanted.index(identity(item)))
    result, at = [], 0
    for item in items:
        if identity(item) in wanted:
            result.append(named[at])
            at += 1
        else:
            result.append(item)
    return result
