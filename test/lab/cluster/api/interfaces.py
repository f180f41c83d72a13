"""What the API server and `lab.cluster.access` agree on: users, calls, admission, errors.

`lab.cluster.access` has one function, `create(cluster, options) -> Access`. The server calls it once,
before it listens. Everything here is called from many threads at the same time.
"""

from dataclasses import dataclass, field
from typing import Callable, Optional, Protocol


class StatusError(Exception):
    """An error answer: an HTTP code, and the `Status` object that the client reads."""

    def __init__(self, code, reason, message, details=None, retry_after=None, metadata=None):
        """`reason` is a Kubernetes reason ("NotFound"); "" leaves it out. `retry_after` is in seconds."""
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message
        self.details = details
        self.retry_after = retry_after
        self.metadata = metadata or {}

    def status(self):
        """The Status as it goes over the wire."""
        status = {"kind": "Status", "apiVersion": "v1", "metadata": self.metadata, "status": "Failure",
                  "message": self.message}
        if self.reason:
            status["reason"] = self.reason
        if self.details is not None:
            status["details"] = self.details
        status["code"] = self.code
        return status

    @classmethod
    def of(cls, status):
        """From a Status object, as a webhook answers it."""
        return cls(status.get("code") or 500, status.get("reason", ""), status.get("message", ""),
                   status.get("details"))


@dataclass(frozen=True)
class User:
    """Who calls: what a TokenReview or SelfSubjectReview tells of them."""
    name: str
    uid: str = ""
    groups: tuple = ()
    extra: dict = field(default_factory=dict)  # {key: [value, ...]}

    def info(self):
        """As `UserInfo` in JSON (authentication.k8s.io/v1)."""
        info = {"username": self.name}
        if self.uid:
            info["uid"] = self.uid
        if self.groups:
            info["groups"] = list(self.groups)
        if self.extra:
            info["extra"] = {key: list(values) for key, values in self.extra.items()}
        return info


ANONYMOUS = User("system:anonymous", groups=("system:unauthenticated",))
ADMIN = User("kubernetes-admin", groups=("system:masters", "system:authenticated"))


@dataclass(frozen=True)
class Resource:
    """A resource as a request names it."""
    group: str  # "" is the core group
    version: str
    resource: str  # plural: "pods"
    kind: str
    namespaced: bool
    subresource: str = ""


class Cluster(Protocol):
    """Read access to what is stored. Objects are shared: whoever wants to change one copies it.

    They have `apiVersion` and `kind`; custom resources come in their storage version.
    """

    def get(self, group, resource, namespace, name) -> Optional[dict]:
        """One object or None. `namespace` is "" for resources without one."""

    def list(self, group, resource, namespace=None) -> list:
        """All objects, or those of one namespace, by namespace and name."""

    def revision(self, group, resource) -> int:
        """A number that changes with every change of such an object: whatever was derived is good until
        then."""

    def served(self, group, version, resource) -> Optional[Resource]:
        """The resource if this server serves it, else None."""

    def update(self, group, resource, namespace, name, change: Callable[[dict], None]) -> Optional[dict]:
        """Changes one stored object in place of all clients (no admission): `change` gets a copy to edit."""


@dataclass
class Admission:
    """A write on its way to the storage."""
    operation: str  # CREATE, UPDATE, DELETE, CONNECT
    resource: Resource  # as requested, subresource included
    namespace: str
    name: str  # "" with generateName
    object: Optional[dict]  # defaulted; None for DELETE
    old_object: Optional[dict]  # None for CREATE
    options: dict  # CreateOptions, UpdateOptions, PatchOptions or DeleteOptions, with kind and apiVersion
    dry_run: bool
    user: User


@dataclass
class Call:
    """A request that the server hands over whole: reviews, tokens, exec and port-forward."""
    method: str
    path: str
    query: dict  # {name: [value, ...]}, decoded
    headers: dict  # names in lower case
    user: User
    resource: Optional[Resource]  # None for paths that are no resource
    namespace: str = ""
    name: str = ""
    body: Optional[dict] = None  # decoded from JSON, YAML or protobuf; None if there is none
    dry_run: bool = False
    connection: object = None  # the client's TLS socket
    take_over: Optional[Callable[[], bytes]] = None  # the server lets go; returns bytes already read ahead


@dataclass
class Answer:
    """What a handler answers; `content` is an object (sent as JSON) or bytes."""
    code: int
    content: object
    content_type: str = "application/json"
    headers: dict = field(default_factory=dict)


class Access(Protocol):
    """Who may do what: written in `lab.cluster.access`."""

    def authenticate(self, headers, client_cert) -> Optional[User]:
        """The caller. `headers` have names in lower case, `client_cert` is DER and verified against the
        cluster's CA, or None. ANONYMOUS without credentials, None (401) with bad ones."""

    def authorize(self, user, verb, group, resource, subresource, namespace, name, path) -> tuple:
        """(allowed, reason). For paths that are no resource, `resource` is "" and `path` says which."""

    def admit(self, admission: Admission, settle: Callable[[dict], dict]) -> tuple:
        """(object, warnings): mutating webhooks, then `settle` once, then validating webhooks on what it
        returned.

        `settle(object)` prunes, defaults and validates as the server does, and raises StatusError for an
        invalid object; for DELETE and CONNECT it is not called and the object is None. Refusals are
        StatusErrors."""

    def handlers(self) -> dict:
        """{(group, resource, subresource): function(Call) -> Answer, or None if it took the connection over}.

        A handler gets every method its resource has; authentication and authorization have been done."""

    def paths(self) -> dict:
        """{path: function(Call) -> Answer} for paths that are no resource (OIDC discovery, keys)."""


@dataclass(frozen=True)
class Options:
    """What the server tells `create(cluster, options)`."""
    directory: str  # for keys that must survive a restart
    ca_certificate: bytes  # PEM of the cluster's CA: client certificates are signed by it
    ca_key: bytes
    server_url: str  # of the host side: the token issuer is not this, but https://kubernetes.default.svc...
    node_namespace: str = ""  # the lab's network namespace in which pods and services can be reached
    node_directory: str = ""  # the node's files (node/layout.py), for exec and logs; "" without a node
