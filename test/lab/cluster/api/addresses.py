"""Cluster IPs of services, and node ports."""

import ipaddress
import random

from lab.cluster.api import statuses
from lab.cluster.api.interfaces import StatusError

RANGES = {"IPv4": ipaddress.ip_network("10.96.0.0/16"), "IPv6": ipaddress.ip_network("fd00:96::/112")}
_NODE_PORTS = range(30000, 32768)
_RESERVED_BELOW = 16  # the first addresses are for services that ask for them, as that of the API server


class Addresses:
    """Hands out addresses; which are taken is read from the stored services. Call with the storage's lock
    held."""

    def __init__(self, store):
        self._services = store.collection("", "services")
        self._revision = -1
        self._taken_by = {}  # {address: (namespace, name) of the service}
        self._ports = set()

    def allocate(self, kind, service, old=None):
        """Completes the addresses of a service; nothing for other kinds."""
        if (kind.group, kind.resource) != ("", "services"):
            return
        spec = service["spec"]
        if spec.get("type") == "ExternalName":
            for name in ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"):
                spec.pop(name, None)
            return
        if old is not None:
            for name in ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"):
                if not spec.get(name) and old["spec"].get(name):
                    spec[name] = old["spec"][name]
        self._read()
        self._cluster_ips(service, spec)
        if spec.get("type") in ("NodePort", "LoadBalancer"):
            self._node_ports(spec, old)

    def _cluster_ips(self, service, spec):
        given = list(spec.get("clusterIPs") or ([spec["clusterIP"]] if spec.get("clusterIP") else []))
        policy = spec.get("ipFamilyPolicy") or "SingleStack"
        families = list(spec.get("ipFamilies") or [])
        if not families:
            families = [_family(ip) for ip in given if ip != "None"] or ["IPv4"]
        if policy != "SingleStack" and len(families) < 2:
            families.append("IPv6" if families[0] == "IPv4" else "IPv4")
        headless = given[:1] == ["None"]
        if headless:
            given = ["None"]
            if not spec.get("selector") and not spec.get("ipFamilyPolicy"):
                policy, families = "RequireDualStack", ["IPv4", "IPv6"]
        else:
            for family in families[len(given):]:
                given.append(self._free(family))
            for ip in given:
                self._check(service, ip)
        spec["clusterIP"], spec["clusterIPs"] = given[0], given
        spec["ipFamilies"], spec["ipFamilyPolicy"] = families, policy

    def _check(self, service, ip):
        owner = self._taken_by.get(ip)
        if owner is not None and owner != (service["metadata"].get("namespace"), service["metadata"]["name"]):
            causes = statuses.Causes()
            causes.invalid("spec.clusterIPs", [ip],
                           f"failed to allocate IP {ip}: provided IP is already allocated")
            causes.raise_for("Service", "", "Service", service["metadata"]["name"])

    def _free(self, family):
        network = RANGES[family]
        candidates = min(network.num_addresses, 1 << 16)
        if len(self._taken_by) > candidates // 2:
            raise StatusError(500, "InternalError",
                              f"failed to allocate a cluster IP: range {network} is full")
        while True:
            ip = str(network[random.randrange(_RESERVED_BELOW, candidates - 1)])
            if ip not in self._taken_by:
                return ip

    def _node_ports(self, spec, old):
        before = {port["port"]: port.get("nodePort")
                  for port in (old or {}).get("spec", {}).get("ports") or []}
        for port in spec.get("ports") or []:
            if not port.get("nodePort"):
                port["nodePort"] = before.get(port["port"]) or self._free_port()

    def _free_port(self):
        free = [number for number in _NODE_PORTS if number not in self._ports]
        if not free:
            raise StatusError(500, "InternalError", "failed to allocate a nodePort: range is full")
        number = random.choice(free)
        self._ports.add(number)
        self._revision = -1
        return number

    def _read(self):
        if self._revision == self._services.revision:
            return
        self._revision = self._services.revision
        self._taken_by = {}
        self._ports = set()
        for place, stored in self._services.objects.items():
            spec = stored.object["spec"]
            for ip in spec.get("clusterIPs") or []:
                self._taken_by[ip] = place
            self._ports.update(port["nodePort"] for port in spec.get("ports") or [] if port.get("nodePort"))


def _family(ip):
    return "IPv6" if ":" in ip else "IPv4"
