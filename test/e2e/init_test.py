"""weft-init against real iptables, nft and legacy."""

import threading

from lab import CommandFailed
from shop import LabTest


class InitTest(LabTest):
    """Listeners at the sidecar's ports say by their greeting who was reached."""

    @classmethod
    def make(cls):
        cls.client = cls.lab.add_pod("client", meshed=False)
        cls.pod = cls.lab.add_pod("pod", meshed=False)
        cls.peer = cls.lab.add_pod("peer", meshed=False)
        for pod, ports in ((cls.pod, (80, 8080, 15001, 15006, 15020)), (cls.peer, (80, 81, 15020))):
            for port in ports:
                for address in ("0.0.0.0", "::"):
                    cls._greet(pod.net.listen(address, port), f"{pod.name} {port}")

    @staticmethod
    def _greet(listener, greeting):
        def serve():
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    connection.sendall(greeting.encode())
        threading.Thread(target=serve, daemon=True).start()

    def tearDown(self):
        self.pod.net.run([self.lab.binary("weft-init"), "--cleanup", "--log-level", "off"])

    def reached(self, source, address, port, uid=10001):
        """The greeting of whoever answers."""
        program = ("import socket,sys\n"
                   "s=socket.create_connection((sys.argv[1],int(sys.argv[2])),5)\n"
                   "print(s.recv(100).decode())")
        return source.run(["/usr/bin/python3", "-c", program, address, port], uid=uid).stdout.strip()

    def rules(self, backend, family="ip"):
        saved = self.pod.net.run([f"{family}tables-{backend}-save"]).stdout
        return [line for line in saved.splitlines() if line and line[0] not in "#*C"]

    def test_tcp_goes_through_the_sidecar_both_ways_and_both_families(self):
        for backend in ("nft", "legacy"):
            with self.subTest(backend=backend):
                self.pod.redirect("--backend", backend)
                for address in (self.pod.ip, self.pod.ip6):
                    self.assertEqual(self.reached(self.client, address, 80), "pod 15006")
                for address in (self.peer.ip, self.peer.ip6, "10.96.0.77"):
                    self.assertEqual(self.reached(self.pod, address, 80), "pod 15001")

    def test_the_sidecar_itself_is_not_redirected(self):
        self.pod.redirect()
        for address in (self.peer.ip, self.peer.ip6):
            self.assertEqual(self.reached(self.pod, address, 80, uid=1337), "peer 80")
        self.assertEqual(self.reached(self.pod, self.pod.ip, 8080, uid=1337), "pod 8080")

    def test_root_in_the_pod_is_redirected_like_any_application(self):
        self.pod.redirect()
        self.assertEqual(self.reached(self.pod, self.peer.ip, 80, uid=0), "pod 15001")

    def test_loopback_and_the_own_ports_are_left_alone(self):
        self.pod.redirect()
        for address in ("127.0.0.1", "127.9.9.9", "::1"):
            self.assertEqual(self.reached(self.pod, address, 8080), "pod 8080")
        self.assertEqual(self.reached(self.client, self.pod.ip, 15020), "pod 15020")
        self.assertEqual(self.reached(self.client, self.pod.ip6, 15020), "pod 15020")
        self.assertEqual(self.reached(self.pod, self.peer.ip, 15020), "peer 15020")

    def test_ignored_ports_and_networks_are_dialled_directly(self):
        for backend in ("nft", "legacy"):
            with self.subTest(backend=backend):
                self.pod.redirect("--backend", backend, "--ignore-incoming-ports", "8000-8100",
                                  "--ignore-outgoing-ports", "81")
                self.assertEqual(self.reached(self.client, self.pod.ip, 8080), "pod 8080")
                self.assertEqual(self.reached(self.client, self.pod.ip, 80), "pod 15006")
                self.assertEqual(self.reached(self.pod, self.peer.ip6, 81), "peer 81")
                self.assertEqual(self.reached(self.pod, self.peer.ip, 80), "pod 15001")
                self.pod.redirect("--backend", backend, "--ignore-outgoing-cidrs",
                                  f"{self.peer.ip},{self.peer.ip6}/128")
                self.assertEqual(self.reached(self.pod, self.peer.ip, 80), "peer 80")
                self.assertEqual(self.reached(self.pod, self.peer.ip6, 80), "peer 80")
                self.assertEqual(self.reached(self.client, self.pod.ip, 8080), "pod 15006")

    def test_running_it_twice_leaves_the_same_rules(self):
        for backend in ("nft", "legacy"):
            for family in ("ip", "ip6"):
                with self.subTest(backend=backend, family=family):
                    self.pod.redirect("--backend", backend)
                    once = self.rules(backend, family)
                    self.pod.redirect()
                    self.assertEqual(self.rules(backend, family), once)
                    self.assertTrue(any("REDIRECT --to-ports 15001" in rule for rule in once))

    def test_other_flags_replace_the_rules_of_an_earlier_run(self):
        self.pod.redirect("--ignore-incoming-ports", "25", "--outbound-port", "9001")
        self.pod.redirect()
        with_changes_undone = self.rules("nft")
        self.tearDown()
        self.pod.redirect()
        self.assertEqual(self.rules("nft"), with_changes_undone)

    def test_the_backend_in_use_is_used_again_and_changing_it_leaves_nothing_behind(self):
        self.pod.redirect("--backend", "legacy")
        self.pod.redirect("--ignore-incoming-ports", "25")
        self.assertTrue(any("--dport 25" in rule for rule in self.rules("legacy")))
        self.pod.redirect("--backend", "nft")
        for family in ("ip", "ip6"):
            self.assertFalse(any("WEFT" in rule for rule in self.rules("legacy", family)))
            self.assertTrue(any("WEFT" in rule for rule in self.rules("nft", family)))

    def test_rules_of_others_survive_and_choose_the_backend(self):
        for backend in ("nft", "legacy"):
            with self.subTest(backend=backend):
                other = ["OUTPUT", "-p", "udp", "--dport", "53", "-j", "ACCEPT"]
                self.pod.net.run([f"iptables-{backend}", "-t", "nat", "-A", *other])
                before = self.rules(backend)
                self.pod.redirect()
                self.assertTrue(any("WEFT_OUTBOUND" in rule for rule in self.rules(backend)))
                self.assertIn("-A OUTPUT -p udp -m udp --dport 53 -j ACCEPT", self.rules(backend))
                self.tearDown()
                self.assertEqual(self.rules(backend), before)
                self.pod.net.run([f"iptables-{backend}", "-t", "nat", "-D", *other])

    def test_a_dry_run_prints_the_rules_and_changes_nothing(self):
        before = self.rules("nft")
        printed = self.pod.redirect("--dry-run").stdout
        self.assertIn("-A WEFT_OUTBOUND -m owner --uid-owner 1337 -j RETURN", printed)
        self.assertIn("# ip6tables-nft-restore --noflush", printed)
        self.assertEqual(self.rules("nft"), before)
        # What is printed is what is applied.
        self.pod.net.run(["iptables-nft-restore", "--noflush"],
                         stdin=printed.split("# ip6tables-nft-restore")[0])
        by_hand = self.rules("nft")
        self.tearDown()
        self.pod.redirect()
        self.assertEqual(self.rules("nft"), by_hand)

    def test_ipv6_off_leaves_ipv6_alone(self):
        self.pod.redirect()
        self.pod.redirect("--ipv6", "off")
        self.assertEqual(self.reached(self.client, self.pod.ip6, 80), "pod 80")
        self.assertEqual(self.reached(self.client, self.pod.ip, 80), "pod 15006")

    def test_errors_say_what_is_wrong(self):
        cases = [
            (["--ignore-incoming-ports", "http"], 0, "--ignore-incoming-ports: \"http\""),
            (["--ignore-outgoing-cidrs", "10/8"], 0, "--ignore-outgoing-cidrs: \"10/8\""),
            (["--no-such-flag"], 0, "--no-such-flag"),
            ([], 10001, "NET_ADMIN"),
        ]
        for flags, uid, message in cases:
            with self.subTest(flags=flags, uid=uid):
                with self.assertRaises(CommandFailed) as failed:
                    self.pod.net.run([self.lab.binary("weft-init"), *flags], uid=uid)
                self.assertIn(message, str(failed.exception))
