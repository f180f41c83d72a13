"""What is stored: objects by resource, namespace and name, one version for all, and a bounded history.

An object that is stored is never changed: a write stores another one. So readers and watches share
objects, and their JSON, without copies. The state is kept in a journal, a line per write, so that it
outlives the process however that ends.
"""

import json
import os
import threading
from collections import deque

ADDED, MODIFIED, DELETED = "ADDED", "MODIFIED", "DELETED"

# A journal that is longer is written anew when most of it has been overwritten.
_JOURNAL_LINES = 100000


class Stored:
    """One state of one object."""
    __slots__ = ("object", "version", "namespace", "name", "rest", "cache")

    def __init__(self, obj, version):
        metadata = obj["metadata"]
        self.object = obj
        self.version = version
        self.namespace = metadata.get("namespace", "")
        self.name = metadata["name"]
        self.rest = None
        self.cache = None  # of whoever shows it in another form: {form: bytes}

    def body(self):
        """The JSON after `{` of everything but kind and apiVersion."""
        if self.rest is None:
            rest = {key: value for key, value in self.object.items() if key not in ("kind", "apiVersion")}
            self.rest = dump(rest)[1:]
        return self.rest

    def whole(self):
        """The JSON of all of it."""
        head = dump({"kind": self.object["kind"], "apiVersion": self.object["apiVersion"]})
        return head[:-1] + b"," + self.body()


class Event:
    """One write. `old` and `new` are Stored; None before the creation and after the deletion.

    For a deletion, `last` is the object as it was, with the resourceVersion of the deletion.
    """
    __slots__ = ("version", "type", "old", "new", "last", "collection")

    def __init__(self, version, kind, old, new, last, collection):
        self.version = version
        self.type = kind
        self.old = old
        self.new = new
        self.last = last
        self.collection = collection


class Collection:
    """All objects of a resource, and what happened to them lately."""

    def __init__(self, key, lock):
        self.key = key
        self.objects = {}  # {(namespace, name): Stored}
        self.events = deque()
        self.changed = threading.Condition(lock)
        self.revision = 0  # grows with every change
        self.forgotten = 0  # the version of the newest event that is no longer in `events`
        self.ended = 0  # grows when watches have to end: the definition changed or went
        self._sorted = None

    def sorted(self):
        """All that is stored, by namespace and name."""
        if self._sorted is None:
            self._sorted = [self.objects[key] for key in sorted(self.objects)]
        return self._sorted

    def touch(self):
        self.revision += 1
        self._sorted = None


class Conflict(Exception):
    """The object is no longer what the writer took it for."""


def dump(value):
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def _line(key, stored, version, body):
    return dump([*key, stored.namespace, stored.name, version])[:-1] + b"," + body + b"]\n"


class Storage:
    """All collections. `lock` guards everything; it is held for moments only."""

    # After a start, versions go on with a gap: what a client remembers of before is then always too old.
    RESTART_GAP = 10

    def __init__(self, path, history=20000):
        self.lock = threading.RLock()
        self.version = 1
        self.compacted = 0  # the newest version that is forgotten
        self._history = history
        self._log = deque()
        self._collections = {}
        self._observers = []
        self._path = path
        self._journal = None
        self._lines = 0
        self._load()

    def collection(self, group, resource):
        key = (group, resource)
        with self.lock:
            found = self._collections.get(key)
            if found is None:
                found = self._collections[key] = Collection(key, self.lock)
            return found

    def collections(self):
        return list(self._collections.values())

    def observe(self, observer):
        """Calls observer(event) for every write from now on, with the lock held."""
        self._observers.append(observer)

    def get(self, key, namespace, name):
        """The Stored object or None."""
        collection = self._collections.get(key)
        return collection.objects.get((namespace, name)) if collection else None

    def create(self, key, obj):
        """Stores a new object and sets its resourceVersion. Returns the Stored, or None if the name is
        taken."""
        with self.lock:
            collection = self.collection(*key)
            metadata = obj["metadata"]
            place = (metadata.get("namespace", ""), metadata["name"])
            if place in collection.objects:
                return None
            return self._put(collection, place, None, obj, ADDED)

    def update(self, key, old, obj):
        """Stores the next state of an object. Raises Conflict if `old` is not the present one."""
        with self.lock:
            collection = self.collection(*key)
            place = (old.namespace, old.name)
            if collection.objects.get(place) is not old:
                raise Conflict
            return self._put(collection, place, old, obj, MODIFIED)

    def delete(self, key, old, last=None):
        """Removes an object. `last` is its final state, if it differs from the stored one."""
        with self.lock:
            collection = self.collection(*key)
            place = (old.namespace, old.name)
            if collection.objects.get(place) is not old:
                raise Conflict
            version = self._next()
            last = dict(last or old.object)
            last["metadata"] = dict(last["metadata"], resourceVersion=str(version))
            del collection.objects[place]
            self._happened(collection, Event(version, DELETED, old, None, Stored(last, version), collection))
            self._write(collection.key, old, version, b"null")

    def _put(self, collection, place, old, obj, kind):
        version = self._next()
        metadata = obj["metadata"]
        if "resourceVersion" not in metadata and "uid" in metadata:
            ordered = {}
            for name, value in metadata.items():
                ordered[name] = value
                if name == "uid":
                    ordered["resourceVersion"] = ""
            metadata = obj["metadata"] = ordered
        metadata["resourceVersion"] = str(version)
        stored = Stored(obj, version)
        collection.objects[place] = stored
        self._happened(collection, Event(version, kind, old, stored, None, collection))
        self._write(collection.key, stored, version, stored.whole())
        return stored

    def _next(self):
        self.version += 1
        return self.version

    def _happened(self, collection, event):
        collection.touch()
        collection.events.append(event)
        self._log.append(event)
        while len(self._log) > self._history:
            self._forget()
        for observer in self._observers:
            observer(event)
        collection.changed.notify_all()

    def _forget(self):
        event = self._log.popleft()
        event.collection.events.popleft()
        event.collection.forgotten = event.version
        self.compacted = event.version

    def compact(self):
        """Forgets the whole history: every older resourceVersion is then 410."""
        with self.lock:
            while self._log:
                self._forget()
            self.compacted = self.version

    def end_watches(self, group, resource):
        with self.lock:
            collection = self.collection(group, resource)
            collection.ended += 1
            collection.changed.notify_all()

    def at(self, collection, version):
        """The objects at an earlier version, sorted; None if that is forgotten. Call with the lock held."""
        if version >= self.version:
            return collection.sorted()
        if version < self.compacted:
            return None
        changed = {}
        for event in reversed(collection.events):
            if event.version <= version:
                break
            state = event.new or event.old
            changed[(state.namespace, state.name)] = event.old
        if not changed:
            return collection.sorted()
        objects = dict(collection.objects)
        for place, old in changed.items():
            if old is None:
                objects.pop(place, None)
            else:
                objects[place] = old
        return [objects[place] for place in sorted(objects)]

    def _load(self):
        """Reads the journal, and writes it anew without what has been overwritten."""
        if not self._path:
            return
        if os.path.exists(self._path):
            with open(self._path, "rb") as journal:
                for line in journal:
                    self._replay(line)
            self.version += self.RESTART_GAP
            self.compacted = self.version
        self._rewrite()

    def _rewrite(self):
        """Writes the journal anew, with what is stored and nothing else."""
        if self._journal:
            self._journal.close()
        self._lines = 1
        fresh = self._path + ".new"
        with open(fresh, "wb") as journal:
            journal.write(dump(["", "", "", "", self.version, None]) + b"\n")
            for collection in self._collections.values():
                for stored in collection.objects.values():
                    self._lines += 1
                    journal.write(_line(collection.key, stored, stored.version, stored.whole()))
        os.replace(fresh, self._path)
        self._journal = open(self._path, "ab", buffering=0)

    def _replay(self, line):
        try:
            group, resource, namespace, name, version, obj = json.loads(line)
        except ValueError:
            return  # the last line of a process that was killed
        self.version = max(self.version, version)
        if not resource:
            return
        collection = self.collection(group, resource)
        if obj is None:
            collection.objects.pop((namespace, name), None)
        else:
            collection.objects[(namespace, name)] = Stored(obj, version)
        collection.touch()

    def _write(self, key, stored, version, body):
        if not self._journal:
            return
        self._journal.write(_line(key, stored, version, body))
        self._lines += 1
        if self._lines > _JOURNAL_LINES and \
                self._lines > 4 * sum(len(collection.objects) for collection in self._collections.values()):
            self._rewrite()

    def close(self):
        with self.lock:
            if self._journal:
                self._journal.close()
                self._journal = None
