"""What the API server holds of one resource, kept up to date by list and watch."""

import http.client
import json
import logging
import socket
import threading
import time
import urllib.parse

from lab.cluster.node.client import ApiError, Unavailable, error_of
from lab.cluster.node.resources import api_version, kind_of, path_of

_PAGE = 500
# The server ends a watch after this; a stream that says nothing for longer is dead.
_WATCH_SECONDS = 300
_SILENCE_SECONDS = 90.0
_LONGEST_PAUSE_SECONDS = 1.0
# A server that ends every watch at once is not asked again at once.
_SHORTEST_WATCH_SECONDS = 0.2

ADDED, MODIFIED, DELETED = "ADDED", "MODIFIED", "DELETED"


class Informer:
    """A cache of all objects of a resource.

    Objects are shared: whoever wants to change one copies it. Handlers are called in the informer's thread as
    handler(event, old, new), with `old` None for ADDED and the last known state as `new` for DELETED.
    """

    def __init__(self, client, resource):
        self._client = client
        self.resource = resource
        self._lock = threading.Lock()
        self._objects = {}
        self._revision = 0  # up to here the cache is what the server had
        self._handlers = []
        self._synced = threading.Event()
        self._stopped = threading.Event()
        self._log = logging.getLogger(f"informer.{resource}")

    def add_handler(self, handler):
        """Before start() only."""
        self._handlers.append(handler)

    def start(self):
        threading.Thread(target=self._run, name=f"informer-{self.resource}", daemon=True).start()

    def stop(self):
        self._stopped.set()

    def wait_until_synced(self, timeout=None):
        return self._synced.wait(timeout)

    def get(self, namespace, name):
        with self._lock:
            return self._objects.get((namespace or "", name))

    def list(self, namespace=None):
        """All objects, or those of one namespace, ordered by namespace and name."""
        with self._lock:
            found = [(key, item) for key, item in self._objects.items()
                     if namespace is None or key[0] == namespace]
        return [item for _, item in sorted(found, key=lambda pair: pair[0])]

    def observe(self, item):
        """Takes up the answer to a write of our own, so that the next decision already sees it.

        What the stream has told since is newer and wins.
        """
        item = self._complete(item)
        with self._lock:
            if _revision(item) <= self._revision:
                return
            known = self._objects.get(_key(item))
            if known and _revision(known) >= _revision(item):
                return
            self._objects[_key(item)] = item
        self._tell(MODIFIED if known else ADDED, known, item)

    def _run(self):
        pause, told = 0.1, ""
        while not self._stopped.is_set():
            try:
                self._list()
                self._synced.set()
                pause, told = 0.1, ""
                while not self._stopped.is_set():
                    self._watch()
            except ApiError as error:
                if error.code != 410:
                    self._log.warning("%s", error)
                if error.retry_after:
                    self._stopped.wait(min(error.retry_after, _LONGEST_PAUSE_SECONDS))
            except Unavailable as error:
                if told != type(error.__cause__).__name__:  # once for each outage
                    told = type(error.__cause__).__name__
                    self._log.info("%s", error)
            except Exception:  # whatever came over the wire: list again
                self._log.exception("unexpected answer")
            self._stopped.wait(pause)
            pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)

    def _list(self):
        items, query = [], {"limit": _PAGE}
        while True:
            path = f"{path_of(self.resource)}?{urllib.parse.urlencode(query)}"
            answer = self._client.call("GET", path)
            items += answer.get("items") or []
            token = answer["metadata"].get("continue")
            if not token:
                break
            query = {"limit": _PAGE, "continue": token}
        self._replace(items, int(answer["metadata"]["resourceVersion"]))

    def _replace(self, items, revision):
        fresh = {_key(item): self._complete(item) for item in items}
        with self._lock:
            known, self._objects, self._revision = self._objects, fresh, revision
        for key, item in fresh.items():
            old = known.get(key)
            if old is not None and old["metadata"].get("uid") != item["metadata"].get("uid"):
                self._tell(DELETED, old, old)
                old = None
            if old is None:
                self._tell(ADDED, None, item)
            elif old["metadata"].get("resourceVersion") != item["metadata"].get("resourceVersion"):
                self._tell(MODIFIED, old, item)
        for key, old in known.items():
            if key not in fresh:
                self._tell(DELETED, old, old)

    def _watch(self):
        """One watch, to its end. Raises ApiError 410 if the cache is too old."""
        query = urllib.parse.urlencode({
            "watch": "true", "allowWatchBookmarks": "true", "timeoutSeconds": _WATCH_SECONDS,
            "resourceVersion": self._revision})
        connection = self._client.connect(timeout=_SILENCE_SECONDS)
        began = time.monotonic()
        try:
            connection.request("GET", f"{path_of(self.resource)}?{query}",
                               headers=self._client.headers())
            response = connection.getresponse()
            if response.status >= 400:
                raise error_of(response, response.read())
            while line := response.readline():
                if line.strip():
                    self.apply(json.loads(line))
                if self._stopped.is_set():
                    return
        except socket.timeout:
            self._log.info("silent for %g s: watching again", _SILENCE_SECONDS)
        except (OSError, http.client.HTTPException) as error:
            raise Unavailable(f"watch {self.resource}: {error}") from error
        finally:
            connection.close()
        if time.monotonic() - began < _SHORTEST_WATCH_SECONDS:
            self._stopped.wait(_SHORTEST_WATCH_SECONDS)

    def apply(self, event):
        """Takes up one event of a watch. Raises ApiError if it is an error."""
        kind, item = event["type"], event["object"]
        if kind == "ERROR":
            raise ApiError(item.get("code", 500), item.get("reason", ""), item.get("message", ""))
        revision = _revision(item)
        if kind == "BOOKMARK":
            with self._lock:
                self._revision = max(self._revision, revision)
            return
        item = self._complete(item)
        with self._lock:
            self._revision = max(self._revision, revision)
            old = self._objects.get(_key(item))
            if kind == DELETED:
                self._objects.pop(_key(item), None)
            elif old is not None and _revision(old) >= revision:
                return
            else:
                self._objects[_key(item)] = item
        if kind == DELETED:
            self._tell(DELETED, old, item)
        else:
            self._tell(ADDED if old is None else MODIFIED, old, item)

    def _complete(self, item):
        # Items of lists of built-in types come without these.
        item.setdefault("apiVersion", api_version(self.resource))
        item.setdefault("kind", kind_of(self.resource))
        return item

    def _tell(self, event, old, new):
        for handler in self._handlers:
            try:
                handler(event, old, new)
            except Exception:  # one handler must not end the stream of all
                self._log.exception("handler of %s", self.resource)


class Informers:
    """One informer for each resource that was asked for."""

    def __init__(self, client):
        self._client = client
        self._informers = {}

    def __getitem__(self, resource):
        if resource not in self._informers:
            self._informers[resource] = Informer(self._client, resource)
        return self._informers[resource]

    def start(self):
        for informer in self._informers.values():
            informer.start()

    def wait_until_synced(self):
        for informer in self._informers.values():
            informer.wait_until_synced()

    def stop(self):
        for informer in self._informers.values():
            informer.stop()


def _key(item):
    metadata = item["metadata"]
    return metadata.get("namespace", ""), metadata["name"]


def _revision(item):
    return int(item["metadata"].get("resourceVersion") or 0)
