"""get, list and watch."""

import base64
import json
import random
import time

from lab.cluster.api import statuses
from lab.cluster.api.interfaces import StatusError
from lab.cluster.api.selectors import Selection
from lab.cluster.api.storage import ADDED, DELETED, MODIFIED, Stored, dump
from lab.cluster.api.views import View

_WAIT_FOR_VERSION_SECONDS = 3.0
_CHUNK_BYTES = 64 * 1024


def get(store, kind, exchange, namespace, name):
    request = exchange.request
    view = View(kind, request.headers.get("accept"), request.parameter("includeObject"))
    stored = store.get(kind.storage_key, namespace, name)
    if stored is None:
        raise statuses.not_found(kind, name)
    exchange.send(200, view.one(stored), view.content_type)


def list_(store, kind, exchange, namespace):
    request = exchange.request
    _check_list_options(request, watch=False)
    view = View(kind, request.headers.get("accept"), request.parameter("includeObject"))
    items, metadata = select(store, kind, request, namespace)
    exchange.send(200, view.list(items, metadata), view.content_type)


def select(store, kind, request, namespace):
    """(Stored objects, list metadata) of a list request."""
    selection = _selection(kind, request, namespace)
    limit = _number(request.parameter("limit") or "0")
    token, version = request.parameter("continue"), request.parameter("resourceVersion")
    exact = request.parameter("resourceVersionMatch") == "Exact"
    collection = store.collection(*kind.storage_key)
    start = ""
    with store.lock:
        at = store.version
        if token:
            at, start = _decode_token(token)
            if version not in ("", "0"):
                raise statuses.bad_request("specifying resource version is not allowed when using continue")
            if at < 0:
                at = store.version
        elif version not in ("", "0"):
            wanted = _version(version)
            _wait_for(store, collection, wanted)
            at = wanted if exact else store.version
        elif version == "0":
            limit = 0
        items = store.at(collection, at)
        if items is None:
            if token:
                raise statuses.expired(
                    "The provided continue parameter is too old to display a consistent list result. You can "
                    "start a new list without the continue parameter, or use the continue token in this "
                    "response to retrieve the remainder of the results. Continuing with the provided token "
                    "results in an inconsistent list - objects that were created, modified, or deleted "
                    "between the time the first chunk was returned "
                    "and now may show up in the list.", {"continue": _encode_token(-1, start.lstrip("/"))})
            raise statuses.expired("The resourceVersion for the provided list is too old.")
    metadata = {"resourceVersion": str(at)}
    return _page(items, selection, namespace, start, limit, metadata), metadata


def _page(items, selection, namespace, start, limit, metadata):
    """A page of the selected items; where it ends goes into the metadata."""
    if namespace:
        items = [stored for stored in items if stored.namespace == namespace]
    if start:
        items = [stored for stored in items if _place(stored, namespace) >= start]
    if not limit:
        return items if selection.everything else [stored for stored in items if selection.matches(stored)]
    page = []
    for index, stored in enumerate(items):
        if not selection.matches(stored):
            continue
        page.append(stored)
        if len(page) == limit:
            remaining = len(items) - index - 1
            if remaining:
                metadata["continue"] = _encode_token(int(metadata["resourceVersion"]),
                                                     _place(stored, namespace) + "\0")
                if not selection.selective:
                    metadata["remainingItemCount"] = remaining
            break
    return page


def _place(stored, namespace):
    if namespace or not stored.namespace:
        return f"/{stored.name}"
    return f"/{stored.namespace}/{stored.name}"


def _encode_token(version, start):
    token = dump({"v": "meta.k8s.io/v1", "rv": version, "start": start})
    return base64.urlsafe_b64encode(token).decode().rstrip("=")


def _decode_token(token):
    try:
        decoded = json.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
        start = decoded["start"]
        return int(decoded["rv"]), start if start.startswith("/") else f"/{start}"
    except (ValueError, KeyError, TypeError, AttributeError):
        raise statuses.bad_request(
            "invalid continue token: continue key is not valid: it does not decode") from None


def _selection(kind, request, namespace):
    return Selection(kind, namespace, request.parameter("labelSelector"), request.parameter("fieldSelector"))


def _number(text):
    try:
        return int(text)
    except ValueError:
        raise statuses.bad_request(f'strconv.ParseInt: parsing "{text}": invalid syntax') from None


def _version(text):
    if not text.isdigit():
        raise statuses.bad_request("invalid resource version: " + _not_a_version(text))
    return int(text)


def _not_a_version(text):
    return f'resourceVersion: Invalid value: "{text}": strconv.ParseUint: parsing "{text}": invalid syntax'


def _wait_for(store, collection, version):
    """Waits a moment for a version of the future; raises 504 if it does not come. The lock is held."""
    deadline = time.monotonic() + _WAIT_FOR_VERSION_SECONDS
    while store.version < version:
        left = deadline - time.monotonic()
        if left <= 0:
            raise statuses.future_version(version, store.version)
        collection.changed.wait(min(left, 0.1))


def _check_list_options(request, watch):
    """Raises 422 for combinations that the API does not allow."""
    causes = statuses.Causes()
    match, initial = request.parameter("resourceVersionMatch"), request.parameter("sendInitialEvents")
    if watch:
        if initial and match != "NotOlderThan":
            causes.forbidden("resourceVersionMatch",
                             "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan")
        elif match and not initial:
            causes.forbidden("resourceVersionMatch", "resourceVersionMatch is forbidden for watch unless "
                             "sendInitialEvents is provided")
    else:
        if match and not request.parameter("resourceVersion"):
            causes.forbidden("resourceVersionMatch",
                             "resourceVersionMatch is forbidden unless resourceVersion is provided")
        elif match and match not in ("Exact", "NotOlderThan"):
            causes.unsupported("resourceVersionMatch", match, ("Exact", "NotOlderThan", ""))
        if initial:
            causes.forbidden("sendInitialEvents", "sendInitialEvents is forbidden for list")
    causes.raise_for("ListOptions.meta.k8s.io", "meta.k8s.io", "ListOptions", "")


class Watch:
    """One watch, from its request to its end; it lives in the thread of its connection."""

    def __init__(self, store, kind, exchange, namespace, settings):
        """`settings` has bookmark_interval (seconds) and streaming_lists."""
        request = exchange.request
        self._store = store
        self._exchange = exchange
        self._interval = settings.bookmark_interval
        self._collection = store.collection(*kind.storage_key)
        timeout = request.parameter("timeoutSeconds")
        seconds = _number(timeout) if timeout else 0
        _check_list_options(request, watch=True)
        self._initial = request.parameter("sendInitialEvents")
        if self._initial and not settings.streaming_lists:
            raise _no_streaming_lists()
        self._view = View(kind, request.headers.get("accept"), request.parameter("includeObject"))
        self._selection = _selection(kind, request, namespace)
        self._version = request.parameter("resourceVersion")
        if self._version and not self._version.isdigit():
            raise StatusError(500, "", _not_a_version(self._version))
        self._bookmarks = request.flag("allowWatchBookmarks")
        now = time.monotonic()
        self._deadline = now + (seconds or random.uniform(1800, 3600))
        self._next_bookmark = now + self._interval
        self._last_bookmarks = [self._deadline - 2.1, self._deadline - 1.05] if seconds else []
        self._position = 0
        self._ended = self._collection.ended

    def run(self):
        """Streams until the time is up or the client has gone."""
        try:
            first = self._begin()
        except StatusError as error:
            self._exchange.stream()
            self._exchange.write(_error(error))
            self._exchange.finish()
            return
        self._exchange.stream()
        self._send(first)
        while self._step():
            pass
        self._exchange.finish()

    def _begin(self):
        """Settles where to start; returns the events to send at once."""
        with self._store.lock:
            wanted = int(self._version or 0)
            if wanted and not self._initial:
                if wanted < self._store.compacted:
                    raise statuses.expired(
                        f"too old resource version: {wanted} ({self._store.compacted + 1})")
                self._position = wanted
                return []
            if wanted:
                _wait_for(self._store, self._collection, wanted)
            self._position = self._store.version
            if self._initial == "false" and not wanted:
                return []
            if self._initial == "false":
                self._position = wanted
                return []
            items = self._collection.sorted()
        lines = [self._view.event(ADDED, stored) for stored in items
                 if self._selection.everything or self._selection.matches(stored)]
        if self._bookmarks:
            lines.append(self._view.bookmark(self._position, initial=True))
        return lines

    def _step(self):
        """Waits for something to do and does it. False at the end."""
        with self._store.lock:
            events = self._pending()
            if not events:
                if self._position <= self._store.version:
                    self._position = self._store.version
                if self._collection.ended != self._ended:
                    return False
                self._collection.changed.wait(max(0.01, min(1.0, self._until_next() - time.monotonic())))
                events = self._pending()
        now = time.monotonic()
        if events is None:
            self._exchange.write(_error(statuses.expired(
                f"too old resource version: {self._position} ({self._store.compacted + 1})")))
            return False
        if events:
            self._send([line for line in map(self._line, events) if line])
            self._position = events[-1].version
        elif now < self._until_next() and self._exchange.client_is_gone():
            return False
        self._bookmark(now)
        return now < self._deadline

    def _pending(self):
        """What happened after the position; None if some of it is forgotten."""
        events = self._collection.events
        if self._collection.forgotten > self._position:
            return None
        if not events or events[-1].version <= self._position:
            return []
        pending = []
        for event in reversed(events):
            if event.version <= self._position:
                break
            pending.append(event)
        pending.reverse()
        return pending

    def _line(self, event):
        """An event as this watch sees it: b"" if it does not."""
        selection = self._selection
        if selection.everything:
            return self._view.event(event.type, event.last or event.new)
        if selection.name is not None and (event.new or event.old).name != selection.name:
            return b""
        was, now = selection.matches(event.old), selection.matches(event.new)
        if now:
            return self._view.event(MODIFIED if was else ADDED, event.new)
        if not was:
            return b""
        if event.last is not None:
            return self._view.event(DELETED, event.last)
        left = dict(event.old.object, metadata=dict(event.old.object["metadata"],
                                                    resourceVersion=str(event.version)))
        return self._view.event(DELETED, Stored(left, event.version))

    def _send(self, lines):
        chunk, size = [], 0
        for line in lines:
            chunk.append(line)
            size += len(line)
            if size >= _CHUNK_BYTES:
                self._exchange.write(b"".join(chunk))
                chunk, size = [], 0
        if chunk:
            self._exchange.write(b"".join(chunk))

    def _until_next(self):
        times = [self._deadline]
        if self._bookmarks:
            times += [self._next_bookmark] + self._last_bookmarks[:1]
        return min(times)

    def _bookmark(self, now):
        if not self._bookmarks or self._position > self._store.version:
            return
        due = now >= self._next_bookmark
        if self._last_bookmarks and now >= self._last_bookmarks[0]:
            self._last_bookmarks.pop(0)
            due = now < self._deadline
        if due:
            self._next_bookmark = now + self._interval
            self._exchange.write(self._view.bookmark(self._position, initial=False))


def _error(error):
    return b'{"type":"ERROR","object":%b}\n' % dump(error.status())


def _no_streaming_lists():
    causes = statuses.Causes()
    causes.forbidden("sendInitialEvents",
                     "sendInitialEvents is forbidden for watch unless the WatchList feature gate "
                     "is enabled")
    try:
        causes.raise_for("ListOptions.meta.k8s.io", "meta.k8s.io", "ListOptions", "")
    except StatusError as error:
        return error
