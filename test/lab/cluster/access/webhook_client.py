"""HTTPS calls to webhooks: where they are, whether to believe their certificate, connections kept open.

Errors read as a real API server prints them, since users and tests see them in kubectl.
"""

import base64
import gzip
import http.client
import random
import socket
import ssl
import threading
import time
import urllib.parse
from typing import NamedTuple, Optional

from lab.cluster.access import network
from lab.cluster.access.certificates import CertificateProblem, check_name, verification_problem

_USER_AGENT = "kube-apiserver-admission"
_MAXIMUM_ANSWER = 3 << 20
_IDLE_CONNECTIONS = 8  # per webhook


class CallFailed(Exception):
    """No answer came that could be one; the message says why."""


class Target(NamedTuple):
    """Where a webhook is."""
    url: str
    server_name: str  # that the certificate must be for; a DNS name is sent as SNI too
    host_header: str
    addresses: list  # [(address, port)] to choose from
    shown_address: str  # in messages about connecting
    ca_bundle: bytes  # PEM; b"": the system's roots


class Reply(NamedTuple):
    status: int
    content_type: str
    body: bytes


class WebhookClient:
    """Thread-safe. `namespace` is the network namespace in which services are reached, "" for our own."""

    def __init__(self, cluster, namespace):
        self._cluster = cluster
        self._namespace = namespace
        self._idle = {}  # {(addresses, server name, CA bundle): [connection, ...]}
        self._lock = threading.Lock()

    def post(self, client_config, body, seconds):
        """POSTs the review and returns the Reply. Raises CallFailed, after `seconds` at the latest."""
        target = self._target(client_config, seconds)
        try:
            return self._call(target, body, time.monotonic() + seconds)
        except CallFailed as error:
            raise CallFailed(f'Post "{target.url}": {error}') from error

    def close(self):
        """Closes the connections that are kept."""
        with self._lock:
            idle, self._idle = self._idle, {}
        for connections in idle.values():
            for connection in connections:
                connection.close()

    def _target(self, config, seconds):
        ca_bundle = base64.b64decode(config.get("caBundle") or "")
        if config.get("url"):
            return _url_target(config["url"], ca_bundle, seconds)
        return self._service_target(config["service"], ca_bundle, seconds)

    def _service_target(self, reference, ca_bundle, seconds):
        name, namespace, port = reference["name"], reference["namespace"], reference.get("port", 443)
        host = f"{name}.{namespace}.svc"
        url = f"https://{host}:{port}{_path(reference.get('path', '/'))}?timeout={seconds}s"
        service = self._cluster.get("", "services", namespace, name)
        if service is None:
            raise CallFailed(f'Post "{url}": service "{name}" not found')
        ports = [each for each in service["spec"].get("ports") or [] if each["port"] == port]
        if not ports:
            raise CallFailed(f'Post "{url}": no service port {port} found for service "{name}"')
        slices = [each for each in self._cluster.list("discovery.k8s.io", "endpointslices", namespace)
                  if (each["metadata"].get("labels") or {}).get("kubernetes.io/service-name") == name]
        addresses = ready_addresses(slices, ports[0].get("name", ""))
        shown = f"{service['spec'].get('clusterIP', '')}:{port}"
        return Target(url, host, f"{host}:{port}", addresses, shown, ca_bundle)

    def _call(self, target, body, deadline):
        connection = self._take_idle(target)
        if connection is not None:
            try:
                return self._exchange(connection, target, body, deadline)
            except _Stale:
                pass  # closed while it was idle: a new one decides
        return self._exchange(self._connect(target, deadline), target, body, deadline)

    def _exchange(self, connection, target, body, deadline):
        """One request and its answer; the connection is kept if the server allows it."""
        expired = threading.Event()

        def give_up():
            expired.set()
            _shut(connection)

        # Sockets time out per read; a slow sender must not outlast the deadline.
        timer = threading.Timer(max(0.0, deadline - time.monotonic()), give_up)
        timer.daemon = True
        timer.start()
        try:
            reply = _request(connection, target, body)
        except (OSError, EOFError, ValueError, http.client.HTTPException) as error:
            connection.close()
            if expired.is_set() or isinstance(error, TimeoutError):
                raise CallFailed("context deadline exceeded") from error
            if isinstance(error, (http.client.RemoteDisconnected, ssl.SSLEOFError, ssl.SSLZeroReturnError)):
                raise _Stale("EOF") from error
            if isinstance(error, ConnectionError):
                raise _Stale(f"read tcp {target.shown_address}: read: {(error.strerror or 'closed').lower()}"
                             ) from error
            if isinstance(error, OSError):
                raise CallFailed(f"read tcp: {error.strerror or error}") from error
            raise CallFailed(f"malformed HTTP response: {error}") from error
        finally:
            timer.cancel()
        if connection.sock is None or expired.is_set():
            connection.close()
        else:
            self._keep(target, connection)
        return reply

    def _connect(self, target, deadline):
        if not target.addresses:
            raise CallFailed(f"dial tcp {target.shown_address}: connect: connection refused")
        context = _context(target.ca_bundle)
        remaining = max(0.001, deadline - time.monotonic())
        try:
            address = random.choice(target.addresses)
            plain = network.connect(self._namespace, *address, timeout=remaining)
        except TimeoutError as error:
            raise CallFailed("context deadline exceeded") from error
        except socket.gaierror as error:
            raise CallFailed(f"dial tcp: lookup {target.server_name}: no such host") from error
        except OSError as error:
            raise CallFailed(f"dial tcp {target.shown_address}: connect: "
                             f"{(error.strerror or str(error)).lower()}") from error
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        plain.settimeout(max(0.001, deadline - time.monotonic()))
        try:
            secure = context.wrap_socket(plain, server_hostname=target.server_name)
        except ssl.SSLCertVerificationError as error:
            plain.close()
            problem = verification_problem(
                error, lambda: network.connect(self._namespace, *address, timeout=remaining),
                target.server_name)
            raise CallFailed(f"tls: failed to verify certificate: x509: {problem}") from error
        except TimeoutError as error:
            plain.close()
            raise CallFailed("context deadline exceeded") from error
        except OSError as error:
            plain.close()
            raise CallFailed(_tls_words(error)) from error
        try:
            check_name(secure.getpeercert(binary_form=True), target.server_name)
        except CertificateProblem as error:
            secure.close()
            raise CallFailed(f"tls: failed to verify certificate: x509: {error}") from error
        secure.settimeout(None)  # from here on, _exchange sees to the deadline
        connection = http.client.HTTPSConnection(target.server_name)
        connection.sock = secure
        return connection

    def _take_idle(self, target) -> Optional[http.client.HTTPSConnection]:
        with self._lock:
            idle = self._idle.get(_key(target))
            return idle.pop() if idle else None

    def _keep(self, target, connection):
        key = _key(target)
        with self._lock:
            # Endpoints change: connections to what is no endpoint any more must not be used again.
            for other in [each for each in self._idle if each[1:] == key[1:] and each != key]:
                for stale in self._idle.pop(other):
                    stale.close()
            idle = self._idle.setdefault(key, [])
            if len(idle) < _IDLE_CONNECTIONS:
                idle.append(connection)
                return
        connection.close()


class _Stale(CallFailed):
    """The server closed without an answer: it may have done so before the request came."""


def ready_addresses(slices, port_name):
    """[(address, port)] of the ready endpoints in a service's EndpointSlices, for the port of that name."""
    found = []
    for each in slices:
        ports = [port["port"] for port in each.get("ports") or []
                 if (port.get("name") or "") == port_name and port.get("port")]
        for endpoint in each.get("endpoints") or []:
            if ports and (endpoint.get("conditions") or {}).get("ready") is not False:
                found += [(address, ports[0]) for address in endpoint["addresses"][:1]]
    return sorted(found)


def _url_target(url, ca_bundle, seconds):
    parts = urllib.parse.urlsplit(url)
    port = parts.port or 443
    full = f"{url}{'&' if parts.query else '?'}timeout={seconds}s"
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return Target(full, parts.hostname, parts.netloc, [(parts.hostname, port)], f"{host}:{port}", ca_bundle)


def _request(connection, target, body):
    parts = urllib.parse.urlsplit(target.url)
    connection.putrequest("POST", f"{parts.path or '/'}?{parts.query}", skip_host=True,
                          skip_accept_encoding=True)
    for name, value in (("Host", target.host_header), ("User-Agent", _USER_AGENT),
                        ("Content-Length", len(body)), ("Accept", "application/json, */*"),
                        ("Content-Type", "application/json"), ("Accept-Encoding", "gzip")):
        connection.putheader(name, value)
    connection.endheaders(body)
    response = connection.getresponse()
    content = response.read(_MAXIMUM_ANSWER + 1)
    if len(content) > _MAXIMUM_ANSWER:
        raise ValueError(f"an answer of more than {_MAXIMUM_ANSWER} bytes")
    response.read()
    if response.getheader("Content-Encoding", "").lower() == "gzip":
        content = gzip.decompress(content)
    return Reply(response.status, response.getheader("Content-Type", ""), content)


def _context(ca_bundle):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.check_hostname = False  # check_name does, with the words users know
    context.set_alpn_protocols(["http/1.1"])
    if ca_bundle:
        try:
            context.load_verify_locations(cadata=ca_bundle.decode())
        except (ssl.SSLError, UnicodeDecodeError, ValueError) as error:
            raise CallFailed("unable to load root certificates: unable to parse bytes as PEM block"
                             ) from error
    else:
        context.load_default_certs()
    return context


def _tls_words(error):
    reason = getattr(error, "reason", "") or ""
    if reason in ("WRONG_VERSION_NUMBER", "HTTP_REQUEST"):
        return "http: server gave HTTP response to HTTPS client"
    if isinstance(error, (ssl.SSLEOFError, ConnectionError)):
        return "EOF"
    return f"remote error: tls: {reason.lower().replace('_', ' ') or error}"


def _key(target):
    return tuple(target.addresses), target.url.partition("?")[0], target.ca_bundle


def _path(path):
    return path if path.startswith("/") else f"/{path}"


def _shut(connection):
    try:
        connection.sock.shutdown(socket.SHUT_RDWR)
    except (OSError, AttributeError):
        pass
