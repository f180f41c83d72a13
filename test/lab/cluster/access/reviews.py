"""Questions about tokens and rights: the resources that are answered and never stored."""

import time

from lab.cluster.access.errors import bad_request, invalid
from lab.cluster.access.tokens import DEFAULT_AUDIENCES, Untrusted
from lab.cluster.api.interfaces import Answer, User

_AUTHENTICATION = "authentication.k8s.io"
_AUTHORIZATION = "authorization.k8s.io"
_RESOURCE_ATTRIBUTES = ("namespace", "verb", "group", "version", "resource", "subresource", "name",
                        "fieldSelector", "labelSelector")
_PATH_ATTRIBUTES = ("path", "verb")


class Reviews:
    """`authentication`, `tokens` and `authorizer` are those of this package; `now` is in seconds."""

    def __init__(self, authentication, tokens, authorizer, now=time.time):
        self._authentication = authentication
        self._tokens = tokens
        self._authorizer = authorizer
        self._now = now

    def handlers(self):
        """As Access.handlers()."""
        return {
            (_AUTHENTICATION, "tokenreviews", ""): self.review_token,
            (_AUTHENTICATION, "selfsubjectreviews", ""): self.review_self,
            (_AUTHORIZATION, "selfsubjectaccessreviews", ""): self.review_own_access,
            (_AUTHORIZATION, "subjectaccessreviews", ""): self.review_access,
            (_AUTHORIZATION, "localsubjectaccessreviews", ""): self.review_access,
            (_AUTHORIZATION, "selfsubjectrulesreviews", ""): self.review_rules,
            ("", "serviceaccounts", "token"): self.request_token,
        }

    def request_token(self, call):
        """TokenRequest: POST .../serviceaccounts/NAME/token."""
        issued = self._tokens.issue(call.namespace, call.name, _spec(call))
        metadata = {"name": call.name, "namespace": call.namespace, "uid": issued.account_uid,
                    "creationTimestamp": timestamp(self._now())}
        return _created(_AUTHENTICATION, "TokenRequest", metadata, issued.spec,
                        {"token": issued.token, "expirationTimestamp": timestamp(issued.expiry)})

    def review_token(self, call):
        spec = _spec(call)
        token = spec.get("token")
        if not token or not isinstance(token, str):
            raise bad_request("token is required for TokenReview in authentication")
        try:
            user, audiences = self._authentication.review(token, spec.get("audiences") or DEFAULT_AUDIENCES)
            status = {"authenticated": True, "user": user.info(), "audiences": list(audiences)}
        except Untrusted as error:
            reason = f"[invalid bearer token, {error}]" if str(error) else "invalid bearer token"
            status = {"user": {}, "error": reason}
        spec = _without_empty(spec, ("token", "audiences"))
        return _created(_AUTHENTICATION, "TokenReview", {}, spec, status)

    def review_self(self, call):
        content = {"kind": "SelfSubjectReview", "apiVersion": f"{_AUTHENTICATION}/v1",
                   "metadata": {"creationTimestamp": timestamp(self._now())},
                   "status": {"userInfo": call.user.info()}}
        return Answer(201, content)

    def review_own_access(self, call):
        return self._answer("SelfSubjectAccessReview", call, call.user, {})

    def review_access(self, call):
        kind = "LocalSubjectAccessReview" if call.namespace else "SubjectAccessReview"
        spec = _spec(call)
        if not spec.get("user") and not spec.get("groups"):
            raise invalid(_AUTHORIZATION, kind, "", "spec.user",
                          'Invalid value: "": at least one of user or group must be specified')
        user = User(spec.get("user", ""), spec.get("uid", ""), tuple(spec.get("groups") or ()),
                    spec.get("extra") or {})
        return self._answer(kind, call, user, _without_empty(spec, ("user", "groups", "extra", "uid")))

    def _answer(self, kind, call, user, rest_of_spec):
        spec = _spec(call)
        resource = _without_empty(spec.get("resourceAttributes") or {}, _RESOURCE_ATTRIBUTES)
        path = _without_empty(spec.get("nonResourceAttributes") or {}, _PATH_ATTRIBUTES)
        if bool(resource) == bool(path):
            raise invalid(_AUTHORIZATION, kind, "", "spec.resourceAttributes", "Invalid value: null: exactly "
                          "one of nonResourceAttributes or resourceAttributes must be specified")
        asked = resource or path
        allowed, reason = self._authorizer.authorize(
            user, asked.get("verb", ""), resource.get("group", ""), resource.get("resource", ""),
            resource.get("subresource", ""), resource.get("namespace", ""), resource.get("name", ""),
            path.get("path", ""))
        status = {"allowed": allowed}
        if reason:
            status["reason"] = reason
        attributes = {"resourceAttributes": resource} if resource else {"nonResourceAttributes": path}
        return _created(_AUTHORIZATION, kind, {}, {**attributes, **rest_of_spec}, status)

    def review_rules(self, call):
        namespace = _spec(call).get("namespace", "")
        if not namespace:
            raise bad_request("no namespace on request")
        rules = self._authorizer.rules(call.user, namespace)
        keys = ("verbs", "apiGroups", "resources", "resourceNames")
        status = {"resourceRules": [_without_empty(rule, keys) for rule in rules if rule.get("resources")],
                  "nonResourceRules": [_without_empty(rule, ("verbs", "nonResourceURLs")) for rule in rules
                                       if rule.get("nonResourceURLs")],
                  "incomplete": False}
        return _created(_AUTHORIZATION, "SelfSubjectRulesReview", {}, {}, status)


def timestamp(seconds):
    """RFC 3339 without fraction, as in metadata."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def _spec(call):
    spec = (call.body or {}).get("spec") or {}
    if not isinstance(spec, dict):
        raise bad_request(f"spec: an object is expected, not {type(spec).__name__}")
    return spec


def _without_empty(spec, keys):
    return {key: spec[key] for key in keys if spec.get(key)}


def _created(group, kind, metadata, spec, status):
    return Answer(201, {"kind": kind, "apiVersion": f"{group}/v1", "metadata": metadata, "spec": spec,
                        "status": status})
