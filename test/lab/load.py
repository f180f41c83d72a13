"""Load from programs nobody here wrote, and what they report."""

import re
import signal


class Load:
    """wrk in a pod, until stop() is called."""

    def __init__(self, pod, url, connections=16, headers=(), seconds=300):
        argv = ["wrk", "-t", "1", "-c", connections, "-d", f"{seconds}s", "--timeout", "10s"]
        for header in headers:
            argv += ["-H", header]
        self._process = pod.net.start(f"wrk-{len(pod.net.processes)}", argv + [url],
                                      uid=pod.application_uid)

    def stop(self):
        """Ends the load and returns its Result."""
        self._process.check_running()
        # wrk alone: on SIGINT it finishes and prints its summary.
        self._process.signal(signal.SIGINT)
        self._process.wait()
        return Result(self._process.log())


class Result:
    """What wrk counted."""

    def __init__(self, summary):
        self.summary = summary
        found = re.search(r"(\d+) requests in", summary)
        if not found:
            raise ValueError(f"no summary of wrk in:\n{summary}")
        self.requests = int(found.group(1))
        bad = re.search(r"Non-2xx or 3xx responses: (\d+)", summary)
        self.bad_responses = int(bad.group(1)) if bad else 0
        errors = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)",
                           summary)
        self.socket_errors = sum(map(int, errors.groups())) if errors else 0

    @property
    def failed(self):
        return self.bad_responses + self.socket_errors


def exact_requests(pod, url, count, connections=8, headers=()):
    """Sends exactly `count` HTTP/1.1 requests with h2load; returns how many were answered with 2xx."""
    argv = ["h2load", "--h1", "-n", count, "-c", connections, "-t", "1"]
    for header in headers:
        argv += ["-H", header]
    output = pod.run(argv + [url], timeout=300).stdout
    return int(re.search(r"status codes: (\d+) 2xx", output).group(1))
