"""Peers without a sidecar, and the world outside the mesh."""

import threading

from shop import HTTP, ShopTest


class OutsidersTest(ShopTest):

    @classmethod
    def extend(cls):
        lab = cls.lab
        cls.legacy = lab.add_pod("legacy", meshed=False, ports=(80,))
        lab.add_service("legacy", {"app": "legacy"}, HTTP)
        cls.legacy.start_nginx("legacy").wait_until_listening()
        cls.outside = lab.add_outside()
        for address in ("0.0.0.0", "::"):
            cls._greet(cls.outside.listen(address, 7000), b"hello from outside")

    @classmethod
    def _greet(cls, listener, greeting):
        cls.addClassCleanup(listener.close)

        def serve():
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    connection.sendall(greeting)

        threading.Thread(target=serve, daemon=True).start()

    def test_a_meshed_pod_reaches_a_service_without_sidecars(self):
        self.assertEqual(self.web.get("http://legacy/"), "legacy")

    def test_a_pod_without_a_sidecar_reaches_a_meshed_one(self):
        self.assertEqual(self.legacy.get(f"http://{self.tea_1[0].ip}/"), "tea.1")

    def test_a_meshed_pod_is_reached_by_its_address(self):
        for address in (self.tea_1[0].ip, f"[{self.tea_1[0].ip6}]"):
            self.assertEqual(self.web.get(f"http://{address}/"), "tea.1")

    def test_between_meshed_pods_an_address_is_encrypted_as_a_service_is(self):
        capture = self.lab.capture(self.tea_1[0])
        with capture:
            self.assertIn("direct-marker",
                          self.web.get(f"http://{self.tea_1[0].ip}/echo/direct-marker"))
        self.assertTrue(capture.streams())
        self.assertFalse(capture.contains(b"direct-marker"))

    def test_a_pod_reaches_itself_by_its_service_and_by_its_address(self):
        pod = self.tea_1[0]
        self.assertEqual(pod.get("http://tea.1/"), "tea.1")
        self.assertEqual(pod.get(f"http://{pod.ip}/"), "tea.1")
        self.assertEqual(pod.get(f"http://[{pod.ip6}]/"), "tea.1")
        self.assertEqual(pod.get("http://127.0.0.1/"), "tea.1")

    def test_destinations_outside_pass_through_even_if_they_speak_first(self):
        for address in self.outside.addresses:
            with self.web.net.connect(address, 7000) as connection:
                self.assertEqual(connection.makefile("rb").read(), b"hello from outside")

    def test_a_destination_that_refuses_ends_the_connection(self):
        done = self.web.curl(f"http://{self.outside.addresses[0]}:7999/", check=False)
        self.assertNotEqual(done.returncode, 0)

    def test_a_cluster_ip_port_that_no_service_has_does_not_hang(self):
        done = self.web.curl("http://tea.1:8081/", check=False, timeout=15)
        self.assertNotIn(done.returncode, (0, 28), done.stderr)
