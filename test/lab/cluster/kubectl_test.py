"""Real kubectl prints at the lab's cluster what it prints at a real one, and ends with the same exit code."""

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import tempfile
import unittest

from lab.cluster.access.testing import recording, without
from lab.cluster.cluster import Cluster
from lab.shell import run, wait_for

_TESTDATA = os.path.join(os.path.dirname(os.path.abspath(__file__)), "testdata", "kubectl")
# An image that the lab can run, in place of the recording's.
_IMAGE = "registry.example/kubernetes/pause"

# What differs from run to run; the order matters.
_VARIABLE = [
    (r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "<uid>"),
    (r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z| [+-]\d{4})?", "<time>"),
    (r"(?<=web-)[0-9a-z]{8,10}(-[0-9a-z]{5})?\b", "<hash>"),
    (r"(\d+\.\d+\.\d+\.\d+:\d+,?)+", "<endpoints>"),
    (r"\d+\.\d+\.\d+\.\d+", "<address>"),
    (r"\b(\d+[dhms]){1,2}(?=\s|$)", "<age>"),
    (r"(?i)((resource ?version|generation):? *\"?)\d+", r"\1<number>"),
    (r"(?<= x: |\"x\":).*", "<number>"),
    (r"\S*/?(LIVE|MERGED)(-\d+)?/", r"\1/"),
    (r"registry\.example/(kubernetes/pause|app)", "<image>"),
    (r"<FieldsV1>", "<Object>"),
    (r" {2,}", "  "),
]


def normal(text):
    for pattern, replacement in _VARIABLE:
        text = re.sub(pattern, replacement, text, flags=re.MULTILINE)
    return text


class KubectlTestCase(unittest.TestCase):
    """A cluster, and a directory with the manifests that the commands name."""

    maxDiff = None

    @classmethod
    def setUpClass(cls):
        logs = os.environ.get("WEFT_TEST_LOGS")
        log_dir = logs and tempfile.mkdtemp(prefix="kubectl-", dir=logs)
        cls.cluster = cls.enterClassContext(Cluster(log_dir=log_dir))
        cls.directory = tempfile.mkdtemp(prefix="weft-kubectl-")
        cls.addClassCleanup(shutil.rmtree, cls.directory)
        for name in os.listdir(_TESTDATA):
            with open(os.path.join(_TESTDATA, name)) as source:
                text = source.read().replace("registry.example/app:", f"{_IMAGE}:")
            with open(os.path.join(cls.directory, name), "w") as target:
                target.write(text)

    def check_recorded(self, name):
        """Executes all commands of a recording."""
        for recorded in recording(name)["commands"]:
            command = recorded["command"]
            with self.subTest(command):
                check = next((check for start, check in self._CHECKS.items()
                              if command.startswith(f"kubectl {start}")), KubectlTestCase.check_same)
                check(self, self.execute(command, recorded.get("user")), recorded)

    def execute(self, command, user=None):
        command = command.replace("registry.example/app:", f"{_IMAGE}:")
        if user:
            command += f" --as={user}"
        environment = {**self.cluster.environment(), "KUBE_EDITOR": "sed -i 's/weight: 80/weight: 70/'",
                       "TMPDIR": self.directory}
        argv = shlex.split(command)
        if argv[-1] == "-w":
            return self.watch(argv, environment)
        return run(argv, check=False, timeout=60, env=environment, cwd=self.directory)

    def watch(self, argv, environment):
        """Runs until something has changed, then interrupts, as a user does."""
        with tempfile.TemporaryFile("w+") as output:
            process = subprocess.Popen(argv, stdout=output, stderr=subprocess.PIPE, text=True,
                                       env=environment, start_new_session=True)

            def lines(count):
                output.seek(0)
                return len(output.readlines()) >= count

            wait_for(lambda: lines(2), "the first state in the watch")
            self.cluster.kubectl("annotate", "ts", "web", "-n", "bookshop", "x=1795380346.6534758")
            wait_for(lambda: lines(3), "the change in the watch")
            process.send_signal(signal.SIGINT)
            _, errors = process.communicate(timeout=10)
            output.seek(0)
            return subprocess.CompletedProcess(argv, process.returncode, output.read(), errors)

    # Ways of comparing.

    def check_code(self, done, recorded):
        self.assertEqual(done.returncode, recorded["exitCode"], done.stdout + done.stderr)

    def check_same(self, done, recorded):
        self.check_code(done, recorded)
        self.assertEqual(normal(done.stdout), normal(recorded["stdout"]))
        self.assertEqual(normal(done.stderr), normal(recorded["stderr"]))

    def check_watch(self, done, recorded):
        # An interrupted kubectl ends by the signal or with code 1.
        self.assertIn(done.returncode, (recorded["exitCode"], -signal.SIGINT, 130))
        self.assertEqual(normal(done.stdout), normal(recorded["stdout"]))

    def check_last_line(self, done, recorded):
        """How far a rollout has come when we look is a matter of time; its end is not."""
        self.check_code(done, recorded)
        self.assertEqual(done.stdout.splitlines()[-1], recorded["stdout"].splitlines()[-1])

    def check_version(self, done, recorded):
        self.check_code(done, recorded)
        self.assertEqual(done.stdout.splitlines()[:2], recorded["stdout"].splitlines()[:2])
        self.assertRegex(done.stdout.splitlines()[2], r"^Server Version: v1\.34\.\d+")

    def check_namespaces(self, done, recorded):
        self.check_code(done, recorded)
        recorded_lines = normal(recorded["stdout"]).splitlines()
        system = [line for line in recorded_lines if line.startswith(("NAME", "default", "kube-"))]
        self.assertEqual(normal(done.stdout).splitlines(), system)

    def check_pods(self, done, recorded):
        if recorded["exitCode"]:
            self.check_same(done, recorded)
            return
        self.check_code(done, recorded)
        header, *rows = done.stdout.splitlines()
        self.assertEqual(normal(header), normal(recorded["stdout"].splitlines()[0]))
        for row in rows:
            self.assertRegex(normal(row), r"^web-<hash>  [01]/1  \w+  0  <age>$")

    def check_events(self, done, recorded):
        self.check_code(done, recorded)
        header, *rows = normal(done.stdout).splitlines()
        recorded_header, *recorded_rows = normal(recorded["stdout"]).splitlines()
        self.assertEqual(header, recorded_header)
        sentences = {re.sub(r"\d+", "N", row.split("  ", 1)[1]) for row in rows}
        expected = {re.sub(r"\d+", "N", row.split("  ", 1)[1]) for row in recorded_rows}
        # How many alike are drawn together is a matter of time.
        expected = {sentence for sentence in expected if "combined from similar" not in sentence}
        self.assertEqual(expected - sentences, set())

    def check_deletions(self, done, recorded):
        """The deletion of a namespace may have taken along what is named after it."""
        self.check_code(done, recorded)
        lines, expected = done.stdout.splitlines(), recorded["stdout"].splitlines()
        self.assertEqual(lines[0], expected[0])
        self.assertLessEqual(set(lines), set(expected))

    def check_list(self, done, recorded):
        self.check_code(done, recorded)
        listed, expected = (without(json.loads(each), "managedFields", "uid", "resourceVersion", "generation",
                                    "creationTimestamp") for each in (done.stdout, recorded["stdout"]))
        self.assertEqual(listed, expected)

    _CHECKS = {"version": check_version, "get ns": check_namespaces, "rollout status": check_last_line,
               "get pods -n bookshop": check_pods, "get events": check_events,
               "get ts -n bookshop -w": check_watch, "delete -f": check_deletions,
               "get --raw /apis/split.smi-spec.io/v1alpha3/trafficsplits": check_list}


class RecordedCommandsTest(KubectlTestCase):

    def test_the_commands_of_a_users_day_have_the_recorded_outcome(self):
        self.check_recorded("kubectl/commands.json")


class MoreCommandsTest(KubectlTestCase):

    def test_many_more_commands_have_the_recorded_outcome(self):
        self.check_recorded("kubectl/more-commands.json")


if __name__ == "__main__":
    unittest.main()
