"""CustomResourceDefinitions: from the object to kinds that are served, through install, change and
removal."""

import re
import threading
import time
import traceback

from lab.cluster.api import schema, tables
from lab.cluster.api.kinds import Kind
from lab.cluster.api.managed import now
from lab.cluster.api.storage import Conflict

KEY = ("apiextensions.k8s.io", "customresourcedefinitions")
CLEANUP = "customresourcecleanup.apiextensions.k8s.io"

_WATCHES_REFUSED_SECONDS = 0.02  # after the install: 429, as a real server does for a moment
_WATCHES_END_SECONDS = 1.0  # after a change
_VERBS = ("delete", "deletecollection", "get", "list", "patch", "create", "update", "watch")


class CustomVersion:
    """What one version of a definition says beyond its names."""

    def __init__(self, definition, version):
        spec = definition["spec"]
        self.version = version
        self.storage = bool(version.get("storage"))
        self.storage_api_version = f"{spec['group']}/" + next(
            entry["name"] for entry in spec["versions"] if entry.get("storage"))
        self.schema = (version.get("schema") or {}).get("openAPIV3Schema") or {"type": "object"}
        if spec.get("preserveUnknownFields"):
            self.schema = dict(self.schema, **{"x-kubernetes-preserve-unknown-fields": True})
        self.shape = schema.shape_of(self.schema)
        self.selectable_fields = tuple(entry["jsonPath"].lstrip(".") for entry in
                                       version.get("selectableFields") or [])
        self.scale = (version.get("subresources") or {}).get("scale")
        self.served_since = time.monotonic()

    def warming_up(self):
        """Whether watches are still refused."""
        return time.monotonic() - self.served_since < _WATCHES_REFUSED_SECONDS

    def prune(self, obj, unknown):
        return schema.prune(obj, self.schema, "", unknown, root=True)

    def default(self, obj):
        schema.default(obj, self.schema)

    def validate(self, obj, causes):
        schema.validate(obj, self.schema, "", causes, root=True)

    def table(self):
        columns = self.version.get("additionalPrinterColumns")
        if not columns:
            columns = [{"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp",
                        "description": "When the object was created, by the server's clock."}]
        described = [("Name", "string", "name", 0, tables.NAME_DESCRIPTION)]
        described += [(column["name"], column["type"], column.get("format", ""), column.get("priority", 0),
                       column.get("description")
                       or f"Custom resource definition column (in JSONPath format): "
                       f"{column['jsonPath']}") for column in columns]

        def cells(obj):
            return [obj["metadata"]["name"]] + [_cell(obj, column) for column in columns]
        return tables.Table(described, cells)


_STEP = re.compile(r"\.([^.\[\]]+)"
                   r"|\['((?:[^'\\]|\\.)*)'\]"
                   r"|\[(\*|\d+|\?\(@\.([^=)]+)=='?\"?([^'\")]*)'?\"?\))\]"
                   r"|\.(\*)")


def json_path(obj, path):
    """The values at a simple JSONPath (fields, [n], [*], [?(@.field=="value")])."""
    values, at = [obj], 0
    if not path.startswith((".", "[")):
        path = "." + path
    while at < len(path):
        match = _STEP.match(path, at)
        if not match:
            return []
        at = match.end()
        values = [found for value in values for found in _step(value, match)]
    return values


def _step(value, match):
    name = match[1] or (match[2] or "").replace("\\", "")
    if name and name != "*":
        return [value[name]] if isinstance(value, dict) and name in value else []
    if match[4]:
        return [item for item in value if isinstance(item, dict) and str(item.get(match[4])) == match[5]] \
            if isinstance(value, list) else []
    if match[3] and match[3] != "*":
        return [value[int(match[3])]] if isinstance(value, list) and int(match[3]) < len(value) else []
    return list(value.values()) if isinstance(value, dict) else list(value) if isinstance(value, list) else []


def _cell(obj, column):
    values = json_path(obj, column["jsonPath"])
    if not values:
        return None if column["type"] != "date" else "<unknown>"
    if column["type"] == "date":
        return tables.age(values[0])
    if column["type"] == "string":
        value = values[0]
        return value if isinstance(value, str) else schema_text(value)
    return values[0]


def schema_text(value):
    """A value that is no string in a column for strings."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return "map[" + " ".join(f"{key}:{schema_text(inside)}"
                                 for key, inside in sorted(value.items())) + "]"
    if isinstance(value, list):
        return "[" + " ".join(schema_text(inside) for inside in value) + "]"
    return str(value)


def kinds_of(definition):
    """The kinds that a definition serves."""
    spec = definition["spec"]
    names = spec["names"]
    kinds = []
    for version in spec["versions"]:
        if not version.get("served"):
            continue
        custom = CustomVersion(definition, version)
        subresources = tuple(name for name in ("status", "scale")
                             if name in (version.get("subresources") or {}))
        kinds.append(Kind(spec["group"], version["name"], names["plural"], names["kind"],
                          spec["scope"] == "Namespaced", singular=names.get("singular")
                          or names["kind"].lower(),
                          short_names=tuple(names.get("shortNames") or ()),
                          categories=tuple(names.get("categories") or ()), subresources=subresources,
                          verbs=_VERBS, shape=custom.shape, generation=True, custom=custom))
    return sorted(kinds, key=lambda kind: version_rank(kind.version), reverse=True)


def version_rank(version):
    """Orders versions as discovery does: v2, v1, v1beta1, v1alpha4, ..."""
    match = re.fullmatch(r"v(\d+)(?:(alpha|beta)(\d+))?", version)
    if not match:
        return (-1, 0, 0, version)
    stage = {None: 2, "beta": 1, "alpha": 0}[match[2]]
    return (stage, int(match[1]), int(match[3] or 0), version)


class Definitions:
    """The controller: a thread that follows the stored definitions."""

    def __init__(self, store, kinds):
        self._store = store
        self._kinds = kinds
        self._collection = store.collection(*KEY)
        self._served = {}  # {name: spec}
        for stored in self._collection.sorted():
            if _established(stored.object):
                self._serve(stored.object)
        threading.Thread(target=self._run, name="definitions", daemon=True).start()

    def _run(self):
        seen = -1
        while True:
            with self._store.lock:
                while self._collection.revision == seen:
                    self._collection.changed.wait()
                seen = self._collection.revision
                present = {stored.name: stored for stored in self._collection.sorted()}
            try:
                for stored in present.values():
                    self._follow(stored)
                for name in set(self._served) - set(present):
                    self._withdraw(name)
            except Conflict:
                seen = -1
            except Exception:  # one bad definition must not stop the others
                traceback.print_exc()

    def _follow(self, stored):
        definition = stored.object
        if definition["metadata"].get("deletionTimestamp"):
            self._clean_up(stored)
        elif not _established(definition):
            self._establish(stored)
        elif self._served.get(stored.name) != definition["spec"]:
            spec = definition["spec"]
            self._serve(definition)
            threading.Timer(_WATCHES_END_SECONDS, self._store.end_watches,
                            (spec["group"], spec["names"]["plural"])).start()

    def _establish(self, stored):
        definition = stored.object
        names = {key: value for key, value in definition["spec"]["names"].items()}
        accepted = [("NamesAccepted", "True", "NoConflicts", "no conflicts found")]
        first = self._set_status(stored, accepted + [
            ("Established", "False", "Installing", "the initial names have been accepted")], names)
        self._serve(definition)
        self._set_status(first, accepted + [
            ("Established", "True", "InitialNamesAccepted", "the initial names have been accepted")], names)

    def _set_status(self, stored, conditions, names):
        status = dict(stored.object.get("status") or {}, acceptedNames=names, conditions=[
            {"type": kind, "status": value, "lastTransitionTime": now(), "reason": reason, "message": message}
            for kind, value, reason, message in conditions])
        return self._store.update(KEY, stored, dict(stored.object, metadata=dict(stored.object["metadata"]),
                                                    status=status))

    def _serve(self, definition):
        spec = definition["spec"]
        self._kinds.set_custom(spec["group"], spec["names"]["plural"], kinds_of(definition))
        self._served[definition["metadata"]["name"]] = spec

    def _clean_up(self, stored):
        """Deletes the objects of a definition that is being deleted, and then lets it go."""
        spec = stored.object["spec"]
        key = (spec["group"], spec["names"]["plural"])
        collection = self._store.collection(*key)
        with self._store.lock:
            for item in list(collection.objects.values()):
                self._store.delete(key, item)
            finalizers = [name for name in stored.object["metadata"].get("finalizers") or []
                          if name != CLEANUP]
            if finalizers:
                return
            self._store.delete(KEY, stored)
        self._withdraw(stored.name)

    def _withdraw(self, name):
        spec = self._served.pop(name, None)
        if spec is None:
            return
        group, plural = spec["group"], spec["names"]["plural"]
        self._kinds.set_custom(group, plural, [])
        threading.Timer(_WATCHES_END_SECONDS, self._store.end_watches, (group, plural)).start()


def _established(definition):
    return any(condition["type"] == "Established" and condition["status"] == "True"
               for condition in (definition.get("status") or {}).get("conditions") or [])
