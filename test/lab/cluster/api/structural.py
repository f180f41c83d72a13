"""Which schemas a CustomResourceDefinition may have: structural ones, as apiextensions.k8s.io/v1 demands."""

import re

from lab.cluster.api import schema as schemas
from lab.cluster.api.statuses import Causes

_TYPES = ("array", "boolean", "integer", "number", "object", "string")
# Not allowed anywhere, with the reason.
_FORBIDDEN = {"$ref": "$ref is not supported", "definitions": "definitions is not supported",
              "dependencies": "dependencies is not supported", "patternProperties":
              "patternProperties is not supported", "additionalItems": "additionalItems is not supported",
              "deprecated": "deprecated is not supported", "id": "id is not supported"}
# Not allowed inside of allOf, anyOf, oneOf and not: the structure is outside of them.
_STRUCTURE = ("additionalProperties", "type", "title", "description", "default", "nullable")
_COLUMN_TYPES = ("boolean", "date", "integer", "number", "string")


def check(definition, causes):
    """Adds what is wrong with the versions of a definition to `causes`."""
    versions = definition["spec"].get("versions") or []
    names = [version.get("name") for version in versions]
    for index, version in enumerate(versions):
        path = f"spec.versions[{index}]"
        if names.index(version.get("name")) != index:
            causes.invalid("spec.versions", names, "must contain unique version names")
        root = (version.get("schema") or {}).get("openAPIV3Schema")
        if not root:
            causes.required(f"{path}.schema.openAPIV3Schema", "schemas are required")
            continue
        where = f"{path}.schema.openAPIV3Schema"
        if root.get("type") != "object":
            causes.invalid(f"{where}.type", root.get("type", ""), "must be object at the root")
        _schema(root, where, causes, "")
        for number, column in enumerate(version.get("additionalPrinterColumns") or []):
            _column(column, f"{path}.additionalPrinterColumns[{number}]", causes)


def _column(column, path, causes):
    for name in ("name", "type", "jsonPath"):
        if not column.get(name):
            causes.required(f"{path}.{name}")
    if column.get("type") and column["type"] not in _COLUMN_TYPES:
        causes.invalid(f"{path}.type", column["type"], "must be one of " + ",".join(_COLUMN_TYPES))
    if column.get("jsonPath") and not column["jsonPath"].startswith("."):
        causes.invalid(f"{path}.jsonPath", column["jsonPath"],
                       "must be a simple json path starting with .")


def _schema(schema, path, causes, place):
    """`place` says in messages what the schema is of: object fields or array items; "" for the root."""
    free = schema.get("x-kubernetes-preserve-unknown-fields")
    either = schema.get("x-kubernetes-int-or-string")
    kind = schema.get("type")
    if not kind and not free and not either:
        causes.required(f"{path}.type", f"must not be empty for specified {place}" if place
                        else "must not be empty at the root")
    elif kind and kind not in _TYPES:
        causes.unsupported(f"{path}.type", kind, _TYPES)
    if either and kind:
        causes.forbidden(f"{path}.type", "must be empty if x-kubernetes-int-or-string is true")
    for name, why in _FORBIDDEN.items():
        if schema.get(name):
            causes.forbidden(f"{path}.{name}", why)
    if schema.get("uniqueItems"):
        causes.forbidden(f"{path}.uniqueItems",
                         "uniqueItems cannot be set to true since the runtime complexity "
                         "becomes quadratic")
    if schema.get("properties") and schema.get("additionalProperties"):
        causes.forbidden(f"{path}.additionalProperties",
                         "additionalProperties and properties are mutual exclusive")
    if schema.get("additionalProperties") is False:
        causes.forbidden(f"{path}.additionalProperties", "additionalProperties cannot be set to false")
    if "pattern" in schema and not _compiles(schema["pattern"]):
        causes.invalid(f"{path}.pattern", schema["pattern"], "must be a valid regular expression, but isn't")
    _inside(schema, path, causes)
    _list(schema, path, causes)
    if "default" in schema:
        _default(schema, f"{path}.default", causes)
    for name in ("allOf", "anyOf", "oneOf"):
        for index, part in enumerate(schema.get(name) or []):
            _value_only(part, f"{path}.{name}[{index}]", causes, either)
    if schema.get("not"):
        _value_only(schema["not"], f"{path}.not", causes, either)


def _compiles(pattern):
    try:
        re.compile(pattern)
    except re.error:
        return False
    return True


def _inside(schema, path, causes):
    for name, part in (schema.get("properties") or {}).items():
        _schema(part, f"{path}.properties[{name}]", causes, "object fields")
    if isinstance(schema.get("additionalProperties"), dict):
        _schema(schema["additionalProperties"], f"{path}.additionalProperties", causes, "object fields")
    items = schema.get("items")
    if isinstance(items, list):
        causes.forbidden(f"{path}.items", "items must be a schema object and not an array")
    elif items is not None:
        _schema(items, f"{path}.items", causes, "array items")
    elif schema.get("type") == "array":
        causes.required(f"{path}.items", "must be specified")


def _list(schema, path, causes):
    kind, keys = schema.get("x-kubernetes-list-type"), schema.get("x-kubernetes-list-map-keys")
    if kind is not None and schema.get("type") != "array":
        causes.invalid(f"{path}.type", schema.get("type", ""),
                       "must be array if x-kubernetes-list-type is specified")
    if kind not in (None, "atomic", "set", "map"):
        causes.unsupported(f"{path}.x-kubernetes-list-type", kind, ("atomic", "map", "set"))
    if kind == "map" and not keys:
        causes.required(f"{path}.x-kubernetes-list-map-keys",
                        "must not be empty if x-kubernetes-list-type is map")
    if keys and kind != "map":
        causes.invalid(f"{path}.x-kubernetes-list-type", kind or "",
                       "must be map if x-kubernetes-list-map-keys is "
                       "non-empty")
    items = schema.get("items") if isinstance(schema.get("items"), dict) else {}
    for key in keys or []:
        field = (items.get("properties") or {}).get(key)
        if field is None:
            causes.invalid(f"{path}.x-kubernetes-list-map-keys", key,
                           "entries must all be names of item properties")
        elif "default" not in field and key not in (items.get("required") or []):
            causes.required(f"{path}.items.properties[{key}].default", "this property is in "
                            "x-kubernetes-list-map-keys, so it must have a default or be a required property")


def _default(schema, path, causes):
    found = Causes()
    schemas.validate(schema["default"], schema, path, found)
    causes.causes += found.causes


def _value_only(part, path, causes, either):
    """What stands inside of a logical operator says nothing about the structure."""
    for name in _STRUCTURE:
        if part.get(name) is not None and not (either and name == "type"):
            causes.forbidden(f"{path}.{name}", "must be empty to be structural")
    for name, inside in (part.get("properties") or {}).items():
        _value_only(inside, f"{path}.properties[{name}]", causes, either)
    if isinstance(part.get("items"), dict):
        _value_only(part["items"], f"{path}.items", causes, either)
