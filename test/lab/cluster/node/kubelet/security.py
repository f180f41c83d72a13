"""As whom a container runs, and with which capabilities: its security context as arguments of setpriv."""

from dataclasses import dataclass

from lab.cluster.node.kubelet.environment import ConfigError

# What a container engine leaves to containers that ask for nothing.
_DEFAULT = ("chown", "dac_override", "fowner", "fsetid", "kill", "setgid", "setuid", "setpcap",
            "net_bind_service", "net_raw", "sys_chroot", "mknod", "audit_write", "setfcap")


@dataclass(frozen=True)
class Privileges:
    """`setpriv` goes before a command that is started by root."""
    uid: int
    gid: int
    setpriv: tuple


def privileges_of(pod_spec, container, image):
    """Raises ConfigError if the container must not run as root but would."""
    pod_context = pod_spec.get("securityContext") or {}
    context = {**pod_context, **(container.get("securityContext") or {})}
    uid = context.get("runAsUser", image.user)
    if context.get("runAsNonRoot") and uid == 0:
        raise ConfigError("container has runAsNonRoot and image will run as root "
                          f"(container: {container['name']})")
    gid = context.get("runAsGroup", image.user if uid == image.user else 0)
    groups = sorted({*(pod_context.get("supplementalGroups") or ()),
                     *([pod_context["fsGroup"]] if "fsGroup" in pod_context else ())})
    setpriv = ["/usr/bin/setpriv", f"--reuid={uid}", f"--regid={gid}",
               f"--groups={','.join(map(str, groups))}" if groups else "--clear-groups"]
    if not context.get("privileged"):
        setpriv += ["--inh-caps=-all", f"--bounding-set={_bounding(context.get('capabilities') or {})}"]
    if context.get("allowPrivilegeEscalation") is False:
        setpriv.append("--no-new-privs")
    return Privileges(uid, gid, (*setpriv, "--"))


def _bounding(capabilities):
    """The capabilities that are left, in setpriv's words."""
    left = set(_DEFAULT)
    for name in _names(capabilities.get("drop")):
        left = set() if name == "all" else left - {name}
    added = _names(capabilities.get("add"))
    if "all" in added:
        return "+all"
    left |= set(added)
    return ",".join(["-all", *(f"+{name}" for name in sorted(left))])


def _names(listed):
    return [name.lower().removeprefix("cap_") for name in listed or ()]
