"""What follows from a deletion: dependents are collected, namespaces are emptied."""

import queue
import threading
import traceback

from lab.cluster.api import managed
from lab.cluster.api.removal import FOREGROUND, ORPHAN
from lab.cluster.api.storage import DELETED, Conflict

_NAMESPACES = ("", "namespaces")
_RETRY_SECONDS = 0.1
# So long what is in a namespace outlives its deletion at least; a real cluster takes its time, and who
# deletes a manifest with a namespace in it counts on that.
_NAMESPACE_GRACE_SECONDS = 1.0

# Conditions of a namespace that has nothing left: type, reason, message.
_EMPTIED = (
    ("NamespaceDeletionDiscoveryFailure", "ResourcesDiscovered", "All resources successfully discovered"),
    ("NamespaceDeletionGroupVersionParsingFailure", "ParsedGroupVersions",
     "All legacy kube types successfully parsed"),
    ("NamespaceDeletionContentFailure", "ContentDeleted",
     "All content successfully deleted, may be waiting on finalization"),
    ("NamespaceContentRemaining", "ContentRemoved", "All content successfully removed"),
    ("NamespaceFinalizersRemaining", "ContentHasNoFinalizers", "All content-preserving finalizers finished"),
)


class Collector:
    """A thread that follows every write; it knows all objects by uid, and who depends on whom."""

    def __init__(self, store, kinds, remover):
        self._store = store
        self._kinds = kinds
        self._remover = remover
        self._live = {}  # {uid: (key, namespace, name)}
        self._owners = {}  # {uid: owners' uids}
        self._dependents = {}  # {owner's uid: {uid, ...}}
        self._work = queue.Queue()
        with store.lock:
            for collection in store.collections():
                for stored in collection.objects.values():
                    self._index(collection.key, stored)
                    self._look_at(collection.key, stored)
            store.observe(self._observe)
        threading.Thread(target=self._run, name="collector", daemon=True).start()

    def _index(self, key, stored):
        metadata = stored.object["metadata"]
        uid = metadata["uid"]
        self._live[uid] = (key, stored.namespace, stored.name)
        owners = frozenset(owner.get("uid") for owner in metadata.get("ownerReferences") or ())
        before = self._owners.get(uid, frozenset())
        if owners != before:
            for owner in before - owners:
                self._dependents.get(owner, set()).discard(uid)
            for owner in owners:
                self._dependents.setdefault(owner, set()).add(uid)
            self._owners[uid] = owners

    def _observe(self, event):
        """Called with the storage's lock held, for every write."""
        key = event.collection.key
        if event.type == DELETED:
            uid = event.old.object["metadata"]["uid"]
            self._live.pop(uid, None)
            for owner in self._owners.pop(uid, ()):
                self._dependents.get(owner, set()).discard(uid)
                self._work.put((self._settle_owner, owner))
            if self._dependents.get(uid):
                self._work.put((self._owner_gone, uid))
            return
        self._index(key, event.new)
        self._look_at(key, event.new)

    def _look_at(self, key, stored):
        metadata = stored.object["metadata"]
        if metadata.get("deletionTimestamp"):
            if key == _NAMESPACES:
                self._empty_later(stored.name)
            elif metadata.get("finalizers"):
                self._work.put((self._settle_owner, metadata["uid"]))
        if any(owner not in self._live for owner in self._owners.get(metadata["uid"], ())):
            self._work.put((self._orphaned, metadata["uid"]))

    def _empty_later(self, namespace):
        threading.Timer(_NAMESPACE_GRACE_SECONDS, self._work.put,
                        ((self._empty_namespace, namespace),)).start()

    def _run(self):
        while True:
            task, argument = self._work.get()
            try:
                again = task(argument)
            except Conflict:
                again = True
            except Exception:  # the rest must go on
                traceback.print_exc()
                again = False
            if again:
                threading.Timer(_RETRY_SECONDS, self._work.put, ((task, argument),)).start()

    def _stored(self, uid):
        """(kind, Stored) of a living object, or None."""
        place = self._live.get(uid)
        if place is None:
            return None
        key, namespace, name = place
        stored, kind = self._store.get(key, namespace, name), self._kinds.of_storage(*key)
        return (kind, stored) if stored is not None and kind is not None else None

    def _owner_gone(self, owner):
        with self._store.lock:
            dependents = list(self._dependents.get(owner, ()))
        for uid in dependents:
            self._orphaned(uid)

    def _orphaned(self, uid):
        """Deletes an object none of whose owners lives; else takes the dead ones out."""
        with self._store.lock:
            found = self._stored(uid)
            if found is None:
                return
            kind, stored = found
            owners = stored.object["metadata"].get("ownerReferences") or []
            living = [owner for owner in owners if owner.get("uid") in self._live]
            if len(living) == len(owners):
                return
            if not living:
                if not stored.object["metadata"].get("deletionTimestamp"):
                    self._remover.remove(kind, stored, {"propagationPolicy": "Background"})
                return
            self._set_metadata(kind, stored, ownerReferences=living)

    def _settle_owner(self, uid):
        """Moves an object on that is being deleted in the foreground, or that leaves its dependents."""
        with self._store.lock:
            found = self._stored(uid)
            if found is None:
                return
            kind, stored = found
            metadata = stored.object["metadata"]
            finalizers = metadata.get("finalizers") or []
            if not metadata.get("deletionTimestamp"):
                return
            if ORPHAN in finalizers:
                for dependent in list(self._dependents.get(uid, ())):
                    self._release(dependent, uid)
                self._without(kind, stored, ORPHAN)
            elif FOREGROUND in finalizers:
                if self._delete_dependents(uid):
                    self._without(kind, stored, FOREGROUND)

    def _delete_dependents(self, owner):
        """Deletes all dependents. True if none that blocks is left."""
        free = True
        for uid in list(self._dependents.get(owner, ())):
            found = self._stored(uid)
            if found is None:
                continue
            kind, stored = found
            metadata = stored.object["metadata"]
            reference = next(entry for entry in metadata["ownerReferences"] if entry.get("uid") == owner)
            gone = False
            if not metadata.get("deletionTimestamp"):
                policy = "Foreground" if self._dependents.get(uid) else "Background"
                gone, _ = self._remover.remove(kind, stored, {"propagationPolicy": policy})
            free = free and (gone or not reference.get("blockOwnerDeletion"))
        return free

    def _release(self, uid, owner):
        found = self._stored(uid)
        if found is not None:
            kind, stored = found
            owners = [entry for entry in stored.object["metadata"].get("ownerReferences") or []
                      if entry.get("uid") != owner]
            self._set_metadata(kind, stored, ownerReferences=owners)

    def _without(self, kind, stored, finalizer):
        finalizers = [name for name in stored.object["metadata"]["finalizers"] if name != finalizer]
        metadata = dict(stored.object["metadata"], finalizers=finalizers)
        if finalizers:
            self._store.update(kind.storage_key, stored, dict(stored.object, metadata=metadata))
        else:
            del metadata["finalizers"]
            self._remover.finish(kind, stored, dict(stored.object, metadata=metadata))

    def _set_metadata(self, kind, stored, **changes):
        metadata = dict(stored.object["metadata"], **changes)
        metadata = {name: value for name, value in metadata.items() if value not in ([], None)}
        self._store.update(kind.storage_key, stored, dict(stored.object, metadata=metadata))

    def _empty_namespace(self, name):
        """Deletes all that is in a namespace and then the namespace. True if something is still left."""
        left = False
        with self._store.lock:
            namespace = self._store.get(_NAMESPACES, "", name)
            if namespace is None:
                return False
            for collection in self._store.collections():
                kind = self._kinds.of_storage(*collection.key)
                if kind is None or not kind.namespaced:
                    continue
                for stored in [entry for entry in collection.sorted() if entry.namespace == name]:
                    gone = False
                    if not stored.object["metadata"].get("deletionTimestamp"):
                        gone, _ = self._remover.remove(kind, stored, {"propagationPolicy": "Background"})
                    left = left or not gone
            if left:
                return True
            if namespace.object["metadata"].get("finalizers"):
                return True
            namespace = self._report_emptied(namespace)
            self._store.delete(_NAMESPACES, namespace)
        return False

    def _report_emptied(self, namespace):
        """The last state of a namespace, as watches see it before it goes."""
        when = managed.now()
        conditions = [{"type": kind, "status": "False", "lastTransitionTime": when, "reason": reason,
                       "message": message} for kind, reason, message in _EMPTIED]
        obj = dict(namespace.object, metadata=dict(namespace.object["metadata"]))
        obj["status"] = {"phase": "Terminating", "conditions": conditions}
        obj["metadata"]["managedFields"] = managed.track_update(
            namespace.object, obj, self._kinds.get("", "v1", "namespaces"), "kube-controller-manager",
            "status")
        return self._store.update(_NAMESPACES, namespace, obj)
