"""One container of a pod: its runs, its probes, its end."""

import json
import os
import shutil
import signal
import subprocess
import threading
import time

from lab.cluster.node.client import ApiError, Unavailable
from lab.cluster.node.kubelet.environment import ConfigError, expand
from lab.cluster.node.kubelet.images import ImageNotFound
from lab.cluster.node.kubelet.probes import Prober, ProbeFailed, http_get, run_probe
from lab.cluster.node.kubelet.root import Mount, start_script
from lab.cluster.node.kubelet.security import privileges_of
from lab.cluster.node.layout import log_path
from lab.cluster.node.objects import now

INIT, SIDECAR, MAIN = "init", "sidecar", "main"
# Restarts come ever later; a run that lasted makes the next one prompt again.
_FIRST_BACK_OFF, _LONGEST_BACK_OFF, _LASTING_RUN = 1.0, 30.0, 60.0
_CONFIG_RETRY_SECONDS = 1.0
_SHORTEST_GRACE_SECONDS = 2.0
# How long it may take until a container's first process has become its program.
_LAUNCH_SECONDS = 5.0
# The shell outside the PID namespace whose first child is the first process inside. Its exit code tells of
# signals; what it says about them does not belong into the log.
_PARENT = 'exec 3>&2 2>/dev/null; /bin/sh "$0" 2>&3 3>&-; exit $?'


class Container:
    """`pod` is the PodRun it belongs to, which is told of every change by pod.changed()."""

    def __init__(self, pod, spec, kind):
        self.pod = pod
        self.spec = spec
        self.name = spec["name"]
        self.kind = kind
        self.state = {"waiting": {"reason": "PodInitializing" if kind == MAIN and pod.has_inits
                                  else "ContainerCreating"}}
        self.last_state = {}
        self.restarts = 0
        self.ready = self.started = False
        self.over = False  # it will not run (again)
        self.exit_code = None
        self.log = self.previous_log = None
        self._image = None
        self._privileges = None
        self._variables = {}
        self._process = None
        self._attempt = 0
        self._probers = []
        self._stopping = threading.Event()
        self._directory = os.path.join(pod.directory, "containers", self.name)
        self.environment_path = os.path.join(self._directory, "environment.json")
        self._finished = threading.Event()

    def start(self):
        """Runs it in a thread of its own, again and again as its policy says."""
        threading.Thread(target=self.run, name=f"{self.pod.key}/{self.name}", daemon=True).start()

    def run(self):
        """Runs it to its last end."""
        pause = _FIRST_BACK_OFF
        try:
            while not self._stopping.is_set():
                if not self._launch():
                    continue
                if self._stopping.is_set():  # stop() came too early to find this run
                    self._process.kill()
                began = time.monotonic()
                code = self._wait()
                if self._stopping.is_set() or not self._restarts_after(code):
                    break
                if time.monotonic() - began > _LASTING_RUN:
                    pause = _FIRST_BACK_OFF
                self._back_off(pause)
                pause = min(pause * 2, _LONGEST_BACK_OFF)
        finally:
            self.over = True
            self._finished.set()
            self.pod.changed()

    def wait_until_over(self, timeout=None):
        return self._finished.wait(timeout)

    @property
    def running(self):
        return "running" in self.state

    def pid(self):
        """The first process of the present run, or None."""
        process = self._process
        if process is None or process.poll() is not None:
            return None
        try:
            with open(f"/proc/{process.pid}/task/{process.pid}/children") as children:
                listed = children.read().split()
        except OSError:
            return None
        return int(listed[0]) if listed else None

    def enter_command(self):
        """The command line that runs what is appended to it in the container, as its user."""
        pid = self.pid()
        if pid is None:
            return None
        return ["nsenter", f"--target={pid}", "--mount", "--uts", "--net", "--pid", "--root", "--wd", "--",
                *self._privileges.setpriv]

    def execute(self, argv, timeout):
        """Runs a command in the container; output and errors as text in stdout."""
        enter = self.enter_command()
        if enter is None:
            raise ProbeFailed("the container does not run")
        return subprocess.run([*enter, *argv], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, errors="replace", timeout=timeout,
                              env=self._variables, check=False)

    def stop(self, grace_seconds, turn=None):
        """Ends it for good: preStop, then `turn(seconds)` (which waits for those that must end before it),
        then SIGTERM, and SIGKILL when the grace is over."""
        self._stopping.set()
        self._stop_probes()
        self._end_run(grace_seconds, turn)
        self._finished.wait(5.0 if self._process else 0)

    def kill(self, grace_seconds):
        """Ends the present run; whether another follows is the policy's business."""
        self._stop_probes()
        self._end_run(grace_seconds, None)

    def _end_run(self, grace_seconds, turn):
        deadline = time.monotonic() + grace_seconds
        hook = (self.spec.get("lifecycle") or {}).get("preStop")
        if hook and grace_seconds > 0 and self.running:
            self._hook("PreStop", hook, grace_seconds)
        if turn:
            turn(max(deadline - time.monotonic(), 0))
        process = self._process
        if process is None or process.poll() is not None:
            return
        left = max(deadline - time.monotonic(), _SHORTEST_GRACE_SECONDS if grace_seconds else 0)
        self.pod.event("Normal", "Killing", f"Stopping container {self.name}", self)
        if left:
            self._signal(signal.SIGTERM)
            try:
                process.wait(left)
            except subprocess.TimeoutExpired:
                pass
        if process.poll() is None:
            self._signal(signal.SIGKILL)
            try:
                process.wait(5.0)
            except subprocess.TimeoutExpired:
                process.kill()

    def _signal(self, number):
        """Signals the program itself: the shell that is still building its root would not listen."""
        pid = self._await_program(1.0)
        if pid:
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                pass

    def _await_program(self, seconds):
        """Waits until the first process has become the program, in its root; its pid, None if it ended."""
        patience = time.monotonic() + seconds
        while True:
            pid = self.pid()
            if (pid and not _starting(pid)) or self._process.poll() is not None or \
                    time.monotonic() > patience:
                return pid
            time.sleep(0.003)

    def _launch(self):
        """Starts a run; false, after a pause, if it cannot be started."""
        try:
            self._image = self.pod.images.get(self.spec["image"])
        except ImageNotFound as error:
            failed_before = self.state.get("waiting", {}).get("reason") == "ErrImagePull"
            return self._cannot("ImagePullBackOff" if failed_before else "ErrImagePull", str(error), "Failed")
        try:
            self._privileges = privileges_of(self.pod.spec, self.spec, self._image)
            home = "/root" if self._privileges.uid == 0 else "/"
            self._variables = self.pod.environment().of(self.spec, self._image, self.pod.hostname, home)
            argv = self.pod.environment().command(self.spec, self._image, self._variables)
            mounts = self.pod.volumes.mounts_of(self.pod.item, self.spec, self._variables, expand)
        except (ConfigError, ApiError, Unavailable) as error:
            return self._cannot("CreateContainerConfigError", str(error), "Failed")
        self._begin(argv, mounts)
        return True

    def _begin(self, argv, mounts):
        directory = os.path.join(self._directory, str(self._attempt))
        os.makedirs(directory, mode=0o755)
        etc = self.pod.network.namespace.etc
        mounts = [Mount(f"{etc}/{name}", f"/etc/{name}") for name in ("hosts", "resolv.conf")] + mounts
        context = self.spec.get("securityContext") or {}
        script = os.path.join(directory, "start.sh")
        with open(script, "w") as file:
            file.write(start_script(directory, self._image.layer, mounts,
                                    context.get("readOnlyRootFilesystem", False),
                                    self.spec.get("workingDir"), self.pod.hostname,
                                    [*self._privileges.setpriv, *argv]))
        with open(os.open(self.environment_path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "w") as file:
            json.dump(self._variables, file)
        self.previous_log, self.log = self.log, log_path(self.pod.log_dir, self.pod.item, self.name,
                                                         self._attempt)
        self._attempt += 1
        with open(self.log, "ab") as log:
            os.chmod(self.log, 0o666)  # programs that log to /dev/stdout open it again, as their user
            self._process = subprocess.Popen(
                [*self.pod.network.enter(), "unshare", "--mount", "--uts", "--pid",
                 "--propagation", "private", "--", "/bin/sh", "-c", _PARENT, script],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                env=self._variables)
        self._await_program(_LAUNCH_SECONDS)
        self.state = {"running": {"startedAt": now()}}
        self.started = self.ready = False
        self.pod.event("Normal", "Started", f"Started container {self.name}", self)
        self._start_probes()
        hook = (self.spec.get("lifecycle") or {}).get("postStart")
        if hook:
            self._hook("PostStart", hook, 30)
        self.pod.changed()

    def _wait(self):
        code = self._process.wait()
        code = 128 - code if code < 0 else code
        self._stop_probes()
        self.exit_code = code
        self.ready = self.started = False
        began = self.state.get("running", {}).get("startedAt", now())
        self.state = {"terminated": {
            "exitCode": code, "reason": "Completed" if code == 0 else "Error", "startedAt": began,
            "finishedAt": now(), "containerID": self.container_id}}
        shutil.rmtree(os.path.join(self._directory, str(self._attempt - 1)), ignore_errors=True)
        self.pod.changed()
        return code

    @property
    def container_id(self):
        return f"lab://{self.pod.uid}/{self.name}/{max(self._attempt - 1, 0)}" if self._attempt else ""

    def _restarts_after(self, code):
        if self.kind == SIDECAR:
            return True
        policy = self.pod.spec.get("restartPolicy", "Always")
        if self.kind == INIT:
            return code != 0 and policy != "Never"
        return policy == "Always" or (policy == "OnFailure" and code != 0)

    def _back_off(self, pause):
        self.last_state = self.state
        message = f"back-off {pause:g}s restarting failed container={self.name} pod={self.pod.key}"
        self.state = {"waiting": {"reason": "CrashLoopBackOff", "message": message}}
        self.pod.event("Warning", "BackOff", f"Back-off restarting failed container {self.name}", self)
        self.pod.changed()
        if not self._stopping.wait(pause):
            self.restarts += 1
        else:
            self.state = self.last_state

    def _cannot(self, reason, message, event):
        self.state = {"waiting": {"reason": reason, "message": message}}
        self.pod.event("Warning", event, f"Error: {message}", self)
        self.pod.changed()
        self._stopping.wait(_CONFIG_RETRY_SECONDS)
        return False

    def _hook(self, name, hook, timeout):
        try:
            if "exec" in hook:
                done = self.execute(hook["exec"]["command"], timeout)
                if done.returncode != 0:
                    raise ProbeFailed(f"command failed with code {done.returncode}: {done.stdout[-300:]}")
            elif "httpGet" in hook:
                http_get(hook["httpGet"], self.spec, self.pod.ip, timeout, agent="kube-lifecycle/1.34")
            elif "sleep" in hook:
                self._process_ended_within(min(hook["sleep"]["seconds"], timeout))
        except (ProbeFailed, OSError, subprocess.TimeoutExpired) as error:
            self.pod.event("Warning", f"Failed{name}Hook", f"{name}Hook failed: {error}", self)

    def _process_ended_within(self, seconds):
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            pass

    def _start_probes(self):
        if "startupProbe" in self.spec:
            self._probe("startupProbe", self._startup_reported)
        else:
            self._startup_reported(True, "")

    def _startup_reported(self, success, message):
        if not success:
            return self._unhealthy("startup", "startupProbe")
        self.started = True
        if "readinessProbe" in self.spec:
            self._probe("readinessProbe", self._readiness_reported)
        else:
            self.ready = True
        if "livenessProbe" in self.spec:
            self._probe("livenessProbe", self._liveness_reported)
        self.pod.changed()

    def _readiness_reported(self, success, message):
        self.ready = success
        self.pod.changed()

    def _liveness_reported(self, success, message):
        if not success:
            self._unhealthy("liveness", "livenessProbe")

    def _unhealthy(self, word, field):
        self.pod.event("Normal", "Killing",
                       f"Container {self.name} failed {word} probe, will be restarted", self)
        grace = self.spec[field].get("terminationGracePeriodSeconds",
                                     self.pod.spec.get("terminationGracePeriodSeconds", 30))
        threading.Thread(target=self.kill, args=(grace,), daemon=True).start()

    def _probe(self, field, report):
        word = field.removesuffix("Probe").capitalize()
        run = self._attempt
        probe = self.spec[field]

        def current_only(success, message):
            if run == self._attempt and not self._stopping.is_set():
                report(success, message)

        self._probers.append(Prober(
            f"{self.pod.key}/{self.name} {word}", probe,
            lambda: run_probe(probe, self.spec, self.pod.ip, self.execute), current_only,
            lambda message: self.pod.event("Warning", "Unhealthy", f"{word} probe failed: {message}", self),
            eager=field == "readinessProbe").start())

    def _stop_probes(self):
        for prober in self._probers:
            prober.stop()
        self._probers = []


def _starting(pid):
    """Whether a container's first process is still on its way to becoming the program."""
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            argv = file.read().split(b"\0")
    except OSError:
        return False
    return argv[0] in (b"chroot", b"/usr/bin/env", b"/usr/bin/setpriv") or \
        (argv[0] == b"/bin/sh" and any(part.endswith(b"/start.sh") for part in argv))
