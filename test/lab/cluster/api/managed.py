"""Who owns which field: metadata.managedFields, and server-side apply.

A set of fields is a frozenset of paths; a path is a tuple of elements as FieldsV1 writes them: `f:name` of
a field, `k:{...}` of a list item with keys, `v:...` of a value in a set. A path of a struct, map or list
item itself stands for its `.`.
"""

import json
import time

from lab.cluster.api import fields
from lab.cluster.api.interfaces import StatusError

_KEY_DEFAULTS = {"protocol": "TCP"}

# What no manager owns.
_IGNORED = frozenset((("f:apiVersion",), ("f:kind",), ("f:metadata",)) + tuple(
    ("f:metadata", f"f:{name}") for name in (
        "name", "namespace", "uid", "resourceVersion", "creationTimestamp", "selfLink", "generation",
        "managedFields", "deletionTimestamp", "deletionGracePeriodSeconds")))

_BEFORE = "before-first-apply"


def _compact(value):
    return json.dumps(value, separators=(",", ":"), sort_keys=True, ensure_ascii=False)


def _field_of(shape, name):
    if shape.kind == "struct":
        return shape.fields.get(name, fields.ANY)
    return shape.item if shape.kind == "map" and shape.item is not None else fields.ANY


def item_element(item, shape):
    """The path element of an item of a list with keys or of a set."""
    if shape.keys == ("",):
        return "v:" + _compact(item)
    keys = {}
    for key in shape.keys:
        value = item.get(key) if isinstance(item, dict) else None
        if value is None:
            value = _KEY_DEFAULTS.get(key)
        if value is not None:
            keys[key] = value
    return "k:" + _compact(keys)


def _granular_list(value, shape):
    return isinstance(value, list) and shape.kind == "list" and shape.keys and not shape.atomic


def _granular_map(value, shape):
    return isinstance(value, dict) and not shape.atomic and shape.kind in ("struct", "map", "any")


def named(value, shape):
    """The fields that an applied configuration names."""
    found = set()
    _named(value, shape, (), found)
    return frozenset(found) - _IGNORED


def _named(value, shape, path, found):
    if _granular_map(value, shape):
        for name, entry in value.items():
            inside = path + (f"f:{name}",)
            field = _field_of(shape, name)
            _named(entry, field, inside, found)
            if entry is None or entry == {} or shape.kind != "struct" or name not in shape.fields:
                found.add(inside)
    elif _granular_list(value, shape):
        for item in value:
            inside = path + (item_element(item, shape),)
            _named(item, shape.item, inside, found)
            found.add(inside)
    elif path:
        found.add(path)


def changes(old, new, shape):
    """(fields that are new or different, fields that went) between two states."""
    changed, removed = set(), set()
    _compare(old, new, shape, (), changed, removed)
    return frozenset(changed) - _IGNORED, frozenset(removed) - _IGNORED


def _compare(old, new, shape, path, changed, removed):
    if old is new:
        return
    if _granular_map(new, shape) and (old is None or isinstance(old, dict)):
        old = old or {}
        for name, entry in new.items():
            inside, field = path + (f"f:{name}",), _field_of(shape, name)
            if name not in old:
                _all(entry, field, inside, changed)
            elif old[name] != entry:
                _compare(old[name], entry, field, inside, changed, removed)
        for name, entry in old.items():
            if name not in new:
                _all(entry, _field_of(shape, name), path + (f"f:{name}",), removed)
    elif _granular_list(new, shape) and (old is None or isinstance(old, list)):
        before = {item_element(item, shape): item for item in old or []}
        after = {item_element(item, shape): item for item in new}
        for element, item in after.items():
            if element not in before:
                _all(item, shape.item, path + (element,), changed)
            elif before[element] != item:
                _compare(before[element], item, shape.item, path + (element,), changed, removed)
        for element, item in before.items():
            if element not in after:
                _all(item, shape.item, path + (element,), removed)
    elif old != new:
        changed.add(path)
        if isinstance(old, (dict, list)) and new is None:
            _all(old, shape, path, removed)


def _all(value, shape, path, found):
    """Everything in a value, and the value itself."""
    found.add(path)
    if _granular_map(value, shape):
        for name, entry in value.items():
            _all(entry, _field_of(shape, name), path + (f"f:{name}",), found)
    elif _granular_list(value, shape):
        for item in value:
            _all(item, shape.item, path + (item_element(item, shape),), found)


def empty(shape):
    """What a new object of a built-in type has before anything is set: the fields that are always there."""
    there = {}
    for name, field in shape.fields.items():
        if field.pointer:
            continue
        if field.kind == "struct":
            there[name] = empty(field)
        elif field.always:
            there[name] = None
    return there


def to_fields_v1(paths):
    """A set of fields in the form of FieldsV1."""
    root = {}
    for path in sorted(paths):
        node = root
        for element in path:
            node = node.setdefault(element, {})
        node["."] = {}
    return _without_leaf_dots(root)


def _without_leaf_dots(node):
    if set(node) == {"."}:
        return {}
    return {element: _without_leaf_dots(inside) if element != "." else {}
            for element, inside in sorted(node.items())}


def from_fields_v1(tree):
    """The set of fields that FieldsV1 describes."""
    found = set()

    def walk(node, path):
        if not node:
            found.add(path)
        for element, inside in node.items():
            if element == ".":
                found.add(path)
            else:
                walk(inside if isinstance(inside, dict) else {}, path + (element,))

    walk(tree if isinstance(tree, dict) else {}, ())
    found.discard(())
    return frozenset(found)


class Managers:
    """The managedFields of an object, taken apart."""

    def __init__(self, entries):
        self._sets = {}  # {(manager, operation, apiVersion, subresource): (time, fields)}
        for entry in entries or []:
            if isinstance(entry, dict) and entry.get("manager") is not None:
                key = (entry["manager"], entry.get("operation", ""), entry.get("apiVersion", ""),
                       entry.get("subresource", ""))
                self._sets[key] = (entry.get("time"), from_fields_v1(entry.get("fieldsV1") or {}))

    def owned(self, key):
        return self._sets.get(key, (None, frozenset()))[1]

    def others(self, key):
        """{key: fields} of everybody else."""
        return {other: paths for other, (_, paths) in self._sets.items() if other != key}

    def set(self, key, paths):
        """Gives a manager exactly these fields; the time moves only if that changes anything."""
        if not paths:
            self._sets.pop(key, None)
        elif self.owned(key) != paths:
            self._sets.pop(key, None)
            self._sets[key] = (now(), frozenset(paths))

    def take(self, key, paths):
        """Takes fields away from everybody else; their times stay."""
        for other, (when, owned) in list(self._sets.items()):
            if other != key and owned & paths:
                left = owned - paths
                if left:
                    self._sets[other] = (when, left)
                else:
                    del self._sets[other]

    def entries(self, custom):
        """metadata.managedFields: those of Apply first, then by time."""
        ordered = sorted(self._sets.items(),
                         key=lambda item: (item[0][1] != "Apply", item[1][0] or "", item[0][0]))
        return [self._entry(key, when, paths, custom) for key, (when, paths) in ordered]

    @staticmethod
    def _entry(key, when, paths, custom):
        manager, operation, version, subresource = key
        entry = {"manager": manager, "operation": operation, "apiVersion": version}
        if when:
            entry["time"] = when
        entry.update(fieldsType="FieldsV1", fieldsV1=to_fields_v1(paths))
        if subresource:
            entry["subresource"] = subresource
        return {name: entry[name] for name in sorted(entry)} if custom else entry


def now():
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def may_own(paths, subresource, has_status):
    """Those of the fields that a write through this path can set."""
    if subresource == "status":
        return frozenset(path for path in paths if path[0] == "f:status")
    if has_status:
        return frozenset(path for path in paths if path[0] != "f:status")
    return paths


def track_update(old, new, kind, manager, subresource):
    """managedFields after a write that is no apply. `old` is None for a creation."""
    shape, api_version = kind.shape, kind.api_version
    metadata = new["metadata"]
    if "managedFields" in metadata and metadata["managedFields"] in (None, [], [{}]):
        entries = [] if old is not None else None  # the client resets them
    else:
        entries = metadata.get("managedFields") if old is None or metadata.get("managedFields") else \
            old["metadata"].get("managedFields")
    managers = Managers(entries)
    key = (manager, "Update", api_version, subresource)
    changed, removed = changes(old if old is not None else empty(shape), new, shape)
    managers.take(key, changed | removed)
    managers.set(key, (managers.owned(key) - removed) | may_own(changed, subresource, kind.has_status))
    return managers.entries(kind.custom is not None)


def conflict(conflicts):
    """The 409 of an apply: conflicts is {manager key: paths}."""
    causes = []
    for key, paths in sorted(conflicts.items()):
        who = _described(key)
        causes += [{"reason": "FieldManagerConflict", "message": f"conflict with {who}",
                    "field": display(path)}
                   for path in sorted(paths)]
    by_who = {}
    for cause in causes:
        by_who.setdefault(cause["message"], []).append(cause["field"])
    if len(causes) == 1:
        text = f"{causes[0]['message']}: {causes[0]['field']}"
    else:
        text = "\n".join(f"{who.replace('conflict', 'conflicts', 1)}:\n" + "\n".join(f"- {name}"
                                                                                     for name in names)
                         for who, names in by_who.items())
    plural = "conflict" if len(causes) == 1 else "conflicts"
    return StatusError(409, "Conflict", f"Apply failed with {len(causes)} {plural}: {text}",
                       {"causes": causes})


def _described(key):
    manager, operation, version, subresource = key
    text = f'"{manager}"'
    if subresource:
        text += f' with subresource "{subresource}"'
    if operation == "Update":
        text += f" using {version}"
    return text


def display(path):
    """A path as people read it: .spec.ports[port=80].name"""
    text = ""
    for element in path:
        kind, _, rest = element.partition(":")
        if kind == "f":
            text += f".{rest}"
        elif kind == "k":
            text += "[" + ",".join(f"{key}={_compact(value)}"
                                   for key, value in json.loads(rest).items()) + "]"
        else:
            text += f"[={rest}]"
    return text


def apply(live, config, kind, manager, subresource, force):
    """The object after a server-side apply. Raises 409 on conflicts.

    `live` is {} for an object that does not exist yet.
    """
    shape = kind.shape
    managers = Managers(live.get("metadata", {}).get("managedFields"))
    if live and not live["metadata"].get("managedFields"):
        # Nobody is known to own anything: then somebody does who was there before.
        before, _ = changes(empty(shape), live, shape)
        managers.set((_BEFORE, "Update", kind.api_version, ""), may_own(before, "", kind.has_status))
    key = (manager, "Apply", kind.api_version, subresource)
    last, wanted = managers.owned(key), may_own(named(config, shape), subresource, kind.has_status)
    merged = overlay(live, config, shape)
    others = managers.others(key)
    kept = wanted.union(*others.values()) if others else wanted
    for path in sorted(last - kept, key=len):
        if not any(other[:len(path)] == path for other in kept):
            merged = without(merged, path, shape)
    changed, removed = changes(live or empty(shape), merged, shape)
    conflicts = {other: paths & changed for other, paths in others.items() if paths & changed}
    if conflicts and not force:
        raise conflict(conflicts)
    managers.take(key, changed | removed)
    managers.set(key, wanted)
    merged["metadata"] = dict(merged["metadata"], managedFields=managers.entries(kind.custom is not None))
    return merged


def overlay(live, config, shape):
    """The live value with the applied one laid over it, lists with keys item by item."""
    if _granular_map(config, shape) and (live is None or isinstance(live, dict)):
        result = dict(live or {})
        for name, entry in config.items():
            result[name] = overlay(result.get(name), entry, _field_of(shape, name))
        return result
    if _granular_list(config, shape) and isinstance(live, list):
        applied = {item_element(item, shape): item for item in config}
        result = []
        seen = {item_element(item, shape) for item in live}
        order = iter([element for element in applied if element in seen])
        for item in live:
            element = item_element(item, shape)
            if element in applied:
                element = next(order)
                before = next(old for old in live if item_element(old, shape) == element)
                result.append(overlay(before, applied[element], shape.item))
            else:
                result.append(item)
        return result + [item for element, item in applied.items() if element not in seen]
    return config


def without(value, path, shape):
    """The value without what a path names; containers that become empty go too."""
    element = path[0]
    if element.startswith("f:"):
        name = element[2:]
        if not isinstance(value, dict) or name not in value:
            return value
        result = dict(value)
        if len(path) == 1:
            del result[name]
            return result
        inside = without(value[name], path[1:], _field_of(shape, name))
        if inside in ({}, []) and value[name] not in ({}, []) and name not in ("metadata", "spec"):
            del result[name]
        else:
            result[name] = inside
        return result
    if not isinstance(value, list):
        return value
    result = []
    for item in value:
        if item_element(item, shape) != element:
            result.append(item)
        elif len(path) > 1:
            result.append(without(item, path[1:], shape.item))
    return result
