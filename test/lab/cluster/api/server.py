"""The API server: from a request to whoever answers it."""

import hashlib
import json

from lab.cluster.api import decoding, discovery, openapi, openapi_v2, reading, statuses, subresources
from lab.cluster.api.addresses import Addresses
from lab.cluster.api.collector import Collector
from lab.cluster.api.definitions import Definitions
from lab.cluster.api.expiry import Expiry
from lab.cluster.api.interfaces import Call, Resource, StatusError
from lab.cluster.api.kinds import REVIEWS, SUBRESOURCES, Kinds
from lab.cluster.api.paths import parse
from lab.cluster.api.reading import Watch
from lab.cluster.api.removal import Remover, options_of
from lab.cluster.api.storage import Conflict
from lab.cluster.api.views import View
from lab.cluster.api.writing import Write, Writer

_VERBS = {"GET": "get", "POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
_PATCHES = ("application/json-patch+json", "application/merge-patch+json",
            "application/strategic-merge-patch+json", "application/apply-patch+yaml")
_ENDPOINTS_DEPRECATED = '299 - "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice"'
_NOT_FOUND = b"404 page not found\n"
VERSION = {"major": "1", "minor": "34", "emulationMajor": "1", "emulationMinor": "34",
           "minCompatibilityMajor": "1", "minCompatibilityMinor": "33", "gitVersion": "v1.34.0",
           "gitCommit": "", "gitTreeState": "clean", "buildDate": "2026-01-01T00:00:00Z", "goVersion": "none",
           "compiler": "none", "platform": "linux/amd64"}


class ApiServer:
    """Everything behind the HTTP server. `settings` has bookmark_interval and streaming_lists."""

    def __init__(self, store, settings):
        self.store = store
        self.kinds = Kinds()
        self.settings = settings
        self.access = None
        self._handlers = {}
        self._paths = {}
        self.ready = False

    def start(self, access):
        """Goes from 503 to answers."""
        self.access = access
        self._handlers = access.handlers()
        self._paths = access.paths()
        self.remover = Remover(self.store, self.kinds, access)
        self.writer = Writer(self.store, self.kinds, access, Addresses(self.store), self.remover.finish)
        Definitions(self.store, self.kinds)
        Collector(self.store, self.kinds, self.remover)
        self.expiry = Expiry(self.store)
        self.ready = True

    # What access is given to see the cluster.

    def get(self, group, resource, namespace, name):
        stored = self.store.get((group, resource), namespace, name)
        return stored.object if stored else None

    def list(self, group, resource, namespace=None):
        with self.store.lock:
            items = self.store.collection(group, resource).sorted()
        return [stored.object for stored in items if not namespace or stored.namespace == namespace]

    def revision(self, group, resource):
        return self.store.collection(group, resource).revision

    def served(self, group, version, resource):
        kind = self.kinds.get(group, version, resource)
        return kind and Resource(group, version, resource, kind.kind, kind.namespaced)

    def update(self, group, resource, namespace, name, change):
        while True:
            stored = self.store.get((group, resource), namespace, name)
            if stored is None:
                return None
            obj = json.loads(stored.whole())
            change(obj)
            if obj == stored.object:
                return stored.object
            try:
                return self.store.update((group, resource), stored, obj).object
            except Conflict:
                continue

    # Requests.

    def handle(self, exchange):
        try:
            self._handle(exchange)
        except StatusError as error:
            self.refuse(exchange, error)

    def refuse(self, exchange, error):
        headers = {"Retry-After": str(error.retry_after)} if error.retry_after else None
        exchange.send(error.code, error.status(), headers=headers)

    def _handle(self, exchange):
        request = exchange.request
        if not self.ready:
            self._starting(exchange)
            return
        user = self.access.authenticate(request.headers, exchange.connection.certificate)
        if user is None:
            raise StatusError(401, "Unauthorized", "Unauthorized")
        path = parse(request.path)
        if path is None or path.resource == "":
            self._authorize_path(user, request)
            self._path(exchange, user, path)
            return
        verb = self._verb(request, path)
        allowed, reason = self.access.authorize(user, verb, path.group, path.resource, path.subresource,
                                                path.namespace, path.name or _selected_name(request),
                                                request.path)
        if not allowed:
            raise _forbidden(user, verb, path, reason)
        kind = self.kinds.get(path.group, path.version, path.resource)
        if kind is None or (path.namespace and not kind.namespaced) or \
                (kind.namespaced and path.name and not path.namespace):
            if path.version in self.kinds.groups().get(path.group, ()):
                raise statuses.unknown_resource()
            exchange.send(404, _NOT_FOUND, "text/plain; charset=utf-8", {"X-Content-Type-Options": "nosniff"})
            return
        self._resource(exchange, user, kind, path, verb)

    def _starting(self, exchange):
        body = ("the request has been made before all known HTTP paths have been installed, please try again")
        error = StatusError(503, "ServiceUnavailable", body, {"retryAfterSeconds": 5}, retry_after=5)
        self.refuse(exchange, error)

    @staticmethod
    def _verb(request, path):
        if request.method in ("GET", "HEAD"):
            if request.flag("watch"):
                return "watch"
            return "get" if path.name else "list"
        if request.method == "DELETE" and not path.name:
            return "deletecollection"
        return _VERBS.get(request.method, request.method.lower())

    def _authorize_path(self, user, request):
        allowed, reason = self.access.authorize(user, request.method.lower(), "", "", "", "", "",
                                                request.path)
        if not allowed:
            raise StatusError(403, "Forbidden",
                              f'forbidden: User "{user.name}" cannot {request.method.lower()} path '
                              f'"{request.path}"' + (f": {reason}" if reason else ""), {})

    def _path(self, exchange, user, path):
        """Paths that are no resource."""
        request = exchange.request
        handler = self._paths.get(request.path)
        if handler is not None:
            self._answer(exchange,
                         handler(Call(request.method, request.path, request.query, request.headers, user,
                                                None)))
        elif request.path in ("/healthz", "/livez", "/readyz") or \
                request.path.startswith(("/healthz/", "/livez/", "/readyz/")):
            text = b"ok"
            if "verbose" in request.query:
                text = f"[+]ping ok\n[+]log ok\n[+]etcd ok\n{request.path.strip('/')} check passed\n".encode()
            exchange.send(200, text, "text/plain; charset=utf-8", {"X-Content-Type-Options": "nosniff"})
        elif request.path == "/version":
            exchange.send(200, json.dumps(VERSION, indent=2).encode())
        elif request.path == "/debug/compact" and request.method == "POST":
            self.store.compact()
            exchange.send(200, b"compacted\n", "text/plain")
        elif request.path == "/debug/streaming-lists" and request.method in ("PUT", "POST"):
            self.settings.streaming_lists = request.parameter("enabled") == "true"
            exchange.send(200, b"set\n", "text/plain")
        elif request.path == "/debug/load" and request.method == "POST":
            exchange.send(200, {"loaded": self._load(request.body)})
        elif request.method in ("GET", "HEAD"):
            self._document(exchange, path)
        else:
            exchange.send(404, _NOT_FOUND, "text/plain; charset=utf-8")

    def _document(self, exchange, path):
        request = exchange.request
        if request.path == "/openapi/v2":
            exchange.send(200, openapi_v2.document(), openapi_v2.CONTENT_TYPE)
            return
        found = discovery.document(self.kinds, request, path)
        if found is None:
            found = openapi.document(self.kinds, request)
        if found is None:
            exchange.send(404, _NOT_FOUND, "text/plain; charset=utf-8", {"X-Content-Type-Options": "nosniff"})
            return
        body, content_type = found
        body = json.dumps(body, separators=(",", ":")).encode() + b"\n"
        tag = f'"{hashlib.sha512(body).hexdigest().upper()}"'
        headers = {"Etag": tag, "Vary": "Accept", "Cache-Control": "public"}
        if request.headers.get("if-none-match") == tag:
            exchange.send(304, b"", content_type, headers)
        else:
            exchange.send(200, body, content_type, headers)

    def _load(self, body):
        """Stores complete objects, one JSON document a line, without admission: for tests that need many."""
        count = 0
        for line in body.splitlines():
            obj = json.loads(line)
            group, _, version = obj["apiVersion"].rpartition("/")
            kind = self.kinds.by_kind(group, obj["kind"])
            if kind is None or version != kind.version:
                raise statuses.bad_request(f"no kind {obj['kind']} in {obj['apiVersion']}")
            if self.store.create(kind.storage_key, obj) is None:
                raise statuses.already_exists(kind, obj["metadata"]["name"])
            count += 1
        return count

    def _resource(self, exchange, user, kind, path, verb):
        request = exchange.request
        if request.method == "HEAD":
            raise statuses.method_not_allowed()
        if kind.qualified == "endpoints":
            exchange.warnings.append(_ENDPOINTS_DEPRECATED)
        if kind.resource in REVIEWS and kind.custom is None or path.subresource and \
                (kind.group, kind.resource, path.subresource) in self._handlers:
            self._hand_over(exchange, user, kind, path)
        elif path.subresource:
            self._subresource(exchange, user, kind, path, verb)
        elif verb == "watch":
            if kind.custom is not None and kind.custom.warming_up():
                raise StatusError(429, "TooManyRequests", "storage is (re)initializing",
                                  {"retryAfterSeconds": 1},
                                  retry_after=1)
            if path.name:
                request.query["fieldSelector"] = [f"metadata.name={path.name}"]
            Watch(self.store, kind, exchange, path.namespace, self.settings).run()
        elif verb == "get":
            reading.get(self.store, kind, exchange, path.namespace, path.name)
        elif verb == "list":
            reading.list_(self.store, kind, exchange, path.namespace)
        else:
            self._write(exchange, user, kind, path, verb)

    def _write(self, exchange, user, kind, path, verb):
        request = exchange.request
        of_collection = verb in ("create", "deletecollection")
        if verb not in kind.verbs or of_collection == bool(path.name) or \
                of_collection and kind.namespaced and not path.namespace:
            raise statuses.method_not_allowed()
        write = Write.of(kind, path.namespace, path.name, user, exchange)
        if verb == "create":
            obj = self.writer.create(write, self._named(decoding.read, request, kind))
            self._respond(exchange, kind, 201, obj)
        elif verb == "update":
            self._respond(exchange, kind, 200,
                          self.writer.update(write, self._named(decoding.read, request, kind)))
        elif verb == "patch":
            self._patch(exchange, write)
        elif verb == "delete":
            answer = self.remover.delete(write, options_of(request, self.kinds))
            if answer.get("kind") == "Status":
                exchange.send(200, answer)
            else:
                self._respond(exchange, kind, 200, answer)
        else:
            items, metadata = self.remover.delete_collection(write, options_of(request, self.kinds))
            view = View(kind, request.headers.get("accept"))
            exchange.send(200, view.list(items, metadata), view.content_type)

    def _named(self, read, request, kind):
        """A body; the error of one that does not parse names the kind it should have been."""
        try:
            return read(request, self.kinds)
        except StatusError as error:
            if error.message.startswith("couldn't get version/kind"):
                raise statuses.bad_request(
                    f"the object provided is unrecognized (must be of type {kind.kind}): "
                    + error.message) from None
            raise

    def _patch(self, exchange, write):
        request = exchange.request
        media = decoding.media_type(request)
        if media not in _PATCHES:
            raise StatusError(415, "UnsupportedMediaType", "415: Unsupported Media Type", {})
        if media == "application/apply-patch+yaml":
            obj, created = self.writer.apply(write, request.body)
            self._respond(exchange, write.kind, 201 if created else 200, obj)
        else:
            self._respond(exchange, write.kind, 200, self.writer.patch(write, media, request.body))

    def _respond(self, exchange, kind, code, obj):
        view = View(kind, exchange.request.headers.get("accept"))
        stored = self.store.get(kind.storage_key, obj["metadata"].get("namespace", ""),
                                obj["metadata"]["name"])
        body = view.one(stored) if stored is not None and stored.object is obj else view.written(obj)
        exchange.send(code, body, view.content_type)

    def _subresource(self, exchange, user, kind, path, verb):
        if path.subresource not in kind.subresources:
            if kind.custom is not None and path.subresource in ("status", "scale"):
                raise statuses.not_found(kind, path.name)
            raise statuses.unknown_resource()
        write = Write.of(kind, path.namespace, path.name, user, exchange, path.subresource)
        if path.subresource == "status" and verb in ("get", "patch", "update"):
            if verb == "get":
                reading.get(self.store, kind, exchange, path.namespace, path.name)
            elif verb == "patch":
                self._patch(exchange, write)
            else:
                self._respond(exchange, kind, 200,
                              self.writer.update(write, self._named(decoding.read, exchange.request, kind)))
            return
        handler = subresources.HANDLERS.get((path.subresource, verb))
        if handler is None:
            raise statuses.method_not_allowed()
        code, obj = handler(self, write)
        exchange.send(code, obj)

    def _hand_over(self, exchange, user, kind, path):
        """To a handler of access: reviews, tokens, exec, port-forward."""
        request = exchange.request
        handler = self._handlers.get((kind.group, kind.resource, path.subresource))
        if handler is None:
            raise statuses.method_not_allowed()
        body = None
        if request.body:
            body = self._named(decoding.read, request, kind).object
        group, version, name = kind.group, kind.version, kind.kind
        if path.subresource in SUBRESOURCES:
            name = SUBRESOURCES[path.subresource][2]
        call = Call(request.method, request.path, request.query, request.headers, user,
                    Resource(group, version, kind.resource, name, kind.namespaced, path.subresource),
                    path.namespace,
                    path.name, body, "All" in request.query.get("dryRun", []), exchange.connection.sock,
                    exchange.take_over)
        self._answer(exchange, handler(call))

    @staticmethod
    def _answer(exchange, answer):
        if answer is not None:
            exchange.send(answer.code, answer.content, answer.content_type, answer.headers)
        elif not exchange.connection.released:
            raise AssertionError("a handler neither answered nor took the connection over")


def _selected_name(request):
    """The one object that a list or watch asks for: rights for that name suffice."""
    for term in request.parameter("fieldSelector").split(","):
        key, equal, value = term.partition("=")
        if equal and key.strip() == "metadata.name":
            return value.removeprefix("=").strip()
    return ""


def _forbidden(user, verb, path, reason):
    resource = path.resource + (f"/{path.subresource}" if path.subresource else "")
    qualified = f"{path.resource}.{path.group}" if path.group else path.resource
    named = f'{qualified} "{path.name}"' if path.name else qualified
    where = f'in the namespace "{path.namespace}"' if path.namespace else "at the cluster scope"
    text = (f'{named} is forbidden: User "{user.name}" cannot {verb} resource "{resource}" in API group '
            f'"{path.group}" {where}' + (f": {reason}" if reason else ""))
    details = {"name": path.name} if path.name else {}
    if path.group:
        details["group"] = path.group
    details["kind"] = path.resource
    return StatusError(403, "Forbidden", text, details)
