"""Runs an image's programs inside its unpacked root file system: as its user, with nothing else in sight."""

import contextlib
import json
import os
import shutil
import signal
import ssl
import subprocess
import tempfile
import time

from image_debian import ImageError

_DEADLINE = 20  # seconds, for anything that is waited for


class Container:
    """An unpacked image. Programs run in it with its environment, in mount, PID and network namespaces of their own."""

    def __init__(self, layout, tag, directory):
        bundle = os.path.join(directory, "bundle")
        unpacked = subprocess.run(["umoci", "unpack", "--image", f"{layout}:{tag}", bundle],
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        if unpacked.returncode != 0:
            raise ImageError(f"umoci does not unpack {layout}:{tag}: {unpacked.stdout.strip()}")
        self.root = os.path.join(bundle, "rootfs")
        with open(os.path.join(bundle, "config.json"), encoding="utf-8") as file:
            process = json.load(file)["process"]
        self.user = f"{process['user']['uid']}:{process['user']['gid']}"
        self.environment = process["env"]
        self.entry_point = process["args"][0]

    def command(self, argv, user=None):
        """The command line that runs argv inside. Its root file system is read-only but for /run."""
        script = ('mount --bind "$1" "$1" && mount -t proc proc "$1/proc" && mount -t tmpfs -o mode=1777 tmpfs "$1/run" '
                  '&& mount -o remount,bind,ro "$1" && ip link set lo up || exit 125\n'
                  'root=$1 user=$2; shift 2; exec chroot --userspec="$user" "$root" "$@"')
        return ["unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "/bin/sh", "-c", script, "sh", self.root,
                user or self.user, *argv]

    def run(self, *argv, user=None):
        """(exit code, what it printed)."""
        done = subprocess.run(self.command(argv, user), env=self._environment(), stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=_DEADLINE,
                              check=False)
        return done.returncode, done.stdout

    def put(self, path, text):
        """A file that the image does not have."""
        with open(self.root + path, "w", encoding="utf-8") as file:
            file.write(text)

    def _environment(self):
        # unshare, mount and ip are the machine's: its PATH has them, and so has the image's.
        return dict(variable.split("=", 1) for variable in self.environment)

    @contextlib.contextmanager
    def running(self, *argv):
        """A program that runs until the block ends."""
        with tempfile.TemporaryFile("w+") as output:
            process = subprocess.Popen(self.command(argv), env=self._environment(), stdin=subprocess.DEVNULL,
                                       stdout=output, stderr=subprocess.STDOUT)
            try:
                yield process, output
            finally:
                if process.poll() is None:
                    # One that has changed its user does not end with the one that started it.
                    os.kill(_child_of(process.pid), signal.SIGKILL)
                process.wait()


def _expect(condition, what, seen):
    if not condition:
        raise ImageError(f"{what}: no; it said\n{seen}")
    return what


def _await(output, process, text):
    """Waits until the program has said the text."""
    deadline = time.monotonic() + _DEADLINE
    while time.monotonic() < deadline:
        output.seek(0)
        said = output.read()
        if text in said:
            return
        if process.poll() is not None:
            break
        time.sleep(0.02)
    output.seek(0)
    raise ImageError(f"it did not say \"{text}\" but\n{output.read()}")


def _versions(container, programs, version):
    for program in programs:
        code, said = container.run(f"/usr/bin/{program}", "--version")
        yield _expect(code == 0 and version in said, f"{program} --version says {version}", said)


def _sidecar(container, version):
    yield from _versions(container, ["weft-sidecar", "weft-init"], version)
    code, said = container.run("/usr/bin/weft-init", "--dry-run")
    yield _expect(code == 0 and "-A WEFT_OUTBOUND" in said, "weft-init --dry-run prints rules as the image's user", said)
    for backend in ("nft", "legacy"):
        code, said = container.run("/usr/bin/weft-init", "--backend", backend, user="0:0")
        yield _expect(code == 0, f"weft-init applies rules with the image's {backend} iptables", said)
    code, said = container.run("/usr/bin/weft-init")
    yield _expect(code == 1 and "NET_ADMIN" in said, "weft-init without NET_ADMIN says what it needs", said)
    code, said = container.run(container.entry_point, "--workload", "shop/web", "--control-plane", "127.0.0.1:1",
                               "--trust-bundle", "/var/run/weft/root.pem", "--join-token-file", "/var/run/weft/token")
    yield _expect(code == 1 and "/var/run/weft/root.pem" in said, "weft-sidecar without an identity says which file is missing",
                  said)
    container.put("/root.pem", ssl.DER_cert_to_PEM_cert(ssl.create_default_context().get_ca_certs(True)[0]))
    container.put("/token", "weft-join-nobody")
    with container.running(container.entry_point, "--workload", "shop/web", "--control-plane", "127.0.0.1:1",
                           "--trust-bundle", "/root.pem", "--join-token-file", "/token") as (process, output):
        _await(output, process, "127.0.0.1:1")
        _expect(process.poll() is None, "weft-sidecar goes on without a control plane", "that it ended")
    yield "weft-sidecar without a control plane waits and says so"


def _control_plane(container, version):
    yield from _versions(container, ["weft-control-plane"], version)
    code, said = container.run(container.entry_point, "--source", "dir:/nowhere", "--state", "/run/weft")
    yield _expect(code == 1 and "/nowhere" in said, "weft-control-plane names a directory that is not there", said)
    with container.running(container.entry_point, "--source", "dir:/usr/share/doc", "--state",
                           "/run/weft") as (process, output):
        _await(output, process, "serves trust domain")
        os.kill(_child_of(process.pid), signal.SIGTERM)
        code = process.wait(_DEADLINE)
        output.seek(0)
        _expect(code == 0, "weft-control-plane ends when it is told to", output.read())
    yield "weft-control-plane serves, writes its state to /run/weft, and ends when it is told to"


def _injector(container, version):
    yield from _versions(container, ["weft-injector"], version)
    code, said = container.run(container.entry_point)
    yield _expect(code in (1, 2) and "weft-injector" in said, "weft-injector outside of a cluster says what it needs", said)


def _child_of(pid):
    """The process that unshare has forked, on this side of the namespace."""
    with open(f"/proc/{pid}/task/{pid}/children", encoding="utf-8") as file:
        return int(file.read().split()[0])


_CHECKS = {"sidecar": _sidecar, "control-plane": _control_plane, "injector": _injector}


def run(name, layout, version):
    """Yields what was found to be right; raises ImageError at the first thing that is not."""
    inspected = subprocess.run(["skopeo", "inspect", "--config", f"oci:{layout}:{version}"], stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, text=True, check=False)
    yield _expect(inspected.returncode == 0, "skopeo reads the image", inspected.stdout)
    directory = tempfile.mkdtemp(prefix="weft-image-")
    try:
        container = Container(layout, version, directory)
        yield _expect(container.user == "1337:1337", "it runs as user 1337", container.user)
        yield from _CHECKS[name](container, version)
    finally:
        shutil.rmtree(directory, ignore_errors=True)
