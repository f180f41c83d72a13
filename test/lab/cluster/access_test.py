"""Tokens, rights and reviews of the lab's API server, against what a real one has answered."""

import base64
import os
import shutil
import tempfile
import unittest

from lab.cluster.access import jwt
from lab.cluster.access.authentication import Authentication, StaticTokens
from lab.cluster.access.impersonation import impersonated
from lab.cluster.access.rbac import Authorizer
from lab.cluster.access.reviews import Reviews
from lab.cluster.access.testing import StoredObjects, recording, without
from lab.cluster.access.tokens import Tokens
from lab.cluster.api.interfaces import ANONYMOUS, Call, StatusError, User

# When the recording was made, in seconds since the epoch.
_RECORDED = 1795379356
_WEB_UID = "938d6bf9-5338-4ea2-b540-b2ee6b46f45f"
_POD_UID = "d6281b3e-0ffb-4e72-aca5-ebc6124dbc8f"
_NODE_UID = "42fc338d-0938-4327-a070-0fbb4b5ca412"
_WEFT, _SERVER = "weft", "https://kubernetes.default.svc"


class AccessTestCase(unittest.TestCase):
    """The objects of the recording: service accounts web and cart, pod web-1 on node n1."""

    @classmethod
    def setUpClass(cls):
        # A key takes a while to make; every test starts with this one.
        keys = tempfile.mkdtemp(prefix="weft-access-key-")
        cls.addClassCleanup(shutil.rmtree, keys)
        cls.key_file = os.path.join(keys, "service-account.key")
        jwt.SigningKey(cls.key_file)

    def setUp(self):
        self.directory = tempfile.mkdtemp(prefix="weft-access-")
        self.addCleanup(shutil.rmtree, self.directory)
        shutil.copy(self.key_file, self.directory)
        with open(os.path.join(self.directory, "tokens.csv"), "w") as file:
            file.write('admin-token,admin,admin,"system:masters"\nuser-token,plain-user,plain-user\n')
        self.now = _RECORDED
        self.objects = StoredObjects()
        self.put("serviceaccounts", "web", uid=_WEB_UID)
        self.put("serviceaccounts", "cart", uid="bb231078-85a3-4054-96b2-0e9de77f2fbb")
        self.put("nodes", "n1", namespace="", uid=_NODE_UID)
        self.put("pods", "web-1", uid=_POD_UID, spec={"serviceAccountName": "web", "nodeName": "n1"})
        self.tokens = Tokens(self.objects, self.directory, lambda: self.now)
        self.authentication = Authentication(
            self.tokens, StaticTokens(os.path.join(self.directory, "tokens.csv")))
        self.authorizer = Authorizer(self.objects)
        self.reviews = Reviews(self.authentication, self.tokens, self.authorizer, lambda: self.now)

    def put(self, resource, name, namespace="tok", uid="u", spec=None, group="", **fields):
        metadata = {"name": name, "uid": uid}
        if namespace:
            metadata["namespace"] = namespace
        return self.objects.put(group, resource, {"metadata": metadata, "spec": spec or {}, **fields})

    def token(self, audiences=(_WEFT,), account="web", pod=False):
        spec = {"audiences": list(audiences)}
        if pod:
            spec["boundObjectRef"] = {"kind": "Pod", "apiVersion": "v1", "name": "web-1", "uid": _POD_UID}
        return self.tokens.issue("tok", account, spec).token

    def call(self, path, body, user=None):
        """What the server's handler for a POST at the path answers: (code, content)."""
        parts = path.strip("/").split("/")
        if parts[0] == "api":
            key, namespace, name = ("", parts[4], parts[6]), parts[3], parts[5]
        else:
            key, namespace, name = (parts[1], parts[3], ""), "", ""
        call = Call("POST", path, {}, {}, user or User("admin"), None, namespace, name, body)
        try:
            answer = self.reviews.handlers()[key](call)
        except StatusError as error:
            return error.code, error.status()
        return answer.code, answer.content

    def review(self, token, audiences=(_WEFT,)):
        """The status of a TokenReview."""
        spec = {"token": token, "audiences": list(audiences)}
        return self.call("/apis/authentication.k8s.io/v1/tokenreviews", {"spec": spec})[1]["status"]


class TokenTest(AccessTestCase):

    def test_token_requests_are_answered_as_recorded(self):
        for name in ("default-audience", "pod-bound", "two-audiences", "unbound", "expiration-too-short-422",
                     "no-pod-404", "no-service-account-404", "pod-of-other-sa", "wrong-uid-409"):
            with self.subTest(name):
                recorded = recording(f"tokens/tokenrequest-{name}.json")
                code, content = self.call(recorded["request"]["path"], recorded["request"]["body"])
                self.assertEqual(code, recorded["response"]["status"])
                expected = without(recorded["response"]["body"], "managedFields")
                if code != 201:
                    self.assertEqual(content, expected)
                    continue
                header, claims = jwt.parse(content["status"].pop("token"))
                (expected_jwt,) = recorded["jwts"].values()
                expected["status"].pop("token")
                self.assertEqual(content, expected)
                self.assertEqual(list(content), list(expected))
                self.assertEqual(without(claims, "jti"), without(expected_jwt["payload"], "jti"))
                self.assertEqual(list(claims), list(expected_jwt["payload"]))
                self.assertEqual(header, {"alg": "RS256", "kid": self.tokens.key.id})

    def test_token_reviews_are_answered_as_recorded(self):
        default = self.token([_SERVER])
        pod_bound = self.token(pod=True)
        forged = jwt.encode(jwt.decode(pod_bound.split(".")[1]).replace(b"tok:web", b"kube-system:admin"))
        head, _, signature = pod_bound.split(".")
        tokens = {"good": pod_bound, "good-unbound": self.token(), "default-audience-token": default,
                  "default-token-asked-weft": default, "no-audiences": pod_bound, "wrong-audience": pod_bound,
                  "several-audiences": self.token([_WEFT, _SERVER]), "garbage": "garbage",
                  "empty-token-400": "", "bad-signature": f"{head}.{forged}.{signature}",
                  "other-issuer": self.other_issuer(pod_bound), "static-token": "user-token",
                  "static-token-audience": "user-token", "as-auth-delegator": pod_bound}
        for name, token in tokens.items():
            with self.subTest(name):
                self.check_review(recording(f"tokens/tokenreview-{name}.json"), token)

    def test_a_token_past_its_end_is_refused_with_some_leeway(self):
        token = self.tokens.issue("tok", "web", {"audiences": [_WEFT], "expirationSeconds": 600}).token
        self.now += 655
        self.assertTrue(self.review(token)["authenticated"])
        self.now += 10
        self.check_review(recording("tokens/tokenreview-expired.json"), token)

    def test_a_token_lives_as_long_as_its_pod(self):
        steps = recording("tokens/tokenreview-pod-deleted.json")["steps"]
        before, terminating, gone, another = (
            next(step for step in steps if step["step"].startswith(start))
            for start in ("good before", "review while", "review 11 s", "a new pod"))
        token = self.token(pod=True)
        self.check_review(before, token)
        pod = self.objects.get("", "pods", "tok", "web-1")
        pod["metadata"]["deletionTimestamp"] = "2026-11-22T20:29:46Z"
        self.check_review(terminating, token)
        self.objects.delete("", "pods", "tok", "web-1")
        self.check_review(gone, token)
        self.put("pods", "web-1", uid="69bc999c-2a8a-4526-8e39-45b7836cbb9a")
        self.check_review(another, token)

    def test_a_token_lives_as_long_as_its_service_account(self):
        before, _, after = recording("tokens/tokenreview-serviceaccount-deleted.json")["steps"]
        token = self.token(account="cart")
        self.check_review(before, token)
        self.objects.delete("", "serviceaccounts", "tok", "cart")
        self.check_review(after, token)
        self.put("serviceaccounts", "cart", uid="another")
        self.assertIn("does not match claim", self.review(token)["error"])

    def test_the_key_survives_a_restart(self):
        token = self.token()
        self.tokens.key = Tokens(self.objects, self.directory).key
        self.assertTrue(self.review(token)["authenticated"])
        path = os.path.join(self.directory, "service-account.key")
        self.assertEqual(os.stat(path).st_mode & 0o777, 0o600)

    def test_text_that_only_looks_like_a_token_is_refused(self):
        deep = jwt.encode(b"[" * 9000)
        for text in ("..", "a.b.c", "e30.e30.", "e30.W10.AA", "é.é.é", "x" * 20000, "AA.AA.AA",
                     f"e30.{deep}.AA"):
            with self.subTest(text[:10]):
                self.assertEqual(self.review(text), {"user": {}, "error": "invalid bearer token"})

    def test_a_token_signed_by_nobody_is_refused(self):
        claims = self.token().split(".")[1]
        header = base64.urlsafe_b64encode(b'{"alg":"none"}').rstrip(b"=").decode()
        self.assertNotIn("authenticated", self.review(f"{header}.{claims}."))

    def check_review(self, recorded, token):
        code, content = self.call("/apis/authentication.k8s.io/v1/tokenreviews",
                                  {"spec": {**recorded["request"]["body"]["spec"], "token": token}})
        self.assertEqual(code, recorded["response"]["status"])
        got, expected = (without(each, "managedFields", "authentication.kubernetes.io/credential-id", "token")
                         for each in (content, recorded["response"]["body"]))
        self.assertEqual(got, expected)

    def other_issuer(self, token):
        _, claims = jwt.parse(token)
        return self.tokens.key.sign({**claims, "iss": "https://elsewhere.example"})


class AuthenticationTest(AccessTestCase):

    def test_credentials_tell_who_calls(self):
        for name, header, user in (("none", None, "system:anonymous"), ("nonsense", "Bearer nonsense", None),
                                   ("static", "Bearer user-token", "plain-user"),
                                   ("another scheme", "Basic dXNlcjp4", "system:anonymous"),
                                   ("service account", f"Bearer {self.token([_SERVER])}",
                                    "system:serviceaccount:tok:web"),
                                   ("for somebody else", f"Bearer {self.token([_WEFT])}", None)):
            with self.subTest(name):
                headers = {"authorization": header} if header else {}
                found = self.authentication.user(headers, None)
                self.assertEqual(found and found.name, user)

    def test_anonymous_has_a_group_of_its_own(self):
        self.assertIs(self.authentication.user({}, None), ANONYMOUS)
        self.assertEqual(ANONYMOUS.groups, ("system:unauthenticated",))


class RightsTest(AccessTestCase):

    def bind(self, kind, name, rules, subjects, namespace=""):
        group = "rbac.authorization.k8s.io"
        self.put(f"{kind.lower()}s", name, namespace=namespace, group=group, rules=rules)
        binding = "clusterrolebindings" if kind == "ClusterRole" else "rolebindings"
        self.put(binding, name, namespace=namespace, group=group, subjects=subjects,
                 roleRef={"kind": kind, "name": name})

    def allowed(self, user, verb, resource, namespace="", name="", group=""):
        resource, _, subresource = resource.partition("/")
        return self.authorizer.authorize(user, verb, group, resource, subresource, namespace, name, "")[0]

    def test_rules_are_a_table(self):
        web = User("system:serviceaccount:tok:web", groups=("system:authenticated",))
        self.bind("Role", "reader", [{"apiGroups": [""], "resources": ["pods", "secrets/*", "*/scale"],
                                      "verbs": ["get", "list"]}],
                  [{"kind": "ServiceAccount", "name": "web"}], "tok")
        self.bind("Role", "named", [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["*"],
                                     "resourceNames": ["weft-root"]}],
                  [{"kind": "User", "name": web.name}], "tok")
        self.bind("ClusterRole", "nodes", [{"apiGroups": [""], "resources": ["nodes"], "verbs": ["watch"]}],
                  [{"kind": "Group", "name": "system:authenticated"}])
        for verb, resource, namespace, name, expected in (
                ("get", "pods", "tok", "a", True), ("list", "pods", "tok", "", True),
                ("watch", "pods", "tok", "", False), ("get", "pods", "other", "a", False),
                ("list", "pods", "", "", False), ("get", "pods/log", "tok", "a", False),
                ("get", "deployments/scale", "tok", "a", True), ("get", "secrets", "tok", "a", False),
                ("patch", "configmaps", "tok", "weft-root", True),
                ("patch", "configmaps", "tok", "else", False),
                ("create", "configmaps", "tok", "", False), ("watch", "nodes", "", "", True),
                ("watch", "nodes", "tok", "", True), ("get", "nodes", "", "n1", False)):
            with self.subTest(f"{verb} {resource} {namespace}/{name}"):
                self.assertEqual(self.allowed(web, verb, resource, namespace, name), expected)

    def test_a_binding_may_refer_to_a_cluster_role_for_one_namespace(self):
        self.put("rolebindings", "view", group="rbac.authorization.k8s.io",
                 subjects=[{"kind": "User", "name": "ann"}], roleRef={"kind": "ClusterRole", "name": "view"})
        ann = User("ann", groups=("system:authenticated",))
        self.assertTrue(self.allowed(ann, "list", "pods", "tok"))
        self.assertFalse(self.allowed(ann, "list", "pods", "shop"))
        self.assertFalse(self.allowed(ann, "list", "secrets", "tok"))

    def test_discovery_is_for_everybody_who_is_known(self):
        known, masters = User("ann", groups=("system:authenticated",)), User("m", groups=("system:masters",))
        for user, path, expected in ((known, "/apis/split.smi-spec.io/v1alpha3", True),
                                     (ANONYMOUS, "/apis", False), (ANONYMOUS, "/version", True),
                                     (ANONYMOUS, "/readyz", True), (known, "/metrics", False),
                                     (masters, "/metrics", True)):
            with self.subTest(f"{user.name} {path}"):
                allowed, _ = self.authorizer.authorize(user, "get", "", "", "", "", "", path)
                self.assertEqual(allowed, expected)

    def test_acting_as_somebody_else_is_a_right_of_its_own(self):
        admin, ann = User("admin", groups=("system:masters",)), User("ann", groups=("system:authenticated",))
        headers = {"impersonate-user": "system:serviceaccount:tok:web"}
        web = impersonated(admin, headers, self.authorizer)
        self.assertEqual(web.groups, ("system:serviceaccounts", "system:serviceaccounts:tok",
                                      "system:authenticated"))
        self.assertIs(impersonated(ann, {}, self.authorizer), ann)
        with self.assertRaises(StatusError) as raised:
            impersonated(ann, headers, self.authorizer)
        self.assertEqual(raised.exception.message,
                         'serviceaccounts "web" is forbidden: User "ann" cannot impersonate resource '
                         '"serviceaccounts" in API group "" in the namespace "tok"')

    def test_access_reviews_are_answered_as_recorded(self):
        users = {"Bearer admin-token": "admin", "Bearer user-token": "user"}
        for name in ("selfsubjectaccessreview-allowed", "selfsubjectaccessreview-denied",
                     "subjectaccessreview", "selfsubjectreview"):
            with self.subTest(name):
                recorded = recording(f"auth/{name}.json")
                request = recorded["request"]
                self.assertIn(request["headers"]["Authorization"], users)
                user = self.authentication.user({"authorization": request["headers"]["Authorization"]}, None)
                code, content = self.call(request["path"], request["body"], user)
                self.assertEqual(code, 201)
                got, expected = (without(each, "managedFields", "creationTimestamp")
                                 for each in (content, recorded["response"]["body"]))
                self.assertEqual(got, expected)
                self.assertEqual(list(got), list(expected))

    def test_rules_reviews_list_what_is_allowed(self):
        self.bind("Role", "reader", [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}],
                  [{"kind": "User", "name": "ann"}], "tok")
        ann = User("ann", groups=("system:authenticated",))
        path = "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews"
        status = self.call(path, {"spec": {"namespace": "tok"}}, ann)[1]["status"]
        self.assertIn({"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]}, status["resourceRules"])


if __name__ == "__main__":
    unittest.main()
