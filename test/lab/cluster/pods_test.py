"""Pods that run for real, seen through kubectl: what a cluster promises to those who use it."""

import json
import os
import sys
import unittest

from lab import registry, run, wait_for
from lab.binaries import ROOT
from lab.cluster.cluster import Cluster

_DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: tea}
spec:
  replicas: 2
  selector: {matchLabels: {app: tea}}
  template:
    metadata: {labels: {app: tea}}
    spec:
      terminationGracePeriodSeconds: 5
      containers:
      - name: app
        image: weft/app:1
        env: [{name: VERSION, value: "one"}]
        ports: [{name: http, containerPort: 8080}]
        readinessProbe: {httpGet: {path: /healthz, port: http}, periodSeconds: 1, failureThreshold: 1}
---
apiVersion: v1
kind: Service
metadata: {name: tea}
spec:
  selector: {app: tea}
  ipFamilyPolicy: PreferDualStack
  ports: [{name: http, port: 80, targetPort: http}]
"""

_CLIENT = """
apiVersion: v1
kind: Pod
metadata: {name: client}
spec:
  terminationGracePeriodSeconds: 1
  containers: [{name: shell, image: busybox, command: [sleep, infinity]}]
"""

_JOB = """
apiVersion: batch/v1
kind: Job
metadata: {name: order}
spec:
  template:
    spec:
      restartPolicy: Never
      volumes:
      - {name: shared, emptyDir: {}}
      initContainers:
      - name: first
        image: busybox
        command: [sh, -c, "echo first >> /shared/story"]
        volumeMounts: [{name: shared, mountPath: /shared}]
      - name: sidecar
        image: busybox
        restartPolicy: Always
        command: [sh, -c, "trap 'echo sidecar ends >> /shared/story; cat /shared/story; exit 0' TERM;
          echo sidecar starts >> /shared/story; touch /shared/up; while :; do sleep 0.1; done"]
        startupProbe: {exec: {command: [test, -e, /shared/up]}, periodSeconds: 1}
        volumeMounts: [{name: shared, mountPath: /shared}]
      containers:
      - name: main
        image: busybox
        command: [sh, -c, "echo main >> /shared/story"]
        volumeMounts: [{name: shared, mountPath: /shared}]
"""

_VOLUMES = """
apiVersion: v1
kind: Pod
metadata: {name: volumes, labels: {app: volumes}}
spec:
  terminationGracePeriodSeconds: 1
  securityContext: {runAsUser: 1337, runAsGroup: 1337, runAsNonRoot: true}
  volumes:
  - name: identity
    projected:
      sources:
      - serviceAccountToken: {audience: weft, expirationSeconds: 3600, path: token}
      - configMap: {name: settings, items: [{key: color, path: color}]}
      - downwardAPI: {items: [{path: labels, fieldRef: {fieldPath: metadata.labels}}]}
  containers:
  - name: shell
    image: busybox
    command: [sleep, infinity]
    env:
    - {name: COLOR, valueFrom: {configMapKeyRef: {name: settings, key: color}}}
    - {name: MY_IP, valueFrom: {fieldRef: {fieldPath: status.podIP}}}
    - {name: MEMORY, valueFrom: {resourceFieldRef: {resource: limits.memory, divisor: 1Mi}}}
    - {name: BOTH, value: "$(COLOR)@$(MY_IP)"}
    resources: {limits: {memory: 64Mi}}
    securityContext:
      readOnlyRootFilesystem: true
      allowPrivilegeEscalation: false
      capabilities: {drop: [ALL]}
    volumeMounts: [{name: identity, mountPath: /var/run/weft, readOnly: true}]
"""


class PodsTest(unittest.TestCase):

    @classmethod
    def setUpClass(cls):
        logs = os.environ.get("WEFT_TEST_LOGS")
        cls.cluster = Cluster(log_dir=logs and os.path.join(logs, cls.__name__))
        cls.cluster.__enter__()
        cls.addClassCleanup(cls.cluster.close)
        cls.cluster.apply(_CLIENT)
        cls.cluster.wait_for_pod("client")

    def apply(self, manifests):
        """Applies, and deletes when the test ends."""
        self.cluster.apply(manifests)
        self.addCleanup(self.cluster.kubectl, "delete", "--wait=false", "--ignore-not-found", "-f", "-",
                        stdin=manifests)

    def start_tea(self):
        self.apply(_DEPLOYMENT)
        self.cluster.wait_for_rollout("deployment/tea")
        wait_for(lambda: len(self.ready_endpoints()) == 4, "two ready endpoints of each family")
        self.tea = self.cluster.pods("default", "app=tea")

    def ready_endpoints(self):
        slices = self.cluster.get("endpointslices", namespace="default",
                                  selector="kubernetes.io/service-name=tea")
        return [endpoint["addresses"][0] for item in slices for endpoint in item.get("endpoints") or ()
                if endpoint["conditions"]["ready"]]

    def ask(self, url="http://tea/", *flags):
        return self.cluster.curl("client", "default", "--fail", *flags, url).stdout.strip()

    def events(self, name):
        return {event["reason"]: event["message"] for event in
                self.cluster.get("events", namespace="default")
                if event["involvedObject"]["name"] == name}

    def status(self, pod):
        return self.cluster.get("pod", pod, "default")["status"]

    def test_a_service_is_reached_by_name_and_by_both_families(self):
        self.start_tea()
        for name in ("tea", "tea.default", "tea.default.svc", "tea.default.svc.cluster.local"):
            for family in ("-4", "-6"):
                self.assertEqual(self.ask(f"http://{name}/", family), "one")
        client = self.status("client")["podIP"]
        seen = [json.loads(self.ask("http://tea/echo", "-4")) for _ in range(12)]
        self.assertEqual(len({answer["pod"] for answer in seen}), 2, "both pods answer")
        self.assertEqual({answer["client"] for answer in seen}, {f"::ffff:{client}"},
                         "the caller's address stays")

    def test_a_service_without_endpoints_refuses_at_once(self):
        self.apply('{"apiVersion":"v1","kind":"Service","metadata":{"name":"void"},"spec":{"selector":'
                   '{"app":"void"},"ports":[{"port":80}],"ipFamilyPolicy":"PreferDualStack"}}')
        wait_for(lambda: "void" in self.cluster.exec("client", "default", ["cat", "/etc/hosts"]).stdout,
                 "the name")
        for family in ("-4", "-6"):
            done = self.cluster.curl("client", "default", family, "http://void/", check=False, timeout=5)
            self.assertEqual(done.returncode, 7, done.stderr)

    def test_a_rollout_and_its_undo(self):
        self.start_tea()
        self.cluster.kubectl("set", "env", "deployment/tea", "VERSION=two")
        self.cluster.wait_for_rollout("deployment/tea")
        wait_for(lambda: {self.ask() for _ in range(8)} == {"two"}, "the new version alone")
        self.cluster.kubectl("rollout", "undo", "deployment/tea")
        self.cluster.wait_for_rollout("deployment/tea")
        wait_for(lambda: {self.ask() for _ in range(8)} == {"one"}, "the old version alone")
        history = self.cluster.kubectl("rollout", "history", "deployment/tea").stdout
        self.assertEqual([line.split()[0] for line in history.splitlines() if line[:1].isdigit()], ["2", "3"])
        self.cluster.kubectl("scale", "deployment/tea", "--replicas=1")
        wait_for(lambda: len(self.ready_endpoints()) == 2, "one endpoint of each family")

    def test_endpoints_follow_readiness(self):
        self.start_tea()
        pod = self.tea[0]
        address = self.status(pod)["podIP"]
        self.cluster.curl("client", "default", "-X", "POST", f"http://{address}:8080/unhealthy")
        wait_for(lambda: address not in self.ready_endpoints(), "the pod to leave")
        self.assertEqual(self.status(pod)["containerStatuses"][0]["restartCount"], 0)
        self.cluster.curl("client", "default", "-X", "POST", f"http://{address}:8080/healthy")
        wait_for(lambda: address in self.ready_endpoints(), "the pod to come back")

    def test_a_crashed_container_is_started_again(self):
        self.start_tea()
        pod = self.tea[0]
        self.cluster.crash_container(pod, "default", "app")

        def restarted():
            status = self.status(pod)["containerStatuses"][0]
            return status["restartCount"] == 1 and status["ready"] and \
                status["lastState"]["terminated"]["exitCode"] == 137

        wait_for(restarted, "the restart", deadline=15)
        self.assertIn("BackOff", self.events(pod))

    def test_a_failing_liveness_probe_restarts_the_container(self):
        self.apply("""{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "ill"}, "spec": {
          "terminationGracePeriodSeconds": 1, "containers": [{"name": "app", "image": "weft/app",
          "livenessProbe": {"httpGet": {"path": "/status/500", "port": 8080}, "periodSeconds": 1,
          "failureThreshold": 2}}]}}""")
        wait_for(lambda: self.status("ill")["containerStatuses"][0]["restartCount"] > 0, "a restart",
                 deadline=20)
        wait_for(lambda: self.events("ill")["Unhealthy"] ==
                 "Liveness probe failed: HTTP probe failed with statuscode: 500", "the event")

    def test_a_job_with_a_sidecar_completes_in_order(self):
        self.apply(_JOB)
        self.cluster.kubectl("wait", "job/order", "--for=condition=Complete", "--timeout=30s")
        pod = self.cluster.get("pods", namespace="default", selector="job-name=order")[0]
        self.assertEqual(pod["status"]["phase"], "Succeeded")
        told = self.cluster.kubectl("logs", pod["metadata"]["name"], "-c", "sidecar").stdout.split("\n")
        self.assertEqual(told[:4], ["first", "sidecar starts", "main", "sidecar ends"])

    def test_a_volume_waits_for_its_config_map_and_follows_it(self):
        self.apply(_VOLUMES)
        wait_for(lambda: 'configmap "settings" not found' in self.events("volumes").get("FailedMount", ""),
                 "the event")
        self.assertEqual(self.status("volumes")["phase"], "Pending")
        self.cluster.kubectl("create", "configmap", "settings", "--from-literal=color=red")
        self.addCleanup(self.cluster.kubectl, "delete", "configmap", "settings")
        self.cluster.wait_for_pod("volumes")

        def shell(command):
            done = self.cluster.exec("volumes", "default", ["sh", "-c", command], check=False)
            return (done.stdout + done.stderr).strip()

        self.assertEqual(shell("cat /var/run/weft/color"), "red")
        self.assertEqual(shell("head -1 /var/run/weft/labels"), 'app="volumes"')
        self.assertEqual(shell("echo $BOTH $MEMORY"), f"red@{self.status('volumes')['podIP']} 64")
        self.assertEqual(shell("id -u; id -g; touch /etc/x 2>&- || echo read-only"), "1337\n1337\nread-only")
        self.assertEqual(shell("grep CapEff /proc/self/status"), "CapEff:\t0000000000000000")
        self.assertEqual(shell("stat -Lc %a:%u /var/run/weft/token; ls /var/run/secrets/kubernetes.io/"
                               "serviceaccount"), "600:1337\nca.crt\nnamespace\ntoken")
        self.cluster.kubectl("patch", "configmap", "settings", "-p", '{"data":{"color":"blue"}}')
        wait_for(lambda: shell("cat /var/run/weft/color") == "blue", "the change to arrive")
        self.assertEqual(shell("echo $COLOR"), "red", "variables stay as they were")

        review = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview",
                  "spec": {"token": shell("cat /var/run/weft/token"), "audiences": ["weft"]}}
        status = json.loads(self.cluster.kubectl(
            "create", "--raw", "/apis/authentication.k8s.io/v1/tokenreviews", "-f", "-",
            stdin=json.dumps(review)).stdout)["status"]
        self.assertTrue(status["authenticated"])
        self.assertEqual(status["user"]["extra"]["authentication.kubernetes.io/pod-name"], ["volumes"])

    def test_a_pod_ends_by_its_hook_its_signal_and_its_grace(self):
        self.apply("""{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "slow"}, "spec": {
          "terminationGracePeriodSeconds": 2, "volumes": [{"name": "out", "hostPath": {"path": "%s"}}],
          "containers": [{"name": "app", "image": "busybox",
          "volumeMounts": [{"name": "out", "mountPath": "/out"}],
          "command": ["sh", "-c", "trap 'echo term >> /out/story' TERM; while :; do sleep 0.1; done"],
          "lifecycle": {"preStop": {"exec": {"command": ["sh", "-c", "echo hook >> /out/story"]}}}}]}}"""
                   % self.cluster.directory)
        self.cluster.wait_for_pod("slow")
        self.cluster.kubectl("delete", "pod", "slow", timeout=20)
        with open(f"{self.cluster.directory}/story") as story:
            self.assertEqual(story.read(), "hook\nterm\n")

    def test_what_cannot_run_says_why(self):
        self.apply("""{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "unknown"}, "spec": {
          "containers": [{"name": "app", "image": "example.org/nobody/knows:1"}]}}""")
        self.apply("""{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "root"}, "spec": {
          "containers": [{"name": "app", "image": "busybox", "securityContext": {"runAsNonRoot": true}}]}}""")
        account = "    spec:\n      serviceAccountName: nobody\n      t"
        self.apply(_DEPLOYMENT.replace("    spec:\n      t", account))
        for pod, reasons in (("unknown", ("ErrImagePull", "ImagePullBackOff")),
                             ("root", ("CreateContainerConfigError",))):
            def reason(pod=pod):
                return self.status(pod)["containerStatuses"][0]["state"]["waiting"]["reason"]

            wait_for(lambda ask=reason, these=reasons: ask() in these, f"the reason of {pod}")
        name = wait_for(lambda: self.cluster.get("replicasets", namespace="default", selector="app=tea"),
                        "the ReplicaSet")[0]["metadata"]["name"]
        wait_for(lambda: 'serviceaccount "nobody" not found' in self.events(name).get("FailedCreate", ""),
                 "the refusal as an event")
        wait_for(lambda: any(condition["type"] == "ReplicaFailure" for condition in
                             self.cluster.get("deployment", "tea", "default")["status"]["conditions"]),
                 "the condition")

    def test_a_pod_of_the_host_network_has_the_address_of_the_node(self):
        self.apply("""{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "agent"}, "spec": {
          "hostNetwork": true, "terminationGracePeriodSeconds": 1, "containers": [{"name": "app",
          "image": "weft/app", "env": [{"name": "PORT", "value": "9000"}]}]}}""")
        self.cluster.wait_for_pod("agent")
        self.assertEqual(self.status("agent")["podIP"], self.cluster.lab.node_ip)
        wait_for(lambda: self.ask(f"http://{self.cluster.lab.node_ip}:9000/") == "1", "its answer")

    def test_stateful_sets_and_daemon_sets(self):
        self.apply("""
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db}
spec:
  replicas: 2
  serviceName: db
  selector: {matchLabels: {app: db}}
  template:
    metadata: {labels: {app: db}}
    spec: {terminationGracePeriodSeconds: 1, containers: [{name: app, image: weft/app}]}
---
apiVersion: v1
kind: Service
metadata: {name: db}
spec: {clusterIP: None, selector: {app: db}, ports: [{port: 8080}]}
---
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: agent}
spec:
  selector: {matchLabels: {app: agent}}
  template:
    metadata: {labels: {app: agent}}
    spec: {terminationGracePeriodSeconds: 1, containers: [{name: app, image: weft/app}]}
""")
        self.cluster.wait_for_rollout("statefulset/db")
        self.cluster.wait_for_rollout("daemonset/agent")
        self.assertEqual(self.cluster.pods("default", "app=db"), ["db-0", "db-1"])
        url = "http://db-1.db.default.svc.cluster.local:8080/echo"
        wait_for(lambda: json.loads(self.ask(url))["pod"] == "db-1", "the pod's own name")

    def test_pods_come_back_after_a_reboot(self):
        self.start_tea()
        before = self.cluster.netns("client", "default")
        self.cluster.restart_node()
        wait_for(lambda: self.cluster.netns("client", "default") == before and
                 self.cluster.exec("client", "default", ["true"]).returncode == 0, "the client")
        self.cluster.wait_for_pod("client")
        wait_for(lambda: self.ask() == "one", "an answer", deadline=20)

    def test_nothing_is_lost_while_the_api_server_is_away(self):
        self.start_tea()
        self.cluster.api_down()
        try:
            self.assertEqual(self.ask(), "one")
            # What happens meanwhile is not missed.
            self.cluster.crash_container(self.tea[0], "default", "app")
        finally:
            self.cluster.api_up()
        wait_for(lambda: self.status(self.tea[0])["containerStatuses"][0]["restartCount"] == 1, "the restart")
        self.cluster.kubectl("set", "env", "deployment/tea", "VERSION=two")
        self.cluster.wait_for_rollout("deployment/tea")
        wait_for(lambda: {self.ask() for _ in range(8)} == {"two"}, "the new version alone")


class ClusterTest(unittest.TestCase):

    def test_a_kept_cluster_outlives_its_process_and_is_removed_by_id(self):
        program = ("import sys; sys.path.insert(0, sys.argv[1])\nfrom lab.cluster.cluster import Cluster\n"
                   "with Cluster() as cluster:\n  cluster.apply(sys.argv[2])\n  cluster.keep()\n"
                   "  print(cluster.lab.id, cluster.directory, cluster.kubeconfig, cluster.api.pid)\n")
        told = run([sys.executable, "-c", program, os.path.join(ROOT, "test"), _CLIENT]).stdout
        lab_id, directory, kubeconfig, api = told.split()
        try:
            run([os.path.join(ROOT, ".deps/kubernetes/kubectl"), "--kubeconfig", kubeconfig, "wait",
                 "pod/client", "--for=condition=Ready", "--timeout=30s"])
        finally:
            registry.remove(lab_id, directory)
        self.assertNotIn(lab_id, registry.kept())
        self.assertFalse(os.path.exists(directory))
        self.assertNotIn(lab_id, run(["ip", "netns", "list"]).stdout)
        wait_for(lambda: not os.path.exists(f"/proc/{api}/exe"), "the end of the API server")

    def test_the_node_lives_and_says_so(self):
        with Cluster() as cluster:
            cluster.kubectl("wait", "node/lab-node", "--for=condition=Ready", "--timeout=10s")
            lease = wait_for(lambda: cluster.get("lease", "lab-node", "kube-node-lease"), "the heartbeat")
            self.assertEqual(lease["spec"]["holderIdentity"], "lab-node")
            self.assertRegex(lease["spec"]["renewTime"], r"\.\d{6}Z$")

    def test_a_namespace_comes_with_its_account_and_goes_with_its_pods(self):
        with Cluster() as cluster:
            cluster.kubectl("create", "namespace", "shop")
            wait_for(lambda: cluster.get("serviceaccount", "default", "shop") and
                     cluster.get("configmap", "kube-root-ca.crt", "shop"), "account and certificate")
            cluster.apply(_DEPLOYMENT, "-n", "shop")
            cluster.wait_for_rollout("deployment/tea", "shop")
            cluster.kubectl("delete", "namespace", "shop", timeout=60)
            self.assertIsNone(cluster.get("namespace", "shop"))
            self.assertEqual(cluster.get("pods"), [])


if __name__ == "__main__":
    unittest.main()
