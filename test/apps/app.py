#!/usr/bin/python3
"""A small HTTP/1.1 application for pods: it says which version it is, and what it was asked.

Environment: VERSION (default "1"), PORT (default 8080).

  /              the version, as a line of text
  /echo          a JSON object: version, pod, method, path, headers, the client's address
  /healthz       200 "ok"; 503 after a POST to /unhealthy, until a POST to /healthy
  /status/N      answers with status N
  /delay/SECONDS the version, after a while
  /call?URL      fetches URL with the request's own cookie and x- headers; answers with what came

Every answer has the headers x-version and x-pod. SIGTERM ends it after the requests that are under way.
"""

import json
import os
import signal
import socket
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

VERSION = os.environ.get("VERSION", "1")
POD = os.environ.get("POD_NAME") or socket.gethostname()
_CALL_SECONDS = 10
_DRAIN_SECONDS = 20


class App(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "app"
    wbufsize = -1
    healthy = True
    under_way = 0
    lock = threading.Lock()

    def _count(self, change):
        with App.lock:
            App.under_way += change

    def _answer(self):
        self._count(1)
        try:
            self._serve()
        finally:
            self._count(-1)

    def _serve(self):
        self.rfile.read(int(self.headers.get("content-length") or 0))
        word, _, argument = self.path.lstrip("/").partition("/")
        if self.path.startswith("/call?"):
            return self._call(urllib.parse.unquote(self.path[len("/call?"):]))
        if word == "echo":
            return self._send(200, json.dumps({
                "version": VERSION, "pod": POD, "method": self.command, "path": self.path,
                "headers": [[name.lower(), value] for name, value in self.headers.items()],
                "client": self.client_address[0]}) + "\n", "application/json")
        if word == "healthz":
            return self._send(200, "ok\n") if App.healthy else self._send(503, "unhealthy on purpose\n")
        if word in ("healthy", "unhealthy") and self.command == "POST":
            App.healthy = word == "healthy"
        if word == "status":
            return self._send(int(argument), f"{argument}\n")
        if word == "delay":
            time.sleep(float(argument))
        return self._send(200, f"{VERSION}\n")

    def _call(self, url):
        headers = {name: value for name, value in self.headers.items()
                   if name.lower() == "cookie" or name.lower().startswith("x-")}
        try:
            request = urllib.request.Request(url, headers=headers)
            with urllib.request.urlopen(request, timeout=_CALL_SECONDS) as done:
                self._send(done.status, done.read().decode(errors="replace"))
        except urllib.error.HTTPError as error:
            self._send(error.code, error.read().decode(errors="replace"))
        except OSError as error:
            self._send(502, f"{url}: {error}\n")

    def _send(self, status, text, content_type="text/plain"):
        body = text.encode()
        self.send_response(status)
        self.send_header("content-type", content_type)
        self.send_header("x-version", VERSION)
        self.send_header("x-pod", POD)
        if status not in (204, 304):
            self.send_header("content-length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD" and status not in (204, 304):
            self.wfile.write(body)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = _answer

    def log_message(self, format, *values):  # the parent's name for it
        print(f"{self.client_address[0]} {format % values}", flush=True)


class Server(ThreadingHTTPServer):
    daemon_threads = True
    address_family = socket.AF_INET6  # and IPv4, mapped
    request_queue_size = 512


if __name__ == "__main__":
    server = Server(("::", int(os.environ.get("PORT", "8080"))), App)
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
    server.serve_forever()
    server.server_close()
    deadline = time.monotonic() + _DRAIN_SECONDS
    while App.under_way and time.monotonic() < deadline:
        time.sleep(0.02)
