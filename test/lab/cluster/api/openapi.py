"""OpenAPI v3: a document for each group version, made from the tables of types and the schemas of
definitions."""

from lab.cluster.api import fields

_INFO = {"title": "Kubernetes", "version": "v1.34.0"}
_SCALARS = {"string": {"type": "string"}, "bool": {"type": "boolean"}, "int": {"type": "integer"},
            "float": {"type": "number"}, "bytes": {"type": "string", "format": "byte"},
            "Time": {"type": "string", "format": "date-time"},
            "MicroTime": {"type": "string", "format": "date-time"},
            "Quantity": {"type": "string"}, "IntOrString": {"type": "string", "format": "int-or-string"}}


def document(kinds, request):
    """(document, content type), or None if the path is none of OpenAPI v3."""
    path = request.path.rstrip("/")
    if path == "/openapi/v3":
        return _index(kinds), "application/json"
    if not path.startswith("/openapi/v3/"):
        return None
    group_version = path.removeprefix("/openapi/v3/")
    for group, versions in kinds.groups().items():
        for version in versions:
            if group_version == _location(group, version):
                return _document(kinds, group, version), "application/json"
    return None


def _location(group, version):
    return f"apis/{group}/{version}" if group else f"api/{version}"


def _index(kinds):
    paths = {}
    for group, versions in kinds.groups().items():
        for version in versions:
            location = _location(group, version)
            # The revision makes clients ask again when definitions have changed.
            paths[location] = {"serverRelativeURL": f"/openapi/v3/{location}?hash={kinds.revision:08X}"}
    return {"paths": paths}


def _document(kinds, group, version):
    paths, schemas = {}, {}
    for kind in kinds.in_version(group, version):
        base = f"/{_location(group, version)}" + ("/namespaces/{namespace}" if kind.namespaced else "")
        identity = {"group": group, "version": version, "kind": kind.kind}
        name = _schema_name(kind)
        response = {"200": {"description": "OK", "content": {"application/json": {
            "schema": {"$ref": f"#/components/schemas/{name}"}}}}}
        collection = {}
        if "list" in kind.verbs:
            collection["get"] = {"x-kubernetes-action": "list", "x-kubernetes-group-version-kind": identity,
                                 "responses": response}
        if "create" in kind.verbs:
            collection["post"] = {"x-kubernetes-action": "post", "x-kubernetes-group-version-kind": identity,
                                  "parameters": _parameters(), "responses": response}
        paths[f"{base}/{kind.resource}"] = collection
        if "patch" in kind.verbs:
            paths[f"{base}/{kind.resource}/{{name}}"] = {
                action: {"x-kubernetes-action": action, "x-kubernetes-group-version-kind": identity,
                         "parameters": _parameters(), "responses": response}
                         for action in ("get", "put", "patch")}
        schemas[name] = _schema(kind, identity, schemas)
    return {"openapi": "3.0.0", "info": _INFO, "paths": paths, "components": {"schemas": schemas}}


def _parameters():
    return [{"name": name, "in": "query", "schema": {"type": "string", "uniqueItems": True}}
            for name in ("dryRun", "fieldManager", "fieldValidation")]


def _schema_name(kind):
    if kind.custom is not None:
        return ".".join(reversed(kind.group.split("."))) + f".{kind.version}.{kind.kind}"
    return _type_name(kind.shape.name)


def _type_name(name):
    package, kind = name.split(".")
    if package == "meta":
        return f"io.k8s.apimachinery.pkg.apis.meta.v1.{kind}"
    if package == "apiextensions":
        return f"io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.{kind}"
    return f"io.k8s.api.{package}.v1.{kind}"


def _schema(kind, identity, schemas):
    if kind.custom is None:
        schema = dict(_struct(kind.shape, schemas))
        schema["properties"] = {"apiVersion": {"type": "string"}, "kind": {"type": "string"},
                                **schema["properties"]}
    else:
        schema = dict(kind.custom.schema)
        properties = dict(schema.get("properties") or {})
        metadata = fields.struct("meta", "ObjectMeta")
        properties.update(apiVersion={"type": "string"}, kind={"type": "string"},
                          metadata={"allOf": [_reference(metadata, schemas)]})
        schema["properties"] = properties
    schema["x-kubernetes-group-version-kind"] = [identity]
    return schema


def _reference(shape, schemas):
    name = _type_name(shape.name)
    if name not in schemas:
        schemas[name] = None  # types contain themselves
        schemas[name] = _struct(shape, schemas)
    return {"$ref": f"#/components/schemas/{name}"}


def _struct(shape, schemas):
    schema = {"type": "object",
              "properties": {name: _field(field, schemas) for name, field in shape.fields.items()}}
    required = [name for name, field in shape.fields.items() if field.always and not field.pointer]
    if required:
        schema["required"] = required
    return schema


def _field(shape, schemas):
    if shape.kind == "struct":
        schema = {"allOf": [_reference(shape, schemas)]}
        if not shape.pointer:
            schema["default"] = {}
        return schema
    if shape.kind == "list":
        schema = {"type": "array", "items": _field(shape.item, schemas)}
        if shape.keys == ("",):
            schema["x-kubernetes-list-type"] = "set"
        elif shape.keys:
            schema.update({"x-kubernetes-list-map-keys": list(shape.keys), "x-kubernetes-list-type": "map"})
        elif not shape.merge:
            schema["x-kubernetes-list-type"] = "atomic"
        if shape.merge:
            schema["x-kubernetes-patch-strategy"] = "merge,retainKeys" if shape.retain else "merge"
            if shape.merge_key:
                schema["x-kubernetes-patch-merge-key"] = shape.merge_key
        return schema
    if shape.kind == "map":
        schema = {"type": "object", "additionalProperties": _field(shape.item, schemas)}
    elif shape.kind == "any":
        schema = {"type": "object"} if shape.name == "FieldsV1" else {}
    else:
        schema = dict(_SCALARS[shape.name])
    if shape.atomic:
        schema["x-kubernetes-map-type"] = "atomic"
    return schema
