"""EndpointSlices of Services with a selector."""

from lab.cluster.node.client import ApiError
from lab.cluster.node.controllers.endpoints import endpoint_of, listed, ports_of
from lab.cluster.node.objects import deleting, labels_of, now, owner_reference, split_key
from lab.cluster.node.work import Reconciler

MANAGED_BY = "endpointslice.kubernetes.io/managed-by"
SERVICE_NAME = "kubernetes.io/service-name"
_HEADLESS = "service.kubernetes.io/headless"
_US = "endpointslice-controller.k8s.io"
_TRIGGER = "endpoints.kubernetes.io/last-change-trigger-time"
_LARGEST = 100


class EndpointSliceController:

    def __init__(self, context):
        self._context = context
        self._services = context.informers["services"]
        self._pods = context.informers["pods"]
        self._nodes = context.informers["nodes"]
        self._slices = context.informers["endpointslices"]
        self.reconciler = Reconciler("endpointslices", self.reconcile)
        self._services.add_handler(lambda event, old, new: self.reconciler.add(
            f"{new['metadata']['namespace']}/{new['metadata']['name']}"))
        self._pods.add_handler(self._pod_changed)
        self._nodes.add_handler(self._node_changed)
        self._slices.add_handler(self._slice_changed)

    def _pod_changed(self, event, old, new):
        namespace = new["metadata"]["namespace"]
        for service in self._services.list(namespace):
            selector = service["spec"].get("selector")
            if selector and any(pod and selector.items() <= labels_of(pod).items() for pod in (old, new)):
                self.reconciler.add(f"{namespace}/{service['metadata']['name']}")

    def _node_changed(self, event, old, new):
        if event != "MODIFIED":
            for service in self._services.list():
                self.reconciler.add(f"{service['metadata']['namespace']}/{service['metadata']['name']}")

    def _slice_changed(self, event, old, new):
        if labels_of(new).get(MANAGED_BY) == _US and SERVICE_NAME in labels_of(new):
            self.reconciler.add(f"{new['metadata']['namespace']}/{labels_of(new)[SERVICE_NAME]}")

    def reconcile(self, key):
        namespace, name = split_key(key)
        held = [item for item in self._slices.list(namespace)
                if labels_of(item).get(SERVICE_NAME) == name and labels_of(item).get(MANAGED_BY) == _US
                and not deleting(item)]
        service = self._services.get(namespace, name)
        spec = service["spec"] if service else {}
        if service is None or deleting(service) or spec.get("type") == "ExternalName" or \
                not spec.get("selector"):
            for item in held:
                self._delete(item)
            return
        held = [item for item in held if self._is_of(item, service) or self._delete(item)]
        for family in spec.get("ipFamilies") or ["IPv4"]:
            self._write_family(service, family, [item for item in held if item["addressType"] == family])
        for item in held:
            if item["addressType"] not in (spec.get("ipFamilies") or ["IPv4"]):
                self._delete(item)

    def _is_of(self, item, service):
        """Whether a slice belongs to this very Service, not to an earlier one of its name."""
        return any(reference["uid"] == service["metadata"]["uid"]
                   for reference in item["metadata"].get("ownerReferences") or ())

    def _write_family(self, service, family, held):
        groups = self._groups(service, family)
        spare = list(held)
        kept = []  # (slice or None, ports, endpoints)
        for ports, endpoints in groups.items():
            same = [item for item in spare if _ports_key(item.get("ports")) == ports]
            spare = [item for item in spare if item not in same]
            kept += _distribute(same, ports, endpoints)
        if not kept:
            # A Service without endpoints still has a slice, which says so.
            kept = [(None, None, [])]
        for item, ports, endpoints in kept:
            if item is None and spare:
                # One that no group claims any more becomes another's.
                item = spare.pop(0)
            self._write(service, family, item, ports, endpoints)
        for item in spare:
            self._delete(item)

    def _groups(self, service, family):
        """{ports of a slice: [endpoint, ...]}, one group for each set of port numbers."""
        namespace = service["metadata"]["namespace"]
        groups = {}
        for pod in self._pods.list(namespace):
            if not service["spec"]["selector"].items() <= labels_of(pod).items() or not listed(pod):
                continue
            node = self._nodes.get("", pod["spec"]["nodeName"])
            endpoint = node and endpoint_of(service, pod, node, family)
            if endpoint:
                groups.setdefault(_ports_key(ports_of(service, pod)), []).append(endpoint)
        return groups

    def _write(self, service, family, item, ports, endpoints):
        wanted = {"addressType": family, "endpoints": endpoints or None,
                  "ports": [dict(port) for port in ports] if ports and endpoints else None}
        labels = {**{key: value for key, value in labels_of(service).items()
                     if key not in (MANAGED_BY, SERVICE_NAME, _HEADLESS)},
                  MANAGED_BY: _US, SERVICE_NAME: service["metadata"]["name"]}
        if service["spec"].get("clusterIP") == "None":
            labels[_HEADLESS] = ""
        if item and labels == labels_of(item) and \
                all((item.get(name) or None) == value for name, value in wanted.items()):
            return
        metadata = service["metadata"]
        if item is None:
            body = {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
                    "metadata": {"generateName": metadata["name"] + "-", "namespace": metadata["namespace"],
                                 "labels": labels, "annotations": {_TRIGGER: now()},
                                 "ownerReferences": [owner_reference(service)]}, **wanted}
            written = self._context.client.create("endpointslices", metadata["namespace"], body)
        else:
            held = item["metadata"]
            annotations = {**(held.get("annotations") or {}), _TRIGGER: now()}
            body = {**item, **wanted, "metadata": {**held, "labels": labels, "annotations": annotations}}
            written = self._context.client.update("endpointslices", body)
        self._slices.observe(written)

    def _delete(self, item):
        metadata = item["metadata"]
        try:
            self._context.client.delete("endpointslices", metadata["namespace"], metadata["name"])
        except ApiError as error:
            if error.code != 404:
                raise
        return False


def _ports_key(ports):
    return tuple(sorted(tuple(sorted(port.items())) for port in ports or ()))


def _distribute(slices, ports, endpoints):
    """Shares endpoints out to slices of at most 100, leaving each where it is:
    [(slice or None, ports, list)]."""
    left = {endpoint["addresses"][0]: endpoint for endpoint in endpoints}
    shares = []
    for item in slices:
        stay = [left.pop(held["addresses"][0]) for held in item.get("endpoints") or ()
                if held["addresses"][0] in left]
        shares.append((item, ports, stay))
    rest = list(left.values())
    for _, _, share in shares:
        room = _LARGEST - len(share)
        share += rest[:room]
        rest = rest[room:]
    while rest:
        shares.append((None, ports, rest[:_LARGEST]))
        rest = rest[_LARGEST:]
    return [(item, ports, share) for item, ports, share in shares if share or len(shares) == 1]
