"""The mesh's certificates come from an intermediate that the user supplies, and renews."""

import json
import os

from lab import run
from lab.load import Load
from shop import ShopTest

_NEW_KEY = {"RSA": ["rsa:2048"], "P-384": ["ec", "-pkeyopt", "ec_paramgen_curve:P-384"]}


class SuppliedCaTest(ShopTest):

    @classmethod
    def make(cls):
        cls.pki = os.path.join(cls.lab.directory, "pki")
        os.makedirs(cls.pki)
        cls.make_root("company", "RSA")
        cls.make_intermediate("first", "company", "P-384")
        cls.supply("first", "company")
        cls.control_plane_flags = (
            "--ca-certificate", cls.path("tls.crt"), "--ca-key", cls.path("tls.key"),
            "--ca-roots", cls.path("ca.crt"), "--leaf-lifetime", "20s", "--rotation-settle", "2s")
        super().make()

    @classmethod
    def path(cls, name):
        return os.path.join(cls.pki, name)

    @classmethod
    def make_root(cls, name, kind):
        run(["openssl", "req", "-x509", "-newkey", *_NEW_KEY[kind], "-nodes", "-days", "30",
             "-subj", f"/CN={name}", "-keyout", cls.path(f"{name}.key"),
             "-out", cls.path(f"{name}.crt"),
             "-addext", "keyUsage=critical,keyCertSign,cRLSign"])

    @classmethod
    def make_intermediate(cls, name, root, kind):
        run(["openssl", "req", "-newkey", *_NEW_KEY[kind], "-nodes", "-subj", f"/CN={name}",
             "-keyout", cls.path(f"{name}.key"), "-out", cls.path(f"{name}.csr")])
        with open(cls.path("ca.cnf"), "w") as file:
            file.write("basicConstraints=critical,CA:TRUE,pathlen:0\n"
                       "keyUsage=critical,keyCertSign,cRLSign\n"
                       "nameConstraints=critical,permitted;URI:cluster.local\n"
                       "subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n")
        run(["openssl", "x509", "-req", "-in", cls.path(f"{name}.csr"), "-days", "10",
             "-CA", cls.path(f"{root}.crt"), "-CAkey", cls.path(f"{root}.key"), "-CAcreateserial",
             "-extfile", cls.path("ca.cnf"), "-out", cls.path(f"{name}.crt")])

    @classmethod
    def supply(cls, name, root):
        for target, source in (("ca.crt", f"{root}.crt"), ("tls.key", f"{name}.key"),
                               ("tls.crt", f"{name}.crt")):
            with open(cls.path(source)) as file:
                text = file.read()
            with open(cls.path(target + ".new"), "w") as file:
                file.write(text)
            os.rename(cls.path(target + ".new"), cls.path(target))

    def authority(self):
        return json.loads(self.lab.control_plane.meshctl("ca", "status", "-o", "json").stdout)

    def issuer_of(self, pod):
        shown = self.web.run(["openssl", "s_client", "-connect", f"{pod.ip}:80", "-alpn", "weft/h2",
                              "-showcerts"], uid=1337, stdin="", check=False).stdout
        chain = shown[shown.index("-----BEGIN CERTIFICATE"):]
        self.assertEqual(chain.count("BEGIN CERTIFICATE"), 2, "the leaf and the intermediate")
        return run(["openssl", "x509", "-noout", "-issuer"], stdin=chain).stdout.strip()

    def await_issuer(self, name):
        for pod in self.tea_1:
            self.eventually(lambda p=pod: self.issuer_of(p).endswith(f"CN = {name}"),
                            f"{pod.id} to have a certificate of {name}", 60)

    def test_1_sidecars_present_the_chain_and_trust_the_companys_root(self):
        self.assertEqual(self.web.get("http://tea.1/"), "tea.1")
        self.await_issuer("first")
        authority = self.authority()
        self.assertTrue(authority["supplied"])
        self.assertEqual({certificate["role"] for certificate in authority["certificates"]},
                         {"SIGNING", "TRUSTED"})
        refused = self.lab.control_plane.meshctl("ca", "rotate", check=False)
        self.assertEqual(refused.returncode, 1)
        self.assertIn("is supplied by", refused.stderr)

    def test_2_a_renewed_intermediate_is_taken_over_without_a_failed_request(self):
        load = Load(self.web, "http://tea.1/", connections=4)
        self.make_intermediate("second", "company", "RSA")
        self.supply("second", "company")
        self.await_issuer("second")
        result = load.stop()
        self.assertEqual(result.failed, 0, result.summary)

    def test_3_an_unfit_one_is_told_of_and_the_last_one_goes_on(self):
        with open(self.path("tls.crt"), "w") as file:
            file.write("nonsense\n")
        self.eventually(lambda: "tls.crt" in self.authority()["problem"], "the problem to be told")
        self.assertIn("CertificateAuthorityUnusable", self.lab.control_plane.meshctl("status").stdout)
        self.supply("second", "company")
        self.eventually(lambda: not self.authority()["problem"], "the problem to be over")
        self.assertEqual(self.web.get("http://tea.1/"), "tea.1")

    def test_4_another_root_is_announced_before_it_is_relied_on(self):
        load = Load(self.web, "http://tea.1/", connections=4)
        self.make_root("holding", "P-384")
        self.make_intermediate("third", "holding", "P-384")
        self.supply("third", "holding")
        roots = lambda: [c for c in self.authority()["certificates"] if c["root"]]  # noqa: E731
        self.eventually(lambda: len(roots()) == 2, "both roots to be trusted")
        self.await_issuer("third")
        self.eventually(lambda: len(roots()) == 1, "the old root to go", 60)
        result = load.stop()
        self.assertEqual(result.failed, 0, result.summary)
