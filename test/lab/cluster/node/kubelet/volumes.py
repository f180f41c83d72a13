"""The volumes of a pod: made before its containers start, kept up to date while it runs."""

import os
import threading

from lab.cluster.node.kubelet.environment import ConfigError, contents_of, field_of, resource_of
from lab.cluster.node.kubelet.files import write_atomically
from lab.cluster.node.kubelet.root import Mount

# The types whose files are made from API objects: nobody else writes there.
_WRITTEN = ("configMap", "secret", "projected", "downwardAPI")


class VolumeError(Exception):
    """A volume cannot be set up (yet); the message names it and says why."""


class Volumes:
    """Of one pod. `lookup(resource, name)` gives a ConfigMap or Secret of its namespace, or None."""

    def __init__(self, directory, lookup, tokens, node_capacity):
        self._directory = os.path.join(directory, "volumes")
        self._lookup = lookup
        self._tokens = tokens
        self._node_capacity = node_capacity
        # The pod's own thread and the one that follows changes both come here.
        self._lock = threading.Lock()

    def refresh(self, pod):
        """Makes what is missing, rewrites what has changed. Raises VolumeError, ApiError or Unavailable."""
        with self._lock:
            self._refresh(pod)

    def _refresh(self, pod):
        for volume in pod["spec"].get("volumes") or ():
            name = volume["name"]
            files = self._files_of(pod, volume)
            if files is not None:
                os.makedirs(self.path(name), mode=0o755, exist_ok=True)
                group = (pod["spec"].get("securityContext") or {}).get("fsGroup")
                os.chmod(self.path(name), 0o755)
                write_atomically(self.path(name), files, group)
            elif "emptyDir" in volume or "ephemeral" in volume:
                self._make_empty(pod, name)
            elif "hostPath" in volume:
                self._check_host_path(name, volume["hostPath"])
            else:
                raise VolumeError(f'MountVolume.SetUp failed for volume "{name}": the lab has no volumes '
                                  f"of the type {next(iter(volume.keys() - {'name'}), '?')}")

    def mounts_of(self, pod, container, variables, expand):
        """The container's Mounts, in the order of its spec. Raises ConfigError."""
        volumes = {volume["name"]: volume for volume in pod["spec"].get("volumes") or ()}
        mounts = []
        for mount in container.get("volumeMounts") or ():
            volume = volumes.get(mount["name"])
            if volume is None:
                raise ConfigError(f"no volume {mount['name']!r}")
            source = volume["hostPath"]["path"] if "hostPath" in volume else self.path(mount["name"])
            sub_path = expand(mount["subPathExpr"], variables) if mount.get("subPathExpr") \
                else mount.get("subPath", "")
            if sub_path:
                source = self._below(source, sub_path)
            read_only = mount.get("readOnly", False) or not volume.keys().isdisjoint(_WRITTEN)
            mounts.append(Mount(source, mount["mountPath"], read_only))
        return mounts

    def next_renewal(self):
        """When refresh() must be called again at the latest, in monotonic time; None for never."""
        return self._tokens.next_renewal()

    def path(self, name):
        return os.path.join(self._directory, name)

    def _below(self, source, sub_path):
        path = os.path.realpath(os.path.join(source, sub_path))
        if os.path.commonpath([path, os.path.realpath(source)]) != os.path.realpath(source):
            raise ConfigError(f"subPath {sub_path!r} leads out of its volume")
        if not os.path.exists(path):
            os.makedirs(path, mode=0o777)
            os.chmod(path, 0o777)
        return path

    def _make_empty(self, pod, name):
        path = self.path(name)
        if os.path.isdir(path):
            return
        os.makedirs(path)
        os.chmod(path, 0o777)
        group = (pod["spec"].get("securityContext") or {}).get("fsGroup")
        if group is not None:
            os.chown(path, -1, group)
            os.chmod(path, 0o2777)

    def _check_host_path(self, name, source):
        if "Create" in source.get("type", ""):
            os.makedirs(source["path"], exist_ok=True)
        if not os.path.exists(source["path"]):
            raise VolumeError(f'MountVolume.SetUp failed for volume "{name}": hostPath {source["path"]} '
                              "does not exist")

    def _files_of(self, pod, volume):
        """{path: (bytes, mode)} of a volume that is made of API objects; None for the others."""
        name = volume["name"]
        for kind, key in (("configMap", "name"), ("secret", "secretName")):
            if kind in volume:
                source = volume[kind]
                return self._items(name, kind, source.get(key), source, source.get("defaultMode", 0o644))
        if "downwardAPI" in volume:
            source = volume["downwardAPI"]
            return self._downward(pod, source, source.get("defaultMode", 0o644))
        if "projected" in volume:
            source = volume["projected"]
            return self._projected(pod, name, source, source.get("defaultMode", 0o644))
        return None

    def _projected(self, pod, name, source, mode):
        files = {}
        for part in source.get("sources") or ():
            for kind in ("configMap", "secret"):
                if kind in part:
                    files.update(self._items(name, kind, part[kind].get("name"), part[kind], mode))
            if "downwardAPI" in part:
                files.update(self._downward(pod, part["downwardAPI"], mode))
            if "serviceAccountToken" in part:
                wanted = part["serviceAccountToken"]
                token = self._tokens.get(wanted.get("audience", ""), wanted.get("expirationSeconds", 3600))
                files[wanted["path"]] = (token.encode(), *_token_owner(pod, mode))
        return files

    def _items(self, volume, kind, name, source, mode):
        item = self._lookup("configmaps" if kind == "configMap" else "secrets", name)
        optional = source.get("optional")
        if item is None and not optional:
            raise VolumeError(f'MountVolume.SetUp failed for volume "{volume}" : '
                              f'{kind.lower()} "{name}" not found')
        contents = contents_of(item) if item else {}
        if not source.get("items"):
            return {key: (value, mode) for key, value in contents.items()}
        files = {}
        for wanted in source["items"]:
            if wanted["key"] in contents:
                files[wanted["path"]] = (contents[wanted["key"]], wanted.get("mode", mode))
            elif not optional:
                raise VolumeError(f'MountVolume.SetUp failed for volume "{volume}" : '
                                  f"references non-existent {kind.lower()} key: {wanted['key']}")
        return files

    def _downward(self, pod, source, mode):
        files = {}
        for wanted in source.get("items") or ():
            if "fieldRef" in wanted:
                text = field_of(pod, wanted["fieldRef"]["fieldPath"])
            else:
                text = resource_of(pod, None, wanted["resourceFieldRef"], self._node_capacity)
            files[wanted["path"]] = (text.encode(), wanted.get("mode", mode))
        return files


def _token_owner(pod, mode):
    """(mode, uid) of a token's file: the owner's alone where all containers have one user or a group."""
    spec = pod["spec"]
    context = spec.get("securityContext") or {}
    users = {(container.get("securityContext") or {}).get("runAsUser", context.get("runAsUser"))
             for container in spec["containers"] + (spec.get("initContainers") or [])}
    user = users.pop() if len(users) == 1 else None
    if user is not None or context.get("fsGroup") is not None:
        return 0o600, user or 0
    return mode, 0
