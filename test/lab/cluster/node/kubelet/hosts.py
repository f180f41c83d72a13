"""/etc/hosts of every pod: the names of services, which elsewhere a DNS server would know."""

import os

from lab.cluster.node.controllers.endpoint_slices import SERVICE_NAME
from lab.cluster.node.objects import labels_of
from lab.cluster.node.work import Reconciler

_ALL = "all"
_HEAD = "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n"
# Changes come in bursts.
_SETTLE_SECONDS = 0.05


class Hosts:
    """Writes a file for each pod that was added, and again whenever a service changes."""

    def __init__(self, context):
        self._services = context.informers["services"]
        self._slices = context.informers["endpointslices"]
        self._files = {}  # path: (namespace, lines of its own)
        self.reconciler = Reconciler("hosts", self._reconcile)
        self._services.add_handler(lambda *_: self._changed())
        self._slices.add_handler(self._slice_changed)

    def add(self, path, name_space, own):
        """Writes the file at once. `own`: lines for the pod itself."""
        self._files[path] = (name_space, own)
        self._write(path, self._names())

    def remove(self, path):
        self._files.pop(path, None)

    def _changed(self):
        self.reconciler.add(_ALL, after=_SETTLE_SECONDS)

    def _slice_changed(self, event, old, new):
        name = labels_of(new).get(SERVICE_NAME)
        service = name and self._services.get(new["metadata"]["namespace"], name)
        if service and service["spec"].get("clusterIP") == "None":
            self._changed()

    def _reconcile(self, _):
        names = self._names()
        for path in list(self._files):
            self._write(path, names)

    def _names(self):
        """[(namespace, name, addresses)]; for endpoints of headless services the name is "HOST.SERVICE"."""
        slices = {}
        for item in self._slices.list():
            key = (item["metadata"]["namespace"], labels_of(item).get(SERVICE_NAME))
            slices.setdefault(key, []).append(item)
        names = []
        for service in self._services.list():
            metadata, spec = service["metadata"], service["spec"]
            name_space, name = metadata["namespace"], metadata["name"]
            addresses = [ip for ip in spec.get("clusterIPs") or [spec.get("clusterIP")] if ip]
            if spec.get("clusterIP") != "None":
                names.append((name_space, name, addresses))
                continue
            endpoints = [endpoint for item in slices.get((name_space, name), ())
                         for endpoint in item.get("endpoints") or ()
                         if endpoint["conditions"].get("ready", True)]
            names.append((name_space, name, [ip for one in endpoints for ip in one["addresses"]]))
            names += [(name_space, f"{one['hostname']}.{name}", one["addresses"]) for one in endpoints
                      if one.get("hostname")]
        return names

    def _write(self, path, names):
        entry = self._files.get(path)
        if entry is None:
            return
        own_namespace, own = entry
        lines = [_HEAD, *(line + "\n" for line in own)]
        for name_space, name, addresses in names:
            known_as = [f"{name}.{name_space}{suffix}" for suffix in (".svc.cluster.local", ".svc", "")]
            if name_space == own_namespace:
                known_as.append(name)
            lines += [f"{address}\t{' '.join(known_as)}\n" for address in addresses]
        _overwrite(path, "".join(lines).encode())


def _overwrite(path, content):
    """In place, because containers have the file mounted, and without a moment at which it is empty."""
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    except FileNotFoundError:
        return  # its pod has just gone
    try:
        if os.pread(handle, len(content) + 1, 0) != content:
            os.pwrite(handle, content, 0)
            os.ftruncate(handle, len(content))
    finally:
        os.close(handle)
