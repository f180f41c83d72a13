"""A program under measurement: what it takes of the machine, from /proc."""

import os
import resource
import subprocess
import time

_TICKS = os.sysconf("SC_CLK_TCK")
_PATIENCE = 60


def raise_descriptor_limit():
    """As many descriptors as the machine allows, for us and what we start."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


class Process:
    """A child with its log in a file."""

    def __init__(self, arguments, log, **pipes):
        with open(log, "ab") as output:
            self._child = subprocess.Popen(arguments, stderr=output,  # pylint: disable=consider-using-with
                                           **{"stdout": output, "stdin": subprocess.DEVNULL, **pipes})
        self.pid, self.log = self._child.pid, log
        self.stdin, self.stdout = self._child.stdin, self._child.stdout

    def alive(self):
        return self._child.poll() is None

    def cpu_seconds(self):
        """User and system time so far."""
        with open(f"/proc/{self.pid}/stat", encoding="ascii") as stat:
            fields = stat.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    def rss_mb(self):
        """Resident memory in MB (10^6 bytes)."""
        with open(f"/proc/{self.pid}/statm", encoding="ascii") as statm:
            return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6

    def idle_percent(self, seconds):
        """Per cent of one core that it uses while nothing happens."""
        before = self.cpu_seconds()
        time.sleep(seconds)
        return 100 * (self.cpu_seconds() - before) / seconds

    def stop(self, kill=False):
        if self.alive():
            (self._child.kill if kill else self._child.terminate)()
        try:
            self._child.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()


def percentile(values, share):
    """The value that `share` (0 to 1) of all do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, -int(-share * len(ordered) // 1) - 1))]


def group(leader):
    """Processes of the group that `leader` leads, itself among them."""
    members = []
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            with open(f"/proc/{name}/stat", encoding="ascii", errors="replace") as stat:
                fields = stat.read().rpartition(")")[2].split()
        except OSError:
            continue  # it has ended meanwhile
        if int(fields[2]) == leader:
            members.append(int(name))
    return members


def cpu_nanoseconds(processes):
    """CPU time so far of processes, all their threads, by the kernel's scheduler."""
    total = 0
    for process in processes:
        for thread in os.listdir(f"/proc/{process}/task"):
            with open(f"/proc/{process}/task/{thread}/schedstat", encoding="ascii") as file:
                total += int(file.read().split()[0])
    return total


def rss_bytes(process):
    """Resident now."""
    with open(f"/proc/{process}/statm", encoding="ascii") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
