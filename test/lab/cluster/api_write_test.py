"""Writes to the lab's API server: many writers, patches, addresses, bodies in protobuf."""

import os
import threading
import unittest

from lab.binaries import ROOT
from lab.cluster.api.testing import InstanceTestCase, recordings
from lab.shell import run

_KUBECTL = os.path.join(ROOT, ".deps/kubernetes/kubectl")
_CONFIG_MAPS = "/api/v1/namespaces/default/configmaps"
_MERGE = {"Content-Type": "application/merge-patch+json"}


class WriteTest(InstanceTestCase):

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
        made = instance.create(path, {"metadata": {"name": "nodes"}, "spec": {
            "type": "NodePort", "ports": [{"name": "a", "port": 80}, {"name": "b", "port": 81}]}})
        numbers = {port["nodePort"] for port in made["spec"]["ports"]}
        self.assertEqual(len(numbers & set(range(30000, 32768))), 2)
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

    def test_invalid_pods_are_refused(self):
        instance = self.instance()
        instance.create("/api/v1/namespaces/default/serviceaccounts", {"metadata": {"name": "default"}})
        probe = {"httpGet": {"port": 80}}
        token = {"serviceAccountToken": {"path": "token", "expirationSeconds": 60}}
        for change, field, words in (
                ({"livenessProbe": {}}, "livenessProbe", "must specify a handler type"),
                ({"livenessProbe": {**probe, "exec": {"command": ["x"]}}}, "livenessProbe.httpGet",
                 "more than 1"),
                ({"readinessProbe": {"httpGet": {"port": 70000}}}, "readinessProbe.httpGet.port",
                 "between 1 and"),
                ({"restartPolicy": "Always"}, "restartPolicy", "non-init containers"),
                ({"volumeMounts": [{"name": "v", "mountPath": "/v"}] * 2}, "volumeMounts[1].mountPath",
                 "unique"),
                ({"volumeMounts": [{"name": "w", "mountPath": "/v"}]}, "volumeMounts[0].name", "Not found"),
                ({"ports": [{"containerPort": 80, "name": "sixteen-letters-"}]}, "ports[0].name",
                 "15 characters"),
                ({"env": [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "spec.x"}}}]},
                 "env[0].valueFrom.fieldRef.fieldPath", "not supported"),
                ({"resources": {"requests": {"cpu": "2"}, "limits": {"cpu": "100m"}}}, "resources.requests",
                 "less than or equal to cpu limit of 100m"),
                ({"resources": {"limits": {"memory": "64MB"}}}, "resources.limits[memory]",
                 "quantities must match"),
                ({"securityContext": {"privileged": True, "allowPrivilegeEscalation": False}},
                 "securityContext",
                 "cannot set")):
            self.refused(instance, {"name": "a", "image": "x", **change}, "spec.containers[0]." + field,
                         words)
        self.refused(instance, None, "spec.initContainers[0].startupProbe", "without restartPolicy=Always",
                     initContainers=[{"name": "i", "image": "x", "startupProbe": probe}])
        self.refused(instance, None,
                     "spec.volumes[0].projected.sources[0].serviceAccountToken.expirationSeconds",
                     "10 minutes", volumes=[{"name": "t", "projected": {"sources": [token]}}])
        sidecar = {"name": "i", "image": "x", "startupProbe": probe, "restartPolicy": "Always"}
        instance.create("/api/v1/namespaces/default/pods", {"metadata": {"name": "good"}, "spec": {
            "initContainers": [sidecar], "containers": [{"name": "a", "image": "x", "resources": {
                "requests": {"cpu": "10m", "memory": "64Mi"}, "limits": {"memory": "1Gi"}}}]}})

    def refused(self, instance, container, field, words, **spec):
        with self.subTest(field=field):
            spec = {"containers": [container or {"name": "a", "image": "x"}],
                    "volumes": [{"name": "v", "emptyDir": {}}], **spec}
            code, _, answer = instance.request("POST", "/api/v1/namespaces/default/pods",
                                               {"metadata": {"name": "bad"}, "spec": spec})
            self.assertEqual(code, 422, answer)
            cause = answer["details"]["causes"][0]
            self.assertEqual(cause["field"], field)
            self.assertIn(words, cause["message"])

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

    def test_old_events_are_forgotten(self):
        instance = self.instance()
        path = "/api/v1/namespaces/default/events"
        for name, seen in (("old", "2020-01-01T00:00:00Z"), ("seen-again", "2020-01-03T00:00:00Z")):
            event = instance.create(path, {"metadata": {"name": name}, "lastTimestamp": seen,
                                           "involvedObject": {"kind": "Pod", "namespace": "default"}})
            instance.server.update("", "events", "default", event["metadata"]["name"], lambda stored:
                                   stored["metadata"].update(creationTimestamp="2020-01-01T00:00:00Z"))
        instance.server.expiry.expire(before=1577966400)  # 2020-01-02T12:00:00Z
        self.assertEqual(self.names(self.get(instance, path)), ["seen-again"])

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


class KubectlTest(InstanceTestCase):
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


if __name__ == "__main__":
    unittest.main()
