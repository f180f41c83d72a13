"""The files that a node keeps, for those who look from outside: logs, port-forward, exec, tests.

For every pod there is a file <directory>/pods/<namespace>_<name>.json, until the pod is deleted:

    {"uid": ..., "netns": "weft-..." or null, "ip": ..., "containers": {
        NAME: {"kind": "init", "sidecar" or "main", "pid": PID or null, "log": PATH or null,
               "previous_log": PATH or null, "enter": [ARGV, ...] or null, "environment": PATH}}}

`netns` is known to `ip netns`; null once the pod has ended. `pid` is the container's first process. `enter`
is a command line that runs what is appended to it in the container, as its user; `environment` is a file with
its variables as a JSON object.
"""

import json
import os


def state_path(directory, namespace, name):
    return os.path.join(directory, "pods", f"{namespace}_{name}.json")


def read_state(directory, namespace, name):
    """What the node says of a pod; None if it does not run it."""
    try:
        with open(state_path(directory, namespace, name)) as file:
            return json.load(file)
    except FileNotFoundError:
        return None


def write_state(directory, namespace, name, state):
    path = state_path(directory, namespace, name)
    with open(path + ".new", "w") as file:
        json.dump(state, file)
    os.rename(path + ".new", path)


def forget_state(directory, namespace, name, uid):
    """Removes a pod's file unless a newer pod of that name has written it."""
    state = read_state(directory, namespace, name)
    if state and state["uid"] == uid:
        os.unlink(state_path(directory, namespace, name))


def pod_directory(directory, pod):
    metadata = pod["metadata"]
    return os.path.join(directory, "pods", f"{metadata['namespace']}_{metadata['name']}_{metadata['uid']}")


def log_path(log_dir, pod, container, attempt):
    metadata = pod["metadata"]
    folder = os.path.join(log_dir, f"{metadata['namespace']}_{metadata['name']}_{metadata['uid'][:8]}")
    os.makedirs(folder, exist_ok=True)
    return os.path.join(folder, f"{container}.{attempt}.log")
