"""The garbage collector: what an owner leaves behind goes too, before it or after it as its deletion says."""

from lab.cluster.node.client import ApiError
from lab.cluster.node.objects import deleting
from lab.cluster.node.resources import kind_of, namespaced
from lab.cluster.node.work import Reconciler

_RESOURCES = ("configmaps", "daemonsets", "deployments", "endpoints", "endpointslices", "jobs", "pods",
              "replicasets", "secrets", "serviceaccounts", "services", "statefulsets")
_OWNERS = {kind_of(resource): resource for resource in (*_RESOURCES, "namespaces", "nodes")}
_FOREGROUND, _ORPHAN = "foregroundDeletion", "orphan"


class GarbageCollector:
    """Knows the owners of the kinds above; objects with owners of other kinds are left alone."""

    def __init__(self, context):
        self._client = context.client
        self._informers = {resource: context.informers[resource] for resource in _OWNERS.values()}
        self.reconciler = Reconciler("garbage", self._reconcile)
        for resource in _RESOURCES:
            self._informers[resource].add_handler(
                lambda event, old, new, resource=resource: self._changed(resource, event, new))

    def _changed(self, resource, event, item):
        metadata = item["metadata"]
        if event == "DELETED":
            for dependent in self._dependents(item):
                self.reconciler.add(dependent)
        elif metadata.get("ownerReferences") or metadata.get("deletionTimestamp"):
            self.reconciler.add((resource, metadata.get("namespace", ""), metadata["name"]))
        for reference in metadata.get("ownerReferences") or ():
            # An owner that waits for this one may have waited long enough.
            owner = self._owner(reference, metadata.get("namespace", ""))
            if owner and deleting(owner):
                self.reconciler.add((_OWNERS[reference["kind"]], owner["metadata"].get("namespace", ""),
                                     reference["name"]))

    def _reconcile(self, key):
        resource, name_space, name = key
        item = self._informers[resource].get(name_space, name)
        if item is None:
            return
        finalizers = item["metadata"].get("finalizers") or []
        if deleting(item):
            if _FOREGROUND in finalizers:
                self._delete_dependents_first(resource, item)
            elif _ORPHAN in finalizers:
                self._let_go(resource, item)
            return
        references = item["metadata"].get("ownerReferences") or []
        known = [reference for reference in references if reference["kind"] in _OWNERS]
        if references and len(known) == len(references) and \
                all(self._gone(reference, name_space) for reference in known):
            self._delete(resource, item, "Background")

    def _delete_dependents_first(self, resource, owner):
        waiting = False
        for key in self._dependents(owner):
            dependent = self._informers[key[0]].get(*key[1:])
            if not deleting(dependent):
                self._delete(key[0], dependent, "Foreground")
            waiting = waiting or any(
                reference["uid"] == owner["metadata"]["uid"] and reference.get("blockOwnerDeletion")
                for reference in dependent["metadata"]["ownerReferences"])
        if not waiting:
            self._remove_finalizer(resource, owner, _FOREGROUND)

    def _let_go(self, resource, owner):
        for key in self._dependents(owner):
            dependent = self._informers[key[0]].get(*key[1:])
            left = [reference for reference in dependent["metadata"]["ownerReferences"]
                    if reference["uid"] != owner["metadata"]["uid"]]
            self._patch(key[0], dependent, {"ownerReferences": left or None})
        self._remove_finalizer(resource, owner, _ORPHAN)

    def _dependents(self, owner):
        """Keys of the objects that have this owner."""
        uid = owner["metadata"]["uid"]
        name_space = owner["metadata"].get("namespace")
        return [(resource, item["metadata"].get("namespace", ""), item["metadata"]["name"])
                for resource in _RESOURCES for item in self._informers[resource].list(name_space)
                if any(reference["uid"] == uid
                       for reference in item["metadata"].get("ownerReferences") or ())]

    def _owner(self, reference, name_space):
        """The owner as the cache has it; None if it is not there or of an unknown kind."""
        resource = _OWNERS.get(reference["kind"])
        owner = resource and self._informers[resource].get(
            name_space if namespaced(resource) else "", reference["name"])
        return owner if owner and owner["metadata"]["uid"] == reference["uid"] else None

    def _gone(self, reference, name_space):
        if self._owner(reference, name_space):
            return False
        # The cache may lag behind a new owner: ask.
        resource = _OWNERS[reference["kind"]]
        owner = self._client.find(resource, name_space if namespaced(resource) else "", reference["name"])
        return owner is None or owner["metadata"]["uid"] != reference["uid"]

    def _delete(self, resource, item, propagation):
        metadata = item["metadata"]
        try:
            self._client.delete(resource, metadata.get("namespace", ""), metadata["name"],
                                uid=metadata["uid"], propagation=propagation)
        except ApiError as error:
            if error.code not in (404, 409):
                raise

    def _remove_finalizer(self, resource, item, finalizer):
        left = [one for one in item["metadata"]["finalizers"] if one != finalizer]
        self._patch(resource, item, {"finalizers": left or None})

    def _patch(self, resource, item, metadata):
        held = item["metadata"]
        try:
            self._client.patch(resource, held.get("namespace", ""), held["name"],
                               {"metadata": {**metadata, "uid": held["uid"]}})
        except ApiError as error:
            if error.code not in (404, 409):
                raise
