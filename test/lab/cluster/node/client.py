"""A client of the Kubernetes API: requests with JSON bodies over HTTPS, errors as Status objects."""

import base64
import http.client
import json
import os
import ssl
import tempfile
import threading
import urllib.parse

import yaml

from lab.cluster.node.resources import path_of

_TIMEOUT_SECONDS = 30.0
MERGE_PATCH = "application/merge-patch+json"
STRATEGIC_PATCH = "application/strategic-merge-patch+json"


class ApiError(Exception):
    """The server answered with an error; `code`, `reason` and the message are those of its Status."""

    def __init__(self, code, reason, message, retry_after=None):
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message
        self.retry_after = retry_after


class Unavailable(Exception):
    """No answer came: nobody listens, or the connection broke."""


class Credentials:
    """Where the server is, how it is verified, and who we are: read from a kubeconfig."""

    def __init__(self, kubeconfig, server=None):
        with open(kubeconfig) as file:
            config = yaml.safe_load(file)
        wanted = config.get("current-context") or config["contexts"][0]["name"]
        context = _named(config["contexts"], wanted)["context"]
        cluster = _named(config["clusters"], context["cluster"])["cluster"]
        user = _named(config["users"], context["user"])["user"]
        url = urllib.parse.urlsplit(server or cluster["server"])
        self.host, self.port = url.hostname, url.port or 443
        self.token = user.get("token")
        if not self.token and user.get("tokenFile"):
            with open(user["tokenFile"]) as file:
                self.token = file.read().strip()
        self.authority = (_content(cluster, "certificate-authority", kubeconfig) or b"").decode()  # PEM
        self.tls = ssl.create_default_context(cadata=self.authority or None)
        if cluster.get("insecure-skip-tls-verify"):
            self.tls.check_hostname = False
            self.tls.verify_mode = ssl.CERT_NONE
        certificate = _content(user, "client-certificate", kubeconfig)
        if certificate:
            _load_chain(self.tls, certificate, _content(user, "client-key", kubeconfig))


class Client:
    """Thread-safe: every thread has a connection of its own, kept alive."""

    def __init__(self, credentials):
        self._credentials = credentials
        self._local = threading.local()

    def get(self, resource, namespace, name):
        return self.call("GET", path_of(resource, namespace, name))

    def find(self, resource, namespace, name):
        """The object, or None if there is none."""
        try:
            return self.get(resource, namespace, name)
        except ApiError as error:
            if error.code == 404:
                return None
            raise

    def create(self, resource, namespace, body, name="", subresource=""):
        return self.call("POST", path_of(resource, namespace, name, subresource), body)

    def update(self, resource, body, subresource=""):
        metadata = body["metadata"]
        path = path_of(resource, metadata.get("namespace"), metadata["name"], subresource)
        return self.call("PUT", path, body)

    def patch(self, resource, namespace, name, patch, subresource="", kind=MERGE_PATCH):
        return self.call("PATCH", path_of(resource, namespace, name, subresource), patch, kind)

    def delete(self, resource, namespace, name, uid=None, grace_seconds=None, propagation=None):
        options = {"apiVersion": "v1", "kind": "DeleteOptions"}
        if uid:
            options["preconditions"] = {"uid": uid}
        if grace_seconds is not None:
            options["gracePeriodSeconds"] = grace_seconds
        if propagation:
            options["propagationPolicy"] = propagation
        return self.call("DELETE", path_of(resource, namespace, name), options)

    def call(self, method, path, body=None, content_type="application/json"):
        """One request; returns the decoded answer. Raises ApiError or Unavailable."""
        payload = None if body is None else json.dumps(body).encode()
        headers = self.headers()
        if payload is not None:
            headers["Content-Type"] = content_type
        try:
            response, content = self._exchange(method, path, payload, headers)
        except (OSError, http.client.HTTPException) as error:
            raise Unavailable(f"{method} {path}: {error or type(error).__name__}") from error
        if response.status >= 400:
            raise error_of(response, content)
        return json.loads(content)

    def connect(self, timeout=_TIMEOUT_SECONDS):
        """A connection of the caller's own, for streams."""
        return http.client.HTTPSConnection(self._credentials.host, self._credentials.port,
                                           timeout=timeout, context=self._credentials.tls)

    def headers(self):
        headers = {"Accept": "application/json", "User-Agent": "weft-lab-node"}
        if self._credentials.token:
            headers["Authorization"] = f"Bearer {self._credentials.token}"
        return headers

    def _exchange(self, method, path, payload, headers):
        connection = getattr(self._local, "connection", None)
        if connection is not None:
            try:
                return self._send(connection, method, path, payload, headers)
            except (ConnectionError, ssl.SSLError, http.client.BadStatusLine):
                # The server closed an idle connection: nothing of this request was processed.
                self._forget()
        self._local.connection = self.connect()
        try:
            return self._send(self._local.connection, method, path, payload, headers)
        except BaseException:
            self._forget()
            raise

    def _send(self, connection, method, path, payload, headers):
        connection.request(method, path, payload, headers)
        response = connection.getresponse()
        content = response.read()
        if response.will_close:
            self._forget()
        return response, content

    def _forget(self):
        self._local.connection.close()
        self._local.connection = None


def error_of(response, content):
    """An error answer as ApiError."""
    status = {}
    try:
        decoded = json.loads(content)
        if isinstance(decoded, dict):
            status = decoded
    except ValueError:
        pass
    retry_after = response.getheader("Retry-After")
    return ApiError(response.status, status.get("reason", ""),
                    status.get("message") or content.decode(errors="replace")[:500],
                    int(retry_after) if retry_after and retry_after.isdigit() else None)


def _named(entries, name):
    for entry in entries:
        if entry["name"] == name:
            return entry
    raise KeyError(f"the kubeconfig has no entry {name!r}")


def _content(entry, key, kubeconfig):
    """Bytes of a field that may be inline (KEY-data) or a file (KEY)."""
    if entry.get(f"{key}-data"):
        return base64.b64decode(entry[f"{key}-data"])
    if entry.get(key):
        with open(os.path.join(os.path.dirname(kubeconfig), entry[key]), "rb") as file:
            return file.read()
    return None


def _load_chain(tls, certificate, key):
    # The ssl module reads certificates from files only.
    with tempfile.NamedTemporaryFile() as file:
        file.write(certificate + b"\n" + key)
        file.flush()
        tls.load_cert_chain(file.name)
