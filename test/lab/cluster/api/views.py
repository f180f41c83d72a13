"""How objects go over the wire: as they are, as metadata only, as a table; in JSON or YAML."""

import json

import yaml

from lab.cluster.api import decoding, statuses, tables
from lab.cluster.api.storage import dump

_READABLE = ("application/json", "application/yaml", "application/vnd.kubernetes.protobuf")

# Fields that core events and those of events.k8s.io call differently: {core: events.k8s.io}.
_EVENT_NAMES = {"involvedObject": "regarding", "message": "note", "source": "deprecatedSource",
                "firstTimestamp": "deprecatedFirstTimestamp", "lastTimestamp": "deprecatedLastTimestamp",
                "count": "deprecatedCount", "reportingComponent": "reportingController"}
_CORE_EVENT_NAMES = {new: old for old, new in _EVENT_NAMES.items()}


def to_storage(kind, obj):
    """An object of a request as it is stored."""
    if kind.stored_as is not None:
        renamed = {_CORE_EVENT_NAMES.get(key, key): value for key, value in obj.items()}
        return dict(renamed, apiVersion="v1")
    if kind.custom is not None:
        return dict(obj, apiVersion=kind.custom.storage_api_version)
    return obj


def from_storage(kind, obj):
    """A stored object as this version of its kind."""
    if kind.stored_as is not None:
        renamed = {_EVENT_NAMES.get(key, key): value for key, value in obj.items()}
        return dict(renamed, apiVersion=kind.api_version)
    if obj.get("apiVersion") != kind.api_version or obj.get("kind") != kind.kind:
        return dict(obj, apiVersion=kind.api_version, kind=kind.kind)
    return obj


class View:
    """The form a client accepts, for objects of one kind."""

    def __init__(self, kind, accept, objects=""):
        """`objects` is the query parameter includeObject of tables. Raises 406."""
        self.kind = kind
        self.form, self.media = _negotiate(accept)
        self._include = objects or "Metadata"
        self._columns_sent = False
        if self.form == "table":
            self._table = tables.table_of(kind)

    @property
    def content_type(self):
        return self.media

    def one(self, stored):
        """The answer to a get: bytes."""
        if self.form == "table":
            return self._encode(dump(self._as_table([stored], {"resourceVersion": str(stored.version)})))
        return self._encode(self.bytes_of(stored))

    def written(self, obj):
        """The answer to a write whose result may not be stored (dry run): bytes."""
        obj = from_storage(self.kind, obj)
        if self.form == "table":
            return self._encode(dump(self._as_table_of([obj], {})))
        if self.form == "metadata":
            obj = _partial(obj)
        return self._encode(dump(_ordered(obj, self.kind)))

    def list(self, items, metadata):
        """The answer to a list of Stored: bytes."""
        if self.form == "table":
            return self._encode(dump(self._as_table(items, metadata)))
        if self.form == "metadata":
            head = {"kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1", "metadata": metadata}
            body = b",".join(map(self.bytes_of, items))
            return self._encode(dump(head)[:-1] + b',"items":[' + body + b"]}")
        if self.kind.custom is not None:
            metadata = {"continue": metadata.get("continue", ""), **metadata}
            body = b",".join(map(self.bytes_of, items))
            head = dump({"apiVersion": self.kind.api_version})[:-1]
            return self._encode(head + b',"items":[' + body + b"]," +
                                dump({"kind": f"{self.kind.kind}List", "metadata": metadata})[1:])
        head = {"kind": f"{self.kind.kind}List", "apiVersion": self.kind.api_version, "metadata": metadata}
        if self.kind.stored_as is not None:
            body = b",".join(b"{" + self._renamed(stored) for stored in items)
        else:
            body = b",".join(b"{" + stored.body() for stored in items)
        return self._encode(dump(head)[:-1] + b',"items":[' + body + b"]}")

    def event(self, kind, stored):
        """One line of a watch: bytes."""
        if self.form == "table":
            metadata = {"resourceVersion": str(stored.version)}
            body = dump(self._as_table([stored], metadata))
        else:
            body = self.bytes_of(stored)
        return b'{"type":"%b","object":%b}\n' % (kind.encode(), body)

    def bookmark(self, version, initial):
        """A bookmark of a watch; `initial` marks the end of the initial events."""
        metadata = {"resourceVersion": str(version)}
        if initial:
            metadata["annotations"] = {"k8s.io/initial-events-end": "true"}
        if self.form == "metadata":
            obj = {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": metadata}
        elif self.form == "table":
            obj = {"kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": metadata,
                   "columnDefinitions": None, "rows": [{"cells": [], "object": {
                       "kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1",
                       "metadata": metadata}}]}
        else:
            obj = {"kind": self.kind.kind, "apiVersion": self.kind.api_version, "metadata": metadata}
            if self.kind.custom is None:
                required = decoding.conform({}, self.kind.shape)
                obj.update({name: value for name, value in required.items() if name != "metadata"})
        return b'{"type":"BOOKMARK","object":%b}\n' % dump(obj)

    def bytes_of(self, stored):
        """An object with kind and apiVersion; kept with it, since many clients ask for the same."""
        key = (self.form, self.kind.group, self.kind.version)
        cache = stored.cache
        if cache is None:
            cache = stored.cache = {}
        found = cache.get(key)
        if found is None:
            found = cache[key] = self._bytes_of(stored)
        return found

    def _bytes_of(self, stored):
        if self.form == "metadata":
            return dump(_partial(stored.object))
        kind = self.kind
        if kind.custom is not None:
            return dump({"apiVersion": kind.api_version, "kind": kind.kind})[:-1] + b"," + stored.body()
        head = dump({"kind": kind.kind, "apiVersion": kind.api_version})[:-1] + b","
        return head + (self._renamed(stored) if kind.stored_as is not None else stored.body())

    def _renamed(self, stored):
        obj = from_storage(self.kind, stored.object)
        return dump({key: value for key, value in obj.items() if key not in ("kind", "apiVersion")})[1:]

    def _as_table(self, items, metadata):
        return self._as_table_of([stored.object for stored in items], metadata)

    def _as_table_of(self, objects, metadata):
        columns = None if self._columns_sent else self._table.definitions()
        self._columns_sent = True
        return {"kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": metadata,
                "columnDefinitions": columns,
                "rows": [self._row(from_storage(self.kind, obj)) for obj in objects]}

    def _row(self, obj):
        row = {"cells": self._table.cells(obj)}
        if self._include == "Object":
            row["object"] = _ordered(obj, self.kind)
        elif self._include == "None":
            row["object"] = None
        else:
            row["object"] = _partial(obj)
        return row

    def _encode(self, body):
        if self.media == "application/yaml":
            return yaml.safe_dump(json.loads(body), allow_unicode=True).encode()
        return body + b"\n"


def _partial(obj):
    return {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": obj["metadata"]}


def _ordered(obj, kind):
    first = ("apiVersion", "kind") if kind.custom is not None else ("kind", "apiVersion")
    ordered = {key: obj[key] for key in first if key in obj}
    ordered.update(obj)
    return ordered


def _negotiate(accept):
    """(form, media type) of the first thing in the Accept header that can be had."""
    if not accept:
        return "object", "application/json"
    for clause in accept.split(","):
        media, *parameters = [part.strip() for part in clause.split(";")]
        wanted = dict(part.split("=", 1) for part in parameters if "=" in part)
        if media in ("*/*", "application/*"):
            media = "application/json"
        if media not in ("application/json", "application/yaml"):
            continue
        form = wanted.get("as")
        if form is None:
            return "object", media
        if wanted.get("g") != "meta.k8s.io" or wanted.get("v") not in ("v1", "v1beta1"):
            continue
        if form == "Table":
            return "table", media
        if form in ("PartialObjectMetadata", "PartialObjectMetadataList"):
            return "metadata", media
    raise statuses.not_acceptable(_READABLE)
