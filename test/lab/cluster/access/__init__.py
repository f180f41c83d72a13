"""The access side of the API server: who calls, what they may do, webhooks, tokens, ways into pods.

    access = create(cluster, options)

See lab.cluster.api.interfaces for what the server expects of it. Users with static tokens are read from
`tokens.csv` in the server's directory (authentication.StaticTokens).
"""

import os
import sys

from lab.cluster.access.admission import AdmissionChain
from lab.cluster.access.authentication import Authentication, StaticTokens
from lab.cluster.access.impersonation import impersonated
from lab.cluster.access.issuer import Issuer
from lab.cluster.access.kubelet import Kubelet
from lab.cluster.access.rbac import Authorizer
from lab.cluster.access.reviews import Reviews
from lab.cluster.access.tokens import Tokens
from lab.cluster.access.webhook_client import WebhookClient

__all__ = ["Access", "create"]


class Access:
    """Implements lab.cluster.api.interfaces.Access."""

    def __init__(self, cluster, options):
        self.tokens = Tokens(cluster, options.directory)
        self._authentication = Authentication(self.tokens,
                                              StaticTokens(os.path.join(options.directory, "tokens.csv")))
        self._authorizer = Authorizer(cluster)
        self._admission = AdmissionChain(cluster, WebhookClient(cluster, options.node_namespace))
        self._reviews = Reviews(self._authentication, self.tokens, self._authorizer)
        self._kubelet = Kubelet(cluster, options.node_namespace, options.node_directory, _log)
        self._issuer = Issuer(self.tokens.key, options.server_url)

    def authenticate(self, headers, client_cert):
        user = self._authentication.user(headers, client_cert)
        return user and impersonated(user, headers, self._authorizer)

    def authorize(self, user, verb, group, resource, subresource, namespace, name, path):
        return self._authorizer.authorize(user, verb, group, resource, subresource, namespace, name, path)

    def admit(self, admission, settle):
        return self._admission.admit(admission, settle)

    def handlers(self):
        return {**self._reviews.handlers(), **self._kubelet.handlers()}

    def paths(self):
        return self._issuer.paths()


def create(cluster, options):
    """What the server calls once, before it listens."""
    return Access(cluster, options)


def _log(message):
    print(message, file=sys.stderr, flush=True)
