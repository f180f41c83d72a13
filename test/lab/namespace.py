"""One network namespace: made, entered, taken away with everything that runs in it."""

import ctypes
import os
import shutil
import signal
import socket
import threading

from lab.process import Process
from lab.shell import CommandFailed, run, wait_for

_LIBC = ctypes.CDLL(None, use_errno=True)
_CLONE_NEWNET = 0x40000000

ROOT_UID = 0
SIDECAR_UID = 1337
APPLICATION_UID = 10001


class Namespace:
    """A network namespace known to `ip netns` as `name`, with its own /etc/hosts and /etc/resolv.conf."""

    def __init__(self, name, log_dir):
        self.name = name
        self.log_dir = log_dir
        self.etc = f"/etc/netns/{name}"
        self.processes = []

    def create(self):
        run(["ip", "netns", "add", self.name])
        os.makedirs(self.etc, exist_ok=True)
        self.write_hosts({})
        # Nothing answers there: a name that is not in hosts fails at once.
        with open(f"{self.etc}/resolv.conf", "w") as resolv:
            resolv.write("nameserver 127.0.0.1\noptions timeout:1 attempts:1\n")
        self.ip_batch(["link set lo up"])
        # Ports below 1024 for programs without capabilities; addresses usable the moment they are set.
        self.sysctl({"net.ipv4.ip_unprivileged_port_start": 0,
                     "net.ipv6.conf.all.accept_dad": 0,
                     "net.ipv6.conf.default.accept_dad": 0,
                     "net.ipv6.conf.all.disable_ipv6": 0,
                     "net.ipv6.conf.default.disable_ipv6": 0})

    def destroy(self):
        """Ends what runs inside and removes the namespace. Never raises; safe to repeat."""
        for process in self.processes:
            process.signal(signal.SIGTERM)
        for process in self.processes:
            try:
                process.stop(deadline=3.0)
            except OSError:
                pass
        remove_namespace(self.name)

    def write_hosts(self, addresses_of_names):
        """Sets /etc/hosts: {name: [address, ...]}. Written in place, since programs have the file mounted."""
        lines = ["127.0.0.1 localhost", "::1 localhost ip6-localhost"]
        for name, addresses in addresses_of_names.items():
            lines += [f"{address} {name}" for address in addresses]
        with open(f"{self.etc}/hosts", "w") as hosts:
            hosts.write("\n".join(lines) + "\n")

    def ip_batch(self, lines):
        """Runs several `ip` commands inside, in one go."""
        run(["ip", "-n", self.name, "-batch", "-"], stdin="\n".join(lines) + "\n")

    def sysctl(self, settings):
        run(["ip", "netns", "exec", self.name, "sysctl", "-q", "-w"] +
            [f"{key}={value}" for key, value in settings.items()])

    def command(self, argv, uid=ROOT_UID):
        """The command line that runs argv inside, as a user without any capability unless it is root."""
        entered = ["ip", "netns", "exec", self.name]
        if uid != ROOT_UID:
            entered += ["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups",
                        "--bounding-set=-all", "--inh-caps=-all", "--no-new-privs", "--"]
        return entered + [str(argument) for argument in argv]

    def run(self, argv, uid=ROOT_UID, **options):
        """Runs a command inside to its end; see shell.run."""
        return run(self.command(argv, uid), **options)

    def start(self, program, argv, uid=ROOT_UID, env=None):
        """Starts a program inside; its log is <log_dir>/<namespace>-<program>.log."""
        short = self.name.split("-", 2)[-1]
        process = Process(f"{program} in {short}", self.command(argv, uid),
                          os.path.join(self.log_dir, f"{short}-{program}.log"), env=env)
        self.processes.append(process)
        return process

    def call(self, function):
        """Calls a function in a thread inside; sockets that it makes belong here for good."""
        outcome = {}

        def inside():
            try:
                with open(f"/run/netns/{self.name}") as namespace:
                    if _LIBC.setns(namespace.fileno(), _CLONE_NEWNET) != 0:
                        raise OSError(ctypes.get_errno(), f"setns {self.name}")
                outcome["result"] = function()
            except BaseException as error:  # handed to the caller, whatever it is
                outcome["error"] = error

        thread = threading.Thread(target=inside)
        thread.start()
        thread.join()
        if "error" in outcome:
            raise outcome["error"]
        return outcome["result"]

    def connect(self, address, port, timeout=10.0):
        """A TCP socket, connected from inside."""
        return self.call(lambda: socket.create_connection((address, port), timeout))

    def listen(self, address, port):
        """A TCP socket that listens inside."""
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        return self.call(lambda: socket.create_server((address, port), family=family))


def processes_in(name):
    """Process ids of whatever runs in a namespace."""
    listed = run(["ip", "netns", "pids", name], check=False)
    return [int(pid) for pid in listed.stdout.split()]


def remove_namespace(name):
    """Kills what runs in a namespace and removes it and its files. Never raises; safe to repeat."""
    for pid in processes_in(name):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    try:
        wait_for(lambda: not processes_in(name), f"the end of everything in {name}", deadline=5.0)
    except Exception:  # removing the name is still worth while
        pass
    try:
        run(["ip", "netns", "del", name], check=False)
    except CommandFailed:
        pass
    shutil.rmtree(f"/etc/netns/{name}", ignore_errors=True)
