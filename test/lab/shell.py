"""Running a command to its end, and waiting for a condition."""

import subprocess
import time


class CommandFailed(Exception):
    """A command ended with a code that says it failed; the message has the command and its output."""


class Deadline(Exception):
    """A condition did not come true in time; the message says which, and what was seen last."""


def run(argv, stdin=None, check=True, timeout=60, **options):
    """Runs a command and returns its CompletedProcess, output as text. check=False accepts any exit code."""
    argv = [str(argument) for argument in argv]
    try:
        done = subprocess.run(argv, input=stdin, stdin=subprocess.DEVNULL if stdin is None else None,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                              errors="replace", timeout=timeout, check=False, **options)
    except subprocess.TimeoutExpired as expired:
        raise CommandFailed(f"{' '.join(argv)}: not done after {timeout} s") from expired
    if check and done.returncode != 0:
        raise CommandFailed(f"{' '.join(argv)}: exit code {done.returncode}\n{done.stdout}{done.stderr}")
    return done


def wait_for(condition, what, deadline=10.0, interval=0.02):
    """Calls condition until it returns something true, and returns that.

    A condition that raises is not true yet. Deadline says what was awaited and what was seen last.
    """
    end = time.monotonic() + deadline
    while True:
        try:
            seen = condition()
            if seen:
                return seen
        except (OSError, CommandFailed, ValueError, KeyError, AssertionError) as error:
            seen = error
        if time.monotonic() > end:
            raise Deadline(f"waited {deadline:g} s for {what}; last seen: {seen!r}")
        time.sleep(interval)
