"""Real Helm at the lab's API server, without a node: releases come and go, and it waits for what it made."""

import json
import os
import unittest

from lab.binaries import ROOT
from lab.cluster.api.testing import TESTDATA, InstanceTestCase
from lab.shell import run

_HELM = os.path.join(ROOT, ".deps/kubernetes/helm")
_CHART = os.path.join(TESTDATA, "inputs", "chart")


class HelmTest(InstanceTestCase):

    def helm(self, instance, *arguments):
        environment = {**os.environ, "KUBECONFIG": instance.kubeconfig, "HOME": instance.directory,
                       "HELM_CACHE_HOME": instance.directory}
        return run([_HELM, *arguments, "-n", "demo"], env=environment).stdout

    def greeting(self, instance):
        return self.get(instance, "/api/v1/namespaces/demo/configmaps/demo-config")["data"]["greeting"]

    def live(self, instance):
        """A release from its beginning to its end."""
        wait = ("--wait", "--timeout", "20s")
        self.helm(instance, "install", "demo", _CHART, "--create-namespace", *wait)
        self.assertEqual(self.greeting(instance), "hello")
        self.helm(instance, "upgrade", "demo", _CHART, "--set", "greeting=ho", *wait)
        self.assertEqual(self.greeting(instance), "ho")
        self.helm(instance, "rollback", "demo", "1", *wait)
        self.assertEqual(self.greeting(instance), "hello")
        releases = json.loads(self.helm(instance, "list", "-o", "json"))
        self.assertEqual([(release["name"], release["revision"], release["status"]) for release in releases],
                         [("demo", "3", "deployed")])
        self.helm(instance, "uninstall", "demo", *wait)
        self.get(instance, "/api/v1/namespaces/demo/configmaps/demo-config", code=404)
        self.assertEqual(self.names(self.get(instance, "/api/v1/namespaces/demo/secrets")), [])

    def test_a_release_lives_where_lists_are_streamed(self):
        self.live(self.instance())

    def test_a_release_lives_where_they_are_not(self):
        self.live(self.instance(streaming_lists=False))


if __name__ == "__main__":
    unittest.main()
