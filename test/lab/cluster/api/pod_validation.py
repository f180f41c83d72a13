"""What makes a pod's spec invalid, alone or as a template."""

import re

from lab.cluster.api.statuses import quoted

LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
LABEL_TEXT = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start "
    "and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?')")

_PORT_NAME = re.compile(r"(?=.*[a-z])(?!.*--)[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_VARIABLE_NAME = re.compile(r"[ -<>-~]+")
_QUANTITY = re.compile(r"([+-]?)(\d+\.?\d*|\.\d+)(m|u|n|k|M|G|T|P|E|[KMGTPE]i|[eE][+-]?\d+)?")
_SUFFIXES = {"n": 1e-9, "u": 1e-6, "m": 1e-3, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15, "E": 1e18,
             **{f"{letter}i": 1024.0 ** (power + 1) for power, letter in enumerate("KMGTPE")}}
_FIELDS = re.compile(r"metadata\.(name|namespace|uid)|metadata\.(labels|annotations)(\['.+'\])?|"
                     r"spec\.nodeName|spec\.serviceAccountName|status\.(hostIPs?|podIPs?)")
_HANDLERS = ("exec", "httpGet", "tcpSocket", "grpc")
_PROBES = ("livenessProbe", "readinessProbe", "startupProbe")
_MINIMUM_TOKEN_SECONDS = 600


def pod_spec(spec, path, causes):
    """Adds what is wrong with a pod's spec to `causes`."""
    if not spec.get("containers"):
        causes.required(f"{path}.containers")
    volumes = set()
    for index, volume in enumerate(spec.get("volumes") or []):
        _volume(volume, f"{path}.volumes[{index}]", volumes, causes)
    names = set()
    for field in ("initContainers", "containers"):
        for index, container in enumerate(spec.get(field) or []):
            where = f"{path}.{field}[{index}]"
            _container(container, where, names, volumes, causes)
            _restarts(container, where, field == "initContainers", causes)
    if spec.get("restartPolicy") not in ("Always", "OnFailure", "Never"):
        causes.unsupported(f"{path}.restartPolicy", spec.get("restartPolicy"),
                           ("Always", "OnFailure", "Never"))
    if (spec.get("terminationGracePeriodSeconds") or 0) < 0:
        causes.invalid(f"{path}.terminationGracePeriodSeconds", spec["terminationGracePeriodSeconds"],
                       "must be greater than or equal to 0")


def _label(field, value, causes):
    if not value:
        causes.required(field)
    elif not LABEL.fullmatch(value) or len(value) > 63:
        causes.invalid(field, value, LABEL_TEXT)


def _duplicate(field, value, causes):
    causes.add("FieldValueDuplicate", field, f"Duplicate value: {quoted(value)}")


def _volume(volume, path, volumes, causes):
    name = volume.get("name", "")
    _label(f"{path}.name", name, causes)
    if name in volumes:
        _duplicate(f"{path}.name", name, causes)
    volumes.add(name)
    if len([source for source in volume if source != "name"]) > 1:
        causes.forbidden(path, "may not specify more than 1 volume type")
    for index, source in enumerate((volume.get("projected") or {}).get("sources") or []):
        where = f"{path}.projected.sources[{index}]"
        token = source.get("serviceAccountToken")
        if token is not None:
            if not token.get("path"):
                causes.required(f"{where}.serviceAccountToken.path")
            if token.get("expirationSeconds", _MINIMUM_TOKEN_SECONDS) < _MINIMUM_TOKEN_SECONDS:
                causes.invalid(f"{where}.serviceAccountToken.expirationSeconds", token["expirationSeconds"],
                               "may not specify a duration less than 10 minutes")


def _container(container, path, names, volumes, causes):
    name = container.get("name", "")
    _label(f"{path}.name", name, causes)
    if name and name in names:
        _duplicate(f"{path}.name", name, causes)
    names.add(name)
    if not container.get("image"):
        causes.required(f"{path}.image")
    _ports(container.get("ports") or [], f"{path}.ports", causes)
    _environment(container.get("env") or [], f"{path}.env", causes)
    paths = set()
    for index, mount in enumerate(container.get("volumeMounts") or []):
        where = f"{path}.volumeMounts[{index}]"
        if mount.get("name") not in volumes:
            causes.add("FieldValueNotFound", f"{where}.name", f"Not found: {quoted(mount.get('name'))}")
        if not mount.get("mountPath"):
            causes.required(f"{where}.mountPath")
        elif mount["mountPath"] in paths:
            causes.invalid(f"{where}.mountPath", mount["mountPath"], "must be unique")
        paths.add(mount.get("mountPath"))
    for probe in _PROBES:
        if container.get(probe) is not None:
            _probe(container[probe], f"{path}.{probe}", probe, causes)
    for hook, handler in (container.get("lifecycle") or {}).items():
        if isinstance(handler, dict):
            _handler(handler, f"{path}.lifecycle.{hook}", ("exec", "httpGet", "tcpSocket", "sleep"), causes)
    _resources(container.get("resources") or {}, f"{path}.resources", causes)
    _security(container.get("securityContext") or {}, f"{path}.securityContext", causes)


def _restarts(container, path, init, causes):
    """Only init containers have a policy of their own, and only those that go on may have probes."""
    policy = container.get("restartPolicy")
    if not init:
        if policy is not None:
            causes.forbidden(f"{path}.restartPolicy", "may not be set for non-init containers")
        return
    if policy not in (None, "Always"):
        causes.unsupported(f"{path}.restartPolicy", policy, ("Always",))
    if policy is None:
        for name in _PROBES + ("lifecycle",):
            if container.get(name) is not None:
                causes.forbidden(f"{path}.{name}", "may not be set for init containers without "
                                 "restartPolicy=Always")


def _ports(ports, path, causes):
    names = set()
    for index, port in enumerate(ports):
        where = f"{path}[{index}]"
        if not port.get("containerPort"):
            causes.required(f"{where}.containerPort")
        elif not 0 < port["containerPort"] < 65536:
            causes.invalid(f"{where}.containerPort", port["containerPort"],
                           "must be between 1 and 65535, inclusive")
        name = port.get("name")
        if not name:
            continue
        if len(name) > 15:
            causes.invalid(f"{where}.name", name, "must be no more than 15 characters")
        elif not _PORT_NAME.fullmatch(name):
            causes.invalid(f"{where}.name", name, "must be a valid port name")
        elif name in names:
            _duplicate(f"{where}.name", name, causes)
        names.add(name)


def _environment(variables, path, causes):
    for index, variable in enumerate(variables):
        where = f"{path}[{index}]"
        if not variable.get("name"):
            causes.required(f"{where}.name")
        elif not _VARIABLE_NAME.fullmatch(variable["name"]):
            causes.invalid(f"{where}.name", variable["name"],
                           "a valid environment variable name must consist "
                           "only of printable ASCII characters other than '='")
        source = variable.get("valueFrom")
        if source is None:
            continue
        if variable.get("value"):
            causes.invalid(f"{where}.valueFrom", "", "may not be specified when `value` is not empty")
        if len(source) != 1:
            causes.invalid(f"{where}.valueFrom", "", "must specify one of: `fieldRef`, `resourceFieldRef`, "
                           "`configMapKeyRef` or `secretKeyRef`")
        reference = source.get("fieldRef")
        if reference is not None and not _FIELDS.fullmatch(reference.get("fieldPath", "")):
            causes.invalid(f"{where}.valueFrom.fieldRef.fieldPath", reference.get("fieldPath", ""),
                           "error converting fieldPath: field label not supported: "
                           + reference.get("fieldPath", ""))


def _probe(probe, path, name, causes):
    _handler(probe, path, _HANDLERS, causes)
    for field in ("initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold",
                  "failureThreshold"):
        if (probe.get(field) or 0) < 0:
            causes.invalid(f"{path}.{field}", probe[field], "must be greater than or equal to 0")
    if name != "readinessProbe" and probe.get("successThreshold", 1) not in (0, 1):
        causes.invalid(f"{path}.successThreshold", probe["successThreshold"], "must be 1")


def _handler(handler, path, kinds, causes):
    found = [kind for kind in kinds if handler.get(kind) is not None]
    if not found:
        causes.required(path, "must specify a handler type")
    for kind in found[1:]:
        causes.forbidden(f"{path}.{kind}", "may not specify more than 1 handler type")
    for kind in ("httpGet", "tcpSocket", "grpc"):
        port = (handler.get(kind) or {"port": 1}).get("port")
        if isinstance(port, str):
            if len(port) > 15 or not _PORT_NAME.fullmatch(port):
                causes.invalid(f"{path}.{kind}.port", port, "must be a valid port name")
        elif not 0 < (port or 0) < 65536:
            causes.invalid(f"{path}.{kind}.port", port or 0, "must be between 1 and 65535, inclusive")
    if (handler.get("exec") or {"command": True}).get("command") in (None, []):
        causes.required(f"{path}.exec.command")


def _resources(resources, path, causes):
    limits, requests = resources.get("limits") or {}, resources.get("requests") or {}
    for field, amounts in (("limits", limits), ("requests", requests)):
        for name, amount in amounts.items():
            if quantity(amount) is None:
                causes.invalid(f"{path}.{field}[{name}]", amount,
                               "quantities must match the regular expression "
                               "'^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'")
            elif quantity(amount) < 0:
                causes.invalid(f"{path}.{field}[{name}]", amount, "must be greater than or equal to 0")
    for name, amount in requests.items():
        wanted, limit = quantity(amount), quantity(limits.get(name, ""))
        if wanted is not None and limit is not None and wanted > limit:
            causes.invalid(f"{path}.requests", amount, f"must be less than or equal to {name} limit of "
                           f"{limits[name]}")


def quantity(amount):
    """The number that a resource.Quantity stands for, or None."""
    match = _QUANTITY.fullmatch(str(amount))
    if not match:
        return None
    suffix = match[3] or ""
    factor = float("1" + suffix) if suffix[:1] in ("e", "E") and len(suffix) > 1 else _SUFFIXES.get(suffix, 1)
    return float(match[1] + match[2]) * factor


def _security(context, path, causes):
    for field in ("runAsUser", "runAsGroup"):
        if (context.get(field) or 0) < 0:
            causes.invalid(f"{path}.{field}", context[field], "must be between 0 and 2147483647, inclusive")
    if context.get("allowPrivilegeEscalation") is False:
        if context.get("privileged"):
            causes.invalid(path, "",
                           "cannot set `allowPrivilegeEscalation` to false and `privileged` to true")
        if "SYS_ADMIN" in ((context.get("capabilities") or {}).get("add") or []):
            causes.invalid(path, "", "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` "
                           "CAP_SYS_ADMIN")
    profile = context.get("seccompProfile")
    if profile is not None and profile.get("type") not in ("Localhost", "RuntimeDefault", "Unconfined"):
        causes.unsupported(f"{path}.seccompProfile.type", profile.get("type", ""),
                           ("Localhost", "RuntimeDefault", "Unconfined"))
