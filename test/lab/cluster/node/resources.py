"""The resources that the node and its controllers use, and their paths."""

import urllib.parse

# name: (prefix, kind, namespaced)
_CORE = {
    "configmaps": ("ConfigMap", True),
    "endpoints": ("Endpoints", True),
    "events": ("Event", True),
    "namespaces": ("Namespace", False),
    "nodes": ("Node", False),
    "pods": ("Pod", True),
    "secrets": ("Secret", True),
    "serviceaccounts": ("ServiceAccount", True),
    "services": ("Service", True),
}
_GROUPS = {
    "daemonsets": ("apps/v1", "DaemonSet", True),
    "deployments": ("apps/v1", "Deployment", True),
    "replicasets": ("apps/v1", "ReplicaSet", True),
    "statefulsets": ("apps/v1", "StatefulSet", True),
    "jobs": ("batch/v1", "Job", True),
    "leases": ("coordination.k8s.io/v1", "Lease", True),
    "endpointslices": ("discovery.k8s.io/v1", "EndpointSlice", True),
}


def api_version(resource):
    return "v1" if resource in _CORE else _GROUPS[resource][0]


def kind_of(resource):
    return _CORE[resource][0] if resource in _CORE else _GROUPS[resource][1]


def namespaced(resource):
    return _CORE[resource][1] if resource in _CORE else _GROUPS[resource][2]


def path_of(resource, namespace="", name="", subresource=""):
    """Path of a collection (no name), an object or a subresource; no namespace means all of them."""
    version = api_version(resource)
    path = f"/api/{version}" if resource in _CORE else f"/apis/{version}"
    if namespace and namespaced(resource):
        path += f"/namespaces/{namespace}"
    path += f"/{resource}"
    for part in (name, subresource):
        if part:
            path += "/" + urllib.parse.quote(part, safe="")
    return path
