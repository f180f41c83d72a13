"""Between pods everything is mutual TLS 1.3, and who may come in is decided by identity."""

import os

from lab import run
from shop import HTTP, ShopTest

_MARKER = "the-marker-that-nobody-on-the-wire-may-see"


class MtlsTest(ShopTest):

    @classmethod
    def extend(cls):
        lab = cls.lab
        cls.vault = lab.add_pod("vault", ports=(80,),
                                annotations={"config.weft.io/mtls-mode": "strict"})
        lab.add_service("vault", {"app": "vault"}, HTTP)
        cls.vault.start_nginx("vault").wait_until_listening()
        cls.stranger = lab.add_pod("stranger", meshed=False)

    def test_nothing_of_a_request_or_its_answer_is_readable_on_the_wire(self):
        pod = self.tea_1[0]
        on_wire, on_loopback = self.lab.capture(pod), self.lab.capture(pod, interface="lo")
        with on_wire, on_loopback:
            # A fresh pair of sidecars' connections is not needed: the marker is new.
            answer = self.web.get(f"http://tea.1/echo/{_MARKER}", [f"cookie: secret={_MARKER}"])
            self.assertIn(_MARKER, answer)
        self.assertTrue(on_loopback.contains(_MARKER.encode()),
                        "the marker is plain between sidecar and application: the search can find it")
        self.assertTrue(on_wire.streams(), "the request went over this wire")
        self.assertFalse(on_wire.contains(_MARKER.encode()))

    def test_sidecars_speak_tls_1_3_and_nothing_older(self):
        fresh = self.lab.add_pod("fresh")
        self.lab.publish()
        capture = self.lab.capture(fresh, f"tcp and host {self.tea_1[0].ip}")
        self.lab.start_sidecars()
        with capture:
            self.eventually(lambda: fresh.get("http://tea.1/") == "tea.1", "an answer")
        versions = capture.tls_versions()
        self.assertTrue(versions, "a handshake was recorded")
        self.assertEqual(set(versions), {"TLSv1.3"})
        for arguments in (["-tls1_2"], ["-tls1_1"]):
            done = self.s_client(self.tea_1[0], *arguments)
            self.assertNotIn("BEGIN CERTIFICATE", done.stdout)

    def s_client(self, pod, *arguments):
        return self.stranger.run(["openssl", "s_client", "-connect", f"{pod.ip}:80", "-alpn",
                                  "weft/h2", *arguments], stdin="", check=False)

    def test_a_peer_without_a_certificate_is_refused(self):
        done = self.s_client(self.tea_1[0], "-ign_eof")
        self.assertIn("alert", done.stdout + done.stderr)

    def test_a_peer_with_a_certificate_of_another_root_is_refused(self):
        key, certificate = (os.path.join(self.stranger.directory, name) for name in ("key", "crt"))
        run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
             "-nodes", "-subj", "/", "-days", "1", "-keyout", key, "-out", certificate, "-addext",
             "subjectAltName=URI:spiffe://cluster.local/ns/shop/sa/web"])
        os.chmod(key, 0o644)
        before = self.tea_1[0].app.served()
        done = self.s_client(self.tea_1[0], "-cert", certificate, "-key", key, "-ign_eof")
        self.assertIn("alert", done.stdout + done.stderr)
        self.assertEqual(self.tea_1[0].app.served(), before)

    def test_the_certificate_names_the_service_account(self):
        shown = self.s_client(self.tea_1[0]).stdout
        text = run(["openssl", "x509", "-noout", "-text"], stdin=shown).stdout
        self.assertIn("URI:spiffe://cluster.local/ns/shop/sa/tea-1", text)
        self.assertIn("prime256v1", text)

    def test_a_server_with_another_identity_than_expected_gets_no_request(self):
        impostor = self.tea_2[0]
        before = impostor.app.served()
        # The control plane now says that the pod behind tea.2 is somebody else.
        impostor.service_account = "somebody-else"
        self.lab.publish()
        try:
            self.eventually(lambda: self.web.status_of("http://tea.2/") == 503, "503")
            served = impostor.app.served()
            self.assertEqual(self.web.status_of("http://tea.2/"), 503)
            self.assertEqual(impostor.app.served(), served)
            self.assertGreaterEqual(served, before)
        finally:
            impostor.service_account = "tea-2"
            self.lab.publish()
        self.eventually(lambda: self.web.status_of("http://tea.2/") == 200, "tea.2 to be back")

    def test_strict_refuses_plaintext_and_takes_mesh_peers(self):
        self.assertEqual(self.web.get("http://vault/"), "vault")
        before = self.vault.app.served()
        for address in (self.vault.ip, f"[{self.vault.ip6}]"):
            self.assertEqual(self.stranger.status_of(f"http://{address}/"), 0)
        self.assertEqual(self.vault.app.served(), before)

    def test_permissive_takes_plaintext_too(self):
        for address in (self.tea_1[0].ip, f"[{self.tea_1[0].ip6}]"):
            self.assertEqual(self.stranger.get(f"http://{address}/"), "tea.1")

    def test_a_private_key_is_in_no_file_and_no_log(self):
        for directory, _, files in os.walk(self.tea_1[0].directory):
            for name in files:
                with open(os.path.join(directory, name), "rb") as file:
                    self.assertNotIn(b"PRIVATE KEY", file.read(), name)
        for pod in (self.web, *self.tea_1):
            log = pod.sidecar.log()
            self.assertNotIn("PRIVATE KEY", log)
            with open(os.path.join(pod.directory, "token")) as token:
                self.assertNotIn(token.read().strip(), log)
