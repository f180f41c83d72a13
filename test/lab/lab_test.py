"""The lab's own tests: that it tells the truth, and that it leaves nothing behind."""

import json
import os
import signal
import subprocess
import sys
import unittest

from lab import Deadline, Lab, registry, run, wait_for
from lab.manifests import to_yaml

_TEST = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

# A lab of another process that says when it is up, and then waits.
_OTHER = """
import sys, time
sys.path.insert(0, sys.argv[1])
from lab import Lab
with Lab() as lab:
    lab.add_pod("web", meshed=False).net.start("sleep", ["sleep", "1000"])
    print(lab.id, lab.directory, flush=True)
    time.sleep(1000)
"""


def traces(lab_id, directory):
    """What there is of a lab."""
    names = [line for line in run(["ip", "netns", "list"]).stdout.splitlines() if lab_id in line]
    names += [name for name in os.listdir("/etc/netns") if lab_id in name]
    return names + ([directory] if os.path.exists(directory) else [])


class LabTest(unittest.TestCase):

    def start_other(self):
        """A lab in another process: (process, id, directory)."""
        other = subprocess.Popen([sys.executable, "-c", _OTHER, _TEST], stdout=subprocess.PIPE,
                                 text=True)
        self.addCleanup(other.stdout.close)
        self.addCleanup(other.wait)
        self.addCleanup(other.kill)
        lab_id, directory = other.stdout.readline().split()
        self.assertTrue(traces(lab_id, directory))
        return other, lab_id, directory

    def test_two_labs_coexist_and_each_reaches_its_own_pods_only(self):
        with Lab() as one, Lab() as two:
            for lab, answer in ((one, "one"), (two, "two")):
                lab.add_pod("web", meshed=False)
                lab.add_pod("tea", meshed=False, ports=(80,)).start_nginx(answer)
            for lab, answer in ((one, "one"), (two, "two")):
                tea = lab.pods["tea"]
                tea.app.wait_until_listening()
                for address in (tea.ip, f"[{tea.ip6}]"):
                    self.assertEqual(lab.pods["web"].get(f"http://{address}/"), answer)

    def test_a_failure_inside_leaves_nothing_behind(self):
        with self.assertRaises(ZeroDivisionError):
            with Lab() as lab:
                sleeper = lab.add_pod("web", meshed=False).net.start("sleep", ["sleep", "1000"])
                print(1 // 0)
        self.assertEqual(traces(lab.id, lab.directory), [])
        self.assertFalse(sleeper.running())

    def test_sigterm_leaves_nothing_behind(self):
        other, lab_id, directory = self.start_other()
        other.send_signal(signal.SIGTERM)
        self.assertEqual(other.wait(20), 143)
        self.assertEqual(traces(lab_id, directory), [])

    def test_a_killed_run_is_swept_by_the_next(self):
        other, lab_id, directory = self.start_other()
        alive, alive_id, alive_directory = self.start_other()
        other.kill()
        other.wait()
        self.assertTrue(traces(lab_id, directory))
        with Lab():
            self.assertEqual(traces(lab_id, directory), [])
            self.assertTrue(traces(alive_id, alive_directory), "a living lab is not swept")
        alive.send_signal(signal.SIGTERM)
        alive.wait(20)

    def test_programs_of_a_pod_have_no_capabilities(self):
        with Lab() as lab:
            web = lab.add_pod("web", meshed=False)
            for uid in (10001, 1337):
                status = web.run(["cat", "/proc/self/status"], uid=uid).stdout
                self.assertIn(f"Uid:\t{uid}\t{uid}\t{uid}\t{uid}", status)
                for kind in ("Prm", "Eff", "Bnd"):
                    self.assertIn(f"Cap{kind}:\t0000000000000000", status)

    def test_names_of_services_resolve_in_pods(self):
        with Lab() as lab:
            web = lab.add_pod("web", meshed=False)
            other = lab.add_pod("other", namespace="bank", meshed=False)
            service = lab.add_service("tea.1", {"app": "tea"}, [{"port": 80}])
            for pod, name, found in ((web, "tea.1", True), (other, "tea.1", False),
                                     (other, "tea.1.shop", True),
                                     (web, "tea.1.shop.svc.cluster.local", True)):
                done = pod.run(["getent", "ahostsv4", name], check=False)
                self.assertEqual(service.cluster_ips[0] in done.stdout, found, (pod.name, name))

    def test_a_capture_finds_what_went_over_the_wire_and_nothing_else(self):
        with Lab() as lab:
            web = lab.add_pod("web", meshed=False)
            tea = lab.add_pod("tea", meshed=False, ports=(80,))
            tea.start_nginx("x" * 3000).wait_until_listening()
            for address in (tea.ip, f"[{tea.ip6}]"):
                with lab.capture(web) as capture:
                    web.get(f"http://{address}/echo/marker")
                    web.get(f"http://{address}/")
                self.assertTrue(capture.contains(b"/echo/marker"))
                self.assertTrue(capture.contains(b"x" * 3000), "put together from segments")
                self.assertFalse(capture.contains(b"other"))
                self.assertEqual(capture.tls_versions(), [])

    def test_the_capture_knows_tls_versions(self):
        with Lab() as lab:
            web = lab.add_pod("web", meshed=False)
            server = lab.add_pod("server", meshed=False)
            key, certificate = (os.path.join(lab.directory, name) for name in ("key", "crt"))
            run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=x", "-days",
                 "1", "-keyout", key, "-out", certificate])
            server.net.start("openssl", ["openssl", "s_server", "-accept", "443", "-key", key, "-cert",
                                         certificate, "-www", "-quiet"])
            wait_for(lambda: not server.net.connect("127.0.0.1", 443).close(), "openssl to listen")
            for flag, version in (("1.2", "TLSv1.2"), ("1.3", "TLSv1.3")):
                with lab.capture(web) as capture:
                    web.curl("-k", f"--tlsv{flag}", "--tls-max", flag, f"https://{server.ip}/")
                self.assertEqual(capture.tls_versions(), [version])

    def test_waiting_says_what_it_waited_for(self):
        with self.assertRaisesRegex(Deadline, "for the moon; last seen: 0"):
            wait_for(lambda: 0, "the moon", deadline=0.05)


class ManifestTest(unittest.TestCase):

    def test_yaml_is_what_yaml_readers_read(self):
        # JSON is YAML: a reader that is not ours must find the same values in both.
        objects = {"a": "plain", "b": "yes", "c": "1.0", "d": 1, "e": True, "f": None, "g": [],
                   "h": {}, "i": [{"x": 1, "y": [1, 2]}, "z"], "j": "version=beta", "k": "",
                   "with space": "a: b", "l": [[1, 2], []], "m/n": "#", "o": "tea.1", "p": "0x10"}
        lines = to_yaml(objects).splitlines()
        self.assertEqual(lines[:4], ["a: plain", 'b: "yes"', 'c: "1.0"', "d: 1"])
        self.assertIn('j: "version=beta"', lines)
        self.assertIn("- x: 1", [line.strip() for line in lines])
        self.assertIn("g: []", lines)
        self.assertEqual(json.loads(lines[lines.index("h: {}")].split(": ")[1]), {})

    def test_documents_are_separated(self):
        self.assertEqual(to_yaml({"a": 1}, {"b": 2}), "a: 1\n---\nb: 2\n")


class RegistryTest(unittest.TestCase):

    def test_kept_labs_outlive_their_process_and_are_removed_by_id(self):
        program = ("import sys; sys.path.insert(0, sys.argv[1])\nfrom lab import Lab\n"
                   "with Lab() as lab:\n  lab.keep()\n  print(lab.id, lab.directory)\n")
        lab_id, directory = run([sys.executable, "-c", program, _TEST]).stdout.split()
        registry.sweep()
        self.assertTrue(traces(lab_id, directory))
        self.assertEqual(registry.kept()[lab_id], directory)
        registry.remove(lab_id, directory)
        self.assertNotIn(lab_id, registry.kept())
        self.assertEqual(traces(lab_id, directory), [])
