"""Service account tokens: issued by TokenRequest, believed as long as the account and the bound pod live.

Answers are not cached. A real API server may believe the token of a deleted pod for ten seconds more.
"""

import os
import time
import uuid
from typing import NamedTuple

from lab.cluster.access import jwt
from lab.cluster.access.errors import bad_request, conflict, invalid, not_found
from lab.cluster.api.interfaces import StatusError, User

ISSUER = "https://kubernetes.default.svc"
# Who names no audience means the API server itself.
DEFAULT_AUDIENCES = (ISSUER,)

_DEFAULT_SECONDS = 3600
_MINIMUM_SECONDS = 600
_MAXIMUM_SECONDS = 1 << 32
# Clocks may differ by so much, and a deleted object is believed for so long.
_LEEWAY_SECONDS = 60

_EXTRA = "authentication.kubernetes.io/"


class Untrusted(Exception):
    """A token that proves nothing; the message says why, "" if there is nothing to say."""


class Issued(NamedTuple):
    """A new token."""
    token: str
    expiry: int  # seconds since the epoch
    spec: dict  # of the TokenRequest, completed
    account_uid: str


class Tokens:
    """`cluster` is asked for accounts, pods and nodes; `now` returns seconds since the epoch."""

    def __init__(self, cluster, directory, now=time.time):
        self._cluster = cluster
        self._now = now
        self.key = jwt.SigningKey(os.path.join(directory, "service-account.key"))

    def issue(self, namespace, account_name, spec):
        """The token that the spec of a TokenRequest asks for: Issued. Raises StatusError."""
        account = self._cluster.get("", "serviceaccounts", namespace, account_name)
        if account is None:
            raise not_found("", "serviceaccounts", account_name)
        audiences = spec.get("audiences") or list(DEFAULT_AUDIENCES)
        seconds = spec.get("expirationSeconds")
        seconds = _DEFAULT_SECONDS if seconds is None else seconds
        _check_seconds(seconds)
        reference = spec.get("boundObjectRef")
        binding = {"namespace": namespace}
        if reference:
            binding.update(self._binding(namespace, account_name, reference))
        binding["serviceaccount"] = _reference(account)
        issued = int(self._now())
        token = self.key.sign({
            "aud": audiences, "exp": issued + seconds, "iat": issued, "iss": ISSUER, "jti": str(uuid.uuid4()),
            "kubernetes.io": binding, "nbf": issued,
            "sub": f"system:serviceaccount:{namespace}:{account_name}"})
        completed = {"audiences": audiences, "expirationSeconds": seconds,
                     "boundObjectRef": _ordered(reference)}
        return Issued(token, issued + seconds, completed, account["metadata"]["uid"])

    def _binding(self, namespace, account_name, reference):
        """The claims of a token bound to an object."""
        kind, name, uid = reference.get("kind"), reference.get("name", ""), reference.get("uid")
        if kind == "Pod":
            bound = self._cluster.get("", "pods", namespace, name)
        elif kind == "Secret":
            bound = self._cluster.get("", "secrets", namespace, name)
        elif kind == "Node":
            bound = self._cluster.get("", "nodes", "", name)
        else:
            raise bad_request(f"cannot bind token to object of type {kind}")
        if bound is None:
            raise not_found("", f"{kind.lower()}s", name)
        if uid and uid != bound["metadata"]["uid"]:
            raise conflict(kind, name, f"the UID in the bound object reference ({uid}) does not match the "
                                       "UID in record. The object might have been deleted and then recreated")
        if kind != "Pod":
            return {kind.lower(): _reference(bound)}
        if bound["spec"].get("serviceAccountName", "default") != account_name:
            raise bad_request(f'cannot bind token for serviceaccount "{account_name}" to pod running with '
                              "different serviceaccount name.")
        claims = {}
        node_name = bound["spec"].get("nodeName")
        if node_name:
            node = self._cluster.get("", "nodes", "", node_name)
            claims["node"] = _reference(node) if node else {"name": node_name}
        claims["pod"] = _reference(bound)
        return claims

    def authenticate(self, token, wanted_audiences):
        """(User, audiences that were asked for and that the token is for). Raises Untrusted."""
        try:
            _, claims = jwt.parse(token)
        except jwt.Malformed as error:
            raise Untrusted("") from error
        if claims.get("iss") != ISSUER:
            raise Untrusted("")
        try:
            self.key.verify(token)
        except (jwt.BadSignature, jwt.Malformed) as error:
            raise Untrusted("go-jose/go-jose: error in cryptographic primitive") from error
        audiences = [audience for audience in wanted_audiences if audience in claims["aud"]]
        if not audiences:
            raise Untrusted(f"token audiences {_quoted(claims['aud'])} is invalid for the target audiences "
                            f"{_quoted(wanted_audiences)}")
        self._check_life(claims)
        return _user(claims), audiences

    def _check_life(self, claims):
        now = self._now()
        if now > claims["exp"] + _LEEWAY_SECONDS:
            raise Untrusted("service account token has expired")
        if now < claims["nbf"] - _LEEWAY_SECONDS:
            raise Untrusted("service account token is not valid yet")
        binding = claims["kubernetes.io"]
        namespace, account = binding["namespace"], binding["serviceaccount"]
        stored = self._cluster.get("", "serviceaccounts", namespace, account["name"])
        if stored is None:
            raise Untrusted(f'serviceaccounts "{account["name"]}" not found')
        if stored["metadata"]["uid"] != account["uid"]:
            raise Untrusted(f"service account UID ({stored['metadata']['uid']}) does not match claim "
                            f"({account['uid']})")
        for kind in ("pod", "secret"):
            if kind in binding:
                self._check_bound(kind, namespace, binding[kind])
        if "node" in binding and "pod" not in binding:
            self._check_bound("node", "", binding["node"])

    def _check_bound(self, kind, namespace, reference):
        stored = self._cluster.get("", f"{kind}s", namespace, reference["name"])
        if stored is None:
            raise Untrusted("service account token has been invalidated")
        if stored["metadata"]["uid"] != reference["uid"]:
            raise Untrusted(f"{kind} UID ({stored['metadata']['uid']}) does not match service account {kind} "
                            f"ref claim ({reference['uid']})")


def _user(claims):
    binding = claims["kubernetes.io"]
    extra = {f"{_EXTRA}credential-id": [f"JTI={claims['jti']}"]}
    for kind in ("node", "pod"):
        if kind in binding:
            extra[f"{_EXTRA}{kind}-name"] = [binding[kind]["name"]]
            if "uid" in binding[kind]:
                extra[f"{_EXTRA}{kind}-uid"] = [binding[kind]["uid"]]
    return User(claims["sub"], binding["serviceaccount"]["uid"],
                ("system:serviceaccounts", f"system:serviceaccounts:{binding['namespace']}",
                 "system:authenticated"), extra)


def _check_seconds(seconds):
    if not isinstance(seconds, int) or isinstance(seconds, bool):
        raise StatusError(400, "BadRequest", f"spec.expirationSeconds: {seconds!r} is no whole number")
    if seconds < _MINIMUM_SECONDS:
        problem = "may not specify a duration less than 10 minutes"
    elif seconds > _MAXIMUM_SECONDS:
        problem = "may not specify a duration larger than 2^32 seconds"
    else:
        return
    raise invalid("authentication.k8s.io", "TokenRequest", "", "spec.expirationSeconds",
                  f"Invalid value: {seconds}: {problem}")


def _reference(stored):
    return {"name": stored["metadata"]["name"], "uid": stored["metadata"]["uid"]}


def _ordered(reference):
    """As the server writes it, whatever the client's order was."""
    if not reference:
        return None
    return {key: reference[key] for key in ("kind", "apiVersion", "name", "uid") if reference.get(key)}


def _quoted(names):
    return "[" + " ".join(f'"{name}"' for name in names) + "]"
