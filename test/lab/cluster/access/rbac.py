"""Role-based access control: may this user do that, by the stored roles and bindings."""

from lab.cluster.access.roles import BINDINGS, CLUSTER_ROLES

RBAC = "rbac.authorization.k8s.io"
MASTERS = "system:masters"


class Authorizer:
    """`cluster` holds Roles, ClusterRoles and their bindings; roles.py has those that every cluster has."""

    def __init__(self, cluster):
        self._cluster = cluster

    def authorize(self, user, verb, group, resource, subresource, namespace, name, path):
        """(allowed, reason). For paths that are no resource, `resource` is "" and `path` says which."""
        if MASTERS in user.groups:
            return True, ""
        problems = []
        for rules, binding, namespaced in self._rules(user, namespace, problems):
            for rule in rules:
                if resource:
                    allowed = _allows(rule, verb, group, resource, subresource, name)
                else:
                    allowed = not namespaced and _allows_path(rule, verb, path)
                if allowed:
                    return True, f"RBAC: allowed by {binding}"
        return False, f"RBAC: {problems[0]}" if problems else ""

    def rules(self, user, namespace):
        """All rules that apply to the user in a namespace, for SelfSubjectRulesReview."""
        if MASTERS in user.groups:
            return CLUSTER_ROLES["cluster-admin"]
        return [rule for rules, _, _ in self._rules(user, namespace, []) for rule in rules]

    def _rules(self, user, namespace, problems):
        """(rules, sentence about the binding, whether it is namespaced) of all bindings of the user."""
        # "" is not a namespace, but the cluster scope.
        for binding in BINDINGS + self._cluster.list(RBAC, "clusterrolebindings"):
            yield from self._bound(user, "", binding, problems)
        if namespace:
            for binding in self._cluster.list(RBAC, "rolebindings", namespace):
                yield from self._bound(user, namespace, binding, problems)

    def _bound(self, user, namespace, binding, problems):
        subject = next((subject for subject in binding.get("subjects") or []
                        if _is_subject(subject, user, namespace)), None)
        if subject is None:
            return
        role = binding["roleRef"]
        rules = self._role_rules(role, namespace)
        if rules is None:
            problems.append(f'{role["kind"].lower()}.{RBAC} "{role["name"]}" not found')
            return
        name = binding["metadata"]["name"]
        kind, where = ("RoleBinding", f"{name}/{namespace}") if namespace else ("ClusterRoleBinding", name)
        yield rules, (f'{kind} "{where}" of {role["kind"]} "{role["name"]}" to '
                      f'{_subject_words(subject, namespace)}'), bool(namespace)

    def _role_rules(self, role, namespace):
        if role["kind"] == "Role":
            stored = self._cluster.get(RBAC, "roles", namespace, role["name"]) if namespace else None
        else:
            stored = self._cluster.get(RBAC, "clusterroles", "", role["name"])
            if stored is None:
                return CLUSTER_ROLES.get(role["name"])
        return None if stored is None else stored.get("rules") or []


def _is_subject(subject, user, namespace):
    kind, name = subject.get("kind"), subject.get("name", "")
    if kind == "User":
        return name == user.name
    if kind == "Group":
        return name in user.groups
    if kind == "ServiceAccount":
        return user.name == f"system:serviceaccount:{subject.get('namespace') or namespace}:{name}"
    return False


def _subject_words(subject, namespace):
    if subject["kind"] == "ServiceAccount":
        return f'ServiceAccount "{subject["name"]}/{subject.get("namespace") or namespace}"'
    return f'{subject["kind"]} "{subject["name"]}"'


def _allows(rule, verb, group, resource, subresource, name):
    full = f"{resource}/{subresource}" if subresource else resource
    resources = rule.get("resources") or []
    names = rule.get("resourceNames") or []
    return (_among(verb, rule.get("verbs")) and _among(group, rule.get("apiGroups")) and
            (_among(full, resources) or bool(subresource) and f"*/{subresource}" in resources) and
            (not names or name in names))


def _allows_path(rule, verb, path):
    return _among(verb, rule.get("verbs")) and any(
        pattern in ("*", path) or pattern.endswith("*") and path.startswith(pattern[:-1])
        for pattern in rule.get("nonResourceURLs") or [])


def _among(value, allowed):
    return bool(allowed) and ("*" in allowed or value in allowed)
