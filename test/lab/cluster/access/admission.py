"""Admission: mutating webhooks in order, the server's own completion, validating webhooks."""

import copy
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

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
        mutated = self._mutate(admission, settle, warnings)
        if mutated is not None:
            mutated = settle(mutated)
        self._validate(replace(admission, object=mutated), warnings)
        return mutated, warnings

    def close(self):
        """Ends the threads; calls that are on their way come to an end first."""
        self._validating.shutdown()

    def _mutate(self, admission, settle, warnings):
        """The object as the mutating webhooks leave it."""
        webhooks = self._webhooks("mutatingwebhookconfigurations")
        called, again, server_added = [], set(), False
        for configuration, webhook in webhooks:
            invocation = self._invocation(configuration, webhook, admission)
            if invocation is None:
                continue
            changed, added = self._call_mutating(invocation, admission, settle, warnings)
            server_added |= added
            if changed != admission.object:
                # Whoever was called before and wishes so sees what came after.
                again |= set(called)
                admission = replace(admission, object=changed)
            if webhook.get("reinvocationPolicy") == "IfNeeded":
                called.append(invocation.id)
        # What the server adds to a webhook's additions is a change for everybody, that webhook included.
        # There is a second pass and never a third.
        for configuration, webhook in webhooks:
            invocation = self._invocation(configuration, webhook, admission)
            if invocation is not None and invocation.id in (called if server_added else again):
                changed, _ = self._call_mutating(invocation, admission, settle, warnings)
                admission = replace(admission, object=changed)
        return admission.object

    def _call_mutating(self, invocation, admission, settle, warnings):
        """(object after one webhook, whether the server had to add to it).

        Raises StatusError if the webhook refuses or if its failure must not pass."""
        try:
            response = self._call(invocation, admission, warnings)
            if not response.get("allowed"):
                raise denied(invocation.webhook["name"], response)
            patch = admission_review.patch_of(response)
        except ReviewFailed as failure:
            _let_fail(invocation.webhook, failure)
            return admission.object, False
        if not patch or admission.object is None:
            return admission.object, False
        return _patched(patch, invocation.resource, admission, settle)

    def _validate(self, admission, warnings):
        invocations = [self._invocation(configuration, webhook, admission)
                       for configuration, webhook in self._webhooks("validatingwebhookconfigurations")]
        # All are asked at the same time; the first of them that refuses, in order, gives the answer.
        futures = [self._validating.submit(self._call_validating, invocation, admission)
                   for invocation in invocations if invocation is not None]
        refusals = []
        for future in futures:
            try:
                warnings += future.result()
            except StatusError as refusal:
                refusals.append(refusal)
        if refusals:
            raise refusals[0]

    def _call_validating(self, invocation, admission):
        warnings = []
        try:
            response = self._call(invocation, admission, warnings)
        except ReviewFailed as failure:
            _let_fail(invocation.webhook, failure)
            return warnings
        if not response.get("allowed"):
            raise denied(invocation.webhook["name"], response)
        return warnings

    def _webhooks(self, resource):
        """[(configuration's name, webhook)] in the order of the names."""
        configurations = self._cluster.list(_GROUP, resource)
        return [(configuration["metadata"]["name"], webhook)
                for configuration in sorted(configurations, key=lambda each: each["metadata"]["name"])
                for webhook in configuration.get("webhooks") or []]

    def _invocation(self, configuration, webhook, admission):
        invocation = self._matcher.invocation(configuration, webhook, admission)
        without_effects = webhook.get("sideEffects") in ("None", "NoneOnDryRun")
        if invocation is not None and admission.dry_run and not without_effects:
            raise bad_request(f'admission webhook "{webhook["name"]}" does not support dry run')
        return invocation

    def _call(self, invocation, admission, warnings):
        request = admission_review.request_for(admission, invocation.resource)
        response = admission_review.call(self._client, invocation.webhook, request)
        warnings += [warning for warning in response.get("warnings") or [] if isinstance(warning, str)]
        return response


def _patched(patch, resource, admission, settle):
    """(object with a patch made for its form as `resource`, whether the server had to add to it)."""
    try:
        patched = json_patch.apply(patch, admission_review.in_version(admission.object, resource))
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
