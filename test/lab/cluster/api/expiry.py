"""Events are forgotten after a while, as an API server's `--event-ttl` has it."""

import threading
import time

from lab.cluster.api.storage import Conflict
from lab.cluster.api.tables import seconds

_EVENTS = ("", "events")
_LIFETIME_SECONDS = 3600.0
_ROUND_SECONDS = 60.0


class Expiry:
    """A thread that looks for old events now and then."""

    def __init__(self, store):
        self._store = store
        threading.Thread(target=self._run, name="expiry", daemon=True).start()

    def _run(self):
        while True:
            time.sleep(_ROUND_SECONDS)
            self.expire(time.time() - _LIFETIME_SECONDS)

    def expire(self, before):
        """Removes what has not changed since a time, in seconds since the epoch."""
        with self._store.lock:
            events = self._store.collection(*_EVENTS).sorted()
        for stored in events:
            if _last_seen(stored.object) < before:
                try:
                    self._store.delete(_EVENTS, stored)
                except Conflict:
                    pass  # it has just happened again


def _last_seen(event):
    series = event.get("series") or {}
    times = [series.get("lastObservedTime"), event.get("lastTimestamp"), event.get("eventTime"),
             event["metadata"]["creationTimestamp"]]
    return max(seconds(when) for when in times if when)
