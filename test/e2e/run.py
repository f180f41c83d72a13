#!/usr/bin/python3
"""Runs the end-to-end tests and the lab's own: a line for each, and last "N passed, N failed".

Usage: run.py [-k PATTERN]     only tests whose file or name contains PATTERN

Programs come from $WEFT_BIN (default: bazel-bin), those with sanitizers from $WEFT_ASAN_BIN.
"""

import argparse
import glob
import importlib.util
import os
import shutil
import sys
import tempfile
import time
import traceback
import unittest

_TEST = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path[:0] = [_TEST, os.path.join(_TEST, "e2e")]


def sentence(test):
    """"canary: requests with the cookie reach tea 2" of a test method."""
    method = getattr(test, "_testMethodName", None)
    if method is None:  # setUpClass failed: the test is a holder of the error
        return str(test)
    subject = type(test).__module__.removesuffix("_test").replace("_", " ")
    return f"{subject}: {method.removeprefix('test_').replace('_', ' ')}"


def flatten(suite):
    for item in suite:
        if isinstance(item, unittest.TestSuite):
            yield from flatten(item)
        else:
            yield item


class LineResult(unittest.TestResult):
    """Prints a line when a test ends; failures with their trace, at once."""

    def __init__(self):
        super().__init__()
        self.passed = self.failed = 0
        self._start = time.monotonic()
        self._ok = True

    def startTest(self, test):
        super().startTest(test)
        self._start, self._ok = time.monotonic(), True

    def stopTest(self, test):
        super().stopTest(test)
        self.passed += self._ok
        if self._ok:
            self._line("ok", test)

    def addSuccess(self, test):
        super().addSuccess(test)

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self._fail(test, err)

    def addError(self, test, err):
        super().addError(test, err)
        self._fail(test, err)

    def addSubTest(self, test, subtest, err):
        super().addSubTest(test, subtest, err)
        if err:
            print(f"       in {dict(subtest.params)}")
            self._fail(test, err)

    def addSkip(self, test, reason):
        # Nothing may be left out unseen.
        super().addSkip(test, reason)
        if self._ok:
            self.failed += 1
        self._ok = False
        self._line("FAILED", test)
        print(f"       skipped: {reason}", flush=True)

    def _fail(self, test, err):
        if self._ok or not hasattr(test, "_testMethodName"):
            self.failed += 1
        self._ok = False
        self._line("FAILED", test)
        text = "".join(traceback.format_exception(*err))
        print("".join(f"       {line}\n" for line in text.rstrip().splitlines()), end="", flush=True)

    def _line(self, word, test):
        print(f"{word:6} {time.monotonic() - self._start:6.1f} s  {sentence(test)}", flush=True)


def load(paths, pattern):
    suites = {}
    for path in paths:
        name = os.path.basename(path).removesuffix(".py")
        spec = importlib.util.spec_from_file_location(name, path)
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
        for test in flatten(unittest.defaultTestLoader.loadTestsFromModule(module)):
            words = f"{name} {test.id()} {sentence(test)}".lower()
            if pattern is None or pattern.lower() in words:
                suites.setdefault(name, unittest.TestSuite()).addTest(test)
    return unittest.TestSuite(suites.values())


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-k", dest="pattern", metavar="PATTERN")
    arguments = parser.parse_args()
    paths = [path for folder in ("lab", "lab/cluster", "e2e")
             for path in sorted(glob.glob(f"{_TEST}/{folder}/*_test.py"))]
    logs = tempfile.mkdtemp(prefix="weft-test-logs-")
    os.environ["WEFT_TEST_LOGS"] = logs
    suite = load(paths, arguments.pattern)
    if suite.countTestCases() == 0:
        print(f"no test matches {arguments.pattern!r}")
    result = LineResult()
    suite.run(result)
    if result.failed:
        print(f"logs of every program: {logs}")
    else:
        shutil.rmtree(logs, ignore_errors=True)
    print(f"{result.passed} passed, {result.failed} failed")
    return 1 if result.failed or not result.passed else 0


if __name__ == "__main__":
    sys.exit(main())
