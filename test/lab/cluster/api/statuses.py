"""The errors of the API, each with the words that clients know."""

from lab.cluster.api.interfaces import StatusError


def _details(kind, name, kind_name=None, **more):
    details = {}
    if name:
        details["name"] = name
    if kind.group:
        details["group"] = kind.group
    details["kind"] = kind_name or kind.resource
    details.update(more)
    return details


def not_found(kind, name):
    return StatusError(404, "NotFound", f'{kind.qualified} "{name}" not found', _details(kind, name))


def unknown_resource():
    return StatusError(404, "NotFound", "the server could not find the requested resource", {})


def already_exists(kind, name):
    return StatusError(409, "AlreadyExists", f'{kind.qualified} "{name}" already exists',
                       _details(kind, name))


def conflict(kind, name, why=None):
    why = why or "the object has been modified; please apply your changes to the latest version and try again"
    return StatusError(409, "Conflict", f'Operation cannot be fulfilled on {kind.qualified} "{name}": {why}',
                       _details(kind, name))


def precondition(kind, name, what, wanted, recorded):
    return StatusError(
        409, "Conflict",
        f'Operation cannot be fulfilled on {kind.kind} "{name}": the {what} in the precondition ({wanted}) '
        f"does not match the {what} in record ({recorded}). The object might have been "
        + ("deleted and then recreated" if what == "UID" else "modified"),
        {"name": name, "kind": kind.kind})


def bad_request(message):
    return StatusError(400, "BadRequest", message)


def forbidden(kind, name, why, causes=None):
    named = f'{kind.qualified} "{name}"' if name else kind.qualified
    return StatusError(403, "Forbidden", f"{named} is forbidden: {why}",
                       _details(kind, name, **({"causes": causes} if causes else {})))


def method_not_allowed():
    return StatusError(405, "MethodNotAllowed",
                       "the server does not allow this method on the requested resource", {})


def unsupported_media_type(accepted):
    return StatusError(415, "UnsupportedMediaType",
                       "the body of the request was in an unknown format - accepted media "
                       "types include: " + ", ".join(accepted))


def not_acceptable(accepted):
    return StatusError(406, "NotAcceptable",
                       "only the following media types are accepted: " + ", ".join(accepted))


def too_large(limit):
    return StatusError(413, "RequestEntityTooLarge", f"Request entity too large: limit is {limit}")


def expired(message, metadata=None):
    return StatusError(410, "Expired", message, metadata=metadata)


def future_version(wanted, current):
    return StatusError(504, "Timeout", f"Timeout: Too large resource version: {wanted}, current: {current}",
                       {"causes": [{"reason": "ResourceVersionTooLarge",
                                    "message": "Too large resource version"}],
                        "retryAfterSeconds": 1}, retry_after=1)


class Causes:
    """Field errors, gathered until somebody asks for the answer."""

    def __init__(self):
        self.causes = []

    def add(self, reason, field, message):
        self.causes.append({"reason": reason, "message": message, "field": field})

    def required(self, field, detail=""):
        self.add("FieldValueRequired", field, "Required value" + (f": {detail}" if detail else ""))

    def invalid(self, field, value, detail):
        self.add("FieldValueInvalid", field, f"Invalid value: {quoted(value)}: {detail}")

    def unsupported(self, field, value, supported):
        names = ", ".join(quoted(name) for name in supported)
        self.add("FieldValueNotSupported", field,
                 f"Unsupported value: {quoted(value)}: supported values: {names}")

    def forbidden(self, field, detail):
        self.add("FieldValueForbidden", field, f"Forbidden: {detail}")

    def raise_for(self, qualified_kind, group, kind, name):
        """Raises 422 if there is any."""
        if not self.causes:
            return
        parts = [f"{cause['field']}: {cause['message']}" for cause in self.causes]
        text = parts[0] if len(parts) == 1 else "[" + ", ".join(parts) + "]"
        details = {"name": name} if name else {}
        if group:
            details["group"] = group
        details.update(kind=kind, causes=self.causes)
        raise StatusError(422, "Invalid", f'{qualified_kind} "{name}" is invalid: {text}', details)

    def raise_for_kind(self, kind, name):
        self.raise_for(kind.qualified_kind, kind.group, kind.kind, name)


def quoted(value):
    """A value as messages show it."""
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return "[" + ",".join(quoted(item) for item in value) + "]"
    if isinstance(value, dict):
        return "{" + ",".join(f"{quoted(key)}:{quoted(item)}" for key, item in value.items()) + "}"
    return str(value)
