"""Who calls: client certificates, service account tokens, static tokens, nobody."""

import csv
import hashlib
import os

from cryptography import x509
from cryptography.x509.oid import NameOID

from lab.cluster.access.tokens import DEFAULT_AUDIENCES, Untrusted
from lab.cluster.api.interfaces import ANONYMOUS, User

AUTHENTICATED = "system:authenticated"
_CREDENTIAL = "authentication.kubernetes.io/credential-id"


class StaticTokens:
    """Users from a file with lines `token,user,uid,"group,group"`, as kube-apiserver's --token-auth-file.

    The file may be absent, and may change while the server runs.
    """

    def __init__(self, path):
        self._path = path
        self._read_at = None
        self._users = {}

    def user(self, token):
        """The token's user or None."""
        try:
            status = os.stat(self._path)
        except FileNotFoundError:
            return None
        version = (status.st_mtime_ns, status.st_size, status.st_ino)
        if version != self._read_at:
            with open(self._path, newline="") as file:
                self._users = {row[0]: _static_user(row) for row in csv.reader(file) if len(row) >= 3}
            self._read_at = version
        return self._users.get(token)


class Authentication:
    """`tokens` is a tokens.Tokens."""

    def __init__(self, tokens, static_tokens):
        self._tokens = tokens
        self._static_tokens = static_tokens

    def user(self, headers, client_cert):
        """The caller; ANONYMOUS without credentials, None with bad ones. Certificates go before tokens."""
        if client_cert is not None:
            user = _certificate_user(client_cert)
            if user is not None:
                return user
        scheme, _, token = headers.get("authorization", "").partition(" ")
        token = token.strip()
        if scheme.lower() != "bearer" or not token:
            return ANONYMOUS
        try:
            return self.review(token, DEFAULT_AUDIENCES)[0]
        except Untrusted:
            return None

    def review(self, token, audiences):
        """(User, audiences) of a bearer token. Raises Untrusted."""
        user = self._static_tokens.user(token)
        if user is not None:
            # Such tokens know no audience: they are good for the API server itself only.
            own = [audience for audience in audiences if audience in DEFAULT_AUDIENCES]
            if not own:
                raise Untrusted("")
            return user, own
        return self._tokens.authenticate(token, audiences)


def _static_user(row):
    groups = [group.strip() for group in row[3].split(",")] if len(row) > 3 else []
    return User(row[1], row[2], tuple(group for group in groups if group) + (AUTHENTICATED,))


def _certificate_user(der):
    """Common name is the user, organizations are the groups. The TLS layer has verified the certificate."""
    subject = x509.load_der_x509_certificate(der).subject
    names = [attribute.value for attribute in subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    if not names:
        return None
    groups = tuple(attribute.value for attribute in subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME))
    return User(names[0], "", groups + (AUTHENTICATED,),
                {_CREDENTIAL: [f"X509SHA256={hashlib.sha256(der).hexdigest()}"]})
