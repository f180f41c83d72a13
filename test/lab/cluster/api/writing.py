"""create, update, patch and apply: from a request's body to what is stored."""

import copy
import random
import uuid
from dataclasses import dataclass, field

from lab.cluster.api import (builtin, decoding, defaults, last_applied, managed, patches, preparation,
                             statuses, validation, views)
from lab.cluster.api.fields import struct
from lab.cluster.api.interfaces import Admission, Resource, StatusError
from lab.cluster.api.statuses import bad_request
from lab.cluster.api.storage import Conflict

_ATTEMPTS = 10
_SUFFIX = "bcdfghjklmnpqrstvwxz2456789"

# Kinds that may only be updated with a resourceVersion.
_CONDITIONAL = frozenset((("coordination.k8s.io", "leases"), ("policy", "poddisruptionbudgets"),
                          ("apiextensions.k8s.io", "customresourcedefinitions"),
                          ("admissionregistration.k8s.io", "mutatingwebhookconfigurations"),
                          ("admissionregistration.k8s.io", "validatingwebhookconfigurations")))


@dataclass
class Write:
    """A request that writes, taken apart."""
    kind: object
    namespace: str
    name: str
    user: object
    exchange: object
    subresource: str = ""
    dry_run: bool = False
    validation: str = "Warn"  # of unknown fields: Ignore, Warn or Strict
    manager: str = "unknown"
    force: bool = False
    warnings: list = field(default_factory=list)

    @classmethod
    def of(cls, kind, namespace, name, user, exchange, subresource=""):
        request = exchange.request
        dry_run = request.query.get("dryRun", [])
        if any(value not in ("All", "") for value in dry_run):
            raise bad_request(f"invalid dry run value {dry_run}: supported values: All")
        agent = request.headers.get("user-agent", "").split("/")[0]
        return cls(kind, namespace, name, user, exchange, subresource, dry_run="All" in dry_run,
                   validation=request.parameter("fieldValidation") or "Warn",
                   manager=(request.parameter("fieldManager") or agent or "unknown")[:128],
                   force=request.flag("force"), warnings=exchange.warnings)

    def resource(self):
        kind = self.kind
        return Resource(kind.group, kind.version, kind.resource, kind.kind, kind.namespaced, self.subresource)

    def options(self, name):
        options = {"kind": name, "apiVersion": "meta.k8s.io/v1"}
        if self.dry_run:
            options["dryRun"] = ["All"]
        request = self.exchange.request
        if request.parameter("fieldManager"):
            options["fieldManager"] = request.parameter("fieldManager")
        if request.parameter("fieldValidation"):
            options["fieldValidation"] = self.validation
        return options


class Writer:
    """All writes that are no deletions."""

    def __init__(self, store, kinds, access, addresses, remove):
        """`remove(kind, stored, obj)` deletes an object whose last finalizer has gone."""
        self._store = store
        self._kinds = kinds
        self._access = access
        self._addresses = addresses
        self._remove = remove

    def create(self, write, body):
        """The stored object (or, in a dry run, what it would be)."""
        kind = write.kind
        obj = self._typed(write, decoding.object_of(body, kind), body.duplicates)
        return self.create_object(write, obj)

    def create_object(self, write, obj):
        kind, metadata = write.kind, obj["metadata"]
        self._place(write, metadata)
        if not metadata.get("name") and not metadata.get("generateName"):
            raise self._no_name(kind)
        write.name = metadata.get("name") or ""
        builtin.check_namespace(self._store, write)
        obj = defaults.apply(kind, obj)
        for name in preparation.SERVER_METADATA + ("resourceVersion", "generation"):
            metadata.pop(name, None)
        metadata["managedFields"] = managed.track_update(None, obj, kind, write.manager, write.subresource)
        return self._admit_and_create(write, obj)

    def _admit_and_create(self, write, obj):
        kind = write.kind
        obj = builtin.complete(self._store, write, obj)
        chosen = {}

        def settle(admitted):
            if admitted is obj:  # no webhook has changed it
                settled = dict(obj, metadata=dict(obj["metadata"]))
            else:
                settled = builtin.complete(self._store, write, self._conformed(kind, admitted))
            metadata = settled["metadata"]
            metadata["name"] = metadata.get("name") or metadata["generateName"] + _suffix()
            chosen["name"] = metadata["name"]
            metadata.update(uid=str(uuid.uuid4()), creationTimestamp=managed.now())
            if kind.generation or kind.custom is not None:
                metadata["generation"] = 1
            builtin.prepare_for_create(kind, settled)
            settled["metadata"] = preparation.ordered_metadata(metadata)
            validation.check(kind, settled, None)
            return settled

        for attempt in range(8):
            admitted, warnings = self._access.admit(self._admission(write, "CREATE", obj, None), settle)
            self._warn(write, warnings)
            with self._store.lock:
                builtin.check_namespace(self._store, write)
                self._addresses.allocate(kind, admitted)
                final = views.to_storage(kind, admitted)
                if write.dry_run:
                    if self._store.get(kind.storage_key, write.namespace, chosen["name"]):
                        raise statuses.already_exists(kind, chosen["name"])
                    return final
                stored = self._store.create(kind.storage_key, final)
            if stored is not None:
                return stored.object
            if obj["metadata"].get("name") or attempt == 7:
                raise statuses.already_exists(kind, chosen["name"])
        raise AssertionError

    def update(self, write, body):
        """PUT. Returns the object."""
        obj = self._typed(write, decoding.object_of(body, write.kind), body.duplicates)
        name = obj["metadata"].get("name") or write.name
        if name != write.name:
            raise bad_request(
                f"the name of the object ({name}) does not match the name on the URL ({write.name})")
        obj["metadata"]["name"] = name
        self._place(write, obj["metadata"])
        version = obj["metadata"].get("resourceVersion")
        kind = write.kind
        if not version and (kind.custom is not None or (kind.group, kind.resource) in _CONDITIONAL):
            if self._store.get(kind.storage_key, write.namespace, write.name) is None:
                raise statuses.not_found(kind, write.name)
            causes = statuses.Causes()
            causes.invalid("metadata.resourceVersion", 0, "must be specified for an update")
            causes.raise_for(kind.qualified, kind.group, kind.resource, write.name)
        return self._change(write, lambda _: obj, retry=not version)

    def patch(self, write, media, data):
        """PATCH in any form but apply. Returns the object."""
        kind = write.kind
        body = decoding.from_json(data)
        if media == "application/strategic-merge-patch+json" and kind.custom is not None:
            raise statuses.unsupported_media_type(
                ("application/json-patch+json", "application/merge-patch+json",
                 "application/apply-patch+yaml"))
        if media != "application/json-patch+json" and not isinstance(body.object, dict):
            raise bad_request("the patch is not an object")

        def change(old):
            try:
                if media == "application/json-patch+json":
                    new = patches.apply_json_patch(old, body.object)
                elif media == "application/merge-patch+json":
                    new = patches.merge(old, body.object)
                else:
                    new = patches.strategic(old, body.object, kind.shape)
            except patches.PatchFailed:
                raise StatusError(422, "Invalid",
                                  "the server rejected our request due to an error in our request",
                                  {}) from None
            if not isinstance(new, dict) or not isinstance(new.get("metadata"), dict):
                raise bad_request("the patch makes the object something else")
            if new.get("kind") != kind.kind or new.get("apiVersion") != kind.api_version:
                raise bad_request(f"the patch changes kind or apiVersion of {kind.qualified} {write.name}")
            return self._typed(write, new, body.duplicates, patch=True)

        return self._change(write, change, retry=True)

    def apply(self, write, data):
        """Server-side apply. Returns (object, created)."""
        kind = write.kind
        if not write.exchange.request.parameter("fieldManager"):
            causes = statuses.Causes()
            causes.required("fieldManager", "is required for apply patch")
            causes.raise_for("PatchOptions.meta.k8s.io", "meta.k8s.io", "PatchOptions", "")
        config = decoding.object_of(decoding.from_yaml(data), kind)
        metadata = config.get("metadata")
        if not isinstance(metadata, dict):
            raise bad_request("metadata is missing in the applied object")
        if metadata.get("managedFields"):
            raise bad_request("metadata.managedFields must be nil")
        self._unknown(write, config, [])
        if metadata.get("name", write.name) != write.name:
            raise bad_request(
                f"the name of the object ({metadata['name']}) does not match the name on the URL "
                f"({write.name})")
        metadata["name"] = write.name
        self._place(write, metadata)
        for name in ("creationTimestamp", "uid"):
            if metadata.get(name) is None:
                metadata.pop(name, None)

        def merged(live):
            new = managed.apply(live, config, kind, write.manager, write.subresource, write.force)
            entries = new["metadata"]["managedFields"]
            new = self._conformed(kind, new, keep_version="resourceVersion" in metadata)
            new["metadata"]["managedFields"] = entries
            last_applied.follow(write.manager, new, config)
            return new

        for _ in range(_ATTEMPTS):
            if self._store.get(kind.storage_key, write.namespace, write.name) is not None:
                return self._change(write, merged, retry=True, tracked=True), False
            if write.subresource:
                raise statuses.not_found(kind, write.name)
            builtin.check_namespace(self._store, write)
            if metadata.get("uid"):
                raise statuses.conflict(kind, write.name, "uid mismatch: the provided object specified uid "
                                        f"{metadata['uid']}, and no existing object was found")
            obj = defaults.apply(kind, merged({}))
            obj["metadata"].pop("resourceVersion", None)
            try:
                return self._admit_and_create(write, obj), True
            except StatusError as error:
                if error.reason != "AlreadyExists":
                    raise
        raise statuses.conflict(kind, write.name)

    def _change(self, write, change, retry, tracked=False):
        """Replaces an object by change(old) until nobody else comes between."""
        kind = write.kind
        for _ in range(_ATTEMPTS):
            stored = self._store.get(kind.storage_key, write.namespace, write.name)
            if stored is None:
                raise statuses.not_found(kind, write.name)
            old = views.from_storage(kind, stored.object)
            new = change(old)
            try:
                return self._replace(write, stored, old, new, tracked)
            except Conflict:
                if not retry:
                    break
        raise statuses.conflict(kind, write.name)

    def _replace(self, write, stored, old, new, tracked):
        kind, metadata, before = write.kind, new["metadata"], old["metadata"]
        version, uid = metadata.get("resourceVersion"), metadata.get("uid")
        if uid and uid != before["uid"]:
            raise statuses.conflict(kind, write.name,
                                    f"Precondition failed: UID in precondition: {uid}, UID in "
                                    f"object meta: {before['uid']}")
        if version and version != before["resourceVersion"]:
            raise statuses.conflict(kind, write.name)
        new = defaults.apply(kind, new)
        new = preparation.for_update(write, old, new)
        if not tracked:
            new["metadata"]["managedFields"] = managed.track_update(old, new, kind, write.manager,
                                                                     write.subresource)

        def settle(admitted):
            settled = new
            if admitted is not new:
                settled = self._conformed(kind, admitted)
                settled["metadata"]["managedFields"] = admitted["metadata"].get("managedFields")
            settled = preparation.for_update(write, old, settled)
            preparation.count_generation(kind, old, settled)
            builtin.prepare_for_update(kind, old, settled)
            settled["metadata"] = preparation.ordered_metadata(settled["metadata"])
            validation.check(kind, settled, old)
            return settled

        admitted, warnings = self._access.admit(self._admission(write, "UPDATE", new, old), settle)
        self._warn(write, warnings)
        with self._store.lock:
            self._addresses.allocate(kind, admitted, old)
            admitted["metadata"]["resourceVersion"] = before["resourceVersion"]
            if not admitted["metadata"].get("managedFields"):
                admitted["metadata"].pop("managedFields", None)
            final = views.to_storage(kind, admitted)
            if final == stored.object or write.dry_run:
                return final
            if before.get("deletionTimestamp") and not final["metadata"].get("finalizers"):
                return self._remove(kind, stored, final)
            final["metadata"] = dict(final["metadata"])
            return self._store.update(kind.storage_key, stored, final).object

    def _typed(self, write, obj, duplicates, patch=False):
        """The object with the fields of its type; unknown ones are an error, a warning or nothing."""
        unknown = []
        result = self._conformed(write.kind, obj, unknown)
        self._complain(write, unknown, duplicates, obj)
        return result

    def _unknown(self, write, obj, duplicates):
        unknown = []
        self._conformed(write.kind, copy.deepcopy(obj), unknown)
        self._complain(write, unknown, duplicates, obj)

    def _complain(self, write, unknown, duplicates, obj):
        problems = [f'duplicate field "{_path_of(obj, name)}"' for name in duplicates]
        problems += [f'unknown field "{name}"' for name in sorted(unknown)]
        if not problems or write.validation == "Ignore":
            return
        if write.validation == "Strict":
            kind = write.kind
            raise bad_request(
                f'{kind.kind} in version "{kind.version}" cannot be handled as a {kind.kind}: strict '
                f"decoding error: {', '.join(problems)}")
        self._warn(write, problems)

    def _conformed(self, kind, obj, unknown=None, keep_version=True):
        """A copy of the object with the fields of its type and no others. Raises 400 for wrong types."""
        try:
            if kind.custom is None:
                result = decoding.conform(obj, kind.shape, "", unknown)
            else:
                result = kind.custom.prune(obj, unknown)
                result["metadata"] = decoding.conform(obj.get("metadata"), struct("meta", "ObjectMeta"),
                                                      "metadata",
                                                      unknown)
        except decoding.WrongType as error:
            raise bad_request(f'{kind.kind} in version "{kind.version}" cannot be handled as a {kind.kind}: '
                              f"{error}") from None
        if not keep_version:
            result["metadata"].pop("resourceVersion", None)
        if kind.custom is not None:
            kind.custom.default(result)
        return defaults.apply(kind, result) if unknown is None else result

    def _place(self, write, metadata):
        """The namespace of the URL and that of the object must be one."""
        namespace = metadata.get("namespace") or write.namespace
        if namespace != write.namespace:
            raise bad_request(
                "the namespace of the provided object does not match the namespace sent on the request")
        if namespace:
            metadata["namespace"] = namespace
        else:
            metadata.pop("namespace", None)

    @staticmethod
    def _no_name(kind):
        causes = statuses.Causes()
        causes.required("metadata.name", "name or generateName is required")
        try:
            causes.raise_for_kind(kind, "")
        except StatusError as error:
            return error

    def _admission(self, write, operation, obj, old):
        options = write.options({"CREATE": "CreateOptions", "UPDATE": "UpdateOptions"}[operation]
                                if write.exchange.request.method != "PATCH" else "PatchOptions"
                                if operation == "UPDATE" else "CreateOptions")
        name = obj["metadata"].get("name", "")
        return Admission(operation, write.resource(), write.namespace, name, obj, old, options, write.dry_run,
                         write.user)

    @staticmethod
    def _warn(write, warnings):
        for warning in warnings or []:
            text = warning.replace("\\", "\\\\").replace('"', '\\"')
            line = f'299 - "{text}"'
            if line not in write.warnings:
                write.warnings.append(line)


def _path_of(obj, name):
    """Where a key stands, for the message about a duplicate."""
    def find(value, path):
        if isinstance(value, dict):
            if name in value:
                return f"{path}{name}"
            for key, entry in value.items():
                found = find(entry, f"{path}{key}.")
                if found:
                    return found
        return None
    return find(obj, "") or name


def _suffix():
    return "".join(random.choices(_SUFFIX, k=5))
