"""Who knocks with a bad certificate is told off with his reason, and the neighbours notice nothing."""

import datetime
import os
import socket
import ssl
import struct

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from lab import wait_for
from shop import ShopTest

_WEB = "spiffe://cluster.local/ns/shop/sa/web"
_DAY = datetime.timedelta(days=1)


class Issuer:
    """A CA: the mesh's own, taken from the control plane's state, or one of ours."""

    def __init__(self, key, certificate):
        self.key, self.certificate = key, certificate

    @classmethod
    def of_mesh(cls, path):
        with open(path, "rb") as file:
            pem = file.read()
        return cls(serialization.load_pem_private_key(pem[pem.index(b"-----BEGIN PRIVATE"):], None),
                   x509.load_pem_x509_certificate(pem[pem.index(b"-----BEGIN CERT"):]))

    @classmethod
    def stranger(cls):
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a stranger's CA")])
        now = datetime.datetime.utcnow()
        builder = x509.CertificateBuilder(name, name, key.public_key(), 1, now - _DAY, now + _DAY)
        return cls(key, builder.add_extension(x509.BasicConstraints(True, None), True)
                   .sign(key, hashes.SHA256()))

    def issue(self, uris=(_WEB,), ca=False, begins=0, ends=1, usage=ExtendedKeyUsageOID.CLIENT_AUTH,
              self_signed=False):
        """(key, certificate); begins and ends are days from now."""
        key = ec.generate_private_key(ec.SECP256R1())
        now = datetime.datetime.utcnow()
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "knock")])
        builder = x509.CertificateBuilder(
            subject if self_signed else self.certificate.subject, subject, key.public_key(),
            x509.random_serial_number(), now - datetime.timedelta(minutes=5) + begins * _DAY,
            now + ends * _DAY)
        builder = builder.add_extension(x509.BasicConstraints(ca, None), True)
        builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), False)
        if uris:
            builder = builder.add_extension(x509.SubjectAlternativeName(
                [x509.UniformResourceIdentifier(uri) for uri in uris]), False)
        return key, builder.sign(key if self_signed else self.key, hashes.SHA256())


class PeersTest(ShopTest):

    @classmethod
    def extend(cls):
        cls.stranger = cls.lab.add_pod("stranger", meshed=False)

    def setUp(self):
        self.pod = self.tea_1[0]
        self.mesh = Issuer.of_mesh(os.path.join(self.lab.control_plane.state, "ca.pem"))

    def failures(self, reason):
        return self.pod.metric("weft_tls_handshake_failures_total", direction="inbound", reason=reason)

    def knock(self, identity=None, chain=(), alpn=("weft/h2",), version=None):
        """A handshake with that certificate, and the first read after it: what it came to."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.set_alpn_protocols(list(alpn))
        if version:
            context.minimum_version = context.maximum_version = version
        if identity:
            path = os.path.join(self.stranger.directory, "knock.pem")
            key, certificate = identity
            with open(path, "wb", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
                file.write(key.private_bytes(serialization.Encoding.PEM,
                                             serialization.PrivateFormat.PKCS8,
                                             serialization.NoEncryption()))
                for one in (certificate, *chain):
                    file.write(one.public_bytes(serialization.Encoding.PEM))
            context.load_cert_chain(path)
        plain = self.stranger.net.connect(self.pod.ip, 80)
        try:
            with context.wrap_socket(plain) as connection:
                return connection.recv(1)
        except OSError as error:
            return error

    def refused(self, reason, **how):
        before = self.failures(reason)
        outcome = self.knock(**how)
        self.assertIsInstance(outcome, OSError, f"{reason}: nothing is served")
        wait_for(lambda: self.failures(reason) == before + 1, f"{reason} to be counted", 5)

    def test_each_bad_certificate_has_its_reason(self):
        mesh, stranger = self.mesh, Issuer.stranger()
        for reason, identity in (
                ("no-certificate", None),
                ("expired", mesh.issue(begins=-0.9, ends=-0.1)),
                ("not-yet-valid", mesh.issue(begins=0.5)),
                ("wrong-trust-domain", mesh.issue(["spiffe://other.mesh/ns/shop/sa/web"])),
                ("wrong-usage", mesh.issue(usage=ExtendedKeyUsageOID.CODE_SIGNING)),
                ("wrong-usage", mesh.issue(ca=True)),
                ("no-identity", mesh.issue([])),
                ("no-identity", mesh.issue([_WEB, "spiffe://cluster.local/ns/shop/sa/tea-1"])),
                ("no-identity", mesh.issue(["https://tea.shop"])),
                ("untrusted", stranger.issue()),
                ("self-signed", mesh.issue(self_signed=True))):
            with self.subTest(reason):
                self.refused(reason, identity=identity)
        self.assertEqual(self.web.get("http://tea.1/"), "tea.1", "the mesh goes on")
        self.assertIn("trust domain", self.pod.sidecar.log())

    def test_a_chain_that_is_too_long_is_refused(self):
        link = self.mesh
        chain = []
        for _ in range(9):
            key, certificate = link.issue(ca=True, uris=())
            link = Issuer(key, certificate)
            chain.insert(0, certificate)
        self.refused("chain-too-long", identity=link.issue(), chain=chain)

    def test_other_versions_and_protocols_are_refused(self):
        identity = self.mesh.issue()
        self.refused("tls-version", identity=identity, version=ssl.TLSVersion.TLSv1_2)

    def test_a_good_certificate_of_the_mesh_is_let_in(self):
        # So that the refusals above are not for another reason: the server begins with its SETTINGS.
        self.assertIsInstance(self.knock(self.mesh.issue()), bytes)

    def test_bytes_that_begin_like_tls_and_are_none_end_the_connection(self):
        hello = self._hello()
        for piece in (hello[:40], hello[:-1], hello[:5] + bytes(200)):
            with self.subTest(bytes=len(piece)):
                connection = self.stranger.net.connect(self.pod.ip, 80)
                connection.sendall(piece)
                connection.shutdown(socket.SHUT_WR)
                self.assertTrue(self._ends(connection))
        # A record that claims more than a record may have.
        connection = self.stranger.net.connect(self.pod.ip, 80)
        connection.sendall(b"\x16\x03\x01" + struct.pack(">H", 0xffff) + bytes(20000))
        self.assertTrue(self._ends(connection))
        self.assertEqual(self.web.get("http://tea.1/"), "tea.1")

    @staticmethod
    def _hello():
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.set_alpn_protocols(["weft/h2"])
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        try:
            context.wrap_bio(incoming, outgoing).do_handshake()
        except ssl.SSLWantReadError:
            pass
        return outgoing.read()

    @staticmethod
    def _ends(connection):
        """Whether it ends before long; what is answered until then does not matter."""
        connection.settimeout(10)
        try:
            while connection.recv(4096):
                pass
            return True
        except ConnectionResetError:
            return True
        except TimeoutError:
            return False
        finally:
            connection.close()
