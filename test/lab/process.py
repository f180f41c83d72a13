"""A long-running program of the lab: its log, its end, what it costs."""

import os
import signal
import subprocess

from lab.shell import wait_for

_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


class Process:
    """A program started in the background; standard output and error go to a file of its own."""

    def __init__(self, name, argv, log_path, env=None):
        self.name = name
        self.argv = [str(argument) for argument in argv]
        self.log_path = log_path
        with open(log_path, "ab") as log:
            self._log_start = log.tell()
            # A group of its own: ending it ends its children, and Ctrl-C at the terminal reaches only us.
            self._popen = subprocess.Popen(self.argv, stdin=subprocess.DEVNULL, stdout=log,
                                           stderr=subprocess.STDOUT, start_new_session=True, env=env)

    @property
    def pid(self):
        return self._popen.pid

    @property
    def exit_code(self):
        """None while it runs."""
        return self._popen.poll()

    def running(self):
        return self.exit_code is None

    def log(self):
        """All it has printed so far; not what an earlier program of the same name has."""
        with open(self.log_path, "rb") as log:
            log.seek(self._log_start)
            return log.read().decode(errors="replace")

    def check_running(self):
        """Raises with the end of the log if the program has ended."""
        if not self.running():
            raise RuntimeError(f"{self.name} ended with code {self.exit_code}; the end of "
                               f"{self.log_path}:\n{self.log()[-2000:]}")
        return True

    def wait(self, deadline=30.0):
        """Waits for the program to end by itself, and returns its exit code."""
        wait_for(lambda: not self.running(), f"the end of {self.name}", deadline)
        return self.exit_code

    def signal(self, number):
        """Sends a signal to the program and its children."""
        try:
            os.killpg(self.pid, number)
        except ProcessLookupError:
            pass

    def kill(self):
        """Ends it at once, as a crash would."""
        self.signal(signal.SIGKILL)
        self._popen.wait()

    def stop(self, deadline=10.0):
        """Asks it to end, insists after the deadline, and returns the exit code."""
        if self.running():
            self.signal(signal.SIGTERM)
            try:
                self._popen.wait(deadline)
            except subprocess.TimeoutExpired:
                self.kill()
        return self.exit_code

    def rss_bytes(self):
        """Resident memory now."""
        return self._status_kib("VmRSS") * 1024

    def peak_rss_bytes(self):
        """The most it has had resident since its start or the last reset_peak_rss()."""
        return self._status_kib("VmHWM") * 1024

    def reset_peak_rss(self):
        with open(f"/proc/{self.pid}/clear_refs", "w") as clear:
            clear.write("5")

    def cpu_seconds(self):
        """User and system time so far, all threads."""
        with open(f"/proc/{self.pid}/stat") as stat:
            fields = stat.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS_PER_SECOND

    def sleeping(self):
        """Whether it waits for something at this moment."""
        with open(f"/proc/{self.pid}/stat") as stat:
            return stat.read().rsplit(")", 1)[1].split()[0] == "S"

    def open_files(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def _status_kib(self, key):
        with open(f"/proc/{self.pid}/status") as status:
            for line in status:
                if line.startswith(key + ":"):
                    return int(line.split()[1])
        raise ValueError(f"/proc/{self.pid}/status has no {key}")
