"""Defaults that the server fills in, a function per kind; they change the object, which is the caller's
own."""

import base64

_PROBES = ("livenessProbe", "readinessProbe", "startupProbe")
_FIELD_REF_VERSION = "v1"
_DEFAULT_MODE = 420


def apply(kind, obj):
    """Defaults of a built-in kind; nothing for others."""
    function = _DEFAULTS.get((kind.group, kind.resource))
    if function is not None:
        function(obj)
    return obj


def _set(obj, **values):
    for name, value in values.items():
        if obj.get(name) in (None, ""):
            obj[name] = value


def _pod(pod):
    pod_spec(pod["spec"])
    spec = pod["spec"]
    _set(spec, enableServiceLinks=True)
    for container in _containers(spec):
        resources = container.get("resources") or {}
        for name, limit in (resources.get("limits") or {}).items():
            resources.setdefault("requests", {}).setdefault(name, limit)


def _containers(spec):
    return (spec.get("initContainers") or []) + (spec.get("containers") or [])


def pod_spec(spec):
    """Defaults of a pod's spec, also in templates."""
    _set(spec, restartPolicy="Always", dnsPolicy="ClusterFirst", schedulerName="default-scheduler",
         terminationGracePeriodSeconds=30)
    if spec.get("securityContext") is None:
        spec["securityContext"] = {}
    if spec.get("serviceAccountName") and not spec.get("serviceAccount"):
        spec["serviceAccount"] = spec["serviceAccountName"]
    elif spec.get("serviceAccount") and not spec.get("serviceAccountName"):
        spec["serviceAccountName"] = spec["serviceAccount"]
    for container in _containers(spec):
        _container(container, bool(spec.get("hostNetwork")))
    for volume in spec.get("volumes") or []:
        _volume(volume)


def _container(container, host_network):
    image = container.get("image") or ""
    tag = image.rpartition("/")[2].partition("@")[0].partition(":")[2]
    latest = "@" not in image and tag in ("", "latest")
    _set(container, terminationMessagePath="/dev/termination-log", terminationMessagePolicy="File",
         imagePullPolicy="Always" if latest else "IfNotPresent")
    for port in container.get("ports") or []:
        _set(port, protocol="TCP")
        if host_network and not port.get("hostPort"):
            port["hostPort"] = port.get("containerPort")
    for variable in container.get("env") or []:
        reference = (variable.get("valueFrom") or {}).get("fieldRef")
        if reference is not None:
            _set(reference, apiVersion=_FIELD_REF_VERSION)
    for name in _PROBES:
        probe = container.get(name)
        if probe is not None:
            for field, value in (("timeoutSeconds", 1), ("periodSeconds", 10), ("successThreshold", 1),
                                 ("failureThreshold", 3)):
                if not probe.get(field):
                    probe[field] = value
            _handler(probe)
    for handler in (container.get("lifecycle") or {}).values():
        if isinstance(handler, dict):
            _handler(handler)


def _handler(handler):
    if handler.get("httpGet") is not None:
        _set(handler["httpGet"], scheme="HTTP", path="/")
    if handler.get("grpc") is not None and handler["grpc"].get("service") is None:
        handler["grpc"]["service"] = ""


def _volume(volume):
    if not any(name != "name" for name in volume):
        volume["emptyDir"] = {}
    for source in ("configMap", "secret", "downwardAPI", "projected"):
        if volume.get(source) is not None:
            _set(volume[source], defaultMode=_DEFAULT_MODE)
    _downward((volume.get("downwardAPI") or {}).get("items"))
    for source in (volume.get("projected") or {}).get("sources") or []:
        if source.get("serviceAccountToken") is not None:
            _set(source["serviceAccountToken"], expirationSeconds=3600)
        _downward((source.get("downwardAPI") or {}).get("items"))
    if volume.get("hostPath") is not None and volume["hostPath"].get("type") is None:
        volume["hostPath"]["type"] = ""


def _downward(items):
    for item in items or []:
        if item.get("fieldRef") is not None:
            _set(item["fieldRef"], apiVersion=_FIELD_REF_VERSION)


def _service(service):
    spec = service["spec"]
    _set(spec, sessionAffinity="None", type="ClusterIP")
    if spec["type"] != "ExternalName" and spec.get("internalTrafficPolicy") is None:
        spec["internalTrafficPolicy"] = "Cluster"
    if spec["type"] in ("NodePort", "LoadBalancer"):
        _set(spec, externalTrafficPolicy="Cluster")
    if spec["type"] == "LoadBalancer" and spec.get("allocateLoadBalancerNodePorts") is None:
        spec["allocateLoadBalancerNodePorts"] = True
    if spec["sessionAffinity"] == "ClientIP" and not spec.get("sessionAffinityConfig"):
        spec["sessionAffinityConfig"] = {"clientIP": {"timeoutSeconds": 10800}}
    for port in spec.get("ports") or []:
        _set(port, protocol="TCP")
        if port.get("targetPort") in (None, "", 0):
            port["targetPort"] = port.get("port")


def _template(spec):
    pod_spec(spec["template"]["spec"])


def _replicas(spec):
    if spec.get("replicas") is None:
        spec["replicas"] = 1


def _deployment(obj):
    spec = obj["spec"]
    _replicas(spec)
    _template(spec)
    strategy = spec.setdefault("strategy", {})
    _set(strategy, type="RollingUpdate")
    if strategy["type"] == "RollingUpdate":
        rolling = strategy.get("rollingUpdate") or {}
        for name in ("maxUnavailable", "maxSurge"):
            if rolling.get(name) is None:
                rolling[name] = "25%"
        strategy["rollingUpdate"] = rolling
    for name, value in (("revisionHistoryLimit", 10), ("progressDeadlineSeconds", 600)):
        if spec.get(name) is None:
            spec[name] = value


def _replica_set(obj):
    _replicas(obj["spec"])
    if "template" in obj["spec"]:
        _template(obj["spec"])


def _stateful_set(obj):
    spec = obj["spec"]
    _replicas(spec)
    _template(spec)
    _set(spec, podManagementPolicy="OrderedReady")
    strategy = spec.setdefault("updateStrategy", {})
    _set(strategy, type="RollingUpdate")
    if strategy["type"] == "RollingUpdate":
        rolling = strategy.setdefault("rollingUpdate", {})
        if rolling.get("partition") is None:
            rolling["partition"] = 0
    if spec.get("revisionHistoryLimit") is None:
        spec["revisionHistoryLimit"] = 10
    if spec.get("persistentVolumeClaimRetentionPolicy") is None:
        spec["persistentVolumeClaimRetentionPolicy"] = {"whenDeleted": "Retain", "whenScaled": "Retain"}


def _daemon_set(obj):
    spec = obj["spec"]
    _template(spec)
    strategy = spec.setdefault("updateStrategy", {})
    _set(strategy, type="RollingUpdate")
    if strategy["type"] == "RollingUpdate":
        rolling = strategy.setdefault("rollingUpdate", {})
        for name, value in (("maxUnavailable", 1), ("maxSurge", 0)):
            if rolling.get(name) is None:
                rolling[name] = value
    if spec.get("revisionHistoryLimit") is None:
        spec["revisionHistoryLimit"] = 10


def _job_spec(spec):
    _template(spec)
    if spec.get("completions") is None and spec.get("parallelism") is None:
        spec["completions"] = 1
    for name, value in (("parallelism", 1), ("backoffLimit", 6), ("completionMode", "NonIndexed"),
                        ("suspend", False)):
        if spec.get(name) is None:
            spec[name] = value
    if spec.get("podReplacementPolicy") is None:
        spec["podReplacementPolicy"] = "Failed" if spec.get("podFailurePolicy") else "TerminatingOrFailed"


def _job(obj):
    _job_spec(obj["spec"])
    template = obj["spec"]["template"]
    labels = template["metadata"].get("labels")
    if labels and not obj["metadata"].get("labels"):
        obj["metadata"]["labels"] = dict(labels)


def _cron_job(obj):
    spec = obj["spec"]
    _set(spec, concurrencyPolicy="Allow")
    for name, value in (("suspend", False), ("successfulJobsHistoryLimit", 3), ("failedJobsHistoryLimit", 1)):
        if spec.get(name) is None:
            spec[name] = value
    pod_spec(spec["jobTemplate"]["spec"]["template"]["spec"])


def _namespace(obj):
    obj["metadata"].setdefault("labels", {})["kubernetes.io/metadata.name"] = obj["metadata"].get("name", "")


def _secret(obj):
    _set(obj, type="Opaque")
    plain = obj.pop("stringData", None)
    if plain:
        data = obj.setdefault("data", {})
        for key, value in plain.items():
            data[key] = base64.b64encode(value.encode()).decode()


def _role_binding(obj):
    _set(obj["roleRef"], apiGroup="rbac.authorization.k8s.io")
    for subject in obj.get("subjects") or []:
        if subject.get("kind") in ("User", "Group"):
            _set(subject, apiGroup="rbac.authorization.k8s.io")


def _webhooks(reinvocation):
    def apply_to(obj):
        for webhook in obj.get("webhooks") or []:
            _set(webhook, failurePolicy="Fail", matchPolicy="Equivalent")
            if reinvocation:
                _set(webhook, reinvocationPolicy="Never")
            for name in ("namespaceSelector", "objectSelector"):
                if webhook.get(name) is None:
                    webhook[name] = {}
            if webhook.get("timeoutSeconds") is None:
                webhook["timeoutSeconds"] = 10
            for rule in webhook.get("rules") or []:
                _set(rule, scope="*")
            service = webhook.get("clientConfig", {}).get("service")
            if service is not None and service.get("port") is None:
                service["port"] = 443
    return apply_to


def _network_policy(obj):
    spec = obj["spec"]
    if spec.get("podSelector") is None:
        spec["podSelector"] = {}
    if not spec.get("policyTypes"):
        spec["policyTypes"] = ["Ingress"] + (["Egress"] if spec.get("egress") else [])
    for rule in (spec.get("ingress") or []) + (spec.get("egress") or []):
        for port in rule.get("ports") or []:
            _set(port, protocol="TCP")


def _slice(obj):
    for port in obj.get("ports") or []:
        if port.get("name") is None:
            port["name"] = ""
        _set(port, protocol="TCP")


def _endpoints(obj):
    for subset in obj.get("subsets") or []:
        for port in subset.get("ports") or []:
            _set(port, protocol="TCP")


def _definition(obj):
    spec = obj["spec"]
    names = spec["names"]
    _set(names, singular=names.get("kind", "").lower(), listKind=names.get("kind", "") + "List")
    if spec.get("conversion") is None:
        spec["conversion"] = {"strategy": "None"}


_DEFAULTS = {
    ("", "pods"): _pod,
    ("", "services"): _service,
    ("", "namespaces"): _namespace,
    ("", "secrets"): _secret,
    ("", "endpoints"): _endpoints,
    ("apps", "deployments"): _deployment,
    ("apps", "replicasets"): _replica_set,
    ("apps", "statefulsets"): _stateful_set,
    ("apps", "daemonsets"): _daemon_set,
    ("batch", "jobs"): _job,
    ("batch", "cronjobs"): _cron_job,
    ("rbac.authorization.k8s.io", "rolebindings"): _role_binding,
    ("rbac.authorization.k8s.io", "clusterrolebindings"): _role_binding,
    ("admissionregistration.k8s.io", "mutatingwebhookconfigurations"): _webhooks(True),
    ("admissionregistration.k8s.io", "validatingwebhookconfigurations"): _webhooks(False),
    ("networking.k8s.io", "networkpolicies"): _network_policy,
    ("discovery.k8s.io", "endpointslices"): _slice,
    ("apiextensions.k8s.io", "customresourcedefinitions"): _definition,
}
