"""The error answers of the access side, in the words of a real API server."""

from lab.cluster.api.interfaces import StatusError


def bad_request(message):
    return StatusError(400, "BadRequest", message)


def not_found(group, resource, name):
    details = {"name": name, "group": group, "kind": resource} if group else {"name": name, "kind": resource}
    return StatusError(404, "NotFound", f'{_qualified(group, resource)} "{name}" not found', details)


def conflict(kind, name, problem):
    return StatusError(409, "Conflict", f'Operation cannot be fulfilled on {kind} "{name}": {problem}',
                       {"name": name, "kind": kind})


def invalid(group, kind, name, field, problem):
    """One field is wrong; `problem` says how, "Invalid value: ..." or "Required value: ..."."""
    reason = "FieldValueRequired" if problem.startswith("Required value") else "FieldValueInvalid"
    details = {"name": name, "group": group, "kind": kind,
               "causes": [{"reason": reason, "message": problem, "field": field}]}
    return StatusError(422, "Invalid", f'{_qualified(group, kind)} "{name}" is invalid: {field}: {problem}',
                       {key: value for key, value in details.items() if value})


def internal(message):
    return StatusError(500, "InternalError", f"Internal error occurred: {message}",
                       {"causes": [{"message": message}]})


def forbidden(user, verb, group, resource, namespace, name, reason=""):
    subject = _qualified(group, resource) + (f' "{name}"' if name else "")
    scope = f'in the namespace "{namespace}"' if namespace else "at the cluster scope"
    details = {"name": name, "group": group, "kind": resource}
    return StatusError(403, "Forbidden", f'{subject} is forbidden: User "{user.name}" cannot {verb} resource '
                       f'"{resource}" in API group "{group}" {scope}{": " if reason else ""}{reason}',
                       {key: value for key, value in details.items() if value})


def _qualified(group, name):
    return f"{name}.{group}" if group else name
