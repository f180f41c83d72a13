"""Acting as somebody else (`kubectl --as`): a right of its own, for that user and for each of the groups."""

from lab.cluster.access.authentication import AUTHENTICATED
from lab.cluster.access.errors import bad_request, forbidden
from lab.cluster.api.interfaces import ANONYMOUS, User

_ACCOUNT = "system:serviceaccount:"


def impersonated(user, headers, authorizer):
    """The user that the headers ask for, or `user` if they ask for none. Raises StatusError."""
    name = headers.get("impersonate-user", "")
    groups = [group.strip() for group in headers.get("impersonate-group", "").split(",") if group.strip()]
    if not name:
        if groups:
            raise bad_request("requested groups without impersonating a user")
        return user
    if name.startswith(_ACCOUNT):
        namespace, _, account = name[len(_ACCOUNT):].partition(":")
        _check(authorizer, user, "serviceaccounts", account, namespace)
        implied = ["system:serviceaccounts", f"system:serviceaccounts:{namespace}"]
    else:
        _check(authorizer, user, "users", name)
        implied = []
    for group in groups:
        _check(authorizer, user, "groups", group)
    groups = groups or implied
    known = [] if name == ANONYMOUS.name or AUTHENTICATED in groups else [AUTHENTICATED]
    return User(name, headers.get("impersonate-uid", ""), tuple(groups + known))


def _check(authorizer, user, resource, name, namespace=""):
    allowed, reason = authorizer.authorize(user, "impersonate", "", resource, "", namespace, name, "")
    if not allowed:
        raise forbidden(user, "impersonate", "", resource, namespace, name, reason)
