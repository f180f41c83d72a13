"""Custom resources of the lab's API server: schemas, versions, subresources, the life of a definition."""

import unittest

from lab.cluster.api.testing import InstanceTestCase
from lab.shell import wait_for

_MERGE = {"Content-Type": "application/merge-patch+json"}
_APPLY = {"Content-Type": "application/apply-patch+yaml"}


class DefinitionTest(InstanceTestCase):

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

    def test_schemas_must_be_structural(self):
        instance = self.instance()
        for part, field, words in (
                ({"properties": {"a": {}}}, "properties[part].properties[a].type", "must not be empty for"),
                ({"properties": {"a": {"type": "text"}}}, "properties[part].properties[a].type",
                 "Unsupported"),
                ({"properties": {"a": {"type": "array"}}}, "properties[part].properties[a].items",
                 "Required"),
                ({"properties": {"a": {"type": "string"}}, "additionalProperties": {"type": "string"}},
                 "properties[part].additionalProperties", "mutual exclusive"),
                ({"properties": {"a": {"type": "string", "pattern": "("}}},
                 "properties[part].properties[a].pattern",
                 "must be a valid regular expression"),
                ({"properties": {"a": {"type": "string", "default": 1}}},
                 "properties[part].properties[a].default",
                 "must be of type string"),
                ({"anyOf": [{"type": "object"}]}, "properties[part].anyOf[0].type", "must be empty"),
                ({"properties": {"a": {"type": "array", "x-kubernetes-list-type": "map",
                                       "x-kubernetes-list-map-keys": ["k"], "items": {
                                           "type": "object", "properties": {"k": {"type": "string"}}}}}},
                 "properties[part].properties[a].items.properties[k].default", "list-map-keys")):
            with self.subTest(part=part):
                definition = self.definition()
                schema = {"type": "object", "properties": {"part": {"type": "object", **part}}}
                definition["spec"]["versions"][1]["schema"] = {"openAPIV3Schema": schema}
                code, _, answer = instance.request(
                    "POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", definition)
                self.assertEqual(code, 422, answer)
                cause = answer["details"]["causes"][0]
                self.assertEqual(cause["field"], "spec.versions[1].schema.openAPIV3Schema." + field)
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

    def test_status_can_be_applied(self):
        instance = self.installed()
        status = {"apiVersion": "weft.test/v1", "kind": "Widget", "metadata": {"name": "w"},
                  "status": {"ready": True}}
        path = f"{self.path}/w/status?fieldManager=weft"
        self.assertEqual(instance.request("PATCH", path, status, _APPLY)[0], 404)
        instance.create(self.path, self.widget())
        code, _, answer = instance.request("PATCH", path, status, _APPLY)
        self.assertEqual((code, answer["status"], answer["spec"]["size"]), (200, {"ready": True}, 1), answer)
        owned = [entry for entry in answer["metadata"]["managedFields"] if entry["manager"] == "weft"]
        self.assertEqual([(entry["subresource"], entry["fieldsV1"]) for entry in owned],
                         [("status", {"f:status": {"f:ready": {}}})])

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


if __name__ == "__main__":
    unittest.main()
