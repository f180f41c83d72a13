"""Roles and bindings that every cluster has, as far as a mesh and its users need them.

They apply without being stored; a stored ClusterRole of the same name goes before.
"""

_EVERYTHING = [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]},
               {"nonResourceURLs": ["*"], "verbs": ["*"]}]

# The groups that `view`, `edit` and `admin` speak of.
_WORKLOADS = [
    {"apiGroups": [""], "resources": ["configmaps", "endpoints", "events", "pods", "pods/log", "pods/status",
                                      "serviceaccounts", "services", "services/status"]},
    {"apiGroups": ["apps"], "resources": ["daemonsets", "deployments", "deployments/scale", "replicasets",
                                          "statefulsets"]},
    {"apiGroups": ["batch"], "resources": ["cronjobs", "jobs"]},
    {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"]},
    {"apiGroups": ["policy"], "resources": ["poddisruptionbudgets"]},
    {"apiGroups": ["networking.k8s.io"], "resources": ["networkpolicies"]},
]
_READ = ["get", "list", "watch"]
_WRITE = ["create", "delete", "deletecollection", "patch", "update"]

_VIEW = [dict(rule, verbs=_READ) for rule in _WORKLOADS] + [
    {"apiGroups": [""], "resources": ["namespaces"], "verbs": _READ}]
_EDIT = _VIEW + [dict(rule, verbs=_WRITE) for rule in _WORKLOADS] + [
    {"apiGroups": [""], "resources": ["secrets"], "verbs": _READ + _WRITE},
    {"apiGroups": [""], "resources": ["pods/exec", "pods/portforward"], "verbs": ["create", "get"]}]
_ADMIN = _EDIT + [{"apiGroups": ["rbac.authorization.k8s.io"], "resources": ["roles", "rolebindings"],
                   "verbs": _READ + _WRITE}]

CLUSTER_ROLES = {
    "cluster-admin": _EVERYTHING,
    "admin": _ADMIN,
    "edit": _EDIT,
    "view": _VIEW,
    "system:auth-delegator": [
        {"apiGroups": ["authentication.k8s.io"], "resources": ["tokenreviews"], "verbs": ["create"]},
        {"apiGroups": ["authorization.k8s.io"], "resources": ["subjectaccessreviews"], "verbs": ["create"]}],
    "system:discovery": [
        {"nonResourceURLs": ["/api", "/api/*", "/apis", "/apis/*", "/healthz", "/livez", "/openapi",
                             "/openapi/*", "/readyz", "/version", "/version/"], "verbs": ["get"]}],
    "system:public-info-viewer": [
        {"nonResourceURLs": ["/healthz", "/livez", "/readyz", "/version", "/version/"], "verbs": ["get"]}],
    "system:basic-user": [
        {"apiGroups": ["authorization.k8s.io"], "verbs": ["create"],
         "resources": ["selfsubjectaccessreviews", "selfsubjectrulesreviews"]},
        {"apiGroups": ["authentication.k8s.io"], "resources": ["selfsubjectreviews"], "verbs": ["create"]}],
    "system:service-account-issuer-discovery": [
        {"nonResourceURLs": ["/.well-known/openid-configuration", "/.well-known/openid-configuration/",
                             "/openid/v1/jwks", "/openid/v1/jwks/"], "verbs": ["get"]}],
}


def _to_groups(role, *groups):
    return {"metadata": {"name": role}, "roleRef": {"kind": "ClusterRole", "name": role},
            "subjects": [{"kind": "Group", "name": group} for group in groups]}


BINDINGS = [
    _to_groups("system:discovery", "system:authenticated"),
    _to_groups("system:public-info-viewer", "system:authenticated", "system:unauthenticated"),
    _to_groups("system:basic-user", "system:authenticated"),
    _to_groups("system:service-account-issuer-discovery", "system:serviceaccounts"),
]
