"""What goes along with an object that is deleted from the lab's API server, and what holds it."""

import unittest

from lab.cluster.api.testing import InstanceTestCase
from lab.shell import wait_for

_CONFIG_MAPS = "/api/v1/namespaces/default/configmaps"
_MERGE = {"Content-Type": "application/merge-patch+json"}


class DeletionTest(InstanceTestCase):

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


if __name__ == "__main__":
    unittest.main()
