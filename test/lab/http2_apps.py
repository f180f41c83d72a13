"""Applications that speak HTTP/2 in plaintext, gRPC and WebSocket."""

import json
import os
import shutil

from lab.apps import Nginx
from lab.binaries import ROOT
from lab.namespace import APPLICATION_UID
from lab.shell import wait_for


class Http2Nginx(Nginx):
    """nginx that takes nothing but HTTP/2 with prior knowledge. `answer` is what it says to GET /."""

    def _write_configuration(self, answer):
        super()._write_configuration(answer)
        path = f"{self.directory}/nginx.conf"
        with open(path) as conf:
            text = conf.read()
        for port in self._ports:
            text = text.replace(f":{port};", f":{port} http2;")
            text = text.replace(f"listen {port};", f"listen {port} http2;")
        with open(path, "w") as conf:
            conf.write(text)


class Peer:
    """A program of test/apps, in Python or JavaScript, as the application's user."""

    def __init__(self, pod, program):
        with open(os.path.join(ROOT, "test/apps", program)) as source:
            text = source.read()
        self._pod = pod
        self._name = program.replace(".", "-")
        self._env = None
        # As text, because the application's user may not be able to read the checkout.
        if program.endswith(".js"):
            self._argv = ["node", "-e", text, "--"]
            self._env = {**os.environ, "NODE_PATH": _node_modules(pod.lab)}
        else:
            self._argv = ["/usr/bin/python3", "-c", text]

    def start(self, *arguments):
        """Starts it and returns its Process."""
        return self._pod.net.start(f"{self._name}-{arguments[0]}", [*self._argv, *arguments],
                                   uid=APPLICATION_UID, env=self._env)

    def serve(self, port):
        """Starts it as a server and waits until it listens."""
        process = self.start("serve", port)
        wait_for(lambda: process.check_running() and
                 not self._pod.net.connect("127.0.0.1", port, timeout=1).close(),
                 f"{self._name} in {self._pod.name}", deadline=30)
        return process

    def ask(self, *arguments, deadline=60):
        """Runs it to its end; what it printed, as an object."""
        process = self.start(*arguments)
        process.wait(deadline)
        try:
            return json.loads(process.log())
        except ValueError as error:
            raise RuntimeError(f"{self._name} printed {process.log()!r}") from error


def _node_modules(lab):
    """The npm packages of the tests, where every user of the lab may read them."""
    target = os.path.join(lab.directory, "node_modules")
    if not os.path.exists(target):
        shutil.copytree(os.path.join(ROOT, ".deps/node/node_modules"), target)
    return target
