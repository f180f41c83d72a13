"""meshctl on a cluster: look, install, look again, upgrade, remove."""

import json
import os
import unittest

from lab.binaries import ROOT
from lab.cluster.cluster import Cluster
from lab.shell import run

_EXAMPLES = os.path.join(ROOT, "docs", "examples", "tea")
_SYSTEM = "weft-system"


class InstallTest(unittest.TestCase):

    @classmethod
    def setUpClass(cls):
        logs = os.environ.get("WEFT_TEST_LOGS")
        logs = os.path.join(logs, cls.__name__) if logs else None
        cls.cluster = cls.enterClassContext(Cluster(log_dir=logs))

    def meshctl(self, *arguments, check=True, timeout=60):
        return run([self.cluster.lab.binary("meshctl"), *arguments], check=check, timeout=timeout,
                   env=self.cluster.environment())

    def check(self, *flags):
        """(exit code, {check: (status, detail, remedy)}) of meshctl check."""
        done = self.meshctl("check", "-o", "json", *flags, check=False)
        results = json.loads(done.stdout)["results"]
        return done.returncode, {r["check"]: (r["status"], r["detail"], r["remedy"]) for r in results}

    def roots(self):
        return self.cluster.get("configmap", "weft-root", _SYSTEM)["data"]["root.pem"]

    def test_a_mesh_comes_is_looked_at_changes_and_goes(self):
        code, found = self.check("--pre")
        self.assertEqual((code, {status for status, _, _ in found.values()}), (0, {"OK"}), found)
        code, found = self.check()
        self.assertEqual(code, 1)
        self.assertIn("meshctl install", found["weft-control-plane"][2])
        self.assertIn("is Weft installed there", self.meshctl("status", check=False).stderr)

        self.meshctl("install", "--timeout", "2m", timeout=200)
        code, found = self.check()
        self.assertEqual((code, {status for status, _, _ in found.values()}), (0, {"OK"}), found)
        tested = self.cluster.helm("test", "weft", "-n", _SYSTEM).stdout
        self.assertEqual(tested.count("Succeeded"), 2, tested)

        # A member; its objects.
        self.cluster.kubectl("create", "namespace", "shop")
        self.cluster.kubectl("label", "namespace", "shop", "injector.nsm.nginx.com/auto-inject=enabled")
        self.cluster.kubectl("-n", "shop", "apply", "-f", os.path.join(_EXAMPLES, "canary.yaml"))
        self.cluster.kubectl("-n", "shop", "run", "web", "--image=curlimages/curl", "--", "sleep", "infinity")
        self.cluster.wait_for_pod("web", "shop")
        self.assertIn("shop/web", self.meshctl("proxies").stdout)
        refused = self.meshctl("uninstall", check=False)
        self.assertEqual(refused.returncode, 1)
        self.assertIn("shop/web", refused.stderr)

        # The same values and the same CA after an upgrade.
        self.cluster.kubectl("patch", "meshconfig", "default", "--type=merge", "-p", '{"spec":{"mtlsMode":"strict"}}')
        roots = self.roots()
        self.meshctl("install", "--set", "injector.webhook.timeoutSeconds=7", "--timeout", "2m", timeout=200)
        self.meshctl("install", "--timeout", "2m", timeout=200)
        self.assertEqual(self.roots(), roots)
        webhook = self.cluster.get("mutatingwebhookconfiguration", "weft-injector")["webhooks"][0]
        self.assertEqual(webhook["timeoutSeconds"], 7)
        self.assertIn("strict", self.meshctl("status").stdout)

        # Gone, but for what is the users'.
        self.meshctl("uninstall", "--force", timeout=120)
        self.assertIsNone(self.cluster.get("deployment", "weft-control-plane", _SYSTEM))
        self.assertIsNotNone(self.cluster.get("ts", "tea-canary", "shop"))
        self.assertIsNotNone(self.cluster.get("secret", "weft-ca", _SYSTEM))
        self.cluster.kubectl("-n", "shop", "run", "later", "--image=curlimages/curl", "--", "sleep", "infinity")
