"""What one pod contributes to the EndpointSlices of a Service."""

import ipaddress

from lab.cluster.node.objects import condition_true, deleting, finished, labels_of


def listed(pod):
    """Whether a pod is an endpoint at all: it has a node and an address, and has not ended."""
    return bool(pod["spec"].get("nodeName") and (pod.get("status") or {}).get("podIP")) and \
        not finished(pod)


def endpoint_of(service, pod, node, family):
    """The pod's endpoint in a slice of an address family; None if it has no such address."""
    status = pod["status"]
    addresses = [entry["ip"] for entry in status.get("podIPs") or [{"ip": status["podIP"]}]]
    address = next((one for one in addresses if f"IPv{ipaddress.ip_address(one).version}" == family), None)
    if address is None:
        return None
    serving = condition_true(pod, "Ready")
    terminating = deleting(pod)
    ready = bool(service["spec"].get("publishNotReadyAddresses")) or (serving and not terminating)
    metadata, spec = pod["metadata"], pod["spec"]
    endpoint = {
        "addresses": [address],
        "conditions": {"ready": ready, "serving": serving, "terminating": terminating},
        "targetRef": {"kind": "Pod", "namespace": metadata["namespace"], "name": metadata["name"],
                      "uid": metadata["uid"]},
        "nodeName": spec["nodeName"]}
    if spec.get("hostname") and spec.get("subdomain") == service["metadata"]["name"]:
        endpoint["hostname"] = spec["hostname"]
    zone = labels_of(node).get("topology.kubernetes.io/zone")
    if zone:
        endpoint["zone"] = zone
    return endpoint


def ports_of(service, pod):
    """The ports of a Service as this pod has them; those whose name it does not know are left out."""
    found = []
    for port in service["spec"].get("ports") or ():
        number = _number(port, pod)
        if number is None:
            continue
        entry = {"name": port.get("name", ""), "protocol": port.get("protocol", "TCP"), "port": number}
        if port.get("appProtocol"):
            entry["appProtocol"] = port["appProtocol"]
        found.append(entry)
    return found


def _number(port, pod):
    target = port.get("targetPort", port["port"])
    if isinstance(target, int):
        return target or port["port"]
    sidecars = [container for container in pod["spec"].get("initContainers") or ()
                if container.get("restartPolicy") == "Always"]
    for container in pod["spec"]["containers"] + sidecars:
        for held in container.get("ports") or ():
            if held.get("name") == target and held.get("protocol", "TCP") == port.get("protocol", "TCP"):
                return held["containerPort"]
    return None
