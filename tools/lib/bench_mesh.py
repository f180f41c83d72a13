"""A mesh of a given size as manifests, and a fleet that uses it."""

import os
import random

_NAMESPACE = "fleet"
WIDE = "wide"              # a service with many endpoints, for rollouts
_WIDE_ENDPOINTS = 100
_SERVICES_PER_FILE = 100   # of those that do not change


class Mesh:
    """`services` services of `endpoints` pods each, and one wide service. A sidecar talks to ten services:
    all of them to s0, every tenth one to the wide service, the rest is drawn by lot."""

    def __init__(self, directory, services, endpoints, sidecars, subscriptions=20):
        self.manifests = os.path.join(directory, "manifests")
        self.services, self.endpoints, self.sidecars = services, endpoints, sidecars
        self.plan = os.path.join(directory, "plan")
        self._talks_to = subscriptions // 2  # a destination and its endpoints
        self._random = random.Random(1)
        self._serial = 0
        os.makedirs(self.manifests)

    def write(self):
        text = []
        for index in range(self.services):
            name = f"s{index}"
            text.append(self._service(name, self._cluster_ip(index)))
            for endpoint in range(self.endpoints):
                text.append(self._pod(f"{name}-{endpoint}", self._address(index, endpoint)))
            self.write_slice(name)
            if len(text) >= _SERVICES_PER_FILE * (1 + self.endpoints):
                self._write(f"mesh-{index}.yaml", text)
                text = []
        text.append(self._service(WIDE, "10.40.0.1"))
        text += [self._pod(f"{WIDE}-{i}", f"10.41.0.{i + 1}") for i in range(_WIDE_ENDPOINTS)]
        self._write("mesh.yaml", text)
        self.write_slice(WIDE)
        with open(self.plan, "w", encoding="ascii") as plan:
            plan.writelines(f"{line}\n" for line in self._plan_lines())

    def endpoints_total(self):
        return self.services * self.endpoints + _WIDE_ENDPOINTS

    def random_service(self):
        """One that a few sidecars use."""
        return f"s{self._random.randrange(1, self.services)}"

    def endpoints_name(self, service):
        return f"{_NAMESPACE}/{service}:80"

    def new_address(self):
        """One that no pod has had."""
        self._serial += 1
        return f"10.200.{self._serial >> 8}.{self._serial & 255}"

    def write_slice(self, service, replaced=None):
        """The service's endpoints, some of them (number: address) replaced."""
        index = None if service == WIDE else int(service[1:])
        count = _WIDE_ENDPOINTS if index is None else self.endpoints
        text = ["apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\n"
                f"metadata: {{name: {service}-x, namespace: {_NAMESPACE}, "
                f"labels: {{kubernetes.io/service-name: {service}}}}}\n"
                "addressType: IPv4\nports: [{name: http, port: 8080, protocol: TCP}]\nendpoints:\n"]
        for endpoint in range(count):
            original = f"10.41.0.{endpoint + 1}" if index is None else self._address(index, endpoint)
            address = (replaced or {}).get(endpoint, original)
            text.append(f"- {{addresses: [{address}], conditions: {{ready: true}}, "
                        f"targetRef: {{kind: Pod, namespace: {_NAMESPACE}, "
                        f"name: {service}-{endpoint}}}}}\n")
        self._write(f"slice-{service}.yaml", text)

    def wide_rollout(self, step):
        """The states of a rollout of the wide service, `step` pods at a time: (address that comes last, all
        that are replaced by then)."""
        replaced = {}
        for first in range(0, _WIDE_ENDPOINTS, step):
            for endpoint in range(first, min(first + step, _WIDE_ENDPOINTS)):
                replaced[endpoint] = self.new_address()
            yield replaced[endpoint], dict(replaced)

    def _write(self, name, text):
        hidden = os.path.join(self.manifests, ".new")
        with open(hidden, "w", encoding="ascii") as file:
            file.writelines(text)
        os.rename(hidden, os.path.join(self.manifests, name))

    def _plan_lines(self):
        for number in range(self.sidecars):
            service, endpoint = divmod(number, self.endpoints)
            others = self._random.sample(range(1, self.services), self._talks_to - 1)
            dialled = [(f"s{index}", self._cluster_ip(index)) for index in [0, *others]]
            if number % 10 == 0:
                dialled[-1] = (WIDE, "10.40.0.1")
            pod = f"{_NAMESPACE}/s{service % self.services}-{endpoint}"
            wanted = [f"Workload={pod}", "MeshSettings=default", "TrustBundle=cluster.local"]
            wanted += [f"Destination={ip}:80" for _, ip in dialled]
            wanted += [f"Endpoints={self.endpoints_name(name)}" for name, _ in dialled]
            yield " ".join([pod, *wanted])

    @staticmethod
    def _cluster_ip(index):
        return f"10.32.{index >> 8}.{index & 255}"

    @staticmethod
    def _address(index, endpoint):
        number = index * 16 + endpoint
        return f"10.{64 + (number >> 16)}.{number >> 8 & 255}.{number & 255}"

    @staticmethod
    def _service(name, cluster_ip):
        return (f"---\napiVersion: v1\nkind: Service\nmetadata: {{name: {name}, namespace: {_NAMESPACE}}}\n"
                f"spec: {{clusterIP: {cluster_ip}, ports: [{{name: http, port: 80, targetPort: 8080}}]}}\n")

    @staticmethod
    def _pod(name, address):
        return (f"---\napiVersion: v1\nkind: Pod\nmetadata: {{name: {name}, namespace: {_NAMESPACE}, "
                "annotations: {weft.io/inject: enabled}}\n"
                "spec: {serviceAccountName: fleet, containers: [{name: c}]}\n"
                f"status: {{phase: Running, podIP: {address}, podIPs: [{{ip: {address}}}], "
                "conditions: [{type: Ready, status: \"True\"}]}\n")
