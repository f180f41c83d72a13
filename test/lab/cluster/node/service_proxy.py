"""The node's service proxy: ClusterIPs become addresses of ready pods, by iptables as with kube-proxy."""

import hashlib
import ipaddress
import logging

from lab.cluster.node.controllers.endpoint_slices import SERVICE_NAME
from lab.cluster.node.objects import labels_of
from lab.cluster.node.work import Reconciler
from lab.shell import run

_ALL = "all"
_SETTLE_SECONDS = 0.03
_SERVICE_NETWORKS = {4: "10.96.0.0/16", 6: "fd00:96::/64"}
_MARK = "0x4000/0x4000"


class ServiceProxy:
    """Must run in the node's network namespace, whose nat and filter tables are its own."""

    def __init__(self, context):
        self._services = context.informers["services"]
        self._slices = context.informers["endpointslices"]
        self.reconciler = Reconciler("service-proxy", self._reconcile)
        for informer in (self._services, self._slices):
            informer.add_handler(lambda *_: self.reconciler.add(_ALL, after=_SETTLE_SECONDS))
        self._written = {}
        self._log = logging.getLogger("service-proxy")

    def prepare(self):
        """Routes and settings that the rules rely on."""
        for version, network in _SERVICE_NETWORKS.items():
            # The node's own connections need a route before they are translated.
            run(["ip", f"-{version}", "route", "del", "unreachable", network], check=False)
            run(["ip", f"-{version}", "route", "replace", network, "dev", "bridge"])
        # Pods reach each other through the node though they share a link: no packet is told a shorter way,
        # and what the bridge itself forwards is not translated.
        for setting in ("net.ipv4.conf.all.send_redirects=0", "net.ipv4.conf.bridge.send_redirects=0",
                        "net.bridge.bridge-nf-call-iptables=0", "net.bridge.bridge-nf-call-ip6tables=0"):
            run(["sysctl", "-q", "-w", setting], check=False)

    def _reconcile(self, _):
        endpoints = self._endpoints()
        for version, command in ((4, "iptables-restore"), (6, "ip6tables-restore")):
            rules = self._rules(version, endpoints)
            if self._written.get(version) == rules:
                continue
            run([command, "-w", "5"], stdin=rules)
            self._written[version] = rules
            self._log.debug("IPv%d: %d rules", version, rules.count("\n"))

    def _endpoints(self):
        """{(namespace, service, port name, IP version): [(address, port), ...]} of those that may be used."""
        ready, draining = {}, {}
        for item in self._slices.list():
            service = labels_of(item).get(SERVICE_NAME)
            if not service or item["addressType"] not in ("IPv4", "IPv6"):
                continue
            version = int(item["addressType"][-1])
            for port in item.get("ports") or ():
                key = (item["metadata"]["namespace"], service, port.get("name", ""), version)
                for endpoint in item.get("endpoints") or ():
                    conditions = endpoint["conditions"]
                    target = (endpoint["addresses"][0], port["port"])
                    if conditions.get("ready", True):
                        ready.setdefault(key, []).append(target)
                    elif conditions.get("serving") and conditions.get("terminating"):
                        draining.setdefault(key, []).append(target)
        # With nobody else left, those that are on their way out still serve.
        return {**draining, **ready}

    def _rules(self, version, endpoints):
        chains, jumps, bodies = [], [], []
        for service in self._services.list():
            metadata, spec = service["metadata"], service["spec"]
            for address in _cluster_ips(spec, version):
                for port in spec.get("ports") or ():
                    key = (metadata["namespace"], metadata["name"], port.get("name", ""), version)
                    targets = sorted(endpoints.get(key, ()))
                    if not targets:
                        continue
                    protocol = port.get("protocol", "TCP").lower()
                    chain = f"SVC-{_digest((key, protocol))}"
                    jumps.append(f"-A SERVICES -d {address} -p {protocol} --dport {port['port']} -j {chain}")
                    made, rules = _balance(chain, protocol, targets)
                    chains += [f":{name} - [0:0]" for name in made]
                    bodies += rules
        network = _SERVICE_NETWORKS[version]
        unreachable = "icmp-port-unreachable" if version == 4 else "icmp6-port-unreachable"
        # What still has a service's address after translation is a service without endpoints, or none at all.
        rejects = [f"-A {chain} -d {network} {rule}" for chain in ("FORWARD", "OUTPUT") for rule in
                   ("-p tcp -j REJECT --reject-with tcp-reset", f"-j REJECT --reject-with {unreachable}")]
        return "\n".join([
            "*nat", ":PREROUTING ACCEPT [0:0]", ":INPUT ACCEPT [0:0]", ":OUTPUT ACCEPT [0:0]",
            ":POSTROUTING ACCEPT [0:0]", ":SERVICES - [0:0]", *chains,
            "-A PREROUTING -j SERVICES", "-A OUTPUT -j SERVICES",
            f"-A POSTROUTING -m mark --mark {_MARK} -j MASQUERADE",
            *jumps, *bodies, "COMMIT",
            "*filter", ":INPUT ACCEPT [0:0]", ":FORWARD ACCEPT [0:0]", ":OUTPUT ACCEPT [0:0]",
            *rejects, "COMMIT"]) + "\n"


def _balance(chain, protocol, targets):
    """(chains, rules) that share new connections out evenly, with a chain for each endpoint."""
    chains, rules = [chain], []
    for index, (address, port) in enumerate(targets):
        left = len(targets) - index
        chance = f"-m statistic --mode random --probability {1 / left:.10f} " if left > 1 else ""
        target = f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
        endpoint = f"SEP-{_digest((chain, target))}"
        chains.append(endpoint)
        rules += [f"-A {chain} {chance}-j {endpoint}",
                  # A pod that reaches itself through its service must see the answer come from there.
                  f"-A {endpoint} -s {address} -j MARK --set-xmark {_MARK}",
                  f"-A {endpoint} -p {protocol} -j DNAT --to-destination {target}"]
    return chains, rules


def _digest(what):
    return hashlib.sha256(repr(what).encode()).hexdigest()[:16].upper()


def _cluster_ips(spec, version):
    addresses = [one for one in spec.get("clusterIPs") or [spec.get("clusterIP")] if one and one != "None"]
    return [one for one in addresses if ipaddress.ip_address(one).version == version]
