"""Mixed load in a lab: programs nobody here wrote, and conversations over opaque TCP."""

import os
import re
import threading
import time

from lab.load import Result

_ROUND_S = 15           # of each program; then new connections
_TCP_TALKERS = 4


def _count(pattern, text):
    found = re.search(pattern, text)
    if not found:
        raise ValueError(f"no {pattern!r} in:\n{text}")
    return int(found[1])


def _wrk(pod, seconds, url, *arguments):
    output = pod.run(["wrk", "-t", "1", "-d", f"{seconds}s", "--timeout", "10s", *arguments, url],
                     timeout=seconds + 60).stdout
    result = Result(output)
    return result.requests, result.failed


def _h2load(pod, seconds, url):
    output = pod.run(["h2load", "-D", seconds, "-c", "4", "-m", "8", "-t", "1", url], timeout=seconds + 60).stdout
    good = _count(r"status codes: (\d+) 2xx", output)
    return good, _count(r"requests: .* (\d+) failed", output)


class Echo:
    """A server that sends everything back, in a pod, as long as this program runs."""

    def __init__(self, pod, port):
        self._listener = pod.net.listen("0.0.0.0", port)
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    @staticmethod
    def _serve(connection):
        with connection:
            try:
                while (piece := connection.recv(65536)):
                    connection.sendall(piece)
            except OSError:
                pass


def _converse(mesh, deadline, counts):
    """Connections that send a little, hear it again, and end."""
    while time.monotonic() < deadline:
        sent = os.urandom(5000)
        try:
            with mesh.web.net.connect(mesh.echo_service.cluster_ips[0], 9000, timeout=10) as connection:
                connection.sendall(sent)
                heard = b""
                while len(heard) < len(sent) and (piece := connection.recv(65536)):
                    heard += piece
            counts.append(heard == sent)
        except OSError:
            counts.append(False)


def run(mesh, seconds):
    """{kind: (done, failed)}, the kinds side by side for so long."""
    deadline = time.monotonic() + seconds
    totals, errors = {}, []
    kinds = {
        "HTTP/1.1, kept connections": lambda s: _wrk(mesh.web, s, "http://tea.1/", "-c", "16"),
        "HTTP/1.1, fresh connections": lambda s: _wrk(mesh.web, s, "http://tea.2/", "-c", "4", "-H",
                                                      "Connection: close"),
        "HTTP/2": lambda s: _h2load(mesh.web, s, "http://grpc/"),
    }

    def repeat(kind, load):
        done = failed = 0
        try:
            while (left := deadline - time.monotonic()) > 1:
                more, bad = load(int(min(_ROUND_S, left)))
                done, failed = done + more, failed + bad
        except Exception as error:  # pylint: disable=broad-exception-caught
            errors.append(error)
        totals[kind] = (done, failed)

    counts = []
    threads = [threading.Thread(target=repeat, args=item) for item in kinds.items()]
    threads += [threading.Thread(target=_converse, args=(mesh, deadline, counts)) for _ in range(_TCP_TALKERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    totals["TCP conversations"] = (counts.count(True), counts.count(False))
    if errors:
        raise errors[0]
    return totals
