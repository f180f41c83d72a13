"""The cluster's CA, the server's certificate, the administrator's client certificate and kubeconfig."""

import base64
import datetime
import ipaddress
import os
import ssl

import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_DAYS = 3650
SERVER_NAMES = ("kubernetes", "kubernetes.default", "kubernetes.default.svc",
                "kubernetes.default.svc.cluster.local",
                "localhost")


class Authority:
    """The CA; it lives in a directory, and is made there when it is first asked for."""

    def __init__(self, directory):
        self.directory = directory
        self._certificate_path = os.path.join(directory, "ca.crt")
        self._key_path = os.path.join(directory, "ca.key")
        if not os.path.exists(self._certificate_path):
            self._make()
        with open(self._certificate_path, "rb") as certificate, open(self._key_path, "rb") as key:
            self.certificate_pem = certificate.read()
            self.key_pem = key.read()
        self._certificate = x509.load_pem_x509_certificate(self.certificate_pem)
        self._key = serialization.load_pem_private_key(self.key_pem, None)

    def _make(self):
        key = ec.generate_private_key(ec.SECP256R1())
        name = _name("kubernetes-ca")
        certificate = (_builder(name, name, key.public_key())
                       .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
                       .add_extension(_key_usage(ca=True), critical=True)
                       .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()),
                                      critical=False)
                       .sign(key, hashes.SHA256()))
        _write(self._key_path, _key_pem(key))
        _write(self._certificate_path, certificate.public_bytes(serialization.Encoding.PEM))

    def issue(self, common_name, organizations=(), addresses=(), names=()):
        """(certificate, key) in PEM: for a server if it has names or addresses, else for a client."""
        key = ec.generate_private_key(ec.SECP256R1())
        server = bool(addresses or names)
        usage = ExtendedKeyUsageOID.SERVER_AUTH if server else ExtendedKeyUsageOID.CLIENT_AUTH
        builder = (_builder(_name(common_name, organizations), self._certificate.subject, key.public_key())
                   .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
                   .add_extension(_key_usage(ca=False), critical=True)
                   .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
                   .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()),
                                  critical=False))
        if server:
            alternatives = [x509.DNSName(name) for name in names]
            alternatives += [x509.IPAddress(ipaddress.ip_address(address)) for address in addresses]
            builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        certificate = builder.sign(self._key, hashes.SHA256())
        return certificate.public_bytes(serialization.Encoding.PEM), _key_pem(key)

    def server_context(self, addresses):
        """For TLS connections of clients, which may show a certificate of this CA."""
        certificate, key = self.issue("kube-apiserver", addresses=addresses, names=SERVER_NAMES)
        certificate_path = os.path.join(self.directory, "server.crt")
        key_path = os.path.join(self.directory, "server.key")
        _write(certificate_path, certificate)
        _write(key_path, key)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(certificate_path, key_path)
        context.load_verify_locations(self._certificate_path)
        context.verify_mode = ssl.CERT_OPTIONAL
        context.set_alpn_protocols(["http/1.1"])
        return context

    def write_kubeconfig(self, path, server_url):
        """The administrator's kubeconfig, with all it needs inside."""
        certificate, key = self.issue("kubernetes-admin", ("system:masters",))
        config = {
            "apiVersion": "v1", "kind": "Config", "current-context": "lab", "preferences": {},
            "clusters": [{"name": "lab", "cluster": {"server": server_url, "certificate-authority-data":
                                                     _base64(self.certificate_pem)}}],
            "users": [{"name": "admin", "user": {"client-certificate-data": _base64(certificate),
                                                 "client-key-data": _base64(key)}}],
            "contexts": [{"name": "lab", "context": {"cluster": "lab", "user": "admin"}}]}
        _write(path, yaml.safe_dump(config, sort_keys=False).encode())


def _base64(data):
    return base64.b64encode(data).decode()


def _write(path, data):
    """Replaces a file that only its owner may read."""
    fresh = f"{path}.new"
    with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(data)
    os.replace(fresh, path)


def _name(common_name, organizations=()):
    return x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, name) for name in organizations] +
                     [x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _builder(subject, issuer, public_key):
    now = datetime.datetime.utcnow()
    return (x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(public_key)
            .serial_number(x509.random_serial_number()).not_valid_before(now - datetime.timedelta(minutes=5))
            .not_valid_after(now + datetime.timedelta(days=_DAYS)))


def _key_usage(ca):
    return x509.KeyUsage(digital_signature=True, content_commitment=False, key_encipherment=not ca,
                         data_encipherment=False, key_agreement=False, key_cert_sign=ca, crl_sign=ca,
                         encipher_only=False, decipher_only=False)


def _key_pem(key):
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                             serialization.NoEncryption())
