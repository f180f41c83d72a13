"""The seed scenario on programs built with address and undefined-behaviour sanitizers."""

import os

from lab import binaries
from lab.load import Load, exact_requests
from shop import BETA, ShopTest, canary


def sanitized_binaries():
    """{name: path} below $WEFT_ASAN_BIN."""
    directory = os.environ.get("WEFT_ASAN_BIN", "")
    return {name: os.path.join(directory, path) for name, path in binaries.PATHS.items()}


class AsanTest(ShopTest):
    replicas = 2

    @classmethod
    def setUpClass(cls):
        cls.binaries = sanitized_binaries()
        missing = [path for path in cls.binaries.values() if not os.path.exists(path)]
        if missing:
            raise FileNotFoundError(f"$WEFT_ASAN_BIN has no {missing}: build with --config=asan")
        super().setUpClass()

    def test_the_canary_works_and_no_sanitizer_has_a_word(self):
        self.lab.manifests.write("canary.yaml", canary())
        self.eventually(lambda: self.web.get("http://tea.1/", [BETA]) == "tea.2", "the canary")
        self.assertEqual(self.answers(), {"tea.1": 10})
        self.assertEqual(exact_requests(self.web, "http://tea.1/", 2000, headers=[BETA]), 2000)
        load = Load(self.web, "http://tea.1/")
        self.lab.manifests.delete("canary.yaml")
        self.eventually(lambda: self.answers(headers=[BETA]) == {"tea.1": 10}, "no canary")
        result = load.stop()
        self.assertEqual(result.failed, 0, result.summary)
        # The end counts too: leaks are reported when a program exits.
        programs = [pod.sidecar for pod in self.lab.pods.values()] + [self.lab.control_plane.process]
        for program in programs:
            code = program.stop(deadline=30)
            self.assertEqual(code, 0, f"{program.name}: {program.log()[-3000:]}")
            for word in ("AddressSanitizer", "LeakSanitizer", "runtime error:"):
                self.assertNotIn(word, program.log(), program.name)
