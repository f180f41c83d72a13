"""JSON Patch (RFC 6902) as webhooks answer it; what does not apply is told as a real API server tells it."""

import copy


class DoesNotApply(Exception):
    """An operation that the document does not allow."""


class _Missing(Exception):
    """A key or an index that is not there."""


def apply(patch, document):
    """The document after all operations; the one given stays as it is. `patch` is a list of operations."""
    document = copy.deepcopy(document)
    for operation in patch:
        kind, path = operation.get("op"), operation.get("path")
        if kind not in _OPERATIONS:
            raise DoesNotApply(f"Unexpected kind: {kind if isinstance(kind, str) else 'unknown'}")
        if not isinstance(path, str):
            raise DoesNotApply(f"{kind} operation failed to decode path: missing value")
        document = _OPERATIONS[kind](document, operation, path)
    return document


def _add(document, operation, path):
    if "value" not in operation:
        raise DoesNotApply(f"error in add for path: '{path}': missing value")
    return _put(document, path, copy.deepcopy(operation["value"]))


def _put(document, path, value, name="add"):
    if path == "":
        return value
    parent, key = _parent(document, path, f'{name} operation does not apply: doc is missing path: "{path}"')
    try:
        if isinstance(parent, list):
            parent.insert(len(parent) if key == "-" else _index(key, len(parent)), value)
        else:
            parent[key] = value
    except _Missing as error:
        raise DoesNotApply(f"error in {name} for path: '{path}': {error}") from error
    return document


def _remove(document, operation, path, name="remove"):
    parent, key = _parent(document, path, f'{name} operation does not apply: doc is missing path: "{path}"')
    try:
        if isinstance(parent, list):
            del parent[_index(key, len(parent) - 1)]
        elif key in parent:
            del parent[key]
        else:
            raise _Missing(f"Unable to remove nonexistent key: {key}: missing value")
    except _Missing as error:
        raise DoesNotApply(f"error in {name} for path: '{path}': {error}") from error
    return document


def _replace(document, operation, path):
    if path == "":
        return copy.deepcopy(operation.get("value"))
    parent, key = _parent(document, path, f"replace operation does not apply: doc is missing path: {path}")
    try:
        if isinstance(parent, list):
            parent[_index(key, len(parent) - 1)] = copy.deepcopy(operation.get("value"))
            return document
    except _Missing as error:
        raise DoesNotApply(f"replace operation does not apply: doc is missing key: {path}: {error}"
                           ) from error
    if key not in parent:
        raise DoesNotApply(f"replace operation does not apply: doc is missing key: {path}: missing value")
    parent[key] = copy.deepcopy(operation.get("value"))
    return document


def _move(document, operation, path):
    source = _from(operation, "move")
    value = _read(document, source, f"move operation does not apply: doc is missing from path: {source}")
    document = _remove(document, operation, source, "move")
    return _put(document, path, value, "move")


def _copy(document, operation, path):
    source = _from(operation, "copy")
    value = _read(document, source, f"copy operation does not apply: doc is missing from path: {source}")
    return _put(document, path, copy.deepcopy(value), "copy")


def _test(document, operation, path):
    try:
        value = _read(document, path, f"test operation does not apply: doc is missing path: {path}")
    except DoesNotApply:
        if operation.get("value", "") is not None:
            raise
        value = None  # a test for null is true of what is not there
    if value != operation.get("value") or isinstance(value, bool) != isinstance(operation.get("value"), bool):
        raise DoesNotApply(f"testing value {path} failed: test failed")
    return document


_OPERATIONS = {"add": _add, "remove": _remove, "replace": _replace, "move": _move, "copy": _copy,
               "test": _test}


def _from(operation, name):
    source = operation.get("from")
    if not isinstance(source, str):
        raise DoesNotApply(f"{name} operation failed to decode from: missing value")
    return source


def _read(document, path, problem):
    if path == "":
        return document
    parent, key = _parent(document, path, problem)
    try:
        return parent[_index(key, len(parent) - 1)] if isinstance(parent, list) else parent[key]
    except (KeyError, _Missing) as error:
        raise DoesNotApply(f"{problem}: missing value") from error


def _parent(document, path, problem):
    """(object or list that holds the last segment, last segment). Raises DoesNotApply."""
    segments = [segment.replace("~1", "/").replace("~0", "~") for segment in path.split("/")]
    if segments[0] != "" or len(segments) < 2:
        raise DoesNotApply(f"{problem}: missing value")
    for segment in segments[1:-1]:
        try:
            if isinstance(document, list):
                document = document[_index(segment, len(document) - 1)]
            elif isinstance(document, dict):
                document = document[segment]
            else:
                raise _Missing()
        except (KeyError, _Missing) as error:
            raise DoesNotApply(f"{problem}: missing value") from error
    if not isinstance(document, (dict, list)):
        raise DoesNotApply(f"{problem}: missing value")
    return document, segments[-1]


def _index(text, maximum):
    """A list's index between 0 and maximum; the end counts backwards from -1."""
    try:
        index = int(text)
    except ValueError as error:
        raise _Missing(f'strconv.Atoi: parsing "{text}": invalid syntax') from error
    if index > maximum or index < -(maximum + 1):
        raise _Missing(f"Unable to access invalid index: {index}: invalid index referenced")
    return index
