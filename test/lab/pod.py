"""A pod: a network namespace with addresses, an application, and a sidecar if it is in the mesh."""

import json
import os
import shutil

from lab.apps import Nginx, Recorder
from lab.namespace import APPLICATION_UID, SIDECAR_UID, Namespace
from lab.shell import wait_for


class Pod:
    """Made by Lab.add_pod. `net` is its namespace."""

    application_uid = APPLICATION_UID

    def __init__(self, lab, name, namespace, service_account, labels, annotations, controller, meshed,
                 ports, addresses):
        self.lab = lab
        self.name = name
        self.namespace = namespace
        self.service_account = service_account
        self.labels = labels
        self.annotations = annotations
        self.controller = controller
        self.meshed = meshed
        self.ports = ports
        self.addresses = addresses
        self.ready = True
        self.app = None
        self.sidecar = None
        self.directory = os.path.join(lab.directory, "pods", f"{namespace}-{name}")
        os.makedirs(self.directory, exist_ok=True)
        self.net = Namespace(f"weft-{lab.id}-{name}", lab.log_dir)

    @property
    def id(self):
        return f"{self.namespace}/{self.name}"

    @property
    def ip(self):
        return self.addresses[0]

    @property
    def ip6(self):
        return self.addresses[1]

    def run(self, argv, uid=APPLICATION_UID, **options):
        """Runs a command to its end, by default as the application's user."""
        return self.net.run(argv, uid=uid, **options)

    def curl(self, *arguments, check=True, timeout=30):
        """curl in the pod; returns the CompletedProcess."""
        return self.run(["curl", "-sS", "--max-time", timeout, *arguments], check=check,
                        timeout=timeout + 10)

    def get(self, url, headers=()):
        """Body of a GET that must succeed, without the line's end."""
        flags = [flag for header in headers for flag in ("-H", header)]
        return self.curl("--fail-with-body", *flags, url).stdout.rstrip("\n")

    def status_of(self, url, *arguments):
        """Status code of a request; 0 if no response came."""
        done = self.curl("-o", "/dev/null", "-w", "%{http_code}", *arguments, url, check=False)
        return int(done.stdout or 0)

    def start_nginx(self, answer, ports=None):
        self.app = Nginx(self, answer, ports or tuple(self.ports) or (80,))
        return self.app

    def start_recorder(self, port=80):
        """Starts test/apps/recorder.py, which tells what requests it got."""
        self.app = Recorder(self, port)
        return self.app

    def redirect(self, *flags):
        """Runs weft-init in the pod, as the init container would."""
        return self.net.run([self.lab.binary("weft-init"), *flags])

    def start_sidecar(self, *flags, binary="weft-sidecar", env=None):
        """Redirects the pod's traffic and starts its sidecar; wait_until_ready() is the caller's."""
        self.redirect()
        token = os.path.join(self.directory, "token")
        self.lab.control_plane.create_join_token(self, token)
        os.chown(token, SIDECAR_UID, SIDECAR_UID)
        bundle = os.path.join(self.directory, "root.pem")
        shutil.copyfile(self.lab.control_plane.trust_bundle, bundle)
        os.chmod(bundle, 0o644)
        self.sidecar = self.net.start(
            "sidecar",
            [self.lab.binary(binary), "--workload", self.id, "--control-plane",
             self.lab.control_plane.address, "--trust-bundle", bundle, "--join-token-file", token,
             *flags],
            uid=SIDECAR_UID, env=env)
        return self.sidecar

    def wait_until_ready(self, deadline=15.0):
        wait_for(lambda: self.sidecar.check_running() and
                 self.status_of("http://127.0.0.1:15021/healthz/ready") == 200,
                 f"the sidecar of {self.id} to be ready", deadline)

    def admin(self, path):
        """Body of a GET on the sidecar's admin port."""
        return self.get(f"http://127.0.0.1:15000{path}")

    def weights(self, service):
        """{backend: weight} by which the sidecar shares out requests to "namespace/service" that no match
        claims, as it has them now; a list with one for each address of the service that it has dialled."""
        resources = json.loads(self.admin("/config_dump"))["resources"]
        destinations = [resource["destination"] for resource in resources
                        if resource["type"] == "Destination"]
        return [{backend["service"]: int(backend.get("weight", 0))
                 for backend in destination["rules"][-1].get("backends", [])}
                for destination in destinations if destination.get("service") == service]

    def metrics(self):
        """The sidecar's metrics, as Prometheus text."""
        return self.get("http://127.0.0.1:15020/metrics")

    def metric(self, name, **labels):
        """The sum of a metric's series that have these labels; 0 if there is none."""
        wanted = [f'{key}="{value}"' for key, value in labels.items()]
        series = [line.rsplit(" ", 1) for line in self.metrics().splitlines()
                  if line.split("{")[0].split(" ")[0] == name]
        return sum(float(value) for key, value in series if all(label in key for label in wanted))
