"""HTTP/1.1 over TLS: connections that stay open, a thread each, chunked answers (RFC 9112)."""

import email.utils
import gzip
import select
import socket
import ssl
import threading
import traceback
import urllib.parse

from lab.cluster.api.interfaces import StatusError
from lab.cluster.api.statuses import too_large
from lab.cluster.api.storage import dump

MAX_HEAD_BYTES = 64 * 1024
MAX_BODY_BYTES = 3 * 1024 * 1024
IDLE_SECONDS = 300.0
_GZIP_FROM_BYTES = 128 * 1024

_PLAIN_HTTP = (b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n")

_REASONS = {100: "Continue", 101: "Switching Protocols", 200: "OK", 201: "Created", 202: "Accepted",
            304: "Not Modified", 400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found",
            405: "Method Not Allowed", 406: "Not Acceptable", 409: "Conflict", 410: "Gone",
            413: "Request Entity Too Large", 415: "Unsupported Media Type", 422: "Unprocessable Entity",
            429: "Too Many Requests", 500: "Internal Server Error", 503: "Service Unavailable",
            504: "Gateway Timeout"}


class ClientGone(Exception):
    """The client has closed the connection."""


class BadHead(Exception):
    """What came is not HTTP."""


class Request:
    """One request, read whole."""

    def __init__(self, method, target, headers):
        self.method = method
        self.target = target
        self.headers = headers  # {name in lower case: value}
        path, _, query = target.partition("?")
        self.path = urllib.parse.unquote(path)
        self.raw_path = path
        self.query = urllib.parse.parse_qs(query, keep_blank_values=True) if query else {}
        self.body = b""

    def flag(self, name):
        """Whether a boolean parameter is set; `?watch` alone means true."""
        values = self.query.get(name)
        return bool(values) and values[0].lower() not in ("0", "f", "false")

    def parameter(self, name, default=""):
        values = self.query.get(name)
        return values[0] if values else default


class Exchange:
    """A request and the way to answer it, once."""

    def __init__(self, connection, request):
        self.request = request
        self.connection = connection
        self.warnings = []
        self.answered = False
        self.keep_alive = request.headers.get("connection", "").lower() != "close"

    def send(self, code, body, content_type="application/json", headers=None):
        """Answers with bytes, or with an object as JSON."""
        if not isinstance(body, (bytes, bytearray)):
            body = dump(body) + b"\n"
        lines = self._head(code, content_type, headers)
        if len(body) > _GZIP_FROM_BYTES and "gzip" in self.request.headers.get("accept-encoding", ""):
            body = gzip.compress(body, 1)
            lines += ["Content-Encoding: gzip", "Vary: Accept-Encoding"]
        lines.append(f"Content-Length: {len(body)}")
        if self.request.method == "HEAD":
            body = b""
        self.connection.write("\r\n".join(lines).encode("latin-1", "replace") + b"\r\n\r\n" + body)

    def stream(self, content_type="application/json"):
        """Begins a chunked answer; write() and finish() follow."""
        lines = self._head(200, content_type, None) + ["Transfer-Encoding: chunked"]
        self.connection.write("\r\n".join(lines).encode("latin-1") + b"\r\n\r\n")

    def write(self, data):
        """One chunk."""
        self.connection.write(b"%x\r\n%b\r\n" % (len(data), data))

    def finish(self):
        self.connection.write(b"0\r\n\r\n")

    def client_is_gone(self):
        return self.connection.peer_closed()

    def take_over(self):
        """Leaves the connection to somebody else for good. Returns what had been read ahead."""
        self.answered = True
        return self.connection.release()

    def _head(self, code, content_type, headers):
        self.answered = True
        lines = [f"HTTP/1.1 {code} {_REASONS.get(code, 'Status')}"]
        merged = {"Cache-Control": "no-cache, private", "Content-Type": content_type}
        merged.update(headers or {})
        lines += [f"{name}: {value}" for name, value in merged.items() if value is not None]
        lines += [f"Warning: {warning}" for warning in self.warnings]
        lines.append("Date: " + email.utils.formatdate(usegmt=True))
        if not self.keep_alive:
            lines.append("Connection: close")
        return lines


class Connection:
    """A client's connection: reads requests, one after the other."""

    def __init__(self, sock):
        self.sock = sock
        self._buffer = b""
        self.released = False
        self.certificate = None

    def write(self, data):
        try:
            self.sock.sendall(data)
        except (OSError, ValueError) as error:
            raise ClientGone from error

    def peer_closed(self):
        """Whether the client has gone; to be asked while it has nothing to say."""
        if self.sock.pending():
            return False
        readable, _, _ = select.select([self.sock], [], [], 0)
        if not readable:
            return False
        try:
            data = self.sock.recv(65536)
        except (ssl.SSLWantReadError, TimeoutError):
            return False
        except (OSError, ValueError):
            return True
        self._buffer += data
        return not data or len(self._buffer) > MAX_HEAD_BYTES

    def release(self):
        self.released = True
        ahead, self._buffer = self._buffer, b""
        return ahead

    def read_request(self):
        """The next request, or None at the end."""
        head = self._until(b"\r\n\r\n", MAX_HEAD_BYTES)
        if head is None:
            return None
        lines = head.decode("latin-1").split("\r\n")
        words = lines[0].split(" ")
        if len(words) != 3 or not words[2].startswith("HTTP/1."):
            raise BadHead
        headers = {}
        for line in lines[1:]:
            name, colon, value = line.partition(":")
            if not colon:
                raise BadHead
            name = name.strip().lower()
            value = value.strip()
            headers[name] = f"{headers[name]}, {value}" if name in headers else value
        request = Request(words[0], words[1], headers)
        if words[2] == "HTTP/1.0":
            headers.setdefault("connection", "close")
        self._read_body(request)
        return request

    def _read_body(self, request):
        headers = request.headers
        chunked = headers.get("transfer-encoding", "").lower() == "chunked"
        length = headers.get("content-length", "0")
        if not length.isdigit():
            raise BadHead
        length = int(length)
        if not chunked and not length:
            return
        if headers.get("expect", "").lower() == "100-continue":
            self.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        if not chunked:
            if length > MAX_BODY_BYTES:
                self._skip(length)
                raise too_large(MAX_BODY_BYTES)
            request.body = self._exactly(length)
            return
        parts, total = [], 0
        while True:
            line = self._until(b"\r\n", 1024)
            size = int((line or b"").split(b";")[0], 16)
            if size == 0:
                break
            total += size
            if total > MAX_BODY_BYTES:
                raise BadHead
            parts.append(self._exactly(size + 2)[:-2])
        while self._until(b"\r\n", MAX_HEAD_BYTES):
            pass
        request.body = b"".join(parts)

    def _receive(self):
        try:
            data = self.sock.recv(262144)
        except (OSError, ValueError) as error:
            raise ClientGone from error
        if not data:
            raise ClientGone
        self._buffer += data

    def _until(self, mark, limit):
        while True:
            at = self._buffer.find(mark)
            if at >= 0:
                found, self._buffer = self._buffer[:at], self._buffer[at + len(mark):]
                return found
            if len(self._buffer) > limit:
                raise BadHead
            try:
                self._receive()
            except ClientGone:
                if self._buffer:
                    raise
                return None

    def _exactly(self, length):
        parts, have = [self._buffer], len(self._buffer)
        while have < length:
            self._buffer = b""
            self._receive()
            parts.append(self._buffer)
            have += len(self._buffer)
        whole = b"".join(parts)
        self._buffer = whole[length:]
        return whole[:length]

    def _skip(self, length):
        """Reads and drops a body that is too large, up to a bound."""
        length = min(length, 16 * MAX_BODY_BYTES) - len(self._buffer)
        self._buffer = b""
        while length > 0:
            self._receive()
            length -= len(self._buffer)
            self._buffer = b""


class Server:
    """Listens on sockets and hands each request to `handle(exchange)`, in the connection's own thread."""

    def __init__(self, context, handle, refuse):
        """`refuse(exchange, error)` answers an error that was found while reading the request."""
        self._context = context
        self._handle = handle
        self._refuse = refuse

    def listen(self, sock):
        threading.Thread(target=self._accept, args=(sock,), daemon=True).start()

    def _accept(self, sock):
        while True:
            try:
                client, _ = sock.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client):
        connection = None
        try:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            client.settimeout(30.0)
            first = client.recv(1, socket.MSG_PEEK)
            if first and first != b"\x16":
                client.recv(65536)
                client.sendall(_PLAIN_HTTP)
                return
            secured = self._context.wrap_socket(client, server_side=True)
            secured.settimeout(IDLE_SECONDS)
            connection = Connection(secured)
            connection.certificate = secured.getpeercert(binary_form=True)
            self._requests(connection)
        except (ClientGone, BadHead, OSError, ValueError):
            pass
        finally:
            if connection is None:
                client.close()
            elif not connection.released:
                _close(connection.sock)

    def _requests(self, connection):
        while not connection.released:
            try:
                request = connection.read_request()
            except StatusError as error:
                exchange = Exchange(connection, Request("POST", "/", {"connection": "close"}))
                self._refuse(exchange, error)
                return
            if request is None:
                return
            exchange = Exchange(connection, request)
            try:
                self._handle(exchange)
            except ClientGone:
                return
            except Exception:  # a bug must not look like a closed connection
                traceback.print_exc()
                if exchange.answered:
                    return
                exchange.send(500, {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
                                    "message": traceback.format_exc(limit=-1), "reason": "InternalError",
                                    "code": 500})
            if not exchange.keep_alive:
                return


def _close(sock):
    try:
        sock.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass
    sock.close()
