"""The container images: built from the programs under test, twice, and tried out."""

import os
import tempfile
import unittest

from lab.binaries import ROOT
from lab.shell import run

_MEGABYTES = {"sidecar": 60, "control-plane": 60, "injector": 60}  # unpacked, at most


def build(directory, *flags):
    """What tools/image prints."""
    binaries = os.environ.get("WEFT_BIN") or os.path.join(ROOT, "bazel-bin")
    return run(["/usr/bin/python3", os.path.join(ROOT, "tools/lib/image.py"), "--output", directory, "--binaries", binaries,
                *flags], timeout=300).stdout


class ImageTest(unittest.TestCase):

    def test_they_are_small_alike_twice_and_run_by_themselves(self):
        with tempfile.TemporaryDirectory() as first, tempfile.TemporaryDirectory() as second:
            said, again = build(first), build(second, "--no-smoke-test")
            for name, most in _MEGABYTES.items():
                line = next(line for line in said.splitlines() if f"weft/{name}:" in line)
                with self.subTest(name):
                    self.assertIn(line.split()[-1], again)
                    self.assertLess(float(line.split("unpacked ")[1].split()[0]), most)

    def test_a_name_that_is_no_image_is_refused(self):
        refused = run(["/usr/bin/python3", os.path.join(ROOT, "tools/lib/image.py"), "--output", "/tmp", "gateway"], check=False)
        self.assertEqual(refused.returncode, 2)
        self.assertIn("gateway", refused.stderr)
