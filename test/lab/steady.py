"""A steady load whose every request is accounted for, and an application that is hard to please."""

import json
import os
import signal

from lab.binaries import ROOT
from lab.namespace import APPLICATION_UID
from lab.shell import wait_for


def _source(name):
    # As text, because the application's user may not be able to read the checkout.
    with open(os.path.join(ROOT, "test/apps", name)) as file:
        return file.read()


class Steady:
    """test/apps/steady.py in a pod, until stop() is called."""

    def __init__(self, pod, url, per_second=200, connections=15):
        # An odd number of connections: each sends GETs and POSTs in turn.
        self.process = pod.net.start(f"steady-{len(pod.net.processes)}",
                                     ["/usr/bin/python3", "-c", _source("steady.py"), url,
                                      per_second, connections], uid=pod.application_uid)

    def stop(self):
        """Ends the load and returns its Totals."""
        self.process.check_running()
        self.process.signal(signal.SIGINT)
        self.process.wait(40)
        return Totals(json.loads(self.process.log().strip().splitlines()[-1]))


class Totals:
    """What steady.py counted."""

    def __init__(self, totals):
        self.gets = totals["GET"]["ok"]
        self.posts = totals["POST"]["ok"]
        self.failed_gets = totals["GET"]["failed"]
        self.failed_posts = totals["POST"]["failed"]
        self.by = totals["by"]
        self.slowest = totals["slowest"]

    @property
    def failed(self):
        return self.failed_gets + self.failed_posts

    def __str__(self):
        return (f"{self.gets} GETs and {self.posts} POSTs answered by {self.by}, slowest "
                f"{self.slowest:.3f} s; failed: {self.failed[:20]}")


class Fickle:
    """test/apps/fickle.py in a pod: closes idle connections after at most `seconds`, and takes its time
    for the head and the body of every answer."""

    def __init__(self, pod, seconds=60.0, port=80, head_seconds=0, body_seconds=0):
        self._pod = pod
        self.process = pod.net.start(
            "fickle", ["/usr/bin/python3", "-c", _source("fickle.py"), port, seconds, pod.name,
                       head_seconds, body_seconds],
            uid=APPLICATION_UID)

    def wait_until_listening(self):
        wait_for(lambda: self.process.check_running() and "listening" in self.process.log(),
                 f"the application in {self._pod.name}")
        return self

    def leave(self):
        """It refuses connections from now on; those with a request under way finish it."""
        self._tell(signal.SIGUSR1, "left")

    def come_back(self):
        self._tell(signal.SIGUSR2, "listening")

    def seen(self):
        """{x-id: how often it came}"""
        return json.loads(self._pod.net.run(
            ["curl", "-sS", "--max-time", "5", "--retry", "5", "--retry-all-errors", "--retry-delay",
             "0", "http://127.0.0.1/seen"]).stdout)

    def _tell(self, number, answer):
        before = self.process.log().count(answer)
        self.process.signal(number)
        wait_for(lambda: self.process.log().count(answer) > before, f"{self._pod.name} to have {answer}")
