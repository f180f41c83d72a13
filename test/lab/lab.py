"""The lab itself: a node with a bridge, pods on it, a world outside, and the end of all of them."""

import atexit
import os
import shutil
import signal
import sys
import tempfile

from lab import registry
from lab.binaries import find_binary, install
from lab.capture import Capture
from lab.control_plane import ControlPlane
from lab.manifests import (ManifestDirectory, Service, namespace_object, pod_object,
                           service_account_object)
from lab.namespace import Namespace
from lab.pod import Pod

# Every lab has the same addresses: its bridge is inside a namespace, where nobody else's can clash.
_NODE_IP, _NODE_IP6 = "10.244.0.1", "fd00:244::1"
_OUTSIDE_IP, _OUTSIDE_IP6 = "203.0.113.10", "2001:db8:203::10"


class Lab:
    """A context manager. Files are in `directory`, logs in `log_dir` (default: inside directory)."""

    node_ip = _NODE_IP

    def __init__(self, log_dir=None, binaries=None):
        if os.geteuid() != 0:
            raise PermissionError("the lab makes network namespaces: it needs root")
        self._binary_sources = dict(binaries or {})
        self._binaries = {}
        self._wanted_log_dir = log_dir
        self._kept = False
        self._closed = False
        self._previous_sigterm = None
        self.pods = {}
        self.services = {}
        self.namespaces = {}
        self.outside = None

    def __enter__(self):
        registry.sweep()
        self.id = registry.register(None)
        atexit.register(self.close)
        self._previous_sigterm = signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
        try:
            self.directory = tempfile.mkdtemp(prefix=f"weft-lab-{self.id}-")
            registry.set_directory(self.id, self.directory)
            # Sidecars and applications run as users of their own and pass through here.
            os.chmod(self.directory, 0o755)
            self.log_dir = self._wanted_log_dir or os.path.join(self.directory, "logs")
            os.makedirs(self.log_dir, exist_ok=True)
            self.manifests = ManifestDirectory(os.path.join(self.directory, "manifests"))
            self._make_node()
            self.control_plane = ControlPlane(self)
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_):
        if not self._kept:
            self.close()

    def keep(self):
        """Lets the lab outlive this process; registry.kept() lists it, registry.remove() takes it away."""
        self._kept = True
        registry.keep(self.id)
        atexit.unregister(self.close)

    def close(self):
        """Takes everything away. Safe to repeat."""
        if self._closed or self._kept:
            return
        self._closed = True
        atexit.unregister(self.close)
        for pod in self.pods.values():
            pod.net.destroy()
        for namespace in (self.outside, getattr(self, "node", None)):
            if namespace:
                namespace.destroy()
        registry.remove(self.id, getattr(self, "directory", None))
        if self._previous_sigterm is not None:
            signal.signal(signal.SIGTERM, self._previous_sigterm)

    def binary(self, name):
        """Path of a program under test, where every user of the lab may run it."""
        if name not in self._binaries:
            source = self._binary_sources.get(name) or find_binary(name)
            self._binaries[name] = install(source, os.path.join(self.directory, "bin"), name)
        return self._binaries[name]

    def add_namespace(self, name, annotations=None):
        """A Kubernetes namespace; add_pod makes one with injection enabled if it is not there."""
        self.namespaces[name] = namespace_object(name, annotations)

    def add_pod(self, name, namespace="shop", service_account=None, labels=None, annotations=None,
                controller=None, meshed=True, ports=()):
        """A pod with its network; publish() tells the control plane."""
        number = len(self.pods) + 1
        addresses = [f"10.244.1.{number}", f"fd00:244::1:{number:x}"]
        pod = Pod(self, name, namespace, service_account or name, labels or {"app": name},
                  annotations or {}, controller, meshed, ports, addresses)
        if namespace not in self.namespaces:
            self.add_namespace(namespace)
        self.pods[name] = pod
        pod.net.create()
        link = f"pod{number}"
        self.node.ip_batch([
            f"link add {link} type veth peer name eth0 netns {pod.net.name}",
            f"link set {link} master bridge up"])
        pod.net.ip_batch([
            f"addr add {pod.ip}/16 dev eth0", f"addr add {pod.ip6}/64 dev eth0 nodad",
            "link set eth0 up",
            f"route add default via {_NODE_IP}", f"route add default via {_NODE_IP6}"])
        self._write_hosts()
        return pod

    def add_service(self, name, selector, ports, namespace="shop"):
        """A Service with a ClusterIP of each family; publish() tells the control plane.

        No packet ever reaches a ClusterIP: it is what the sidecar takes over.
        """
        number = len(self.services) + 1
        service = Service(name, namespace, selector, ports,
                          [f"10.96.0.{number}", f"fd00:96::{number:x}"])
        self.services[f"{namespace}/{name}"] = service
        self._write_hosts()
        return service

    def add_outside(self):
        """A machine outside the mesh and the node, reachable by routing only; returns its Namespace."""
        self.outside = Namespace(f"weft-{self.id}-outside", self.log_dir)
        self.outside.create()
        self.node.ip_batch([
            f"link add outside type veth peer name eth0 netns {self.outside.name}",
            "addr add 203.0.113.1/24 dev outside", "addr add 2001:db8:203::1/64 dev outside nodad",
            "link set outside up"])
        self.outside.ip_batch([
            f"addr add {_OUTSIDE_IP}/24 dev eth0", f"addr add {_OUTSIDE_IP6}/64 dev eth0 nodad",
            "link set eth0 up",
            "route add default via 203.0.113.1", "route add default via 2001:db8:203::1"])
        self.outside.addresses = [_OUTSIDE_IP, _OUTSIDE_IP6]
        return self.outside

    def publish(self):
        """Writes namespaces, accounts, pods, services and endpoint slices into the manifest directory."""
        for name, namespace in self.namespaces.items():
            pods = [pod for pod in self.pods.values() if pod.namespace == name]
            accounts = sorted({pod.service_account for pod in pods})
            services = [service for service in self.services.values() if service.namespace == name]
            objects = [namespace]
            objects += [service_account_object(name, account) for account in accounts]
            objects += [pod_object(pod) for pod in pods]
            objects += [service.object() for service in services]
            objects += [piece for service in services for piece in service.slice_objects(pods)]
            self.manifests.write(f"cluster-{name}.yaml", objects)

    def start_control_plane(self, *flags):
        return self.control_plane.start(*flags)

    def start_sidecars(self, *flags):
        """Starts the sidecar of every meshed pod that has none, and waits until all are ready."""
        started = [pod for pod in self.pods.values() if pod.meshed and pod.sidecar is None]
        for pod in started:
            pod.start_sidecar(*flags)
        for pod in started:
            pod.wait_until_ready()

    def capture(self, pod, packet_filter="tcp", interface="eth0"):
        """A Capture on a pod's interface, not started yet."""
        directory = os.path.join(self.directory, "captures")
        os.makedirs(directory, exist_ok=True)
        path = os.path.join(directory, f"{pod.name}-{interface}-{len(os.listdir(directory))}.pcap")
        return Capture(pod.net, interface, path, packet_filter)

    def _make_node(self):
        self.node = Namespace(f"weft-{self.id}-node", self.log_dir)
        self.node.create()
        self.node.ip_batch([
            # With an address of its own: by default it takes the lowest of its ports', which a new pod may
            # change, and every pod's packets to the node would go astray until they noticed.
            "link add bridge address 02:00:00:00:00:01 type bridge stp_state 0 forward_delay 0 "
            "mcast_snooping 0",
            f"addr add {_NODE_IP}/16 dev bridge", f"addr add {_NODE_IP6}/64 dev bridge nodad",
            "link set bridge up",
            # Unmeshed callers of a ClusterIP learn at once that nobody is there.
            "route add unreachable 10.96.0.0/16", "route add unreachable fd00:96::/64"])
        self.node.sysctl({"net.ipv4.ip_forward": 1, "net.ipv6.conf.all.forwarding": 1})

    def _write_hosts(self):
        for pod in self.pods.values():
            names = {}
            for service in self.services.values():
                short = service.names() if service.namespace == pod.namespace else service.names()[1:]
                for name in short:
                    names[name] = service.cluster_ips
            pod.net.write_hosts(names)
