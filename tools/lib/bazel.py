"""Bazel, as the tools call it."""

import json
import os
import shlex
import subprocess
import xml.etree.ElementTree

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

# Programs with sanitizers get an output directory of their own, so that neither build undoes the other.
ASAN = ["--config=asan", "--platform_suffix=asan"]

_QUIET = ["--noshow_progress", "--color=no", "--curses=no", "--show_result=0"]


def _command():
    # $WEFT_BAZEL may name another Bazel or add startup options.
    return shlex.split(os.environ.get("WEFT_BAZEL", "bazel"))


def call(verb, *arguments, quiet=True):
    """Runs bazel with its output on ours, and returns its exit code."""
    return subprocess.call([*_command(), verb, *(_QUIET if quiet else []), *arguments], cwd=ROOT,
                           stdin=subprocess.DEVNULL)


def output(verb, *arguments):
    """What bazel prints; raises if it fails."""
    return subprocess.run([*_command(), verb, *arguments], cwd=ROOT, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          check=True).stdout


def info(key, *options):
    """A directory of bazel's, such as bazel-bin, under the build options."""
    return output("info", *options, key).strip()


def everything():
    """Patterns of all our packages. Not //..., which would walk into another output directory of bazel's
    where the checkout has a link to one."""
    listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard", "--", "*/BUILD.bazel"],
                            cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True).stdout
    folders = sorted({path.split("/")[0] for path in listed.splitlines()} - {"third_party"})
    return [f"//{folder}/..." for folder in folders]


def test_targets(patterns):
    return output("query", f"tests(set({' '.join(patterns)}))").split()


def test_cases(target, test_logs):
    """(passed, failed) cases of a test that has run; a target without a report is one failed case."""
    path = os.path.join(test_logs, target.removeprefix("//").replace(":", "/"), "test.xml")
    try:
        root = xml.etree.ElementTree.parse(path).getroot()
    except (OSError, xml.etree.ElementTree.ParseError):
        return 0, 1
    cases = list(root.iter("testcase"))
    failed = sum(case.find("failure") is not None or case.find("error") is not None for case in cases)
    skipped = sum(case.get("result") == "skipped" for case in cases)
    return len(cases) - failed - skipped, failed


def compile_actions(patterns, *options):
    """Of every C++ source that the patterns compile: (source, arguments, its .d file)."""
    query = f'mnemonic("CppCompile", set({" ".join(patterns)}))'
    graph = json.loads(output("aquery", *options, "--output=jsonproto", query))
    for action in graph.get("actions", []):
        arguments = action["arguments"]
        if "-c" not in arguments:
            continue
        source = arguments[arguments.index("-c") + 1]
        dependencies = arguments[arguments.index("-MF") + 1] if "-MF" in arguments else None
        yield source, arguments, dependencies
