"""The network of pods: a namespace each, joined to the node's bridge, with addresses of its own."""

import os
import threading

from lab.namespace import Namespace
from lab.shell import run

NODE_IP, NODE_IP6 = "10.244.0.1", "fd00:244::1"
_FIRST, _LAST = 256, 65000


class Addresses:
    """Hands out addresses of the pod network in turn, so that one comes back as late as possible."""

    def __init__(self):
        self._lock = threading.Lock()
        self._next = _FIRST
        self._used = set()

    def take(self):
        """A number from which ip_of and ip6_of make the addresses."""
        with self._lock:
            while self._next in self._used or self._next % 256 in (0, 255):
                self._advance()
            number = self._next
            self._used.add(number)
            self._advance()
            return number

    def give_back(self, number):
        with self._lock:
            self._used.discard(number)

    def _advance(self):
        self._next = self._next + 1 if self._next < _LAST else _FIRST


class PodNetwork:
    """One pod's. Every packet passes the node, as between machines: that is where services are translated,
    and why answers find their way back through the translation."""

    def __init__(self, lab_id, log_dir, addresses, pod):
        metadata = pod["metadata"]
        self.namespace = Namespace(
            f"weft-{lab_id}-{metadata['namespace']}.{metadata['name']}.{metadata['uid'][:5]}", log_dir)
        self._lab_id = lab_id
        self._addresses = addresses
        self._number = None
        self.ips = []

    def create(self, name_space):
        """Makes the namespace, its link and its addresses."""
        self._number = number = self._addresses.take()
        ip, ip6 = f"10.244.{number // 256}.{number % 256}", f"fd00:244::{number // 256:x}:{number % 256:x}"
        self.namespace.create()
        self.write_resolv(name_space)
        self.namespace.sysctl({"net.ipv4.conf.all.accept_redirects": 0,
                               "net.ipv4.conf.default.accept_redirects": 0,
                               "net.ipv6.conf.all.accept_redirects": 0,
                               "net.ipv6.conf.default.accept_redirects": 0})
        link = f"pod{number}"
        # We are inside the node's namespace.
        run(["ip", "-batch", "-"], stdin="\n".join([
            f"link add {link} type veth peer name eth0 netns {self.namespace.name}",
            f"link set {link} master bridge up"]) + "\n")
        self.namespace.ip_batch([
            f"addr add {ip}/32 dev eth0", f"addr add {ip6}/128 dev eth0 nodad", "link set eth0 up",
            f"route add {NODE_IP} dev eth0 src {ip}", f"route add default via {NODE_IP} src {ip}",
            f"route add {NODE_IP6} dev eth0", f"route add default via {NODE_IP6}"])
        self.ips = [ip, ip6]

    def write_resolv(self, name_space):
        with open(f"{self.namespace.etc}/resolv.conf", "w") as resolv:
            # Nothing answers there: a name that is not in hosts fails at once.
            resolv.write(f"search {name_space}.svc.cluster.local svc.cluster.local cluster.local\n"
                         "nameserver 127.0.0.1\noptions ndots:5 timeout:1 attempts:1\n")

    def enter(self):
        """The command line that runs what is appended to it in this network."""
        return ["nsenter", f"--net=/run/netns/{self.namespace.name}", "--"]

    def destroy(self):
        self.namespace.destroy()
        if self._number is not None:
            self._addresses.give_back(self._number)
            self._number = None


class HostNetwork:
    """The network of pods with hostNetwork: the node's own."""

    def __init__(self, node_namespace):
        self.namespace = Namespace(node_namespace, None)
        self.ips = [NODE_IP, NODE_IP6]

    def create(self, name_space):
        os.makedirs(self.namespace.etc, exist_ok=True)

    def enter(self):
        return []

    def destroy(self):
        pass
