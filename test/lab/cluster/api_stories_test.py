"""What the lab's API server promises beyond single answers: pages, history, restarts, definitions,
deletion."""

import json
import os
import shutil
import signal
import sys
import tempfile
import threading
import unittest

from lab.binaries import ROOT
from lab.cluster.api.testing import Instance, fill_world, recordings
from lab.process import Process
from lab.shell import run, wait_for

_KUBECTL = os.path.join(ROOT, ".deps/kubernetes/kubectl")
_CONFIG_MAPS = "/api/v1/namespaces/default/configmaps"
_MERGE = {"Content-Type": "application/merge-patch+json"}
_APPLY = {"Content-Type": "application/apply-patch+yaml"}


class StoryTest(unittest.TestCase):

    def instance(self, **settings):
        instance = Instance(**settings)
        self.addCleanup(instance.close)
        return instance

    def names(self, answer):
        return [item["metadata"]["name"] for item in answer["items"]]

    def get(self, instance, path, code=200):
        got, _, answer = instance.request("GET", path)
        self.assertEqual(got, code, answer)
        return answer

    def config_maps(self, instance, count):
        for number in range(count):
            instance.create(_CONFIG_MAPS,
                            {"metadata": {"name": f"c{number}", "labels": {"even": str(number % 2)}}})


class HistoryTest(StoryTest):

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


class RestartTest(StoryTest):

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
                     os.path.join(os.path.dirname(os.path.abspath(__file__)), "testdata", "inputs",
                                                 "crd-trafficsplits.yaml"))
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


class DefinitionTest(StoryTest):

    def definition(self, **version):
        schema = {"type": "object", "properties": {
            "spec": {"type": "object", "required": ["size"], "properties": {
                "size": {"type": "integer", "minimum": 1, "maximum": 10},
                "colour": {"type": "string", "enum": ["red", "blue"], "default": "red"},
                "name": {"type": "string", "pattern": "^[a-z]+$", "maxLength": 5},
                "port": {"x-kubernetes-int-or-string": True},
                "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
                "labels": {"type": "object", "additionalProperties": {"type": "string"}},
                "parts": {"type": "array", "maxItems": 3, "x-kubernetes-list-type": "map",
                          "x-kubernetes-list-map-keys": ["name"],
                          "items": {"type": "object", "required": ["name"], "properties": {
                              "name": {"type": "string"}, "weight": {"type": "number"}}}}}},
            "status": {"type": "object",
                       "properties": {"ready": {"type": "boolean"}, "replicas": {"type": "integer"}}}}}
        base = {"served": True, "storage": False, "schema": {"openAPIV3Schema": schema},
                "subresources": {"status": {}, "scale": {"specReplicasPath": ".spec.size",
                                                         "statusReplicasPath": ".status.replicas"}}}
        return {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
                "metadata": {"name": "widgets.weft.test"},
                "spec": {"group": "weft.test", "scope": "Namespaced",
                         "names": {"plural": "widgets", "kind": "Widget"},
                         "versions": [{"name": "v1alpha1", **base},
                                      {"name": "v1", **base, "storage": True, **version}]}}

    def installed(self):
        instance = self.instance()
        self.path = "/apis/weft.test/v1/namespaces/default/widgets"
        instance.create("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", self.definition())
        wait_for(lambda: instance.watched("/apis/weft.test/v1/widgets"), "the definition")
        return instance

    def widget(self, version="v1", **spec):
        return {"apiVersion": f"weft.test/{version}", "kind": "Widget", "metadata": {"name": "w"},
                "spec": {"size": 1, **spec}}

    def test_schemas_decide(self):
        instance = self.installed()
        for spec, field, words in (
                ({"size": 0}, "spec.size", "should be greater than or equal to 1"),
                ({"size": 11}, "spec.size", "should be less than or equal to 10"),
                ({"size": "x"}, "spec.size", 'must be of type integer: "string"'),
                ({"size": None}, "spec.size", "must be of type integer"),
                ({"colour": "green"}, "spec.colour",
                 'Unsupported value: "green": supported values: "red", "blue"'),
                ({"name": "A1"}, "spec.name", "should match '^[a-z]+$'"),
                ({"name": "abcdef"}, "spec.name", "Too long"),
                ({"port": True}, "spec.port", "must be of type integer,string"),
                ({"labels": {"a": 1}}, "spec.labels.a", "must be of type string"),
                ({"parts": [{"weight": 1}]}, "spec.parts[0].name", "Required value"),
                ({"parts": [{"name": "a"}, {"name": "a"}]}, "spec.parts[1]", "Duplicate value"),
                ({"parts": [{"name": name} for name in "abcd"]}, "spec.parts", "must have at most 3 items")):
            with self.subTest(spec=spec):
                code, _, answer = instance.request("POST", self.path, self.widget(**spec))
                self.assertEqual((code, answer["reason"]), (422, "Invalid"), answer)
                cause = answer["details"]["causes"][0]
                self.assertEqual(cause["field"], field)
                self.assertIn(words, cause["message"])

    def test_defaults_and_unknown_fields(self):
        instance = self.installed()
        stored = instance.create(self.path,
                                 self.widget(port="http", free={"any": [1, {"x": None}]}, unknown=1))
        self.assertEqual(stored["spec"],
                         {"size": 1, "colour": "red", "port": "http", "free": {"any": [1, {"x": None}]}})

    def test_versions_show_the_same_object(self):
        instance = self.installed()
        old = self.path.replace("v1", "v1alpha1")
        instance.create(old, self.widget(version="v1alpha1"))
        for path, version in ((self.path, "v1"), (old, "v1alpha1")):
            self.assertEqual(self.get(instance, f"{path}/w")["apiVersion"], f"weft.test/{version}")
            answer = self.get(instance, path)
            self.assertEqual((answer["apiVersion"], answer["items"][0]["apiVersion"]),
                             (f"weft.test/{version}",) * 2)
        stream = instance.watch(f"{old}?watch=true&timeoutSeconds=5")
        self.assertEqual(stream.next()["object"]["apiVersion"], "weft.test/v1alpha1")
        now = self.get(instance, f"{old}/w")
        now["spec"]["size"] = 2
        code, _, answer = instance.request("PUT", f"{old}/w", now)
        self.assertEqual((code, answer["metadata"]["generation"], answer["apiVersion"]),
                         (200, 2, "weft.test/v1alpha1"))
        stream.close()

    def test_status_is_written_apart(self):
        instance = self.installed()
        made = instance.create(self.path, {**self.widget(), "status": {"ready": True}})
        self.assertNotIn("status", made)
        code, _, answer = instance.request("PATCH", f"{self.path}/w/status",
                                           {"spec": {"size": 9}, "status": {"ready": True}}, _MERGE)
        self.assertEqual((code, answer["spec"]["size"], answer["status"]), (200, 1, {"ready": True}))
        self.assertEqual(answer["metadata"]["generation"], 1)
        code, _, answer = instance.request("PATCH", f"{self.path}/w",
                                           {"spec": {"size": 2}, "status": {"ready": False}},
                                           _MERGE)
        self.assertEqual((answer["status"], answer["metadata"]["generation"]), ({"ready": True}, 2))
        code, _, answer = instance.request("PATCH", f"{self.path}/w/status", {"status": {"ready": "yes"}},
                                           _MERGE)
        self.assertEqual((code, answer["details"]["causes"][0]["field"]), (422, "status.ready"))

    def test_scale(self):
        instance = self.installed()
        instance.create(self.path, self.widget(size=3))
        self.assertEqual(self.get(instance, f"{self.path}/w/scale")["spec"], {"replicas": 3})
        code, _, answer = instance.request("PATCH", f"{self.path}/w/scale", {"spec": {"replicas": 5}}, _MERGE)
        self.assertEqual((code, answer["kind"], answer["spec"]), (200, "Scale", {"replicas": 5}))
        self.assertEqual(self.get(instance, f"{self.path}/w")["spec"]["size"], 5)

    def test_lists_with_keys_are_applied_item_by_item(self):
        instance = self.installed()
        for manager, name in (("one", "a"), ("two", "b")):
            code, _, answer = instance.request("PATCH", f"{self.path}/w?fieldManager={manager}", {
                **self.widget(parts=[{"name": name, "weight": 1}])}, _APPLY)
            self.assertIn(code, (200, 201), answer)
        self.assertEqual([part["name"] for part in answer["spec"]["parts"]], ["a", "b"])
        code, _, answer = instance.request("PATCH", f"{self.path}/w?fieldManager=one", self.widget(), _APPLY)
        self.assertEqual(code, 200, answer)
        self.assertEqual([part["name"] for part in answer["spec"]["parts"]], ["b"],
                         "what one gave up is gone")
        code, _, answer = instance.request("PATCH", f"{self.path}/w?fieldManager=one", self.widget(
            parts=[{"name": "b", "weight": 2}]), _APPLY)
        self.assertEqual((code, answer["details"]["causes"][0]["field"]),
                         (409, '.spec.parts[name="b"].weight'))

    def test_a_changed_definition_ends_watches_and_a_deleted_one_takes_its_objects_along(self):
        instance = self.installed()
        instance.create(self.path, self.widget())
        definition = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/widgets.weft.test"
        stream = instance.watch(f"{self.path}?watch=true&resourceVersion={instance.store.version}")
        code, _, answer = instance.request("PATCH", definition, [
            {"op": "add", "path": "/spec/versions/1/additionalPrinterColumns",
             "value": [{"name": "Size", "type": "integer", "jsonPath": ".spec.size"}]}],
            {"Content-Type": "application/json-patch+json"})
        self.assertEqual(code, 200, answer)
        self.assertEqual(stream.events(), [])
        stream = instance.watch(f"{self.path}?watch=true&resourceVersion={instance.store.version}")
        self.assertEqual(instance.request("DELETE", definition)[0], 200)
        self.assertEqual([event["type"] for event in stream.events()], ["DELETED"])
        wait_for(lambda: instance.request("GET", self.path)[0] == 404, "the path to go")
        self.assertEqual(self.get(instance, definition, code=404)["reason"], "NotFound")


class DeletionTest(StoryTest):

    def owned(self, instance, name, owner, **more):
        reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": owner["metadata"]["name"],
                     "uid": owner["metadata"]["uid"], "blockOwnerDeletion": True}
        return instance.create(_CONFIG_MAPS,
                               {"metadata": {"name": name, "ownerReferences": [reference], **more}})

    def delete(self, instance, name, policy):
        return instance.request("DELETE", f"{_CONFIG_MAPS}/{name}", {"propagationPolicy": policy})

    def gone(self, instance, name):
        return lambda: instance.request("GET", f"{_CONFIG_MAPS}/{name}")[0] == 404

    def test_dependents_follow_their_owner(self):
        instance = self.instance()
        owner = instance.create(_CONFIG_MAPS, {"metadata": {"name": "owner"}})
        child = self.owned(instance, "child", owner)
        self.owned(instance, "grandchild", child)
        self.delete(instance, "owner", "Background")
        wait_for(self.gone(instance, "grandchild"), "the garbage collector")

    def test_the_owner_waits_for_its_dependents_in_the_foreground(self):
        instance = self.instance()
        owner = instance.create(_CONFIG_MAPS, {"metadata": {"name": "owner"}})
        self.owned(instance, "child", owner, finalizers=["weft.test/hold"])
        code, _, answer = self.delete(instance, "owner", "Foreground")
        self.assertEqual((code, answer["metadata"]["finalizers"]), (200, ["foregroundDeletion"]))
        wait_for(lambda: "deletionTimestamp" in self.get(instance, _CONFIG_MAPS + "/child")["metadata"],
                 "the deletion of the child")
        self.get(instance, _CONFIG_MAPS + "/owner")
        instance.request("PATCH", _CONFIG_MAPS + "/child", {"metadata": {"finalizers": None}}, _MERGE)
        wait_for(self.gone(instance, "owner"), "the end of the owner")

    def test_orphans_stay(self):
        instance = self.instance()
        owner = instance.create(_CONFIG_MAPS, {"metadata": {"name": "owner"}})
        self.owned(instance, "child", owner)
        self.delete(instance, "owner", "Orphan")
        wait_for(self.gone(instance, "owner"), "the end of the owner")
        self.assertNotIn("ownerReferences", self.get(instance, _CONFIG_MAPS + "/child")["metadata"])

    def test_one_living_owner_is_enough(self):
        instance = self.instance()
        one, two = (instance.create(_CONFIG_MAPS, {"metadata": {"name": name}}) for name in ("one", "two"))
        self.owned(instance, "child", one)
        references = [{"apiVersion": "v1", "kind": "ConfigMap", "name": owner["metadata"]["name"],
                       "uid": owner["metadata"]["uid"]} for owner in (one, two)]
        instance.request("PATCH", _CONFIG_MAPS + "/child", {"metadata": {"ownerReferences": references}},
                         _MERGE)
        self.delete(instance, "one", "Background")
        wait_for(lambda: len(self.get(instance, _CONFIG_MAPS + "/child")["metadata"]["ownerReferences"]) == 1,
                 "the dead owner to be forgotten")

    def test_a_namespace_goes_when_it_is_empty(self):
        instance = self.instance()
        instance.create("/api/v1/namespaces", {"metadata": {"name": "shop"}})
        shop = "/api/v1/namespaces/shop"
        instance.create(f"{shop}/configmaps",
                        {"metadata": {"name": "held", "finalizers": ["weft.test/hold"]}})
        code, _, answer = instance.request("DELETE", shop)
        self.assertEqual((code, answer["status"]["phase"]), (200, "Terminating"))
        self.assertEqual(instance.request("POST", f"{shop}/configmaps", {"metadata": {"name": "late"}})[0],
                         403)
        wait_for(lambda: "deletionTimestamp" in self.get(instance, f"{shop}/configmaps/held")["metadata"],
                 "the deletion of what is inside")
        self.get(instance, shop)
        instance.request("PATCH", f"{shop}/configmaps/held", {"metadata": {"finalizers": None}}, _MERGE)
        wait_for(lambda: instance.request("GET", shop)[0] == 404, "the end of the namespace")


class WriteTest(StoryTest):

    def test_of_many_writers_with_a_version_one_wins(self):
        instance = self.instance()
        first = instance.create(_CONFIG_MAPS, {"metadata": {"name": "c"}, "data": {"n": "0"}})
        codes = []

        def write(number):
            codes.append(instance.request("PUT", _CONFIG_MAPS + "/c",
                                          {**first, "data": {"n": str(number)}})[0])
        writers = [threading.Thread(target=write, args=(number,)) for number in range(1, 9)]
        for writer in writers:
            writer.start()
        for writer in writers:
            writer.join()
        self.assertEqual(sorted(codes), [200] + [409] * 7)

    def test_no_patch_of_many_is_lost(self):
        instance = self.instance()
        instance.create(_CONFIG_MAPS, {"metadata": {"name": "c"}})

        def write(number):
            code, _, answer = instance.request("PATCH", _CONFIG_MAPS + "/c", {"data": {f"k{number}": ""}},
                                               _MERGE)
            self.assertEqual(code, 200, answer)
        writers = [threading.Thread(target=write, args=(number,)) for number in range(8)]
        for writer in writers:
            writer.start()
        for writer in writers:
            writer.join()
        self.assertEqual(len(self.get(instance, _CONFIG_MAPS + "/c")["data"]), 8)

    def test_services_get_addresses_of_their_families(self):
        instance = self.instance()
        path = "/api/v1/namespaces/default/services"
        cases = (
            ({}, ["IPv4"], [r"10\.96\."]),
            ({"ipFamilyPolicy": "PreferDualStack"}, ["IPv4", "IPv6"], [r"10\.96\.", "fd00:96::"]),
            ({"ipFamilies": ["IPv6"]}, ["IPv6"], ["fd00:96::"]),
            ({"clusterIP": "None"}, ["IPv4"], ["None"]),
            ({"clusterIP": "10.96.7.7"}, ["IPv4"], [r"10\.96\.7\.7"]),
        )
        for number, (spec, families, patterns) in enumerate(cases):
            made = instance.create(path, {"metadata": {"name": f"s{number}"}, "spec": {
                "selector": {"a": "b"}, "ports": [{"port": 80}], **spec}})["spec"]
            self.assertEqual(made["ipFamilies"], families, spec)
            self.assertEqual(made["clusterIP"], made["clusterIPs"][0])
            for address, pattern in zip(made["clusterIPs"], patterns, strict=True):
                self.assertRegex(address, pattern)
        code, _, answer = instance.request("POST", path, {"metadata": {"name": "again"}, "spec": {
            "clusterIP": "10.96.7.7", "ports": [{"port": 80}]}})
        self.assertEqual(code, 422, answer)
        self.assertIn("already allocated", answer["message"])

    def test_strategic_patches_merge_lists_by_key(self):
        instance = self.instance()
        path = "/apis/apps/v1/namespaces/default/deployments"
        containers = [{"name": name, "image": "x:1", "env": [{"name": "A", "value": "1"}]}
                      for name in ("a", "b")]
        instance.create(path, {"metadata": {"name": "d"}, "spec": {
            "selector": {"matchLabels": {"app": "d"}},
            "template": {"metadata": {"labels": {"app": "d"}}, "spec": {"containers": containers}}}})
        strategic = {"Content-Type": "application/strategic-merge-patch+json"}

        def patched(change):
            code, _, answer = instance.request("PATCH", f"{path}/d", {"spec": {"template": {"spec": change}}},
                                               strategic)
            self.assertEqual(code, 200, answer)
            return answer["spec"]["template"]["spec"]["containers"]
        found = patched({"containers": [{"name": "b", "image": "y:2"}]})
        self.assertEqual([(one["name"], one["image"], one["env"][0]["value"]) for one in found],
                         [("a", "x:1", "1"), ("b", "y:2", "1")])
        found = patched({"containers": [{"name": "a", "$patch": "delete"}]})
        self.assertEqual([one["name"] for one in found], ["b"])
        found = patched({"containers": [{"name": "c", "image": "z:1"}],
                         "$setElementOrder/containers": [{"name": "b"}, {"name": "c"}]})
        self.assertEqual([one["name"] for one in found], ["b", "c"])
        found = patched({"containers": [{"name": "b",
                                         "env": [{"$patch": "replace"}, {"name": "B", "value": "2"}]}]})
        self.assertEqual(found[0]["env"], [{"name": "B", "value": "2"}])

    def test_leases_are_strict_about_their_times(self):
        instance = self.instance()
        steps = recordings("lease")["lease-election"]["steps"]
        instance.create("/api/v1/namespaces", {"metadata": {"name": "weft-system"}})
        for number, step in enumerate(steps):
            request, recorded = step["request"], step["response"]
            body = request.get("body")
            if request["method"] == "PUT":
                body = self.with_present_version(instance, request["path"], body, recorded["status"])
            code, _, answer = instance.request(request["method"], request["path"], body)
            with self.subTest(step=number):
                self.assertEqual(code, recorded["status"], answer)
                if code >= 400:
                    self.assertEqual((answer["reason"], answer.get("details")),
                                     (recorded["body"]["reason"], recorded["body"].get("details")))

    def with_present_version(self, instance, path, body, status):
        """The body with the version it should have here: that of now, or for a recorded conflict an old
        one."""
        metadata = dict(body["metadata"])
        metadata.pop("uid", None)
        if metadata.get("resourceVersion"):
            now = self.get(instance, path)["metadata"]["resourceVersion"]
            metadata["resourceVersion"] = now if status != 409 else str(int(now) - 1)
        return {**body, "metadata": metadata}

    def test_events_are_the_same_in_both_groups(self):
        instance = self.instance()
        instance.create("/api/v1/namespaces/default/events", {
            "metadata": {"name": "e"}, "involvedObject": {"kind": "Pod", "name": "p", "namespace": "default"},
            "reason": "Tested", "message": "it was", "type": "Normal", "count": 2,
            "source": {"component": "test"}})
        event = self.get(instance, "/apis/events.k8s.io/v1/namespaces/default/events/e")
        self.assertEqual((event["note"], event["regarding"]["name"], event["deprecatedCount"]),
                         ("it was", "p", 2))
        found = self.get(instance,
                         "/api/v1/events?fieldSelector=involvedObject.name%3Dp%2CinvolvedObject.kind%3DPod")
        self.assertEqual(self.names(found), ["e"])

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


class KubectlTest(StoryTest):
    """Bodies that only kubectl and Helm send: protobuf."""

    def test_objects_come_in_protobuf(self):
        instance = self.instance()
        environment = {**os.environ, "KUBECONFIG": instance.kubeconfig, "HOME": instance.directory}

        def kubectl(*arguments):
            return run([_KUBECTL, *arguments], env=environment).stdout
        kubectl("create", "configmap", "c", "--from-literal=a=b")
        kubectl("create", "secret", "generic", "s", "--from-literal=k=v")
        kubectl("create", "role", "r", "--verb=get,list", "--resource=pods,deployments.apps")
        kubectl("create", "rolebinding", "rb", "--role=r", "--serviceaccount=default:x")
        kubectl("create", "deployment", "d", "--image=x:1", "--replicas=2", "--port=80")
        kubectl("create", "service", "clusterip", "svc", "--tcp=80:http")
        kubectl("create", "job", "j", "--image=x:1", "--", "true")
        kubectl("create", "cronjob", "cj", "--image=x:1", "--schedule=* * * * *")
        kubectl("create", "poddisruptionbudget", "pdb", "--selector=a=b", "--min-available=50%")

        def value(path, expression):
            return kubectl("get", path, "-o", f"jsonpath={expression}")
        self.assertEqual(value("cm/c", "{.data.a}"), "b")
        self.assertEqual(value("secret/s", "{.data.k}"), "dg==")
        self.assertEqual(value("role/r", "{.rules[*].resources}"), '["pods"] ["deployments"]')
        self.assertEqual(value("rolebinding/rb", "{.subjects[0].kind}/{.roleRef.kind}"),
                         "ServiceAccount/Role")
        self.assertEqual(value("deployment/d",
                               "{.spec.replicas} {.spec.template.spec.containers[0].ports[0]}"),
                         '2 {"containerPort":80,"protocol":"TCP"}')
        self.assertEqual(value("service/svc", "{.spec.ports[0].port} {.spec.ports[0].targetPort}"), "80 http")
        self.assertEqual(value("job/j", "{.spec.template.spec.containers[0].command[0]}"), "true")
        self.assertEqual(value("cronjob/cj", "{.spec.schedule}"), "* * * * *")
        self.assertEqual(value("pdb/pdb", "{.spec.minAvailable}"), "50%")
