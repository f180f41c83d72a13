#!/usr/bin/python3
"""An HTTP/1.1 application that reads every request to its end and tells what came.

Usage: recorder.py PORT

Answers every method on every path with a JSON object: method, path, headers, bytes and sha256 of the body,
and how the body was framed. Some paths do more:
  /chunked/N         N chunks of 1 KiB, with a trailer "x-chunks: N"
  /delay/SECONDS     answers after a while
  /no-length         a body that ends with the connection
  /hints             a 103 before the answer
"""

import hashlib
import json
import socket
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

_PIECE = 1 << 18


class Recorder(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "recorder"
    wbufsize = -1

    def handle_expect_100(self):
        super().handle_expect_100()
        self.wfile.flush()
        return True

    def _pieces(self):
        """The body as it arrives."""
        if "chunked" in self.headers.get("transfer-encoding", "").lower():
            while True:
                size = int(self.rfile.readline().split(b";")[0], 16)
                left = size
                while left:
                    piece = self.rfile.read(min(left, _PIECE))
                    if not piece:
                        raise ConnectionError("the body ended early")
                    left -= len(piece)
                    yield piece
                if size == 0:
                    self.trailers = {}
                    while (line := self.rfile.readline().strip()):
                        name, value = line.decode().split(":", 1)
                        self.trailers[name.lower()] = value.strip()
                    return
                self.rfile.readline()
        else:
            left = int(self.headers.get("content-length", 0))
            while left:
                piece = self.rfile.read(min(left, _PIECE))
                if not piece:
                    raise ConnectionError("the body ended early")
                left -= len(piece)
                yield piece

    def _record(self):
        self.trailers = {}
        digest, count = hashlib.sha256(), 0
        for piece in self._pieces():
            digest.update(piece)
            count += len(piece)
        framing = "chunked" if "transfer-encoding" in self.headers else \
            "length" if "content-length" in self.headers else "none"
        return {"method": self.command, "path": self.path, "version": self.request_version,
                "headers": [[name.lower(), value] for name, value in self.headers.items()],
                "bytes": count, "sha256": digest.hexdigest(), "framing": framing,
                "trailers": self.trailers}

    def _answer(self):
        self.log_message("began %s", self.path)
        record = self._record()
        word, _, argument = self.path.lstrip("/").partition("/")
        if word == "chunked":
            return self._send_chunks(int(argument))
        if word == "delay":
            time.sleep(float(argument))
        if word == "hints":
            self.wfile.write(b"HTTP/1.1 103 Early Hints\r\nlink: </style.css>; rel=preload\r\n\r\n")
            self.wfile.flush()
        body = json.dumps(record).encode() + b"\n"
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("x-recorder", socket.gethostname())
        if word == "no-length":
            self.send_header("connection", "close")
            self.close_connection = True
        else:
            self.send_header("content-length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _send_chunks(self, count):
        self.send_response(200)
        self.send_header("transfer-encoding", "chunked")
        self.send_header("trailer", "x-chunks")
        self.end_headers()
        for _ in range(count):
            self.wfile.write(b"400\r\n" + b"c" * 1024 + b"\r\n")
        self.wfile.write(b"0\r\nx-chunks: %d\r\n\r\n" % count)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = _answer

    def log_message(self, format, *values):  # the parent's name for it
        print(f"{self.client_address[0]} {format % values}", flush=True)


class Server(ThreadingHTTPServer):
    daemon_threads = True
    address_family = socket.AF_INET6  # and IPv4, mapped
    request_queue_size = 512


if __name__ == "__main__":
    Server(("::", int(sys.argv[1])), Recorder).serve_forever()
