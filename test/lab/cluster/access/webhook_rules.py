"""Which webhook is called for which write: rules, scope, selectors, equivalent versions."""

import dataclasses
from dataclasses import dataclass
from typing import Optional

from lab.cluster.api.interfaces import Resource, StatusError

_CRDS = ("apiextensions.k8s.io", "customresourcedefinitions")
# Configurations of webhooks must stay changeable when a webhook is broken.
_NEVER = {("admissionregistration.k8s.io", "mutatingwebhookconfigurations"),
          ("admissionregistration.k8s.io", "validatingwebhookconfigurations")}
# Reviews are questions; nobody may change or refuse them.
_NEVER_GROUPS = {"authentication.k8s.io", "authorization.k8s.io"}


@dataclass(frozen=True)
class Invocation:
    """A webhook to be called, and the resource in the version that it asks for."""
    configuration: str
    webhook: dict
    resource: Resource

    @property
    def id(self):
        return f"{self.configuration}/{self.webhook['name']}"


class Matcher:
    """`cluster` is asked for namespaces and for the versions of custom resources."""

    def __init__(self, cluster):
        self._cluster = cluster

    def invocation(self, configuration, webhook, admission) -> Optional[Invocation]:
        """How to call a webhook for a write as it is now; None if the webhook does not ask for it."""
        resource = admission.resource
        if (resource.group, resource.resource) in _NEVER or resource.group in _NEVER_GROUPS:
            return None
        matched = self._match(webhook, admission)
        return None if matched is None else Invocation(configuration, webhook, matched)

    def _match(self, webhook, admission) -> Optional[Resource]:
        matched = self._matched_resource(webhook, admission)
        if matched is None:
            return None
        if not self._namespace_matches(webhook.get("namespaceSelector") or {}, admission):
            return None
        selector = webhook.get("objectSelector") or {}
        objects = [each for each in (admission.object, admission.old_object) if each is not None]
        if not any(selects(selector, _labels(each)) for each in objects or [{}]):
            return None
        if webhook.get("matchConditions"):
            raise StatusError(500, "InternalError", f'webhook "{webhook["name"]}": matchConditions are not '
                              "supported by this API server")
        return matched

    def _matched_resource(self, webhook, admission):
        candidates = [admission.resource]
        if webhook.get("matchPolicy", "Equivalent") == "Equivalent":
            candidates += self._other_versions(admission.resource)
        for candidate in candidates:
            for rule in webhook.get("rules") or []:
                if _rule_matches(rule, candidate, admission):
                    return candidate
        return None

    def _other_versions(self, resource):
        """The same resource in the other versions that are served."""
        if not resource.group:
            return []
        definition = self._cluster.get(*_CRDS, "", f"{resource.resource}.{resource.group}")
        versions = (definition or {}).get("spec", {}).get("versions") or []
        return [dataclasses.replace(resource, version=version["name"]) for version in versions
                if version.get("served") and version["name"] != resource.version]

    def _namespace_matches(self, selector, admission):
        if not selector:
            return True
        resource = admission.resource
        if (resource.group, resource.resource) == ("", "namespaces"):
            # A namespace is selected by its own labels; while it is deleted, by those it has.
            namespace = admission.object or admission.old_object
        elif not resource.namespaced:
            return True
        else:
            namespace = self._cluster.get("", "namespaces", "", admission.namespace)
            if namespace is None:
                raise StatusError(404, "NotFound", f'namespaces "{admission.namespace}" not found',
                                  {"name": admission.namespace, "kind": "namespaces"})
        return selects(selector, _labels(namespace))


def _rule_matches(rule, resource, admission):
    full = f"{resource.resource}/{resource.subresource}" if resource.subresource else resource.resource
    scope = rule.get("scope", "*")
    return (_among(admission.operation, rule.get("operations")) and
            _among(resource.group, rule.get("apiGroups")) and
            _among(resource.version, rule.get("apiVersions")) and
            (scope == "*" or (scope == "Namespaced") == _is_namespaced(resource)) and
            any(_resource_matches(pattern, resource, full) for pattern in rule.get("resources") or []))


def _is_namespaced(resource):
    # Namespaces themselves are cluster-scoped, whatever a request for one looks like.
    return resource.namespaced and (resource.group, resource.resource) != ("", "namespaces")


def _resource_matches(pattern, resource, full):
    if pattern == "*/*":
        return True
    wanted, _, wanted_subresource = pattern.partition("/")
    if not wanted_subresource:
        return not resource.subresource and wanted in ("*", full)
    return wanted in ("*", resource.resource) and wanted_subresource in ("*", resource.subresource) and (
        bool(resource.subresource) or wanted_subresource == "*")


def selects(selector, labels):
    """Whether a LabelSelector selects these labels; an empty one selects everything."""
    if any(labels.get(key) != value for key, value in (selector.get("matchLabels") or {}).items()):
        return False
    return all(_expression_holds(each, labels) for each in selector.get("matchExpressions") or [])


def _expression_holds(expression, labels):
    key, operator = expression["key"], expression["operator"]
    values = expression.get("values") or []
    if operator == "In":
        return key in labels and labels[key] in values
    if operator == "NotIn":
        return key not in labels or labels[key] not in values
    if operator == "Exists":
        return key in labels
    if operator == "DoesNotExist":
        return key not in labels
    raise StatusError(500, "InternalError", f'"{operator}" is not a valid label selector operator')


def _labels(stored):
    return (stored.get("metadata") or {}).get("labels") or {}


def _among(value, allowed):
    return bool(allowed) and ("*" in allowed or value in allowed)
