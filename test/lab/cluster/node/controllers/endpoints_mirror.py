"""EndpointSlices of Services without a selector, from an Endpoints object that somebody wrote."""

import ipaddress

from lab.cluster.node.client import ApiError
from lab.cluster.node.controllers.endpoint_slices import MANAGED_BY, SERVICE_NAME
from lab.cluster.node.objects import deleting, labels_of, owner_reference, split_key
from lab.cluster.node.work import Reconciler

_US = "endpointslicemirroring-controller.k8s.io"
_SKIP = "endpointslice.kubernetes.io/skip-mirror"


class EndpointsMirror:

    def __init__(self, context):
        self._context = context
        self._services = context.informers["services"]
        self._endpoints = context.informers["endpoints"]
        self._slices = context.informers["endpointslices"]
        self.reconciler = Reconciler("endpointslice-mirror", self.reconcile)
        for informer in (self._services, self._endpoints):
            informer.add_handler(lambda event, old, new: self.reconciler.add(
                f"{new['metadata']['namespace']}/{new['metadata']['name']}"))

    def reconcile(self, key):
        namespace, name = split_key(key)
        held = [item for item in self._slices.list(namespace)
                if labels_of(item).get(SERVICE_NAME) == name and labels_of(item).get(MANAGED_BY) == _US]
        service, endpoints = self._services.get(namespace, name), self._endpoints.get(namespace, name)
        mirrored = (service and endpoints and not service["spec"].get("selector") and
                    not deleting(service) and labels_of(endpoints).get(_SKIP) != "true")
        wanted = _slices_of(endpoints) if mirrored else []
        for content in wanted:
            same = next((item for item in held if _content(item) == content), None)
            if same:
                held.remove(same)
                continue
            body = {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
                    "metadata": {"generateName": name + "-", "namespace": namespace,
                                 "labels": {**labels_of(endpoints), MANAGED_BY: _US, SERVICE_NAME: name},
                                 "ownerReferences": [owner_reference(endpoints)]}, **content}
            self._slices.observe(self._context.client.create("endpointslices", namespace, body))
        for item in held:
            try:
                self._context.client.delete("endpointslices", namespace, item["metadata"]["name"])
            except ApiError as error:
                if error.code != 404:
                    raise


def _content(item):
    return {name: item.get(name) for name in ("addressType", "endpoints", "ports")}


def _slices_of(endpoints):
    """One slice for each subset and address family."""
    slices = []
    for subset in endpoints.get("subsets") or ():
        families = {}
        for field, ready in (("addresses", True), ("notReadyAddresses", False)):
            for address in subset.get(field) or ():
                entry = {"addresses": [address["ip"]], "conditions": {"ready": ready}}
                for name in ("hostname", "nodeName", "targetRef"):
                    if address.get(name):
                        entry[name] = address[name]
                family = f"IPv{ipaddress.ip_address(address['ip']).version}"
                families.setdefault(family, []).append(entry)
        ports = [{"name": port.get("name", ""), "protocol": port.get("protocol", "TCP"), "port": port["port"],
                  **({"appProtocol": port["appProtocol"]} if port.get("appProtocol") else {})}
                 for port in subset.get("ports") or ()]
        slices += [{"addressType": family, "endpoints": entries, "ports": ports or None}
                   for family, entries in families.items()]
    return slices
