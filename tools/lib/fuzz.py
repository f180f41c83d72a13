"""Looks for inputs that break a parser of foreign bytes: every fuzz target in turn, under address and
undefined-behaviour sanitizers, from its seeds and from what earlier runs have found worth keeping.

What a run finds stays in .deps/fuzz/TARGET: its corpus, and each input that crashes, hangs or leaks, with the
command that tries it again. An input that has been mended belongs into the target's folder of seeds, which every
run of tools/test tries.
"""

import argparse
import os
import re
import subprocess
import sys

import bazel

_FOUND = os.path.join(bazel.ROOT, ".deps", "fuzz")
_SUFFIX = "_fuzzer"
_ONE_INPUT_SECONDS = 10
_MEMORY_MIB = 2048
_OPTIONS = {"ASAN_OPTIONS": "detect_stack_use_after_return=1:strict_string_checks=1",
            "UBSAN_OPTIONS": "print_stacktrace=1"}


def targets():
    """Labels of all fuzzers, in order."""
    return sorted(bazel.output("query", f"filter({_SUFFIX}$, set({' '.join(bazel.everything())}))").split())


def name_of(label):
    """Such as sidecar/route/destination_fuzz."""
    return label.removeprefix("//").replace(":", "/").removesuffix(_SUFFIX)


def duration_seconds(text):
    match = re.fullmatch(r"(\d+)(s|m|h)", text)
    if not match or not int(match[1]):
        raise argparse.ArgumentTypeError(f"{text!r} is no duration, such as 30s, 10m or 1h")
    return int(match[1]) * {"s": 1, "m": 60, "h": 3600}[match[2]]


def run(label, seconds, binaries):
    """One fuzzer for so long: (whether it held, a line that says how far it came)."""
    name = name_of(label)
    found = os.path.join(_FOUND, name)
    corpus = os.path.join(found, "corpus")
    os.makedirs(corpus, exist_ok=True)
    program = os.path.join(binaries, name + _SUFFIX)
    log = os.path.join(found, "log")
    with open(log, "w", encoding="utf-8") as output:
        done = subprocess.run(
            [program, f"-max_total_time={seconds}", f"-timeout={_ONE_INPUT_SECONDS}",
             f"-rss_limit_mb={_MEMORY_MIB}", "-print_final_stats=1", f"-artifact_prefix={found}/",
             corpus, os.path.join(bazel.ROOT, name + "_seeds")],
            stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd=found,
            env={**os.environ, **_OPTIONS}, check=False)
    with open(log, encoding="utf-8", errors="replace") as output:
        text = output.read()
    executions = re.search(r"number_of_executed_units:\s*(\d+)", text)
    covered = re.findall(r"cov: (\d+)", text)
    line = f"{int(executions[1]) if executions else 0:>10,} inputs  {covered[-1] if covered else 0:>6} edges"
    if done.returncode == 0 and executions:
        return True, line
    artifact = re.search(r"Test unit written to (\S+)", text)
    hint = f"\n    try it again: {program} {artifact[1]}" if artifact else ""
    return False, f"{line}\n{text[-3000:]}\n    {log}{hint}"


def check(seconds, pattern="", build=True):
    """Every target whose name contains the pattern: (held, broken), with a line each."""
    labels = [label for label in targets() if pattern in label]
    if not labels:
        print(f"no fuzz target has {pattern!r} in its name")
        return 0, 1
    if build and bazel.call("build", *bazel.ASAN, *labels) != 0:
        return 0, len(labels)
    binaries = bazel.info("bazel-bin", *bazel.ASAN)
    held = 0
    for label in labels:
        good, line = run(label, seconds, binaries)
        held += good
        print(f"{'ok  ' if good else 'FAIL'}  {name_of(label):<45} {line}", flush=True)
    return held, len(labels) - held


def main():
    parser = argparse.ArgumentParser(prog="tools/fuzz", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pattern", nargs="?", default="", help="only targets whose name contains it")
    parser.add_argument("--time", type=duration_seconds, default="60s", metavar="DURATION",
                        help="for each target: 30s, 10m, 1h (default: 60s)")
    parser.add_argument("--list", action="store_true", help="name the targets and end")
    arguments = parser.parse_args()
    if arguments.list:
        print(*map(name_of, targets()), sep="\n")
        return 0
    _, broken = check(arguments.time, arguments.pattern)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
