"""A container's environment, command and arguments, with everything that refers elsewhere resolved."""

import base64
import math
import re

from lab.cluster.node.objects import quantity

_REFERENCE = re.compile(r"\$\$|\$\(([A-Za-z0-9_.-]+)\)")
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class ConfigError(Exception):
    """The container cannot be made as its spec says; the message names what is wrong or missing."""


def expand(text, variables):
    """Replaces $(NAME) by its value; unknown names stay, $$ is a dollar sign."""
    def value(match):
        if match.group(0) == "$$":
            return "$"
        return variables.get(match.group(1), match.group(0))
    return _REFERENCE.sub(value, text)


def field_of(pod, path):
    """Value of a downward API field of a pod as it is now."""
    metadata, spec, status = pod["metadata"], pod["spec"], pod.get("status") or {}
    subscript = re.fullmatch(r"metadata\.(labels|annotations)\['(.+)'\]", path)
    if subscript:
        return (metadata.get(subscript.group(1)) or {}).get(subscript.group(2), "")
    if path in ("metadata.labels", "metadata.annotations"):
        entries = metadata.get(path.split(".")[1]) or {}
        return "\n".join(f'{key}="{_escaped(value)}"' for key, value in sorted(entries.items()))
    fields = {
        "metadata.name": metadata["name"], "metadata.namespace": metadata["namespace"],
        "metadata.uid": metadata["uid"], "spec.nodeName": spec.get("nodeName", ""),
        "spec.serviceAccountName": spec.get("serviceAccountName", "default"),
        "status.hostIP": status.get("hostIP", ""), "status.podIP": status.get("podIP", ""),
        "status.hostIPs": ",".join(entry["ip"] for entry in status.get("hostIPs") or ()),
        "status.podIPs": ",".join(entry["ip"] for entry in status.get("podIPs") or ())}
    if path not in fields:
        raise ConfigError(f"unsupported fieldPath {path!r}")
    return fields[path]


def resource_of(pod, container, reference, node_capacity):
    """Value of a resourceFieldRef such as limits.cpu; without a limit it is what the node has."""
    name = reference.get("containerName")
    if name:
        spec = pod["spec"]
        container = next((one for one in spec["containers"] + (spec.get("initContainers") or [])
                          if one["name"] == name), None)
        if container is None:
            raise ConfigError(f"resourceFieldRef: no container {name!r}")
    kind, _, resource = reference["resource"].partition(".")
    resources = container.get("resources") or {}
    amount = (resources.get(kind) or {}).get(resource)
    if amount is None and kind == "requests":
        amount = (resources.get("limits") or {}).get(resource, 0)
    if amount is None:
        amount = node_capacity.get(resource, "0")
    divisor = str(reference.get("divisor") or "0")
    return str(math.ceil(quantity(amount) / (1 if divisor == "0" else quantity(divisor))))


class Environment:
    """Resolves for one pod. `lookup(resource, name)` gives a ConfigMap or Secret, or None."""

    def __init__(self, pod, lookup, services, node_capacity, api_host, api_port):
        self._pod = pod
        self._lookup = lookup
        self._services = services
        self._node_capacity = node_capacity
        self._api = {"KUBERNETES_SERVICE_HOST": api_host, "KUBERNETES_SERVICE_PORT": str(api_port),
                     "KUBERNETES_SERVICE_PORT_HTTPS": str(api_port),
                     "KUBERNETES_PORT": f"tcp://{api_host}:{api_port}"}

    def of(self, container, image, hostname, home):
        """{name: value} for a container. Raises ConfigError."""
        variables = {}
        if self._pod["spec"].get("enableServiceLinks", True):
            for service in self._services:
                variables.update(_service_links(service))
        variables.update(self._api)
        for source in container.get("envFrom") or ():
            variables.update(self._all_of(source))
        for entry in container.get("env") or ():
            value = self._value(container, entry)
            if value is not None:
                known = {**image.env, **variables}
                variables[entry["name"]] = expand(value, known) if "value" in entry else value
        return {"PATH": _PATH, "HOSTNAME": hostname, "HOME": home, **image.env, **variables}

    def command(self, container, image, variables):
        """The argv of a container: its command and args, or else the image's."""
        command = list(container.get("command") or ())
        arguments = list(container.get("args") or ())
        if not command:
            command = list(image.entrypoint)
            arguments = arguments or list(image.command)
        argv = [expand(part, variables) for part in command + arguments]
        if not argv:
            raise ConfigError("no command specified")
        return argv

    def _value(self, container, entry):
        """The value of one entry; None if it is optional and not there."""
        source = entry.get("valueFrom")
        if not source:
            return entry.get("value", "")
        if "fieldRef" in source:
            return field_of(self._pod, source["fieldRef"]["fieldPath"])
        if "resourceFieldRef" in source:
            return resource_of(self._pod, container, source["resourceFieldRef"], self._node_capacity)
        for key, resource in (("configMapKeyRef", "configmaps"), ("secretKeyRef", "secrets")):
            if key in source:
                return self._key_of(resource, source[key])
        raise ConfigError(f"env {entry['name']}: unknown source")

    def _key_of(self, resource, reference):
        item = self._lookup(resource, reference["name"])
        values = item and contents_of(item)
        if values is not None and reference["key"] in values:
            return values[reference["key"]].decode(errors="surrogateescape")
        if reference.get("optional"):
            return None
        kind = resource[:-1]
        if values is None:
            raise ConfigError(f'{kind} "{reference["name"]}" not found')
        raise ConfigError(f"couldn't find key {reference['key']} in {kind} "
                          f"{self._pod['metadata']['namespace']}/{reference['name']}")

    def _all_of(self, source):
        for key, resource in (("configMapRef", "configmaps"), ("secretRef", "secrets")):
            if key not in source:
                continue
            item = self._lookup(resource, source[key]["name"])
            if item is None and not source[key].get("optional"):
                raise ConfigError(f'{resource[:-1]} "{source[key]["name"]}" not found')
            return {source.get("prefix", "") + name: value.decode(errors="surrogateescape")
                    for name, value in (contents_of(item) if item else {}).items()}
        return {}


def contents_of(item):
    """{key: bytes} of a ConfigMap or Secret."""
    if item["kind"] == "Secret":
        return {key: base64.b64decode(value) for key, value in (item.get("data") or {}).items()}
    contents = {key: value.encode() for key, value in (item.get("data") or {}).items()}
    contents.update({key: base64.b64decode(value) for key, value in (item.get("binaryData") or {}).items()})
    return contents


def _service_links(service):
    """The variables by which a Service of the namespace was found before there was DNS."""
    address = service["spec"].get("clusterIP")
    ports = service["spec"].get("ports") or []
    if not address or address == "None" or not ports:
        return {}
    name = re.sub(r"[^A-Z0-9]", "_", service["metadata"]["name"].upper())
    links = {f"{name}_SERVICE_HOST": address, f"{name}_SERVICE_PORT": str(ports[0]["port"])}
    for port in ports:
        if port.get("name"):
            suffix = re.sub(r"[^A-Z0-9]", "_", port["name"].upper())
            links[f"{name}_SERVICE_PORT_{suffix}"] = str(port["port"])
    return links


def _escaped(text):
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
