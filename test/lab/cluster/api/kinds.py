"""The table of kinds: every resource that the server has from the start, one row each."""

from dataclasses import dataclass, field
from typing import Optional

from lab.cluster.api import fields

ALL_VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")


@dataclass(frozen=True)
class Kind:
    """A resource in one version: what routes, discovery, storage and validation know of it."""
    group: str
    version: str
    resource: str
    kind: str
    namespaced: bool
    singular: str = ""
    short_names: tuple = ()
    categories: tuple = ()
    subresources: tuple = ()  # of status, scale and those in SUBRESOURCES
    verbs: tuple = ALL_VERBS
    shape: Optional[fields.Shape] = field(default=None, compare=False, repr=False)
    generation: bool = False  # metadata.generation counts the changes of anything but metadata and status
    custom: object = field(default=None, compare=False, repr=False)  # its definitions.CustomVersion
    stored_as: Optional[str] = None  # another group whose objects these are: events.k8s.io shows core events

    @property
    def api_version(self):
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def qualified(self):
        """As messages name it: "pods", "deployments.apps"."""
        return f"{self.resource}.{self.group}" if self.group else self.resource

    @property
    def qualified_kind(self):
        return f"{self.kind}.{self.group}" if self.group else self.kind

    @property
    def storage_key(self):
        return (self.group if self.stored_as is None else self.stored_as, self.resource)

    @property
    def has_status(self):
        return "status" in self.subresources


_RBAC = "rbac.authorization.k8s.io"
_ADMISSION = "admissionregistration.k8s.io"
_AUTHN = "authentication.k8s.io"
_AUTHZ = "authorization.k8s.io"

# group, version, resource, kind, namespaced, short names, categories, subresources, package, generation
_ROWS = (
    ("", "v1", "configmaps", "ConfigMap", True, "cm", "", "", "core", False),
    ("", "v1", "endpoints", "Endpoints", True, "ep", "", "", "core", False),
    ("", "v1", "events", "Event", True, "ev", "", "", "core", False),
    ("", "v1", "limitranges", "LimitRange", True, "limits", "", "", "core", False),
    ("", "v1", "namespaces", "Namespace", False, "ns", "", "finalize status", "core", False),
    ("", "v1", "nodes", "Node", False, "no", "", "status", "core", False),
    ("", "v1", "persistentvolumeclaims", "PersistentVolumeClaim", True, "pvc", "", "status", "core", False),
    ("", "v1", "pods", "Pod", True, "po", "all",
     "binding eviction exec log portforward status", "core", True),
    ("", "v1", "resourcequotas", "ResourceQuota", True, "quota", "", "status", "core", False),
    ("", "v1", "secrets", "Secret", True, "", "", "", "core", False),
    ("", "v1", "serviceaccounts", "ServiceAccount", True, "sa", "", "token", "core", False),
    ("", "v1", "services", "Service", True, "svc", "all", "status", "core", False),
    ("apps", "v1", "controllerrevisions", "ControllerRevision", True, "", "", "", "apps", False),
    ("apps", "v1", "daemonsets", "DaemonSet", True, "ds", "all", "status", "apps", True),
    ("apps", "v1", "deployments", "Deployment", True, "deploy", "all", "scale status", "apps", True),
    ("apps", "v1", "replicasets", "ReplicaSet", True, "rs", "all", "scale status", "apps", True),
    ("apps", "v1", "statefulsets", "StatefulSet", True, "sts", "all", "scale status", "apps", True),
    ("events.k8s.io", "v1", "events", "Event", True, "ev", "", "", "events", False),
    (_AUTHN, "v1", "selfsubjectreviews", "SelfSubjectReview", False, "", "", "", "authentication", False),
    (_AUTHN, "v1", "tokenreviews", "TokenReview", False, "", "", "", "authentication", False),
    (_AUTHZ, "v1", "localsubjectaccessreviews", "LocalSubjectAccessReview", True, "", "", "",
     "authorization", False),
    (_AUTHZ, "v1", "selfsubjectaccessreviews", "SelfSubjectAccessReview", False, "", "", "",
     "authorization", False),
    (_AUTHZ, "v1", "selfsubjectrulesreviews", "SelfSubjectRulesReview", False, "", "", "",
     "authorization", False),
    (_AUTHZ, "v1", "subjectaccessreviews", "SubjectAccessReview", False, "", "", "", "authorization", False),
    ("batch", "v1", "cronjobs", "CronJob", True, "cj", "all", "status", "batch", True),
    ("batch", "v1", "jobs", "Job", True, "", "all", "status", "batch", True),
    ("networking.k8s.io", "v1", "ingresses", "Ingress", True, "ing", "", "status", "networking", True),
    ("networking.k8s.io", "v1", "networkpolicies", "NetworkPolicy", True, "netpol", "", "", "networking",
     True),
    ("policy", "v1", "poddisruptionbudgets", "PodDisruptionBudget", True, "pdb", "", "status", "policy",
     True),
    (_RBAC, "v1", "clusterrolebindings", "ClusterRoleBinding", False, "", "", "", "rbac", False),
    (_RBAC, "v1", "clusterroles", "ClusterRole", False, "", "", "", "rbac", False),
    (_RBAC, "v1", "rolebindings", "RoleBinding", True, "", "", "", "rbac", False),
    (_RBAC, "v1", "roles", "Role", True, "", "", "", "rbac", False),
    (_ADMISSION, "v1", "mutatingwebhookconfigurations", "MutatingWebhookConfiguration", False, "",
     "api-extensions", "", "admissionregistration", True),
    (_ADMISSION, "v1", "validatingwebhookconfigurations", "ValidatingWebhookConfiguration", False, "",
     "api-extensions", "", "admissionregistration", True),
    ("apiextensions.k8s.io", "v1", "customresourcedefinitions", "CustomResourceDefinition", False, "crd crds",
     "api-extensions", "status", "apiextensions", True),
    ("coordination.k8s.io", "v1", "leases", "Lease", True, "", "", "", "coordination", False),
    ("discovery.k8s.io", "v1", "endpointslices", "EndpointSlice", True, "", "", "", "discovery", True),
)

# Subresources with objects of their own: group, version, kind, package, verbs.
SUBRESOURCES = {
    "binding": ("", "v1", "Binding", "core", ("create",)),
    "eviction": ("policy", "v1", "Eviction", "policy", ("create",)),
    "exec": ("", "v1", "PodExecOptions", "", ("create", "get")),
    "log": ("", "v1", "Pod", "", ("get",)),
    "portforward": ("", "v1", "PodPortForwardOptions", "", ("create", "get")),
    "scale": ("autoscaling", "v1", "Scale", "autoscaling", ("get", "patch", "update")),
    "token": ("authentication.k8s.io", "v1", "TokenRequest", "authentication", ("create",)),
}

REVIEWS = frozenset(("selfsubjectreviews", "tokenreviews", "localsubjectaccessreviews",
                     "selfsubjectaccessreviews", "selfsubjectrulesreviews", "subjectaccessreviews"))


def _built_in():
    for (group, version, resource, kind, namespaced, short, categories, subresources, package,
         generation) in _ROWS:
        verbs = ALL_VERBS
        if resource in REVIEWS:
            verbs = ("create",)
        elif resource == "namespaces":
            verbs = tuple(verb for verb in ALL_VERBS if verb != "deletecollection")
        yield Kind(group, version, resource, kind, namespaced, singular=kind.lower(),
                   short_names=tuple(short.split()), categories=tuple(categories.split()),
                   subresources=tuple(subresources.split()), verbs=verbs, shape=fields.struct(package, kind),
                   generation=generation, stored_as="" if group == "events.k8s.io" else None)


BUILT_IN = tuple(_built_in())


class Kinds:
    """What is served at the moment: the built-in kinds, and those of installed definitions.

    Immutable snapshots behind one reference, so that readers need no lock.
    """

    def __init__(self):
        self._served = {(kind.group, kind.version, kind.resource): kind for kind in BUILT_IN}
        self.revision = 0

    def get(self, group, version, resource):
        return self._served.get((group, version, resource))

    def all(self):
        return list(self._served.values())

    def by_kind(self, group, kind):
        """Any version of a kind, or None."""
        for served in self._served.values():
            if served.group == group and served.kind == kind:
                return served
        return None

    def of_storage(self, group, resource):
        """The kind in the version that is stored, or None."""
        found = None
        for served in self._served.values():
            if (served.group, served.resource) == (group, resource):
                if served.custom is None or served.custom.storage:
                    return served
                found = found or served
        return found

    def groups(self):
        """{group: [version, ...]}, both in the order of discovery."""
        groups = {}
        for kind in self._served.values():
            versions = groups.setdefault(kind.group, [])
            if kind.version not in versions:
                versions.append(kind.version)
        custom = sorted({kind.group for kind in self._served.values() if kind.custom is not None})
        last = {group: groups.pop(group) for group in custom}
        return {**groups, **last}

    def in_version(self, group, version):
        return [kind for kind in self._served.values() if kind.group == group and kind.version == version]

    def set_custom(self, group, resource, kinds):
        """Serves exactly these versions of a custom resource; none takes it away."""
        served = {key: kind for key, kind in self._served.items()
                  if kind.custom is None or (kind.group, kind.resource) != (group, resource)}
        served.update({(kind.group, kind.version, kind.resource): kind for kind in kinds})
        self._served = served
        self.revision += 1


