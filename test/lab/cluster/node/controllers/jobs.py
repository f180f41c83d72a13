"""Jobs: pods that run to their end, as often as it takes."""

from lab.cluster.node.client import ApiError
from lab.cluster.node.controllers.pods import OwnedPods, write_status
from lab.cluster.node.objects import (condition_true, deleting, finished, now, seconds_since, split_key)
from lab.cluster.node.work import Reconciler

_FIRST_BACK_OFF, _LONGEST_BACK_OFF = 1.0, 60.0


class JobController:

    def __init__(self, context):
        self._context = context
        self._jobs = context.informers["jobs"]
        self._pods = OwnedPods(context, "job-controller")
        self.reconciler = Reconciler("jobs", self._reconcile)
        self._pods.wake(self.reconciler, "Job")
        self._jobs.add_handler(lambda event, old, new: self.reconciler.add(
            f"{new['metadata']['namespace']}/{new['metadata']['name']}"))

    def _reconcile(self, key):
        job = self._jobs.get(*split_key(key))
        if job is None or deleting(job):
            return
        if condition_true(job, "Complete") or condition_true(job, "Failed"):
            return self._expire(job, key)
        pods = self._pods.of(job)
        succeeded = sum(_phase(pod) == "Succeeded" for pod in pods)
        failed = sum(_phase(pod) == "Failed" for pod in pods)
        active = [pod for pod in pods if not finished(pod) and not deleting(pod)]
        spec = job["spec"]
        completions = spec.get("completions")
        condition = self._outcome(job, succeeded, failed, active, completions)
        if condition or spec.get("suspend"):
            for pod in active:
                self._pods.delete(job, pod)
            active = []
        else:
            wanted = spec.get("parallelism", 1)
            if completions is not None:
                wanted = min(wanted, completions - succeeded)
            elif succeeded:
                wanted = 0  # a work queue: the first success says that there is no more work
            if len(active) < wanted and self._may_start(key, failed, pods):
                active = active + [self._pods.create(job, spec["template"], labels=_labels(job))
                                   for _ in range(wanted - len(active))]
        self._write_status(job, active, succeeded, failed, condition)

    def _outcome(self, job, succeeded, failed, active, completions):
        """The condition that ends the job, or None."""
        spec = job["spec"]
        restarts = sum(status.get("restartCount", 0) for pod in active
                       for status in (pod.get("status") or {}).get("containerStatuses") or ())
        if completions is None and succeeded and not active or \
                completions is not None and succeeded >= completions:
            return _condition("Complete", "CompletionsReached", "Reached expected number of succeeded pods")
        if failed + restarts > spec.get("backoffLimit", 6):
            return _condition("Failed", "BackoffLimitExceeded",
                              "Job has reached the specified backoff limit")
        started = (job.get("status") or {}).get("startTime")
        limit = spec.get("activeDeadlineSeconds")
        if limit and started:
            left = limit - seconds_since(started)
            if left <= 0:
                return _condition("Failed", "DeadlineExceeded",
                                  "Job was active longer than specified deadline")
            metadata = job["metadata"]
            self.reconciler.add(f"{metadata['namespace']}/{metadata['name']}", after=left)
        return None

    def _may_start(self, key, failed, pods):
        """After failures, pods come ever later; comes again by itself when it is time."""
        if not failed:
            return True
        pause = min(_FIRST_BACK_OFF * 2 ** (failed - 1), _LONGEST_BACK_OFF)
        last = min((seconds_since(_ended_at(pod)) for pod in pods if _phase(pod) == "Failed"), default=pause)
        if last >= pause:
            return True
        self.reconciler.add(key, after=pause - last)
        return False

    def _write_status(self, job, active, succeeded, failed, condition):
        held = job.get("status") or {}
        counts = {"active": len(active), "succeeded": succeeded, "failed": failed,
                  "ready": sum(condition_true(pod, "Ready") for pod in active)}
        status = {"startTime": held.get("startTime") or now(),
                  **{name: count for name, count in counts.items() if count},
                  "uncountedTerminatedPods": {}}
        if held.get("conditions"):
            status["conditions"] = held["conditions"]
        if condition:
            # As the real controller: first the criterion, then the state itself.
            criterion = "SuccessCriteriaMet" if condition["type"] == "Complete" else "FailureTarget"
            status["conditions"] = [{**condition, "type": criterion}, condition]
            if condition["type"] == "Complete":
                status["completionTime"] = condition["lastTransitionTime"]
                self._context.events.normal("job-controller", job, "Completed", "Job completed")
            else:
                self._context.events.warning("job-controller", job, condition["reason"], condition["message"])
        write_status(self._context, self._jobs, job, status)

    def _expire(self, job, key):
        limit = job["spec"].get("ttlSecondsAfterFinished")
        if limit is None:
            return
        ended = max(condition["lastTransitionTime"] for condition in job["status"]["conditions"])
        left = limit - seconds_since(ended)
        if left > 0:
            self.reconciler.add(key, after=left)
            return
        try:
            self._context.client.delete("jobs", *split_key(key), uid=job["metadata"]["uid"],
                                        propagation="Foreground")
        except ApiError as error:
            if error.code != 404:
                raise


def _labels(job):
    metadata = job["metadata"]
    return {"batch.kubernetes.io/job-name": metadata["name"], "job-name": metadata["name"],
            "batch.kubernetes.io/controller-uid": metadata["uid"], "controller-uid": metadata["uid"]}


def _phase(pod):
    return (pod.get("status") or {}).get("phase")


def _ended_at(pod):
    ends = [status["state"]["terminated"]["finishedAt"]
            for status in pod["status"].get("containerStatuses") or ()
            if "terminated" in (status.get("state") or {})]
    return max(ends, default=pod["metadata"]["creationTimestamp"])


def _condition(kind, reason, message):
    return {"type": kind, "status": "True", "lastProbeTime": now(), "lastTransitionTime": now(),
            "reason": reason, "message": message}
