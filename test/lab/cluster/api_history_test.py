"""The lab's API server remembers for a while, and its state outlives it: pages, watches, restarts."""

import json
import os
import shutil
import signal
import sys
import tempfile
import threading
import unittest

from lab.binaries import ROOT
from lab.cluster.api.testing import TESTDATA, InstanceTestCase, fill_world, recordings
from lab.process import Process
from lab.shell import run, wait_for

_KUBECTL = os.path.join(ROOT, ".deps/kubernetes/kubectl")
_CONFIG_MAPS = "/api/v1/namespaces/default/configmaps"
_MERGE = {"Content-Type": "application/merge-patch+json"}


class HistoryTest(InstanceTestCase):

    def config_maps(self, instance, count):
        for number in range(count):
            instance.create(_CONFIG_MAPS,
                            {"metadata": {"name": f"c{number}", "labels": {"even": str(number % 2)}}})

    def test_pages_show_one_moment(self):
        instance = self.instance()
        self.config_maps(instance, 5)
        first = self.get(instance, _CONFIG_MAPS + "?limit=2")
        self.assertEqual((self.names(first), first["metadata"]["remainingItemCount"]), (["c0", "c1"], 3))
        instance.create(_CONFIG_MAPS, {"metadata": {"name": "c2-late"}})
        instance.request("DELETE", _CONFIG_MAPS + "/c3")
        second = self.get(instance, f"{_CONFIG_MAPS}?limit=2&continue={first['metadata']['continue']}")
        self.assertEqual(self.names(second), ["c2", "c3"])
        self.assertEqual(second["metadata"]["resourceVersion"], first["metadata"]["resourceVersion"])
        last = self.get(instance, f"{_CONFIG_MAPS}?limit=2&continue={second['metadata']['continue']}")
        self.assertEqual((self.names(last), "continue" in last["metadata"]), (["c4"], False))

    def test_pages_of_a_forgotten_moment_are_410_with_a_way_on(self):
        instance = self.instance()
        self.config_maps(instance, 4)
        first = self.get(instance, _CONFIG_MAPS + "?limit=2")
        instance.create(_CONFIG_MAPS, {"metadata": {"name": "c2-late"}})
        instance.request("POST", "/debug/compact")
        gone = self.get(instance, f"{_CONFIG_MAPS}?limit=2&continue={first['metadata']['continue']}",
                        code=410)
        self.assertEqual(gone["reason"], "Expired")
        recorded = recordings("restart")["list-continue-410"]["steps"][-2]["response"]["body"]
        self.assertEqual((gone["message"], set(gone["metadata"])),
                         (recorded["message"], set(recorded["metadata"])))
        rest = self.get(instance, f"{_CONFIG_MAPS}?continue={gone['metadata']['continue']}")
        self.assertEqual(self.names(rest), ["c2", "c2-late", "c3"])

    def test_lists_at_a_version(self):
        instance = self.instance()
        self.config_maps(instance, 2)
        before = self.get(instance, _CONFIG_MAPS)["metadata"]["resourceVersion"]
        instance.request("PATCH", _CONFIG_MAPS + "/c0", {"data": {"a": "b"}}, _MERGE)
        exact = self.get(instance, f"{_CONFIG_MAPS}?resourceVersion={before}&resourceVersionMatch=Exact")
        self.assertNotIn("data", exact["items"][0])
        newer = self.get(instance,
                         f"{_CONFIG_MAPS}?resourceVersion={before}&resourceVersionMatch=NotOlderThan&limit=1")
        self.assertEqual(newer["items"][0]["data"], {"a": "b"})
        cached = self.get(instance, f"{_CONFIG_MAPS}?resourceVersion=0&limit=1")
        self.assertEqual(self.names(cached), ["c0", "c1"], "the limit means nothing at version 0")
        instance.request("POST", "/debug/compact")
        gone = self.get(instance, f"{_CONFIG_MAPS}?resourceVersion={before}&resourceVersionMatch=Exact",
                        code=410)
        recorded = recordings("restart")["list-exact-410"]
        recorded = recorded.get("response") or recorded["steps"][-1]["response"]
        self.assertEqual(gone, recorded["body"])

    def test_a_watch_from_a_forgotten_version_is_told_once(self):
        instance = self.instance(history=5)
        self.config_maps(instance, 1)
        old = instance.store.version
        self.config_maps_more(instance, 8)
        events = instance.watch(f"{_CONFIG_MAPS}?watch=true&resourceVersion={old}").events()
        self.assertEqual([event["type"] for event in events], ["ERROR"])
        status = events[0]["object"]
        self.assertEqual((status["code"], status["reason"]), (410, "Expired"))
        self.assertRegex(status["message"], rf"^too old resource version: {old} \(\d+\)$")

    def config_maps_more(self, instance, count):
        for number in range(count):
            instance.request("PATCH", _CONFIG_MAPS + "/c0", {"data": {"a": str(number)}}, _MERGE)

    def test_a_quiet_watch_survives_the_oblivion_of_others_events(self):
        instance = self.instance(history=5)
        stream = instance.watch(f"/api/v1/secrets?watch=true&resourceVersion={instance.store.version}")
        self.config_maps(instance, 20)
        instance.create("/api/v1/namespaces/default/secrets", {"metadata": {"name": "s"}})
        event = stream.next()
        self.assertEqual((event["type"], event["object"]["metadata"].get("name")), ("ADDED", "s"))
        stream.close()

    def test_bookmarks_come_regularly_and_before_the_end(self):
        instance = self.instance(bookmark_interval=0.2)
        version = instance.store.version
        stream = instance.watch(f"{_CONFIG_MAPS}?watch=true&allowWatchBookmarks=true&timeoutSeconds=3"
                                f"&resourceVersion={version}")
        self.assertEqual(stream.next()["type"], "BOOKMARK")
        instance.create("/api/v1/namespaces/default/secrets", {"metadata": {"name": "s"}})
        versions = [int(event["object"]["metadata"]["resourceVersion"]) for event in stream.events()]
        self.assertGreater(versions[-1], version, "bookmarks move on with what others write")

    def test_a_watch_of_the_future_hangs_in_silence(self):
        instance = self.instance()
        stream = instance.watch(f"{_CONFIG_MAPS}?watch=true&allowWatchBookmarks=true&timeoutSeconds=2"
                                f"&resourceVersion={instance.store.version + 1000}")
        self.config_maps(instance, 1)
        self.assertEqual((stream.code, stream.events()), (200, []))

    def test_streaming_lists_can_be_refused(self):
        instance = self.instance(streaming_lists=False)
        path = f"{_CONFIG_MAPS}?watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan"
        code, _, answer = instance.request("GET", path + "&allowWatchBookmarks=true")
        self.assertEqual((code, answer["reason"]), (422, "Invalid"))

    def test_every_watcher_gets_every_event_in_order(self):
        instance = self.instance()
        streams = [instance.watch(f"{_CONFIG_MAPS}?watch=true&resourceVersion={instance.store.version}"
                                  "&timeoutSeconds=20") for _ in range(8)]
        writers = [threading.Thread(target=self.config_maps_named, args=(instance, prefix, 25))
                   for prefix in ("a", "b", "c")]
        for writer in writers:
            writer.start()
        seen = [[stream.next()["object"]["metadata"] for _ in range(75)] for stream in streams]
        for writer in writers:
            writer.join()
        versions = [[int(metadata["resourceVersion"]) for metadata in one] for one in seen]
        self.assertEqual(versions[0], sorted(versions[0]))
        self.assertTrue(all(one == versions[0] for one in versions))

    def config_maps_named(self, instance, prefix, count):
        for number in range(count):
            instance.create(_CONFIG_MAPS, {"metadata": {"name": f"{prefix}{number}"}})

    def test_ten_thousand_pods_are_loaded_and_listed(self):
        instance = self.instance()
        fill_world(instance)
        pod = self.get(instance, "/api/v1/namespaces/shop/pods/web-1")
        for start in range(0, 10000, 500):
            instance.load({**pod, "metadata": {"name": f"p{number}", "namespace": "shop", "uid": str(number),
                                               "creationTimestamp": "2026-01-01T00:00:00Z"}}
                          for number in range(start, start + 500))
        stream = instance.watch("/api/v1/pods?watch=true&allowWatchBookmarks=true&sendInitialEvents=true"
                                "&resourceVersionMatch=NotOlderThan")
        added = 0
        while (event := stream.next())["type"] == "ADDED":
            added += 1
        self.assertEqual((added, event["type"]), (10002, "BOOKMARK"))
        stream.close()


class RestartTest(InstanceTestCase):

    def start(self):
        server = Process("api", [sys.executable, "-m", "lab.cluster.api", "--directory", self.directory,
                                 "--kubeconfig", self.kubeconfig, "--access", "none"],
                         os.path.join(self.directory, "log"),
                         env={**os.environ, "PYTHONPATH": os.path.join(ROOT, "test")})
        self.addCleanup(server.stop)
        wait_for(lambda: server.check_running() and "serving" in server.log(), "the API server", deadline=30)
        return server

    def kubectl(self, *arguments, stdin=None):
        return run([_KUBECTL, *arguments], stdin=stdin, env={**os.environ, "KUBECONFIG": self.kubeconfig,
                                                             "HOME": self.directory}).stdout

    def setUp(self):
        self.directory = tempfile.mkdtemp(prefix="weft-api-restart-")
        self.addCleanup(shutil.rmtree, self.directory)
        self.kubeconfig = os.path.join(self.directory, "kubeconfig")

    def test_the_state_survives_the_end_of_the_process_however_it_comes(self):
        server = self.start()
        self.kubectl("create", "configmap", "kept", "--from-literal=a=b")
        self.kubectl("create", "configmap", "deleted")
        self.kubectl("delete", "configmap", "deleted")
        self.kubectl("apply", "-f",
                     os.path.join(TESTDATA, "inputs", "crd-trafficsplits.yaml"))
        versions = [self.version()]
        for end in (signal.SIGTERM, signal.SIGKILL):
            server.signal(end)
            server.wait()
            server = self.start()
            self.assertEqual(self.kubectl("get", "cm", "-o", "name").split(), ["configmap/kept"])
            self.assertEqual(self.kubectl("get", "cm", "kept", "-o", "jsonpath={.data.a}"), "b")
            self.assertIn("No resources", self.errors("get", "trafficsplits"))
            versions.append(self.version())
            gone = self.kubectl("get", "--raw", f"{_CONFIG_MAPS}?watch=true&resourceVersion={versions[-2]}"
                                "&timeoutSeconds=5")
            self.assertEqual(json.loads(gone)["object"]["code"], 410)
        self.assertEqual(versions, sorted(set(versions)), "versions only grow")

    def errors(self, *arguments):
        return run([_KUBECTL, *arguments], env={**os.environ, "KUBECONFIG": self.kubeconfig,
                                                "HOME": self.directory}).stderr

    def version(self):
        return int(json.loads(self.kubectl("get", "--raw", _CONFIG_MAPS))["metadata"]["resourceVersion"])


if __name__ == "__main__":
    unittest.main()
