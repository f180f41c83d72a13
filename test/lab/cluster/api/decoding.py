"""Request bodies: JSON, YAML or protobuf, to objects that have the fields of their type and no others."""

import json
import re

import yaml

from lab.cluster.api import fields, protobuf, statuses
from lab.cluster.api.kinds import SUBRESOURCES
from lab.cluster.api.statuses import bad_request

ACCEPTED = ("application/json", "application/yaml", "application/vnd.kubernetes.protobuf")
_MICRO_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}(Z|[+-]\d\d:\d\d)")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")


class Body:
    """A decoded body and the keys that it had twice."""

    def __init__(self, obj, duplicates=()):
        self.object = obj
        self.duplicates = list(duplicates)


def media_type(request):
    return request.headers.get("content-type", "application/json").split(";")[0].strip().lower()


def read(request, kinds):
    """The Body of a request in any form that the server reads; its object may be anything."""
    media = media_type(request)
    if media == "application/vnd.kubernetes.protobuf":
        return Body(protobuf.decode(request.body, lambda version, kind: shape_of(kinds, version, kind)))
    if media in ("application/yaml", "text/yaml"):
        return from_yaml(request.body)
    if media in ("application/json", ""):
        return from_json(request.body)
    raise statuses.unsupported_media_type(ACCEPTED)


def shape_of(kinds, api_version, kind):
    """The type of an object by its kind and apiVersion, or None."""
    group, _, version = api_version.rpartition("/")
    if kind == "DeleteOptions":
        return fields.struct("meta", "DeleteOptions")
    for of_group, of_version, of_kind, package, _ in SUBRESOURCES.values():
        if (of_group, of_version, of_kind) == (group, version, kind) and package:
            return fields.struct(package, kind)
    served = kinds.by_kind(group, kind)
    return served.shape if served else None




def from_json(data):
    duplicates = []

    def pairs(items):
        obj = dict(items)
        if len(obj) != len(items):
            seen = set()
            duplicates.extend(key for key, _ in items if key in seen or seen.add(key))
        return obj

    try:
        return Body(json.loads(data, object_pairs_hook=pairs), duplicates)
    except (ValueError, RecursionError) as error:
        text = data.decode("utf-8", "replace")
        why = "unexpected end of JSON input" if "Expecting" in str(error) and \
            getattr(error, "pos", 0) >= len(text.rstrip()) else str(error)
        raise bad_request(f"couldn't get version/kind; json parse error: {why} ({text[:1000]})") from None


def from_yaml(data):
    try:
        return Body(json.loads(json.dumps(yaml.load(data, Loader=_YamlLoader))))
    except (yaml.YAMLError, ValueError, TypeError, RecursionError) as error:
        raise bad_request(f"error converting YAML to JSON: {error}") from None


class _YamlLoader(yaml.SafeLoader):
    """YAML as Kubernetes reads it: times stay strings."""


_YamlLoader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()}


def object_of(body, kind, subresource_kind=None):
    """The object of a create or update, of the kind that the path takes. Raises 400."""
    obj = body.object
    wanted_kind, wanted_version = subresource_kind or (kind.kind, kind.api_version)
    if not isinstance(obj, dict):
        raise bad_request(
            f"the object provided is unrecognized (must be of type {wanted_kind}): it is not an object")
    if kind.custom is not None and subresource_kind is None:
        for key, name in (("kind", "Kind"), ("apiVersion", "apiVersion")):
            if not obj.get(key):
                text = json.dumps(obj, separators=(",", ":"))[:500]
                raise bad_request(f"the object provided is unrecognized (must be of type {wanted_kind}): "
                                  f"Object '{name}' is missing in '{text}' ({text})")
    found_kind, found_version = obj.get("kind") or wanted_kind, obj.get("apiVersion") or wanted_version
    if (found_kind, found_version) != (wanted_kind, wanted_version):
        raise bad_request(_wrong_kind(found_kind, found_version, wanted_kind, wanted_version))
    return dict(obj, kind=wanted_kind, apiVersion=wanted_version)


def _wrong_kind(found_kind, found_version, wanted_kind, wanted_version):
    version = found_version.rpartition("/")[2]
    if found_kind != wanted_kind:
        return (f'{found_kind} in version "{version}" cannot be handled as a {wanted_kind}: converting '
                f"({version}.{found_kind}) to (core.{wanted_kind}): unknown conversion")
    return (f"the API version in the data ({found_version}) does not match the expected API version "
            f"({wanted_version})")


class WrongType(Exception):
    """A value that its field cannot have."""

    def __init__(self, path, value, name):
        got = {str: "string", bool: "bool", int: "number", float: "number", list: "array", dict: "object"}
        super().__init__(f"json: cannot unmarshal {got.get(type(value), 'null')} into Go struct field "
                         f"{path} of type {name}")


def conform(value, shape, path="", unknown=None):
    """A value as its type writes it: without unknown fields and nulls, with the fields that are always there.

    Names of unknown fields go to the list `unknown`. Raises WrongType. Shares nothing that it changes.
    """
    kind = shape.kind
    if kind == "struct":
        return _struct(value, shape, path, unknown)
    if kind == "list":
        if not isinstance(value, list):
            raise WrongType(path, value, "[]" + (shape.item.name or shape.item.kind))
        item = shape.item
        if item.kind == "scalar":
            for index, entry in enumerate(value):
                _scalar(entry, item.name, f"{path}[{index}]")
            return value
        return [conform(entry, item, f"{path}[{index}]", unknown) for index, entry in enumerate(value)]
    if kind == "map":
        if not isinstance(value, dict):
            raise WrongType(path, value, "map")
        return {key: conform("" if entry is None and shape.item.name == "string" else entry, shape.item,
                             f"{path}.{key}", unknown) for key, entry in value.items()}
    if kind == "scalar":
        _scalar(value, shape.name, path)
    return value


def _struct(value, shape, path, unknown):
    if value is None:
        value = {}
    if not isinstance(value, dict):
        raise WrongType(path, value, shape.name)
    known = shape.fields
    result = {}
    for name, entry in value.items():
        field = known.get(name)
        if field is None:
            if not (path == "" and name in ("kind", "apiVersion")):
                if unknown is not None:
                    unknown.append(f"{path}.{name}" if path else name)
                continue
            result[name] = entry
        elif entry is not None:
            result[name] = conform(entry, field, f"{path}.{name}" if path else name, unknown)
    for name, field in known.items():
        if name in result:
            continue
        if field.kind == "struct" and not field.pointer:
            result[name] = conform({}, field)
        elif field.always:
            result[name] = None if field.pointer or field.kind != "scalar" else _ZEROS[field.name]
    return result


_ZEROS = {"string": "", "int": 0, "bool": False, "float": 0, "Time": None, "MicroTime": None, "bytes": None,
          "Quantity": "0", "IntOrString": 0}


def is_integer(value):
    """Whether a JSON value is an integer; 1.0 is one too."""
    if isinstance(value, float):
        return value.is_integer()
    return isinstance(value, int) and not isinstance(value, bool)


def _scalar(value, name, path):
    if name == "string":
        good = isinstance(value, str)
    elif name == "int":
        good = is_integer(value)
    elif name == "bool":
        good = isinstance(value, bool)
    elif name == "float":
        good = isinstance(value, (int, float)) and not isinstance(value, bool)
    elif name == "bytes":
        good = isinstance(value, str)
    elif name == "Quantity":
        good = isinstance(value, (str, int, float)) and not isinstance(value, bool)
    elif name == "IntOrString":
        good = isinstance(value, (str, int)) and not isinstance(value, bool)
    elif name == "Time":
        good = isinstance(value, str) and _TIME.fullmatch(value)
    else:
        good = isinstance(value, str) and _MICRO_TIME.fullmatch(value)
    if not good:
        if name in ("Time", "MicroTime") and isinstance(value, str):
            fraction = ".000000" if name == "MicroTime" else ""
            layout = f"2006-01-02T15:04:05{fraction}Z07:00"
            raise _BadTime(f'parsing time "{value}" as "{layout}": cannot parse "{value}"')
        raise WrongType(path, value, name)


class _BadTime(WrongType):
    def __init__(self, message):
        Exception.__init__(self, message)
