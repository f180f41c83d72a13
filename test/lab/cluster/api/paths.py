"""The paths of the API: which group, version, resource, namespace, name and subresource they name."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Path:
    """A path below /api or /apis; resource is "" for those of discovery."""
    group: str
    version: str
    resource: str = ""
    namespace: str = ""
    name: str = ""
    subresource: str = ""


def parse(path):
    """The Path, or None for anything else."""
    parts = path.strip("/").split("/")
    if parts[0] == "api" and len(parts) >= 2:
        group, version, rest = "", parts[1], parts[2:]
    elif parts[0] == "apis" and len(parts) >= 3:
        group, version, rest = parts[1], parts[2], parts[3:]
    else:
        return None
    namespace = ""
    # /namespaces/NAME/RESOURCE...; but /namespaces/NAME/status is a subresource of the namespace itself.
    if rest[:1] == ["namespaces"] and len(rest) >= 3 and not (
            group == "" and len(rest) == 3 and rest[2] in ("status", "finalize")):
        namespace, rest = rest[1], rest[2:]
    if not rest:
        return Path(group, version)
    if len(rest) > 3 or "" in rest:
        return Path(group, version, rest[0], namespace, *rest[1:2], subresource="/".join(rest[2:]))
    return Path(group, version, rest[0], namespace, *rest[1:])
