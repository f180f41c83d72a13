"""What every cluster has from its first start: namespaces, and the service of the API server."""

import uuid

from lab.cluster.api.managed import now

_NAMESPACES = ("default", "kube-node-lease", "kube-public", "kube-system")


def _metadata(name, **more):
    return {"name": name, **more, "uid": str(uuid.uuid4()), "creationTimestamp": now()}


def fill(store, service_address, port, endpoint):
    """Stores what is missing. `endpoint` is (address, port) where pods reach the server, or None."""
    for name in _NAMESPACES:
        store.create(("", "namespaces"), {
            "kind": "Namespace", "apiVersion": "v1",
            "metadata": {**_metadata(name), "labels": {"kubernetes.io/metadata.name": name}},
            "spec": {"finalizers": ["kubernetes"]}, "status": {"phase": "Active"}})
    labels = {"component": "apiserver", "provider": "kubernetes"}
    ports = [{"name": "https", "protocol": "TCP", "port": 443, "targetPort": port}]
    store.create(("", "services"), {
        "kind": "Service", "apiVersion": "v1",
        "metadata": {**_metadata("kubernetes", namespace="default"), "labels": labels},
        "spec": {"ports": ports, "clusterIP": service_address, "clusterIPs": [service_address],
                 "type": "ClusterIP",
                 "sessionAffinity": "None", "ipFamilies": ["IPv4"], "ipFamilyPolicy": "SingleStack",
                 "internalTrafficPolicy": "Cluster"},
        "status": {"loadBalancer": {}}})
    if endpoint is not None:
        address, port = endpoint
        store.create(("discovery.k8s.io", "endpointslices"), {
            "kind": "EndpointSlice", "apiVersion": "discovery.k8s.io/v1",
            "metadata": {**_metadata("kubernetes", namespace="default"),
                         "labels": {"kubernetes.io/service-name": "kubernetes"}},
            "addressType": "IPv6" if ":" in address else "IPv4",
            "endpoints": [{"addresses": [address], "conditions": {"ready": True}}],
            "ports": [{"name": "https", "port": port, "protocol": "TCP"}]})
