#!/usr/bin/python3
"""A steady load of GETs and POSTs, every request counted.

Usage: steady.py URL PER_SECOND CONNECTIONS

Half of the requests are POSTs with a body; each has an x-id of its own. On SIGINT it ends and prints one JSON object:
  {"GET": {"ok": N, "failed": [...]}, "POST": ..., "by": {server: N}, "slowest": seconds}
Each failure is [x-id, status or 0, weft-error or the exception, seconds].
"""

import http.client
import json
import os
import signal
import sys
import threading
import time
import urllib.parse

URL = urllib.parse.urlsplit(sys.argv[1])
PER_SECOND, CONNECTIONS = float(sys.argv[2]), int(sys.argv[3])
BODY = b"b" * 700
MINE = os.getpid()

stop = threading.Event()
lock = threading.Lock()
totals = {"GET": {"ok": 0, "failed": []}, "POST": {"ok": 0, "failed": []}, "by": {}, "slowest": 0.0}


def one(connection, number):
    method = "POST" if number % 2 else "GET"
    began = time.monotonic()
    status, why, server = 0, "", ""
    try:
        connection.request(method, URL.path or "/", BODY if method == "POST" else None,
                           {"x-id": f"{method}-{number}-{MINE}"})
        response = connection.getresponse()
        response.read()
        status, why = response.status, response.headers.get("weft-error", "")
        server = response.headers.get("x-served-by", "")
    except (OSError, http.client.HTTPException) as error:
        connection.close()
        why = repr(error)
    took = time.monotonic() - began
    with lock:
        totals["slowest"] = max(totals["slowest"], took)
        if status == 200:
            totals[method]["ok"] += 1
            totals["by"][server] = totals["by"].get(server, 0) + 1
        else:
            totals[method]["failed"].append([f"{method}-{number}", status, why, round(took, 3)])


def run(first):
    connection = http.client.HTTPConnection(URL.hostname, URL.port or 80, timeout=20)
    interval = CONNECTIONS / PER_SECOND
    number, due = first, time.monotonic() + first * interval / CONNECTIONS
    while not stop.wait(max(0.0, due - time.monotonic())):
        one(connection, number)
        number += CONNECTIONS
        due = max(due + interval, time.monotonic() - 1)
    connection.close()


signal.signal(signal.SIGINT, lambda *_: stop.set())
threads = [threading.Thread(target=run, args=(i,)) for i in range(CONNECTIONS)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(json.dumps(totals), flush=True)
