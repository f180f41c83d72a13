"""Label and field selectors: parsed from the query, asked of objects."""

import re

from lab.cluster.api.statuses import bad_request

_REQUIREMENT = re.compile(r"\s*(?:"
                          r"(?P<key>!?\s*[\w./-]+)\s+(?P<set>in|notin)\s*\((?P<values>[^)]*)\)"
                          r"|(?P<name>[\w./-]+)\s*(?P<operator>==|=|!=|>|<)\s*(?P<value>[\w.-]*)"
                          r"|(?P<exists>!?\s*[\w./-]+)"
                          r")\s*(?:,|$)")

_CORE_EVENT = tuple(f"involvedObject.{name}" for name in
                    ("kind", "namespace", "name", "uid", "apiVersion", "resourceVersion", "fieldPath"))

# Beside metadata.name and metadata.namespace.
_FIELDS = {
    ("", "pods"): ("spec.nodeName", "spec.restartPolicy", "spec.schedulerName", "spec.serviceAccountName",
                   "spec.hostNetwork", "status.phase", "status.podIP", "status.podIPs",
                   "status.nominatedNodeName"),
    ("", "nodes"): ("spec.unschedulable",),
    ("", "namespaces"): ("status.phase",),
    ("", "secrets"): ("type",),
    ("", "services"): ("spec.clusterIP", "spec.type"),
    ("", "events"): _CORE_EVENT + ("reason", "reportingComponent", "source", "type"),
    ("events.k8s.io", "events"): tuple(name.replace("involvedObject", "regarding") for name in _CORE_EVENT) +
    ("reason", "reportingController", "type"),
    ("batch", "jobs"): ("status.successful",),
    ("apps", "replicasets"): ("status.replicas",),
}


class LabelSelector:
    """A conjunction of requirements on labels."""

    def __init__(self, text):
        self.requirements = []
        at = 0
        while at < len(text):
            match = _REQUIREMENT.match(text, at)
            if not match:
                raise bad_request(_complaint(text[at:]))
            self._add(match)
            at = match.end()

    def _add(self, match):
        if match["set"]:
            values = frozenset(value.strip() for value in match["values"].split(","))
            self.requirements.append((match["key"], match["set"], values))
        elif match["operator"]:
            operator = "notin" if match["operator"] == "!=" else "in"
            if match["operator"] in "<>":
                operator = match["operator"]
            self.requirements.append((match["name"], operator, frozenset((match["value"],))))
        else:
            name = match["exists"]
            self.requirements.append((name.lstrip("! "), "!" if name.startswith("!") else "exists", None))

    def matches(self, obj):
        labels = obj["metadata"].get("labels") or {}
        for key, operator, values in self.requirements:
            value = labels.get(key)
            if operator == "in":
                holds = value is not None and value in values
            elif operator == "notin":
                holds = value not in values
            elif operator == "exists":
                holds = value is not None
            elif operator == "!":
                holds = value is None
            else:
                holds = _compare(value, operator, next(iter(values)))
            if not holds:
                return False
        return True


def _compare(value, operator, limit):
    try:
        return int(value) > int(limit) if operator == ">" else int(value) < int(limit)
    except (TypeError, ValueError):
        return False


def _complaint(rest):
    found = re.match(r"\s*[\w./-]+\s*(?:==|=|!=)\s*(\S)", rest)
    if found:
        return f"unable to parse requirement: found '{found[1]}', expected: identifier"
    return f"unable to parse requirement: found '{rest.strip()[:20]}', expected: identifier"


class FieldSelector:
    """A conjunction of equations on fields."""

    def __init__(self, text, kind):
        self.requirements = []
        for term in text.split(","):
            if not term:
                continue
            match = re.fullmatch(r"([^=!]+)(!=|==|=)(.*)", term)
            if not match:
                raise bad_request(f"invalid selector: '{term}'; can't understand '{term}'")
            name = match[1].strip()
            self._check(name, kind)
            self.requirements.append((tuple(name.split(".")), match[2] == "!=", match[3]))

    @staticmethod
    def _check(name, kind):
        if name == "metadata.name" or name == "metadata.namespace" and kind.namespaced:
            return
        if kind.custom is not None:
            if name in kind.custom.selectable_fields:
                return
            raise bad_request(f"field label not supported: {name}")
        if name not in _FIELDS.get((kind.group, kind.resource), ()):
            if (kind.group, kind.resource) in _FIELDS:
                raise bad_request(f"field label not supported: {name}")
            raise bad_request(
                f'"{name}" is not a known field selector: only "metadata.name", "metadata.namespace"')

    def matches(self, obj):
        for path, negated, wanted in self.requirements:
            if (self._value(obj, path) == wanted) == negated:
                return False
        return True

    @staticmethod
    def _value(obj, path):
        value = obj
        if path == ("source",):
            path = ("source", "component")
        if path[0] == "regarding" and "involvedObject" in obj:
            path = ("involvedObject",) + path[1:]
        for name in path:
            value = value.get(name) if isinstance(value, dict) else None
        if isinstance(value, bool):
            return "true" if value else "false"
        return "" if value is None else str(value)


class Selection:
    """What a list, a watch or a deletion asks for: a namespace and selectors."""

    def __init__(self, kind, namespace, label_selector="", field_selector=""):
        self.namespace = namespace  # "" is all
        self._labels = LabelSelector(label_selector) if label_selector else None
        self._fields = FieldSelector(field_selector, kind) if field_selector else None
        self.selective = bool(label_selector or field_selector)
        self.everything = not (namespace or self.selective)
        self.name = self._single_name()

    def _single_name(self):
        """The name, if only one object can match."""
        for path, negated, wanted in self._fields.requirements if self._fields else ():
            if path == ("metadata", "name") and not negated:
                return wanted
        return None

    def matches(self, stored):
        if stored is None:
            return False
        if self.namespace and stored.namespace != self.namespace:
            return False
        if self._labels is not None and not self._labels.matches(stored.object):
            return False
        return self._fields is None or self._fields.matches(stored.object)
