"""What the tests of the access side need: objects without a server, certificates, a webhook, recordings."""

import datetime
import http.server
import ipaddress
import json
import os
import socketserver
import ssl
import tempfile
import threading

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

_TESTDATA = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "testdata")
_FOREVER = datetime.datetime(2100, 1, 1)
_PAST = datetime.datetime(2020, 1, 1)


def recording(name):
    """A recording by its path in testdata."""
    with open(os.path.join(_TESTDATA, name)) as file:
        return json.load(file)


def without(value, *keys):
    """A copy without these keys, at any depth."""
    if isinstance(value, dict):
        return {key: without(each, *keys) for key, each in value.items() if key not in keys}
    return [without(each, *keys) for each in value] if isinstance(value, list) else value


class StoredObjects:
    """A Cluster (lab.cluster.api.interfaces) over objects in memory."""

    def __init__(self):
        self._objects = {}

    def put(self, group, resource, stored):
        metadata = stored["metadata"]
        self._objects[group, resource, metadata.get("namespace", ""), metadata["name"]] = stored
        return stored

    def delete(self, group, resource, namespace, name):
        del self._objects[group, resource, namespace, name]

    def get(self, group, resource, namespace, name):
        return self._objects.get((group, resource, namespace, name))

    def list(self, group, resource, namespace=None):
        return [stored for key, stored in sorted(self._objects.items())
                if key[:2] == (group, resource) and namespace in (None, key[2])]


class Authority:
    """A certificate authority for webhooks."""

    def __init__(self, name="test CA"):
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.certificate = self._build(self._name, self._key.public_key(), _FOREVER).add_extension(
            x509.BasicConstraints(ca=True, path_length=None), True).sign(self._key, hashes.SHA256())
        self.pem = self.certificate.public_bytes(serialization.Encoding.PEM)

    def issue(self, *names, until=_FOREVER):
        """A certificate for DNS names and addresses, and its key, as PEM."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "webhook")])
        builder = self._build(subject, key.public_key(), until)
        if names:
            names = x509.SubjectAlternativeName([_general_name(name) for name in names])
            builder = builder.add_extension(names, False)
        certificate = builder.sign(self._key, hashes.SHA256())
        return (certificate.public_bytes(serialization.Encoding.PEM) +
                key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                                  serialization.NoEncryption()))

    def context(self, *names, until=_FOREVER):
        """A server's TLS context with such a certificate."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        with tempfile.NamedTemporaryFile() as file:
            file.write(self.issue(*names, until=until))
            file.flush()
            context.load_cert_chain(file.name)
        return context

    def _build(self, subject, public_key, until):
        return (x509.CertificateBuilder().subject_name(subject).issuer_name(self._name).public_key(public_key)
                .serial_number(x509.random_serial_number()).not_valid_before(_PAST).not_valid_after(until))


def _general_name(name):
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


class Webhook:
    """An HTTPS server at 127.0.0.1.

    `answer(path, review)` returns (status, content type, body), or None to close the connection. `seen` has
    (connection number, path, headers, body bytes) of every call."""

    def __init__(self, context, answer):
        self.seen = []
        self._connections = {}
        self._server = _Server(("127.0.0.1", 0), self._handler(answer))
        self._server.context = context
        self.port = self._server.server_address[1]
        thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        thread.start()

    def close(self):
        self._server.shutdown()
        self._server.server_close()

    def _handler(self, answer):
        webhook = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                number = webhook._connections.setdefault(self.connection, len(webhook._connections) + 1)
                webhook.seen.append((number, self.path, dict(self.headers), body))
                answered = answer(self.path, json.loads(body))
                if answered is None:
                    self.close_connection = True
                    return
                status, content_type, content = answered
                self.send_response(status)
                self.send_header("Content-Type", content_type)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_):
                pass

        return Handler


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    context = None

    def server_bind(self):
        # Without the name of the host, which HTTPServer asks the resolver for.
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = self.server_address

    def finish_request(self, request, client_address):
        try:
            request = self.context.wrap_socket(request, server_side=True)
        except OSError:
            return  # a client that does not like the certificate
        with request:
            super().finish_request(request, client_address)

    def handle_error(self, request, client_address):
        pass  # clients that have given up
