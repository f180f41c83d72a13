"""JSON Web Tokens (RFC 7519) with RS256, and the key that signs them."""

import base64
import hashlib
import json
import os

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

_MAXIMUM_TOKEN = 16 * 1024


class Malformed(Exception):
    """Not a JSON Web Token at all."""


class BadSignature(Exception):
    """A token that the key has not signed."""


class SigningKey:
    """The RSA key of the cluster's service account tokens, in a file so that tokens outlive the server."""

    def __init__(self, path):
        if not os.path.exists(path):
            self._create(path)
        with open(path, "rb") as file:
            self._key = serialization.load_pem_private_key(file.read(), password=None)
        public = self._key.public_key()
        der = public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
        self.id = encode(hashlib.sha256(der).digest())

    @staticmethod
    def _create(path):
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                                serialization.NoEncryption())
        unfinished = f"{path}.{os.getpid()}"
        with open(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(pem)
        os.rename(unfinished, path)

    def sign(self, claims):
        """The token of these claims."""
        signed = ".".join(encode(json.dumps(part, separators=(",", ":")).encode())
                          for part in ({"alg": "RS256", "kid": self.id}, claims))
        return f"{signed}.{encode(self._key.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256()))}"

    def verify(self, token):
        """Raises BadSignature unless this key has signed the token; Malformed if it is none."""
        header, _ = parse(token)
        signed, _, signature = token.rpartition(".")
        if header.get("alg") != "RS256":
            raise BadSignature(f"signature algorithm {header.get('alg')!r}")
        try:
            self._key.public_key().verify(decode(signature), signed.encode(), padding.PKCS1v15(),
                                          hashes.SHA256())
        except InvalidSignature as error:
            raise BadSignature("wrong signature") from error

    def jwks(self):
        """The public key as a JSON Web Key Set (RFC 7517)."""
        numbers = self._key.public_key().public_numbers()
        return {"keys": [{"use": "sig", "kty": "RSA", "kid": self.id, "alg": "RS256",
                          "n": encode(_unsigned(numbers.n)), "e": encode(_unsigned(numbers.e))}]}


def parse(token):
    """(header, claims) of a token, unverified. Raises Malformed."""
    parts = token.split(".")
    if len(parts) != 3 or len(token) > _MAXIMUM_TOKEN:
        raise Malformed("not three parts")
    decode(parts[2])
    try:
        header, claims = (json.loads(decode(part)) for part in parts[:2])
    except (ValueError, RecursionError) as error:
        raise Malformed(str(error)) from error
    if not isinstance(header, dict) or not isinstance(claims, dict):
        raise Malformed("header or claims are no object")
    return header, claims


def encode(data):
    """base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def decode(text):
    try:
        return base64.b64decode(text.encode() + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except ValueError as error:
        raise Malformed(str(error)) from error


def _unsigned(number):
    return number.to_bytes((number.bit_length() + 7) // 8, "big")
