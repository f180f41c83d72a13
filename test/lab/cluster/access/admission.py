"""Admission: mutating webhooks in order, the server's own completion, validating webhooks."""

import copy
from concurrent.futures import ThreadPoolExecutor

from lab.cluster.access import admission_review, json_patch
from lab.cluster.access.admission_review import ReviewFailed
from lab.cluster.access.errors import bad_request, internal
from lab.cluster.access.webhook_rules import Matcher
from lab.cluster.api.interfaces import StatusError

_GROUP = "admissionregistration.k8s.io"
_MAXIMUM_PARALLEL = 16


class AdmissionChain:
    """`client` is a WebhookClient. Thread-safe."""

    def __init__(self, cluster, client):
        self._cluster = cluster
        self._client = client
        self._matcher = Matcher(cluster)
        self._validating = ThreadPoolExecutor(_MAXIMUM_PARALLEL, thread_name_prefix="validating")

    def admit(self, admission, settle):
        """As Access.admit()."""
        warnings = []
        current = admission.object
        if current is not None:
            current = settle(self._mutate(admission, settle, warnings))
        self._validate(admission, current, warnings)
        return current, warnings

    def close(self):
        """Ends the threads; calls that are on their way come to an end first."""
        self._validating.shutdown()

    def _mutate(self, admission, settle, warnings):
        """The object as the mutating webhooks leave it."""
        invocations = self._invocations("mutatingwebhookconfigurations", admission)
        current, called, again = admission.object, [], set()
        server_added = False
        for invocation in invocations:
            before = current
            current, added = self._call_mutating(invocation, admission, current, settle, warnings)
            server_added |= added
            if current != before:
                # Whoever was called before and wishes so sees what came after.
                again |= set(called)
            if invocation.webhook.get("reinvocationPolicy") == "IfNeeded":
                called.append(invocation.id)
        # What the server adds to a webhook's additions is a change for everybody, that webhook included.
        # There is a second pass and never a third.
        for invocation in invocations:
            if invocation.id in (called if server_added else again):
                current, _ = self._call_mutating(invocation, admission, current, settle, warnings)
        return current

    def _call_mutating(self, invocation, admission, current, settle, warnings):
        """(object after one webhook, whether the server had to add to it).

        Raises StatusError if the webhook refuses or if its failure must not pass."""
        try:
            response = self._call(invocation, admission, current, warnings)
            if not response.get("allowed"):
                raise denied(invocation.webhook["name"], response)
            patch = admission_review.patch_of(response)
        except ReviewFailed as failure:
            _let_fail(invocation.webhook, failure)
            return current, False
        if not patch:
            return current, False
        try:
            patched = json_patch.apply(patch, admission_review.in_version(current, invocation.resource))
        except json_patch.DoesNotApply as error:
            raise internal(str(error)) from error
        if not isinstance(patched, dict):
            raise internal("json: cannot unmarshal the patched document into an object")
        if not admission.resource.subresource:
            patched = admission_review.in_version(patched, admission.resource)
        try:
            completed = settle(copy.deepcopy(patched))
        except StatusError as error:
            # A value of a wrong type is the webhook's mistake here, not the client's.
            if error.code == 400:
                _, _, problem = error.message.partition(f" as a {admission.resource.kind}: ")
                raise internal(problem or error.message) from error
            raise
        added = _mounts(patched) != _mounts(completed)
        # Other webhooks are to see defaults, but not yet what an object gets when it is stored.
        completed["metadata"] = patched["metadata"]
        completed.pop("status", None)
        return {**completed, **{key: patched[key] for key in ("status",) if key in patched}}, added

    def _validate(self, admission, current, warnings):
        invocations = self._invocations("validatingwebhookconfigurations", admission)
        # All are asked at the same time; the first of them that refuses, in order, gives the answer.
        futures = [self._validating.submit(self._call_validating, invocation, admission, current)
                   for invocation in invocations]
        refusals = []
        for future in futures:
            try:
                warnings += future.result()
            except StatusError as refusal:
                refusals.append(refusal)
        if refusals:
            raise refusals[0]

    def _call_validating(self, invocation, admission, current):
        warnings = []
        try:
            response = self._call(invocation, admission, current, warnings)
        except ReviewFailed as failure:
            _let_fail(invocation.webhook, failure)
            return warnings
        if not response.get("allowed"):
            raise denied(invocation.webhook["name"], response)
        return warnings

    def _invocations(self, resource, admission):
        invocations = self._matcher.invocations(self._cluster.list(_GROUP, resource), admission)
        if admission.dry_run:
            for invocation in invocations:
                if invocation.webhook.get("sideEffects") not in ("None", "NoneOnDryRun"):
                    raise bad_request(f'admission webhook "{invocation.webhook["name"]}" does not support '
                                      "dry run")
        return invocations

    def _call(self, invocation, admission, current, warnings):
        request = admission_review.request_for(admission, invocation.resource, current)
        response = admission_review.call(self._client, invocation.webhook, request)
        warnings += [warning for warning in response.get("warnings") or [] if isinstance(warning, str)]
        return response


def denied(webhook_name, response):
    """The answer to the user when a webhook says no."""
    status = response.get("status") or {}
    denial = f'admission webhook "{webhook_name}" denied the request'
    if status.get("message"):
        message = f"{denial}: {status['message']}"
    elif status.get("reason"):
        message = f"{denial}: {status['reason']}"
    else:
        message = f"{denial} without explanation"
    return StatusError(status.get("code") or 400, status.get("reason", ""), message, _details(status))


def _details(status):
    details = status.get("details")
    if not details:
        return None
    details = dict(details)
    if details.get("causes"):
        details["causes"] = [{key: cause[key] for key in ("reason", "message", "field") if key in cause}
                             for cause in details["causes"]]
    return details


def _let_fail(webhook, failure):
    """Returns if the webhook's failure may pass, else raises what the user reads."""
    if webhook.get("failurePolicy", "Fail") != "Ignore":
        raise internal(f'failed calling webhook "{webhook["name"]}": {failure}') from failure


def _mounts(stored):
    """How many volumes each container of a pod mounts: the server mounts the service account's token."""
    spec = stored.get("spec")
    if not isinstance(spec, dict):
        return None
    containers = (spec.get("initContainers") or []) + (spec.get("containers") or [])
    return [len(container.get("volumeMounts") or []) for container in containers
            if isinstance(container, dict)]
