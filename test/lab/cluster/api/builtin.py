"""What the API server's own admission and strategies do to built-in kinds, beside defaults."""

import copy
import random

from lab.cluster.api import statuses

_SUFFIX = "bcdfghjklmnpqrstvwxz2456789"
_TOKEN_MOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"
_TOKEN_VOLUME = "kube-api-access-"

_CRITICAL = {"system-cluster-critical": 2000000000, "system-node-critical": 2000001000}


def check_namespace(store, write):
    """A namespace must exist and stay for something to be created in it."""
    if not write.namespace:
        return
    found = store.get(("", "namespaces"), "", write.namespace)
    if found is None:
        raise statuses.StatusError(404, "NotFound", f'namespaces "{write.namespace}" not found',
                                   {"name": write.namespace, "kind": "namespaces"})
    if found.object["metadata"].get("deletionTimestamp"):
        raise statuses.forbidden(
            write.kind, write.name,
            f"unable to create new content in namespace {write.namespace} because it is being "
            "terminated", [{"reason": "NamespaceTerminating", "field": "metadata.namespace",
                            "message": f"namespace {write.namespace} is being terminated"}])


def complete(store, write, obj):
    """Admission of the server itself, before the webhooks and once more after them."""
    if (write.kind.group, write.kind.resource) == ("", "pods"):
        _pod(store, write, obj)
    return obj


def _pod(store, write, pod):
    spec = pod["spec"]
    _service_account(store, write, pod)
    for key in ("not-ready", "unreachable"):
        key = f"node.kubernetes.io/{key}"
        if not any(toleration.get("key") in (key, None) and toleration.get("operator") == "Exists" or
                   toleration.get("key") == key for toleration in spec.get("tolerations") or []):
            spec.setdefault("tolerations", []).append(
                {"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300})
    if spec.get("priority") is None:
        spec["priority"] = _CRITICAL.get(spec.get("priorityClassName"), 0)
    if spec.get("preemptionPolicy") is None:
        spec["preemptionPolicy"] = "PreemptLowerPriority"
    label_topology(store, pod)


_TOPOLOGY = ("topology.kubernetes.io/zone", "topology.kubernetes.io/region")


def label_topology(store, pod):
    """A pod on a node bears the zone and region of the node."""
    node = store.get(("", "nodes"), "", pod["spec"].get("nodeName") or "")
    labels = (node.object["metadata"].get("labels") or {}) if node else {}
    for name in _TOPOLOGY:
        if name in labels:
            pod["metadata"].setdefault("labels", {}).setdefault(name, labels[name])


def _service_account(store, write, pod):
    spec = pod["spec"]
    if "kubernetes.io/config.mirror" in (pod["metadata"].get("annotations") or {}):
        return
    name = spec.get("serviceAccountName") or "default"
    spec["serviceAccountName"] = spec["serviceAccount"] = name
    account = store.get(("", "serviceaccounts"), write.namespace, name)
    if account is None:
        raise statuses.forbidden(write.kind, pod["metadata"].get("name")
                                 or pod["metadata"].get("generateName", ""),
                                 f"error looking up service account {write.namespace}/{name}: serviceaccount "
                                 f'"{name}" not found')
    if not spec.get("imagePullSecrets") and account.object.get("imagePullSecrets"):
        spec["imagePullSecrets"] = copy.deepcopy(account.object["imagePullSecrets"])
    wanted = spec.get("automountServiceAccountToken")
    if wanted is None:
        wanted = account.object.get("automountServiceAccountToken")
    if wanted is not False:
        _mount_token(spec)


def _mount_token(spec):
    containers = (spec.get("initContainers") or []) + (spec.get("containers") or [])
    volume = next((entry["name"] for entry in spec.get("volumes") or []
                   if entry["name"].startswith(_TOKEN_VOLUME)), None)
    missing = [container for container in containers
               if not any(mount.get("mountPath") == _TOKEN_MOUNT for mount in container.get("volumeMounts")
                          or [])]
    if not missing:
        return
    if volume is None:
        volume = _TOKEN_VOLUME + "".join(random.choices(_SUFFIX, k=5))
        spec["volumes"] = (spec.get("volumes") or []) + [_token_volume(volume)]
    for container in missing:
        container["volumeMounts"] = (container.get("volumeMounts") or []) + [
            {"name": volume, "readOnly": True, "mountPath": _TOKEN_MOUNT}]


def _token_volume(name):
    return {"name": name, "projected": {"sources": [
        {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
        {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
        {"downwardAPI": {"items": [{"path": "namespace", "fieldRef": {"apiVersion": "v1",
                                                                      "fieldPath": "metadata.namespace"}}]}},
    ], "defaultMode": 420}}


def prepare_for_create(kind, obj):
    """What a new object's status and spec begin with."""
    if kind.custom is not None:
        if kind.has_status:
            obj.pop("status", None)
        return
    key = (kind.group, kind.resource)
    if key == ("", "pods"):
        obj["status"] = {"phase": "Pending", "qosClass": qos_class(obj["spec"])}
    elif key == ("", "namespaces"):
        obj["spec"]["finalizers"] = ["kubernetes"]
        obj["status"] = {"phase": "Active"}
    elif key == ("", "services"):
        obj["status"] = {"loadBalancer": {}}
    elif key == ("apps", "deployments"):
        obj["status"] = {}
    elif key == ("apps", "replicasets"):
        obj["status"] = {"replicas": 0}
    elif key == ("apps", "statefulsets"):
        obj["status"] = {"replicas": 0, "availableReplicas": 0}
    elif key == ("apps", "daemonsets"):
        obj["status"] = {"currentNumberScheduled": 0, "numberMisscheduled": 0, "desiredNumberScheduled": 0,
                         "numberReady": 0}
    elif key == ("batch", "jobs"):
        obj["status"] = {}
        _job_labels(obj)
    elif key == ("batch", "cronjobs"):
        obj["status"] = {}
    elif key == ("apiextensions.k8s.io", "customresourcedefinitions"):
        stored = [version["name"] for version in obj["spec"].get("versions") or [] if version.get("storage")]
        obj["status"] = {"conditions": None, "acceptedNames": {"plural": "", "kind": ""},
                         "storedVersions": stored}


def _job_labels(job):
    """A job's pods are told apart by its uid."""
    spec = job["spec"]
    if spec.get("manualSelector"):
        return
    uid, name = job["metadata"]["uid"], job["metadata"]["name"]
    labels = spec["template"]["metadata"].setdefault("labels", {})
    labels.update({"batch.kubernetes.io/controller-uid": uid, "controller-uid": uid,
                   "batch.kubernetes.io/job-name": name, "job-name": name})
    spec["selector"] = {"matchLabels": {"batch.kubernetes.io/controller-uid": uid}}


def prepare_for_update(kind, old, new):
    """What an update cannot take back."""
    key = (kind.group, kind.resource)
    if key == ("", "namespaces"):
        new["spec"] = old["spec"]
    elif key == ("apiextensions.k8s.io", "customresourcedefinitions"):
        new["status"].setdefault("storedVersions", (old.get("status") or {}).get("storedVersions"))


def qos_class(spec):
    """Guaranteed, Burstable or BestEffort, by the requests and limits of the containers."""
    containers = (spec.get("containers") or []) + (spec.get("initContainers") or [])
    any_set, guaranteed = False, True
    for container in containers:
        resources = container.get("resources") or {}
        requests, limits = resources.get("requests") or {}, resources.get("limits") or {}
        any_set = any_set or bool(requests or limits)
        for name in ("cpu", "memory"):
            if name not in limits or requests.get(name, limits[name]) != limits[name]:
                guaranteed = False
    if not any_set:
        return "BestEffort"
    return "Guaranteed" if guaranteed else "Burstable"
