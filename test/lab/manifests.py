"""The control plane's directory of manifests: what a cluster's API server would hold."""

import json
import os
import re

_PLAIN_SCALAR = re.compile(r"[A-Za-z_][A-Za-z0-9_./-]*")
_WORDS_WITH_MEANING = {"true", "false", "null", "yes", "no", "on", "off", "y", "n"}


def _scalar(value):
    if isinstance(value, str) and _PLAIN_SCALAR.fullmatch(value) \
            and value.lower() not in _WORDS_WITH_MEANING:
        return value
    return json.dumps(value)


def _lines(value, indent):
    """Block-style YAML of a non-empty dict or list."""
    pad = "  " * indent
    if isinstance(value, dict):
        for key, item in value.items():
            if isinstance(item, (dict, list)) and item:
                yield f"{pad}{_scalar(key)}:"
                yield from _lines(item, indent + 1)
            else:
                yield f"{pad}{_scalar(key)}: {_scalar(item)}"
    else:
        for item in value:
            if isinstance(item, (dict, list)) and item:
                first, *rest = _lines(item, indent + 1)
                yield f"{pad}- {first.lstrip()}"
                yield from rest
            else:
                yield f"{pad}- {_scalar(item)}"


def to_yaml(*documents):
    """YAML of objects made of dicts, lists, strings, numbers, booleans and None."""
    return "---\n".join("\n".join(_lines(document, 0)) + "\n" for document in documents)


class ManifestDirectory:
    """Files appear and change whole: written under a hidden name and renamed."""

    def __init__(self, path):
        self.path = path
        os.makedirs(path, exist_ok=True)

    def write(self, file_name, content):
        """Writes text, or objects as YAML documents."""
        text = content if isinstance(content, str) else to_yaml(*content)
        hidden = os.path.join(self.path, f".{file_name}.new")
        with open(hidden, "w") as file:
            file.write(text)
        os.rename(hidden, os.path.join(self.path, file_name))

    def delete(self, file_name):
        os.unlink(os.path.join(self.path, file_name))


def namespace_object(name, annotations=None):
    return {"apiVersion": "v1", "kind": "Namespace",
            "metadata": {"name": name, "annotations": annotations or {"weft.io/inject": "enabled"}}}


def service_account_object(namespace, name):
    return {"apiVersion": "v1", "kind": "ServiceAccount",
            "metadata": {"name": name, "namespace": namespace}}


def pod_object(pod):
    """The Pod as it would stand in the cluster after injection."""
    containers = [{"name": "app", "image": "app",
                   "ports": [{"containerPort": port, "protocol": "TCP"} for port in pod.ports]}]
    spec = {"serviceAccountName": pod.service_account, "nodeName": "node-1", "containers": containers}
    if pod.meshed:
        containers.append({"name": "weft-sidecar", "image": "weft-sidecar"})
        spec["initContainers"] = [{"name": "weft-init", "image": "weft-init"}]
    metadata = {"name": pod.name, "namespace": pod.namespace, "uid": f"pod-{pod.name}",
                "labels": pod.labels, "annotations": pod.annotations}
    if pod.controller:
        metadata["ownerReferences"] = [{"apiVersion": "apps/v1", "kind": "StatefulSet",
                                        "name": pod.controller, "uid": pod.controller,
                                        "controller": True}]
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec,
            "status": {"phase": "Running", "podIP": pod.addresses[0],
                       "podIPs": [{"ip": address} for address in pod.addresses],
                       "conditions": [{"type": "Ready",
                                       "status": "True" if pod.ready else "False"}]}}


class Service:
    """A Service, and with it the slices that a cluster's endpoint controller would write."""

    def __init__(self, name, namespace, selector, ports, cluster_ips):
        self.name = name
        self.namespace = namespace
        self.selector = selector
        self.ports = ports  # as in the manifest: name, port, targetPort, appProtocol
        self.cluster_ips = cluster_ips
        self.annotations = {}

    def names(self):
        """The names under which a pod of the same namespace finds it."""
        return [self.name, f"{self.name}.{self.namespace}",
                f"{self.name}.{self.namespace}.svc",
                f"{self.name}.{self.namespace}.svc.cluster.local"]

    def selects(self, pod):
        return pod.namespace == self.namespace and \
            all(pod.labels.get(key) == value for key, value in self.selector.items())

    def object(self):
        return {"apiVersion": "v1", "kind": "Service",
                "metadata": {"name": self.name, "namespace": self.namespace,
                             "annotations": self.annotations},
                "spec": {"type": "ClusterIP", "clusterIP": self.cluster_ips[0],
                         "clusterIPs": self.cluster_ips, "selector": self.selector,
                         "ports": [{"protocol": "TCP", **port} for port in self.ports]}}

    def slice_objects(self, pods):
        """One EndpointSlice for each address family, of the pods that it selects."""
        selected = [pod for pod in pods if self.selects(pod)]
        for family, is_family in (("IPv4", lambda a: ":" not in a), ("IPv6", lambda a: ":" in a)):
            if not any(is_family(address) for address in self.cluster_ips):
                continue
            endpoints = [{"addresses": [address for address in pod.addresses if is_family(address)],
                          "conditions": {"ready": pod.ready, "serving": pod.ready,
                                         "terminating": False},
                          "nodeName": "node-1",
                          "targetRef": {"kind": "Pod", "name": pod.name,
                                        "namespace": pod.namespace}} for pod in selected]
            ports = [{"name": port.get("name", ""), "port": port.get("targetPort", port["port"]),
                      "protocol": "TCP",
                      **({"appProtocol": port["appProtocol"]} if "appProtocol" in port else {})}
                     for port in self.ports]
            yield {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
                   "metadata": {"name": f"{self.name}-{family.lower()}", "namespace": self.namespace,
                                "labels": {"kubernetes.io/service-name": self.name}},
                   "addressType": family, "endpoints": endpoints, "ports": ports}
