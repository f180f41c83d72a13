"""Where others learn how to check service account tokens: OpenID Connect discovery and the public key."""

from lab.cluster.access.tokens import ISSUER
from lab.cluster.api.interfaces import Answer

_CACHED = {"Cache-Control": "public, max-age=3600"}


class Issuer:
    """`key` is a jwt.SigningKey, `server_url` the address of the API server."""

    def __init__(self, key, server_url):
        self._key = key
        self._jwks_uri = f"{server_url.rstrip('/')}/openid/v1/jwks"

    def paths(self):
        """As Access.paths()."""
        return {"/.well-known/openid-configuration": self._configuration, "/openid/v1/jwks": self._keys}

    def _configuration(self, call):
        return Answer(200, {"issuer": ISSUER, "jwks_uri": self._jwks_uri,
                            "response_types_supported": ["id_token"], "subject_types_supported": ["public"],
                            "id_token_signing_alg_values_supported": ["RS256"]}, headers=dict(_CACHED))

    def _keys(self, call):
        return Answer(200, self._key.jwks(), "application/jwk-set+json", dict(_CACHED))
