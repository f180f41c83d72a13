"""Checks the whole project: style, unit tests, unit tests under sanitizers, every fuzz target for some seconds, and
the mesh end to end.

Every phase prints how long it took; the last line is the sum of all of them: "N passed, N failed".
"""

import argparse
import os
import subprocess
import sys
import time

import bazel
import fuzz
import tidy

_SANITIZED = ["//base/...", "//sidecar/...", "//control-plane/...", "//injector/..."]
_FUZZ_SECONDS = 5  # of each target
_PROGRAMS = ["//control-plane:weft-control-plane", "//injector:weft-injector",
             "//injector/init:weft-init",
             "//sidecar:weft-sidecar", "//tools/meshctl:meshctl"]


def tracked(*patterns):
    """Files of the repository, tracked or new, that match."""
    listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard", "--", *patterns],
                            cwd=bazel.ROOT, stdout=subprocess.PIPE, text=True, check=True).stdout
    return [path for path in listed.splitlines() if os.path.exists(os.path.join(bazel.ROOT, path))]


def check_format():
    """clang-format over all C++, one case a file."""
    files = tracked("*.h", "*.cc")
    done = subprocess.run(["clang-format-19", "--dry-run", "-Werror", *files], cwd=bazel.ROOT,
                          stderr=subprocess.PIPE, text=True, check=False)
    wrong = {line.split(":")[0] for line in done.stderr.splitlines() if ": error: " in line}
    for path in sorted(wrong):
        print(f"{path}: not as clang-format writes it (clang-format-19 -i {path})")
    if done.returncode != 0 and not wrong:
        print(done.stderr)
        return 0, 1
    return len(files) - len(wrong), len(wrong)


def check_scripts():
    """That every script is one: bash -n and Python's compiler, one case a file."""
    passed = failed = 0
    for path in tracked("tools", ".ci", "test", "*.sh", "*.py"):
        with open(os.path.join(bazel.ROOT, path), "rb") as file:
            content = file.read()
        error = None
        if content.startswith(b"#!/bin/bash") or path.endswith(".sh"):
            done = subprocess.run(["bash", "-n", path], cwd=bazel.ROOT, stderr=subprocess.PIPE,
                                  text=True, check=False)
            error = done.stderr if done.returncode else None
        elif path.endswith(".py"):
            try:
                compile(content, path, "exec")
            except SyntaxError as syntax_error:
                error = f"{path}: {syntax_error}"
        else:
            continue
        if error:
            print(error)
        passed += not error
        failed += bool(error)
    return passed, failed


def bazel_tests(patterns, options=()):
    """Unit tests, counted by their cases."""
    code = bazel.call("test", "--keep_going", "--test_summary=short", *options, *patterns)
    logs = bazel.info("bazel-testlogs", *options)
    counts = [bazel.test_cases(target, logs) for target in bazel.test_targets(patterns)]
    passed, failed = (sum(count) for count in zip(*counts)) if counts else (0, 0)
    if code not in (0, 4) and failed == 0:  # 4: no tests among the targets
        print(f"bazel test ended with code {code}")
        failed = 1
    return passed, failed


def build(targets, options=()):
    """One case: whether it builds."""
    code = bazel.call("build", *options, *targets)
    return (1, 0) if code == 0 else (0, 1)


def end_to_end(pattern):
    """The mesh in the lab; its runner prints a line a test and, last, the counts."""
    environment = dict(os.environ, WEFT_BIN=bazel.info("bazel-bin"))
    sanitized = bazel.info("bazel-bin", *bazel.ASAN)
    if os.path.exists(os.path.join(sanitized, "sidecar/weft-sidecar")):
        environment["WEFT_ASAN_BIN"] = sanitized
    runner = subprocess.Popen([sys.executable, os.path.join(bazel.ROOT, "test/e2e/run.py"),
                               *(["-k", pattern] if pattern else [])], cwd=bazel.ROOT,
                              env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              text=True)
    last = ""
    for line in runner.stdout:
        if last:
            print(last, end="", flush=True)
        last = line
    code = runner.wait()
    words = last.split()
    if len(words) == 4 and words[1::2] == ["passed,", "failed"]:
        return int(words[0]), int(words[2])
    print(last, end="")
    print(f"the end-to-end runner ended with code {code} and no count")
    return 0, 1


def phases(arguments):
    """(title, function) in the order in which they run."""
    sanitized_programs = ("build with sanitizers", lambda: build(_PROGRAMS, bazel.ASAN))
    if arguments.pattern is not None:
        wanted = [("build", lambda: build(_PROGRAMS))]
        if "asan" in arguments.pattern.lower() or "sanitizer" in arguments.pattern.lower():
            wanted.append(sanitized_programs)
        return [*wanted, ("end to end", lambda: end_to_end(arguments.pattern))]
    unit = ("unit tests", lambda: bazel_tests(bazel.everything()))
    if arguments.quick:
        return [unit]
    return [
        ("format", check_format),
        ("scripts", check_scripts),
        ("build", lambda: build(bazel.everything())),
        unit,
        ("unit tests with sanitizers", lambda: bazel_tests(_SANITIZED, bazel.ASAN)),
        ("fuzzing", lambda: fuzz.check(_FUZZ_SECONDS)),
        sanitized_programs,
        # Behind a build of all programs: bazel shows a compiler only what its latest build needed.
        ("clang-tidy", tidy.run),
        ("end to end", lambda: end_to_end(None)),
    ]


def main():
    parser = argparse.ArgumentParser(prog="tools/test", description=__doc__)
    only = parser.add_mutually_exclusive_group()
    only.add_argument("--quick", action="store_true", help="unit tests only")
    only.add_argument("-k", dest="pattern", metavar="PATTERN",
                      help="only end-to-end tests whose name contains PATTERN")
    arguments = parser.parse_args()
    total_passed = total_failed = 0
    for title, check in phases(arguments):
        print(f"== {title}", flush=True)
        start = time.monotonic()
        passed, failed = check()
        total_passed += passed
        total_failed += failed
        print(f"== {title}: {passed} passed, {failed} failed in {time.monotonic() - start:.1f} s",
              flush=True)
    print(f"{total_passed} passed, {total_failed} failed")
    return 1 if total_failed or not total_passed else 0


if __name__ == "__main__":
    sys.exit(main())
