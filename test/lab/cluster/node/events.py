"""Events: what the node and the controllers tell about objects (`kubectl describe`)."""

import logging
import queue
import threading
import time

from lab.cluster.node.client import ApiError, Unavailable
from lab.cluster.node.objects import now

_LONGEST_QUEUE = 1000
_REMEMBERED = 2000


class Events:
    """Writes events in a thread of its own. The same event again only raises its count."""

    def __init__(self, client, host):
        self._client = client
        self._host = host
        self._queue = queue.Queue(_LONGEST_QUEUE)
        self._written = {}  # what was told: the event as it was written
        self._log = logging.getLogger("events")

    def start(self):
        threading.Thread(target=self._run, name="events", daemon=True).start()

    def normal(self, component, about, reason, message, field_path=""):
        self._put("Normal", component, about, reason, message, field_path)

    def warning(self, component, about, reason, message, field_path=""):
        self._put("Warning", component, about, reason, message, field_path)

    def _put(self, *event):
        self._log.debug("%s %s %s: %s", event[0], event[2]["metadata"]["name"], event[3], event[4])
        try:
            self._queue.put_nowait(event)
        except queue.Full:
            self._log.warning("too many events: one is lost")

    def _run(self):
        while True:
            try:
                self._write(*self._queue.get())
            except (ApiError, Unavailable) as error:
                self._log.info("%s", error)
            except Exception:
                self._log.exception("an event")

    def _write(self, kind, component, about, reason, message, field_path):
        metadata = about["metadata"]
        namespace = metadata.get("namespace") or "default"
        told = (metadata.get("uid"), kind, component, reason, message, field_path)
        written = self._written.get(told)
        if written:
            written["count"] += 1
            try:
                self._client.patch("events", namespace, written["metadata"]["name"],
                                   {"count": written["count"], "lastTimestamp": now()})
                return
            except ApiError as error:
                if error.code != 404:
                    raise
        involved = {"kind": about["kind"], "namespace": metadata.get("namespace"),
                    "name": metadata["name"], "uid": metadata.get("uid"),
                    "apiVersion": about["apiVersion"],
                    "resourceVersion": metadata.get("resourceVersion")}
        if field_path:
            involved["fieldPath"] = field_path
        source = {"component": component}
        if component == "kubelet":
            source["host"] = self._host
        event = {
            "apiVersion": "v1", "kind": "Event",
            "metadata": {"name": f"{metadata['name']}.{time.time_ns():016x}", "namespace": namespace},
            "involvedObject": {key: value for key, value in involved.items() if value},
            "reason": reason, "message": message[:1024], "source": source,
            "firstTimestamp": now(), "lastTimestamp": now(), "count": 1, "type": kind,
            "eventTime": None, "reportingComponent": component,
            "reportingInstance": source.get("host", "")}
        created = self._client.create("events", namespace, event)
        if len(self._written) >= _REMEMBERED:
            self._written.clear()
        self._written[told] = created
