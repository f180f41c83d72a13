"""Where the programs under test are."""

import os
import shutil

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

PATHS = {
    "meshctl": "tools/meshctl/meshctl",
    "weft-control-plane": "control-plane/weft-control-plane",
    "weft-init": "injector/init/weft-init",
    "weft-injector": "injector/weft-injector",
    "weft-sidecar": "sidecar/weft-sidecar",
}


def find_binary(name):
    """Path of a built program: below $WEFT_BIN, or bazel-bin if that is not set."""
    directory = os.environ.get("WEFT_BIN") or os.path.join(ROOT, "bazel-bin")
    path = os.path.join(directory, PATHS[name])
    if not os.path.exists(path):
        raise FileNotFoundError(f"{path} is not there; build it: bazel build //...")
    return path


def install(source, directory, name):
    """Copies a program to where every user of the lab may run it, and returns its path there."""
    os.makedirs(directory, exist_ok=True)
    target = os.path.join(directory, name)
    shutil.copyfile(source, target)
    os.chmod(target, 0o755)
    return target
