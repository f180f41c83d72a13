"""The control plane of a lab, in the namespace "node" on the bridge."""

import os

from lab.shell import wait_for


class ControlPlane:
    """weft-control-plane on the lab's manifest directory. It may be killed and started again."""

    def __init__(self, lab):
        self._lab = lab
        self._state = os.path.join(lab.directory, "state")
        os.makedirs(self._state, mode=0o700, exist_ok=True)
        self._flags = ()
        self.address = f"{lab.node_ip}:15012"
        self.http_address = f"{lab.node_ip}:15014"
        self.process = None

    @property
    def trust_bundle(self):
        return os.path.join(self._state, "root.pem")

    @property
    def state(self):
        return self._state

    def start(self, *flags, deadline=15.0):
        """Starts it, with the flags of the last start if none are given, and waits until it serves."""
        self._flags = flags or self._flags
        self.process = self._lab.node.start(
            "control-plane",
            [self._lab.binary("weft-control-plane"), "--source", f"dir:{self._lab.manifests.path}",
             "--state", self._state, "--listen", self.address, "--http-listen", self.http_address,
             *self._flags])
        wait_for(self._serves, "the control plane to serve", deadline)
        return self

    def kill(self):
        """As a crash would."""
        self.process.kill()

    def stop(self):
        return self.process.stop()

    def create_join_token(self, pod, path):
        self._lab.node.run([self._lab.binary("meshctl"), "token", "create", "--state", self._state,
                            "--namespace", pod.namespace,
                            "--service-account", pod.service_account,
                            "--pod", pod.name, "--ttl", "24h", "--out", path])

    def meshctl(self, *arguments, check=True):
        """Runs meshctl as the operator; returns the CompletedProcess."""
        return self._lab.node.run([self._lab.binary("meshctl"), "--control-plane", self.address,
                                   "--state", self._state, *arguments], check=check)

    def _serves(self):
        self.process.check_running()
        host, port = self.address.rsplit(":", 1)
        self._lab.node.connect(host, int(port), timeout=1).close()
        return os.path.exists(self.trust_bundle)
