"""Service-account tokens of a pod: from TokenRequest, bound to the pod, renewed before they expire."""

import datetime
import threading
import time

from lab.cluster.node.objects import reference_of

# As a kubelet: at four fifths of the lifetime, and never older than a day.
_RENEW_AT = 0.8
_OLDEST_SECONDS = 24 * 3600


class Tokens:
    """The tokens of one pod, by audience. Thread-safe."""

    def __init__(self, client, pod):
        self._client = client
        self._pod = pod
        self._lock = threading.Lock()
        self._held = {}  # (audience, seconds): (token, when to renew)

    def get(self, audience, expiration_seconds):
        """A token that is good for a while yet. Raises ApiError or Unavailable."""
        key = (audience, expiration_seconds)
        with self._lock:
            if key not in self._held or time.monotonic() >= self._held[key][1]:
                self._held[key] = self._request(audience, expiration_seconds)
            return self._held[key][0]

    def next_renewal(self):
        """When the first of them is due, in monotonic time; None if there is none."""
        with self._lock:
            return min((renew for _, renew in self._held.values()), default=None)

    def _request(self, audience, expiration_seconds):
        metadata = self._pod["metadata"]
        spec = {"expirationSeconds": expiration_seconds,
                "audiences": [audience] if audience else [],
                "boundObjectRef": reference_of(self._pod)}
        answer = self._client.create(
            "serviceaccounts", metadata["namespace"],
            {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec},
            name=self._pod["spec"].get("serviceAccountName") or "default", subresource="token")
        expiry = datetime.datetime.fromisoformat(
            answer["status"]["expirationTimestamp"].replace("Z", "+00:00"))
        lifetime = (expiry - datetime.datetime.now(datetime.timezone.utc)).total_seconds()
        return answer["status"]["token"], time.monotonic() + min(lifetime * _RENEW_AT, _OLDEST_SECONDS)
