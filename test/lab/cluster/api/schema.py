"""Structural schemas of custom resources (OpenAPI v3): pruning, defaults, validation and shapes."""

import copy
import re

from lab.cluster.api import fields
from lab.cluster.api.decoding import is_integer
from lab.cluster.api.statuses import quoted

_META = ("apiVersion", "kind", "metadata")
_NAMES = {bool: "boolean", int: "integer", float: "number", str: "string", dict: "object", list: "array"}


def shape_of(schema):
    """The Shape of a schema, for patches and field ownership."""
    shape = _shape(schema)
    shape.fields["metadata"] = fields.struct("meta", "ObjectMeta")
    for name in ("apiVersion", "kind"):
        shape.fields[name] = fields.Shape("scalar", "string")
    return shape


def _shape(schema):
    kind = schema.get("type")
    if schema.get("x-kubernetes-int-or-string"):
        return fields.Shape("scalar", "IntOrString")
    if kind == "array":
        shape = fields.Shape("list")
        shape.item = _shape(schema.get("items") or {})
        if schema.get("x-kubernetes-list-type") == "map":
            shape.keys = tuple(schema.get("x-kubernetes-list-map-keys") or ())
        elif schema.get("x-kubernetes-list-type") == "set":
            shape.keys = ("",)
        return shape
    if kind == "object":
        # A struct that is a pointer: unlike those of built-in types it is not there before it is set.
        shape = fields.Shape("struct")
        shape.pointer = True
        shape.atomic = schema.get("x-kubernetes-map-type") == "atomic"
        shape.fields = {name: _shape(inside) for name, inside in (schema.get("properties") or {}).items()}
        extra = schema.get("additionalProperties")
        if extra and not shape.fields:
            shape = fields.Shape("map")
            shape.item = _shape(extra) if isinstance(extra, dict) else fields.ANY
        return shape
    if kind in ("string", "integer", "number", "boolean"):
        return fields.Shape("scalar", "string")
    return fields.ANY


def prune(value, schema, path, unknown, root=False):
    """A copy without the fields that the schema does not know; their names go to `unknown`."""
    if isinstance(value, dict):
        if schema.get("x-kubernetes-embedded-resource"):
            schema = dict(schema,
                          properties={**(schema.get("properties") or {}), "apiVersion": {"type": "string"},
                                              "kind": {"type": "string"}, "metadata": _FREE})
        properties = schema.get("properties") or {}
        extra = schema.get("additionalProperties")
        free = schema.get("x-kubernetes-preserve-unknown-fields")
        result = {}
        for name, entry in value.items():
            inside = f"{path}.{name}" if path else name
            if root and name in _META:
                result[name] = entry
            elif name in properties:
                result[name] = prune(entry, properties[name], inside, unknown)
            elif extra:
                result[name] = prune(entry, extra if isinstance(extra, dict) else _FREE, inside, unknown)
            elif free:
                result[name] = copy.deepcopy(entry)
            elif unknown is not None:
                unknown.append(inside)
        return result
    if isinstance(value, list):
        items = schema.get("items")
        if items is None:
            return copy.deepcopy(value)
        return [prune(entry, items, f"{path}[{index}]", unknown) for index, entry in enumerate(value)]
    return value


_FREE = {"x-kubernetes-preserve-unknown-fields": True}


def default(value, schema):
    """Fills in the defaults of a schema, in place."""
    if isinstance(value, dict):
        properties = schema.get("properties") or {}
        for name, inside in properties.items():
            if "default" in inside and (name not in value or value[name] is None
                                        and not inside.get("nullable")):
                value[name] = copy.deepcopy(inside["default"])
            elif name in value and value[name] is None and not inside.get(
                "nullable") and "default" not in inside:
                continue
            if name in value:
                default(value[name], inside)
        extra = schema.get("additionalProperties")
        if isinstance(extra, dict):
            for name, entry in value.items():
                if name not in properties:
                    default(entry, extra)
    elif isinstance(value, list) and isinstance(schema.get("items"), dict):
        for entry in value:
            default(entry, schema["items"])


def validate(value, schema, path, causes, root=False):
    """Adds what the schema forbids to `causes`, in the API server's words."""
    if value is None:
        if not schema.get("nullable"):
            _wrong_type(path, value, schema.get("type", ""), causes)
        return
    if schema.get("x-kubernetes-int-or-string"):
        if isinstance(value, bool) or not isinstance(value, (int, str)):
            _wrong_type(path, value, "integer,string", causes)
            return
    elif schema.get("type") and not _is(value, schema["type"]):
        _wrong_type(path, value, schema["type"], causes)
        return
    if "enum" in schema and value not in schema["enum"]:
        causes.unsupported(path, value, schema["enum"])
    if isinstance(value, dict):
        _object(value, schema, path, causes, root)
    elif isinstance(value, list):
        _array(value, schema, path, causes)
    elif isinstance(value, str):
        _string(value, schema, path, causes)
    elif not isinstance(value, bool):
        _number(value, schema, path, causes)
    _combined(value, schema, path, causes)


def _is(value, kind):
    if kind == "integer":
        return is_integer(value)
    if kind == "number":
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    return {"string": str, "boolean": bool, "object": dict, "array": list}[kind] is type(value)


def _wrong_type(path, value, kind, causes):
    found = "null" if value is None else _NAMES[type(value)]
    causes.add("FieldValueTypeInvalid", path,
               f"Invalid value: {quoted(found)}: {path} in body must be of type {kind}: "
               f"{quoted(found)}")


def _bad(causes, path, value, text):
    shown = value if not isinstance(value, (dict, list)) else "..."
    causes.invalid(path, shown, f"{path} in body {text}")


def _object(value, schema, path, causes, root):
    properties = schema.get("properties") or {}
    extra = schema.get("additionalProperties")
    for name in sorted(value):
        inside = f"{path}.{name}" if path else name
        if root and name in _META:
            continue
        if name in properties:
            validate(value[name], properties[name], inside, causes)
        elif isinstance(extra, dict):
            validate(value[name], extra, inside, causes)
    for name in schema.get("required") or []:
        if name not in value:
            causes.required(f"{path}.{name}" if path else name)
    if "maxProperties" in schema and len(value) > schema["maxProperties"]:
        causes.add("FieldValueTooMany", path, f"Too many: {len(value)}: must have at most "
                   f"{schema['maxProperties']} items")
    if "minProperties" in schema and len(value) < schema["minProperties"]:
        _bad(causes, path, value, f"should have at least {schema['minProperties']} properties")


def _array(value, schema, path, causes):
    if "maxItems" in schema and len(value) > schema["maxItems"]:
        causes.add("FieldValueTooMany", path,
                   f"Too many: {len(value)}: must have at most {schema['maxItems']} items")
    if "minItems" in schema and len(value) < schema["minItems"]:
        _bad(causes, path, len(value), f"should have at least {schema['minItems']} items")
    for index, entry in enumerate(value):
        validate(entry, schema.get("items") or {}, f"{path}[{index}]", causes)
    keys = schema.get("x-kubernetes-list-map-keys") if schema.get("x-kubernetes-list-type") == "map" else None
    if keys or schema.get("x-kubernetes-list-type") == "set" or schema.get("uniqueItems"):
        seen = []
        for index, entry in enumerate(value):
            identity = {key: entry.get(key) for key in keys} if keys and isinstance(entry, dict) else entry
            if identity in seen:
                causes.add("FieldValueDuplicate", f"{path}[{index}]", f"Duplicate value: {quoted(identity)}")
            seen.append(identity)


_DATE_TIME = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)")
_INTEGERS = {"int32": 1 << 31, "int64": 1 << 63}


def _string(value, schema, path, causes):
    if schema.get("format") == "date-time" and not _DATE_TIME.fullmatch(value):
        causes.add("FieldValueTypeInvalid", path,
                   f"Invalid value: {quoted(value)}: {path} in body must be of "
                   f"type date-time: {quoted(value)}")
    if "pattern" in schema and not re.search(schema["pattern"], value):
        _bad(causes, path, value, f"should match '{schema['pattern']}'")
    if "maxLength" in schema and len(value) > schema["maxLength"]:
        causes.add("FieldValueTooLong", path, f"Too long: may not be more than {schema['maxLength']} bytes")
    if "minLength" in schema and len(value) < schema["minLength"]:
        _bad(causes, path, value, f"should be at least {schema['minLength']} chars long")


def _number(value, schema, path, causes):
    limit = _INTEGERS.get(schema.get("format"))
    if limit is not None and schema.get("type") == "integer" and not -limit <= value < limit:
        _bad(causes, path, value, f"must be of type integer with format {schema['format']}")
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is not None and (value <= low if schema.get("exclusiveMinimum") else value < low):
        word = "greater than" if schema.get("exclusiveMinimum") else "greater than or equal to"
        _bad(causes, path, value, f"should be {word} {low}")
    if high is not None and (value >= high if schema.get("exclusiveMaximum") else value > high):
        word = "less than" if schema.get("exclusiveMaximum") else "less than or equal to"
        _bad(causes, path, value, f"should be {word} {high}")
    if schema.get("multipleOf") and value % schema["multipleOf"]:
        _bad(causes, path, value, f"should be a multiple of {schema['multipleOf']}")


class _Silent:
    """Counts causes, for schemas of which one must hold."""

    def __init__(self):
        self.count = 0

    def __getattr__(self, name):
        def note(*_):
            self.count += 1
        return note


def _holds(value, schema, path):
    silent = _Silent()
    validate(value, schema, path, silent)
    return silent.count == 0


def _combined(value, schema, path, causes):
    for inside in schema.get("allOf") or []:
        validate(value, inside, path, causes)
    if schema.get("anyOf") and not any(_holds(value, inside, path) for inside in schema["anyOf"]):
        _bad(causes, path, value, "must validate at least one schema (anyOf)")
    if schema.get("oneOf") and sum(_holds(value, inside, path) for inside in schema["oneOf"]) != 1:
        _bad(causes, path, value, "must validate one and only one schema (oneOf)")
    if schema.get("not") and _holds(value, schema["not"], path):
        _bad(causes, path, value, "must not validate the schema (not)")
