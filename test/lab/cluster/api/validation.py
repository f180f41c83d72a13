"""What makes an object invalid (422): names for all kinds, and the rules of built-in kinds that users run
into."""

import re

from lab.cluster.api import statuses, structural
from lab.cluster.api.pod_validation import LABEL, LABEL_TEXT, pod_spec

_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_DNS_1035 = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
_QUALIFIED = re.compile(r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]")
_CONFIG_KEY = re.compile(r"[-._a-zA-Z0-9]+")

_SUBDOMAIN_TEXT = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must "
    "start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')")
_DNS_1035_TEXT = (
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic "
    "character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for "
    "validation is '[a-z]([-a-z0-9]*[a-z0-9])?')")
_LABEL_VALUE_TEXT = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must "
    "start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used "
    "for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')")

_MAX_DATA_BYTES = 1024 * 1024
_MAX_ANNOTATION_BYTES = 256 * 1024
_RBAC = "rbac.authorization.k8s.io"


def check(kind, obj, old):
    """Raises 422 with all that is wrong. `old` is None for a creation."""
    causes = statuses.Causes()
    _metadata(kind, obj["metadata"], causes)
    if kind.custom is not None:
        kind.custom.validate(obj, causes)
    else:
        rule = _RULES.get((kind.group, kind.resource))
        if rule is not None:
            rule(obj, old, causes)
    causes.raise_for_kind(kind, obj["metadata"].get("name", ""))


def _metadata(kind, metadata, causes):
    name = metadata.get("name", "")
    if kind.group == _RBAC:
        if name in (".", "..") or "/" in name or "%" in name:
            causes.invalid("metadata.name", name, "may not contain '/' or '%'")
    elif (kind.group, kind.resource) == ("", "namespaces"):
        if not LABEL.fullmatch(name) or len(name) > 63:
            causes.invalid("metadata.name", name, LABEL_TEXT)
    elif (kind.group, kind.resource) == ("", "services"):
        if not _DNS_1035.fullmatch(name) or len(name) > 63:
            causes.invalid("metadata.name", name, _DNS_1035_TEXT)
    elif not _SUBDOMAIN.fullmatch(name):
        causes.invalid("metadata.name", name, _SUBDOMAIN_TEXT)
    elif len(name) > 253:
        causes.invalid("metadata.name", name, "must be no more than 253 characters")
    for key, value in (metadata.get("labels") or {}).items():
        _qualified("metadata.labels", key, causes)
        if value and (not _QUALIFIED.fullmatch(value) or len(value) > 63):
            causes.invalid("metadata.labels", value, _LABEL_VALUE_TEXT if len(value) <= 63
                           else "must be no more than 63 bytes")
    annotations = metadata.get("annotations") or {}
    for key in annotations:
        _qualified("metadata.annotations", key.lower(), causes)
    if sum(len(key) + len(value) for key, value in annotations.items()) > _MAX_ANNOTATION_BYTES:
        causes.add("FieldValueTooLong", "metadata.annotations",
                   f"Too long: may not be more than {_MAX_ANNOTATION_BYTES} bytes")


def _qualified(field, key, causes):
    prefix, slash, name = key.rpartition("/")
    if not _QUALIFIED.fullmatch(name) or len(name) > 63:
        causes.invalid(field, key,
                       "name part must consist of alphanumeric characters, '-', '_' or '.', and must start "
                       "and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', "
                       "regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')")
    elif slash and not _SUBDOMAIN.fullmatch(prefix):
        causes.invalid(field, key, "prefix part " + _SUBDOMAIN_TEXT)


def _pod(pod, old, causes):
    if old is not None:
        _pod_update(pod, old, causes)
        return
    pod_spec(pod["spec"], "spec", causes)


_MUTABLE_POD_FIELDS = ("activeDeadlineSeconds", "tolerations", "terminationGracePeriodSeconds",
                       "schedulingGates",
                       "nodeName", "resources")


def _pod_update(pod, old, causes):
    def fixed(spec):
        spec = {name: value for name, value in spec.items() if name not in _MUTABLE_POD_FIELDS}
        for field in ("containers", "initContainers", "ephemeralContainers"):
            if spec.get(field):
                spec[field] = [{name: value for name, value in container.items()
                                if name not in ("image", "resources")}
                               for container in spec[field]]
        return spec
    if fixed(pod["spec"]) != fixed(old["spec"]):
        causes.forbidden("spec", "pod updates may not change fields other than `spec.containers[*].image`,"
                         "`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` "
                         "(only additions to existing tolerations),`spec.terminationGracePeriodSeconds` "
                         "(allow it to be set to 1 if it was previously negative)")


def _service(service, old, causes):
    spec = service["spec"]
    if spec.get("type") not in ("ClusterIP", "NodePort", "LoadBalancer", "ExternalName"):
        causes.unsupported("spec.type", spec.get("type"),
                           ("ClusterIP", "ExternalName", "LoadBalancer", "NodePort"))
    ports = spec.get("ports") or []
    if not ports and spec.get("type") != "ExternalName" and spec.get("clusterIP") != "None":
        causes.required("spec.ports")
    names, numbers = set(), set()
    for index, port in enumerate(ports):
        where = f"spec.ports[{index}]"
        if len(ports) > 1 and not port.get("name"):
            causes.required(f"{where}.name")
        if port.get("name") and port["name"] in names:
            causes.add("FieldValueDuplicate", f"{where}.name",
                       f"Duplicate value: {statuses.quoted(port['name'])}")
        names.add(port.get("name"))
        if not 0 < (port.get("port") or 0) < 65536:
            causes.invalid(f"{where}.port", port.get("port", 0), "must be between 1 and 65535, inclusive")
        key = (port.get("protocol"), port.get("port"))
        if key in numbers:
            causes.add("FieldValueDuplicate", where, f"Duplicate value: {statuses.quoted(str(key[1]))}")
        numbers.add(key)
        if port.get("protocol") not in ("TCP", "UDP", "SCTP"):
            causes.unsupported(f"{where}.protocol", port.get("protocol"), ("SCTP", "TCP", "UDP"))
    if old is not None and old["spec"].get("clusterIP") and spec.get("clusterIP") and \
            spec["clusterIP"] != old["spec"]["clusterIP"]:
        causes.invalid("spec.clusterIPs[0]", [spec["clusterIP"]], "may not change once set")


def _selected(obj, causes):
    selector = obj["spec"].get("selector")
    labels = obj["spec"]["template"]["metadata"].get("labels") or {}
    if not selector:
        causes.required("spec.selector")
    elif any(labels.get(key) != value for key, value in (selector.get("matchLabels") or {}).items()):
        causes.invalid("spec.template.metadata.labels", labels,
                       "`selector` does not match template `labels`")


def _workload(obj, old, causes):
    if (obj["spec"].get("replicas") or 0) < 0:
        causes.invalid("spec.replicas", obj["spec"]["replicas"], "must be greater than or equal to 0")
    _selected(obj, causes)
    if old is not None and old["spec"].get("selector") != obj["spec"].get("selector"):
        causes.invalid("spec.selector", obj["spec"].get("selector") or {}, "field is immutable")
    pod_spec(obj["spec"]["template"]["spec"], "spec.template.spec", causes)


def _job(obj, old, causes):
    spec = obj["spec"]["template"]["spec"]
    pod_spec(spec, "spec.template.spec", causes)
    if spec.get("restartPolicy") == "Always":
        causes.unsupported("spec.template.spec.restartPolicy", "Always", ("OnFailure", "Never"))
    if old is not None and old["spec"]["template"] != obj["spec"]["template"]:
        causes.invalid("spec.template", "...", "field is immutable")


def _cron_job(obj, old, causes):
    if not obj["spec"].get("schedule"):
        causes.required("spec.schedule")
    pod_spec(obj["spec"]["jobTemplate"]["spec"]["template"]["spec"], "spec.jobTemplate.spec.template.spec",
             causes)


def _data(obj, old, causes):
    total = 0
    for field in ("data", "binaryData"):
        for key, value in (obj.get(field) or {}).items():
            total += len(value)
            if not _CONFIG_KEY.fullmatch(key) or len(key) > 253:
                causes.invalid(f"{field}[{key}]", key,
                               "a valid config key must consist of alphanumeric characters, "
                               "'-', '_' or '.'")
    if total > _MAX_DATA_BYTES:
        causes.add("FieldValueTooLong", "[]" if obj["kind"] == "ConfigMap" else "data",
                   f"Too long: may not be more than {_MAX_DATA_BYTES} bytes")
    if old is not None and old.get("immutable") and (old.get("data"), old.get("binaryData")) != \
            (obj.get("data"), obj.get("binaryData")):
        causes.forbidden("data", "field is immutable when `immutable` is set")


def _secret(obj, old, causes):
    _data(obj, old, causes)
    if old is not None and old.get("type") != obj.get("type"):
        causes.invalid("type", obj.get("type"), "field is immutable")
    if obj.get("type") == "kubernetes.io/tls":
        for key in ("tls.crt", "tls.key"):
            if key not in (obj.get("data") or {}):
                causes.required(f"data[{key}]")


def _role_binding(obj, old, causes):
    if not obj["roleRef"].get("name"):
        causes.required("roleRef.name")
    if old is not None and old["roleRef"] != obj["roleRef"]:
        causes.invalid("roleRef", obj["roleRef"], "cannot change roleRef")


def _webhooks(obj, old, causes):
    names = set()
    for index, webhook in enumerate(obj.get("webhooks") or []):
        where = f"webhooks[{index}]"
        name = webhook.get("name", "")
        if not name:
            causes.required(f"{where}.name")
        elif len(name.split(".")) < 3:
            causes.invalid(f"{where}.name", name,
                           "should be a domain with at least three segments separated by dots")
        if name in names:
            causes.add("FieldValueDuplicate", f"{where}.name", f"Duplicate value: {statuses.quoted(name)}")
        names.add(name)
        config = webhook.get("clientConfig") or {}
        if bool(config.get("url")) == bool(config.get("service")):
            causes.required(f"{where}.clientConfig", "exactly one of url or service is required")
        elif config.get("url") and not config["url"].startswith("https://"):
            scheme = config["url"].partition("://")[0]
            causes.invalid(f"{where}.clientConfig.url", scheme,
                           "'https' is the only allowed URL scheme; desired format: https://host[/path]")
        if webhook.get("sideEffects") not in ("None", "NoneOnDryRun"):
            if webhook.get("sideEffects") is None:
                causes.required(f"{where}.sideEffects", "must specify one of None, NoneOnDryRun")
            else:
                causes.unsupported(f"{where}.sideEffects", webhook["sideEffects"], ("None", "NoneOnDryRun"))
        if not webhook.get("admissionReviewVersions"):
            causes.required(f"{where}.admissionReviewVersions", "must specify one of v1, v1beta1")
        if not 1 <= webhook.get("timeoutSeconds", 10) <= 30:
            causes.invalid(f"{where}.timeoutSeconds", webhook["timeoutSeconds"],
                           "the timeout value must be between 1 and 30 seconds")


def _lease(obj, old, causes):
    seconds = obj["spec"].get("leaseDurationSeconds")
    if seconds is not None and seconds <= 0:
        causes.invalid("spec.leaseDurationSeconds", seconds, "must be greater than 0")


def _slice(obj, old, causes):
    if obj.get("addressType") not in ("IPv4", "IPv6", "FQDN"):
        causes.unsupported("addressType", obj.get("addressType"), ("FQDN", "IPv4", "IPv6"))
    if old is not None and old.get("addressType") != obj.get("addressType"):
        causes.invalid("addressType", obj.get("addressType"), "field is immutable")
    for index, endpoint in enumerate(obj.get("endpoints") or []):
        if not endpoint.get("addresses"):
            causes.required(f"endpoints[{index}].addresses", "must contain at least 1 address")


def _definition(obj, old, causes):
    spec = obj["spec"]
    names, name = spec["names"], obj["metadata"]["name"]
    if name != f"{names.get('plural')}.{spec.get('group')}":
        causes.invalid("metadata.name", name, 'must be spec.names.plural+"."+spec.group')
    if spec.get("scope") not in ("Cluster", "Namespaced"):
        causes.unsupported("spec.scope", spec.get("scope"), ("Cluster", "Namespaced"))
    for field in ("plural", "kind"):
        if not names.get(field):
            causes.required(f"spec.names.{field}")
    versions = spec.get("versions") or []
    if sum(bool(version.get("storage")) for version in versions) != 1:
        causes.invalid("spec.versions", [version.get("name") for version in versions],
                       "must have exactly one version marked as storage version")
    structural.check(obj, causes)
    if not re.fullmatch(r"[a-z]([-a-z0-9]*[a-z0-9])?", names.get("plural") or "x"):
        causes.invalid("spec.names.plural", names["plural"], _DNS_1035_TEXT)
    if "." not in (spec.get("group") or ""):
        causes.invalid("spec.group", spec.get("group", ""), "should be a domain with at least one dot")
    elif spec["group"].endswith((".k8s.io", ".kubernetes.io")) and \
            "api-approved.kubernetes.io" not in (obj["metadata"].get("annotations") or {}):
        causes.required("metadata.annotations[api-approved.kubernetes.io]",
                        "protected groups must have approval annotation \"api-approved.kubernetes.io\"")


_RULES = {
    ("", "pods"): _pod,
    ("", "services"): _service,
    ("", "configmaps"): _data,
    ("", "secrets"): _secret,
    ("apps", "deployments"): _workload,
    ("apps", "replicasets"): _workload,
    ("apps", "statefulsets"): _workload,
    ("apps", "daemonsets"): _workload,
    ("batch", "jobs"): _job,
    ("batch", "cronjobs"): _cron_job,
    (_RBAC, "rolebindings"): _role_binding,
    (_RBAC, "clusterrolebindings"): _role_binding,
    ("admissionregistration.k8s.io", "mutatingwebhookconfigurations"): _webhooks,
    ("admissionregistration.k8s.io", "validatingwebhookconfigurations"): _webhooks,
    ("coordination.k8s.io", "leases"): _lease,
    ("discovery.k8s.io", "endpointslices"): _slice,
    ("apiextensions.k8s.io", "customresourcedefinitions"): _definition,
}
