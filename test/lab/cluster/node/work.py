"""Work by key: a queue in which a key waits once, and the loop that reconciles key after key."""

import heapq
import logging
import threading
import time

from lab.cluster.node.client import ApiError, Unavailable

_FIRST_PAUSE_SECONDS = 0.1
_LONGEST_PAUSE_SECONDS = 10.0


class WorkQueue:
    """Keys to look at. A key that is added while it is worked on comes again afterwards."""

    def __init__(self):
        self._condition = threading.Condition()
        self._due = []  # heap of (time, key)
        self._when = {}  # the earliest time of each key
        self._working = set()
        self._again = {}
        self._closed = False

    def add(self, key, after=0.0):
        """Makes the key due, `after` seconds from now."""
        due = time.monotonic() + after
        with self._condition:
            if key in self._working:
                self._again[key] = min(due, self._again.get(key, due))
                return
            self._push(key, due)

    def take(self):
        """The next due key, waiting for one; None once the queue is closed."""
        with self._condition:
            while not self._closed:
                now = time.monotonic()
                while self._due and self._when.get(self._due[0][1]) != self._due[0][0]:
                    heapq.heappop(self._due)  # it was moved to an earlier time
                if self._due and self._due[0][0] <= now:
                    _, key = heapq.heappop(self._due)
                    del self._when[key]
                    self._working.add(key)
                    return key
                self._condition.wait(self._due[0][0] - now if self._due else None)
            return None

    def done(self, key):
        with self._condition:
            self._working.discard(key)
            if key in self._again:
                self._push(key, self._again.pop(key))

    def close(self):
        with self._condition:
            self._closed = True
            self._condition.notify_all()

    def _push(self, key, due):
        if key in self._when and self._when[key] <= due:
            return
        self._when[key] = due
        heapq.heappush(self._due, (due, key))
        self._condition.notify()


class Reconciler:
    """A thread that calls reconcile(key) for every key that was added; failures come again, ever later."""

    def __init__(self, name, reconcile):
        self.queue = WorkQueue()
        self._name = name
        self._reconcile = reconcile
        self._failures = {}
        self._log = logging.getLogger(name)

    def add(self, key, after=0.0):
        self.queue.add(key, after)

    def start(self):
        threading.Thread(target=self._run, name=self._name, daemon=True).start()

    def stop(self):
        self.queue.close()

    def _run(self):
        while (key := self.queue.take()) is not None:
            try:
                self._reconcile(key)
                self._failures.pop(key, None)
            except (ApiError, Unavailable) as error:
                self._again(key, error)
            except Exception as error:  # a bug in one object's handling must not end all others'
                self._log.exception("%s", key)
                self._again(key, error)
            finally:
                self.queue.done(key)

    def _again(self, key, error):
        failures = self._failures[key] = self._failures.get(key, 0) + 1
        pause = min(_FIRST_PAUSE_SECONDS * 2 ** min(failures - 1, 10), _LONGEST_PAUSE_SECONDS)
        # A conflict is a cache that lags: nothing to tell.
        if not (isinstance(error, ApiError) and error.code == 409):
            self._log.info("%s: %s (again in %.1f s)", key, error, pause)
        self.queue.add(key, pause)
