"""delete: grace periods of pods, finalizers, propagation to dependents, collections."""

import time

from lab.cluster.api import decoding, definitions, reading, statuses, views
from lab.cluster.api.fields import struct
from lab.cluster.api.interfaces import Admission
from lab.cluster.api.managed import now
from lab.cluster.api.storage import Conflict

FOREGROUND, ORPHAN = "foregroundDeletion", "orphan"

# Their deletion answers the object, that of others a Status.
_ANSWERED_WITH_OBJECT = frozenset((("", "pods"), ("", "namespaces"), ("", "serviceaccounts"),
                                   ("", "services"),
                                   ("", "resourcequotas"), ("", "persistentvolumeclaims")))


def options_of(request, kinds):
    """DeleteOptions of a request: from its body, else from its query."""
    options = {}
    if request.body:
        body = decoding.read(request, kinds).object
        if not isinstance(body, dict):
            raise statuses.bad_request("DeleteOptions must be an object")
        try:
            options = decoding.conform(body, struct("meta", "DeleteOptions"))
        except decoding.WrongType as error:
            raise statuses.bad_request(f"DeleteOptions: {error}") from None
    for name in ("propagationPolicy", "gracePeriodSeconds"):
        value = request.parameter(name)
        if value and options.get(name) is None:
            options[name] = int(value) if name == "gracePeriodSeconds" and value.lstrip(
                "-").isdigit() else value
    if request.query.get("dryRun"):
        options["dryRun"] = ["All"]
    if options.get("propagationPolicy") not in (None, "Background", "Foreground", "Orphan"):
        causes = statuses.Causes()
        causes.unsupported("propagationPolicy", options["propagationPolicy"],
                           ("Foreground", "Background", "Orphan", "nil"))
        causes.raise_for("DeleteOptions.meta.k8s.io", "meta.k8s.io", "DeleteOptions", "")
    return options


class Remover:
    """Deletes on request; what follows from it is the business of `collector`."""

    def __init__(self, store, kinds, access):
        self._store = store
        self._kinds = kinds
        self._access = access

    def delete(self, write, options):
        """The answer to DELETE of one object: an object or a Status."""
        while True:
            stored = self._store.get(write.kind.storage_key, write.namespace, write.name)
            if stored is None:
                raise statuses.not_found(write.kind, write.name)
            self._check(write.kind, stored, options)
            self._admit(write, stored, options)
            try:
                gone, obj = self.remove(write.kind, stored, options, write.dry_run)
            except Conflict:
                continue
            if gone and (write.kind.group, write.kind.resource) not in _ANSWERED_WITH_OBJECT:
                return self._success(write.kind, stored)
            return views.from_storage(write.kind, obj)

    def delete_collection(self, write, options):
        """Deletes all that a selection matches; returns (Stored, list metadata) of what there was."""
        items, metadata = reading.select(self._store, write.kind, write.exchange.request, write.namespace)
        for stored in items:
            try:
                self._admit(write, stored, options)
                self.remove(write.kind, stored, options, write.dry_run)
            except Conflict:
                present = self._store.get(write.kind.storage_key, stored.namespace, stored.name)
                if present is not None:
                    self.remove(write.kind, present, options, write.dry_run)
        return items, metadata

    def remove(self, kind, stored, options, dry_run=False):
        """(gone, object): removes an object now, or marks it. Raises Conflict if it has changed meanwhile."""
        metadata = dict(stored.object["metadata"])
        finalizers = self._finalizers(kind, metadata, options)
        grace = self._grace(kind, stored.object, options)
        if not finalizers and not grace and not self._is_namespace(kind):
            if (kind.group, kind.resource) == ("", "pods"):
                return True, self._remove_pod(kind, stored, metadata, dry_run)
            if not dry_run:
                self._store.delete(kind.storage_key, stored)
            return True, stored.object
        before = (metadata.get("deletionTimestamp"), metadata.get("deletionGracePeriodSeconds"),
                  metadata.get("finalizers"))
        if before[0] is None:
            if metadata.get("generation"):
                metadata["generation"] += 1
            metadata["deletionTimestamp"] = _later(grace)
            if not self._is_namespace(kind):
                metadata["deletionGracePeriodSeconds"] = grace
        elif grace < (before[1] or 0):
            metadata.update(deletionTimestamp=_later(grace), deletionGracePeriodSeconds=grace)
        if finalizers:
            metadata["finalizers"] = finalizers
        obj = dict(stored.object, metadata=metadata)
        if self._is_namespace(kind):
            obj["status"] = dict(obj.get("status") or {}, phase="Terminating")
        if dry_run or obj == stored.object:
            return False, obj
        return False, self._store.update(kind.storage_key, stored, obj).object

    def _remove_pod(self, kind, stored, metadata, dry_run):
        """A pod is seen with its grace at an end before it is gone."""
        if not metadata.get("deletionTimestamp") and metadata.get("generation"):
            metadata["generation"] += 1
        metadata.update(deletionTimestamp=now(), deletionGracePeriodSeconds=0)
        obj = dict(stored.object, metadata=metadata)
        if not dry_run:
            with self._store.lock:
                stored = self._store.update(kind.storage_key, stored, obj)
                self._store.delete(kind.storage_key, stored)
        return obj

    def finish(self, kind, stored, obj):
        """Ends an object whose last finalizer has gone. Returns its final state."""
        if (obj["metadata"].get("deletionGracePeriodSeconds") or 0) > 0 or \
                self._is_namespace(kind) and (obj.get("spec") or {}).get("finalizers"):
            return self._store.update(kind.storage_key, stored, obj).object
        self._store.delete(kind.storage_key, stored, obj)
        return obj

    @staticmethod
    def _is_namespace(kind):
        return (kind.group, kind.resource) == ("", "namespaces")

    def _finalizers(self, kind, metadata, options):
        finalizers = list(metadata.get("finalizers") or [])
        policy = options.get("propagationPolicy")
        if policy is None and options.get("orphanDependents") is not None:
            policy = "Orphan" if options["orphanDependents"] else "Background"
        for name, wanted in ((FOREGROUND, policy == "Foreground"), (ORPHAN, policy == "Orphan")):
            if wanted and name not in finalizers:
                finalizers.append(name)
            elif policy is not None and not wanted and name in finalizers:
                finalizers.remove(name)
        if (kind.group, kind.resource) == definitions.KEY and definitions.CLEANUP not in finalizers:
            finalizers.append(definitions.CLEANUP)
        return finalizers

    @staticmethod
    def _grace(kind, obj, options):
        """Seconds that a pod is given; nothing else has any."""
        if (kind.group, kind.resource) != ("", "pods"):
            return 0
        if not obj["spec"].get("nodeName") or obj.get("status", {}).get("phase") in ("Succeeded", "Failed"):
            return 0
        grace = options.get("gracePeriodSeconds")
        if grace is None:
            pending = obj["metadata"].get("deletionGracePeriodSeconds")
            grace = obj["spec"].get("terminationGracePeriodSeconds", 30) if pending is None else pending
        return max(0, grace)

    @staticmethod
    def _check(kind, stored, options):
        preconditions = options.get("preconditions") or {}
        metadata = stored.object["metadata"]
        if preconditions.get("uid") and preconditions["uid"] != metadata["uid"]:
            raise statuses.precondition(kind, stored.name, "UID", preconditions["uid"], metadata["uid"])
        if preconditions.get(
            "resourceVersion") and preconditions["resourceVersion"] != metadata["resourceVersion"]:
            raise statuses.precondition(kind, stored.name, "ResourceVersion",
                                        preconditions["resourceVersion"],
                                        metadata["resourceVersion"])

    def _admit(self, write, stored, options):
        options = {"kind": "DeleteOptions", "apiVersion": "meta.k8s.io/v1",
                   **{name: value for name, value in options.items() if name not in ("kind", "apiVersion")}}
        self._access.admit(Admission("DELETE", write.resource(), stored.namespace, stored.name, None,
                                     views.from_storage(write.kind, stored.object), options, write.dry_run,
                                     write.user), lambda obj: obj)

    @staticmethod
    def _success(kind, stored):
        details = {"name": stored.name, "kind": kind.resource, "uid": stored.object["metadata"]["uid"]}
        if kind.group:
            details = {"name": stored.name, "group": kind.group, **details}
        return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}


def _later(seconds):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + seconds))
