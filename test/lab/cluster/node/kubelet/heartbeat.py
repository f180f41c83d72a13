"""The node's heartbeat: a Lease in kube-node-lease: others see that it lives and what its clock says."""

import datetime
import logging
import threading
import time

from lab.cluster.node.client import ApiError, Unavailable

_NAMESPACE = "kube-node-lease"
_RENEW_SECONDS, _DURATION_SECONDS = 10, 40


class Heartbeat:

    def __init__(self, client, node_name):
        self._client = client
        self._node_name = node_name
        self._log = logging.getLogger("heartbeat")

    def start(self):
        threading.Thread(target=self._run, name="heartbeat", daemon=True).start()

    def _run(self):
        while True:
            try:
                self._renew()
            except (ApiError, Unavailable) as error:
                self._log.info("%s", error)
            time.sleep(_RENEW_SECONDS)

    def _renew(self):
        now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        spec = {"holderIdentity": self._node_name, "leaseDurationSeconds": _DURATION_SECONDS,
                "renewTime": now}
        try:
            self._client.patch("leases", _NAMESPACE, self._node_name, {"spec": spec})
        except ApiError as error:
            if error.code != 404:
                raise
            self._client.create("leases", _NAMESPACE, {
                "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
                "metadata": {"name": self._node_name, "namespace": _NAMESPACE}, "spec": spec})
