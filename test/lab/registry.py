"""Which labs exist on this machine and whose they are, so that leftovers of dead runs can be swept."""

import json
import os
import secrets
import shutil
import signal

from lab.namespace import remove_namespace
from lab.shell import run

_DIRECTORY = "/run/weft-lab"


def _start_time(pid):
    """When a process started, in ticks since boot; None if there is none. Tells a reused pid apart."""
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return int(stat.read().rsplit(")", 1)[1].split()[19])
    except (OSError, ValueError, IndexError):
        return None


def _path(lab_id):
    return os.path.join(_DIRECTORY, f"{lab_id}.json")


def _write(lab_id, record):
    os.makedirs(_DIRECTORY, exist_ok=True)
    with open(_path(lab_id) + ".new", "w") as file:
        json.dump(record, file)
    os.rename(_path(lab_id) + ".new", _path(lab_id))


def register(directory):
    """Enters a new lab of this process, and returns its id: six characters, unique on this machine."""
    while True:
        lab_id = secrets.token_hex(3)
        if not os.path.exists(_path(lab_id)):
            break
    _write(lab_id, {"pid": os.getpid(), "start": _start_time(os.getpid()), "kept": False,
                    "directory": directory})
    return lab_id


def set_directory(lab_id, directory):
    with open(_path(lab_id)) as file:
        record = json.load(file)
    _write(lab_id, {**record, "directory": directory})


def add_process(lab_id, pid):
    """Enters a process of a lab that runs outside its namespaces, the leader of a process group."""
    with open(_path(lab_id)) as file:
        record = json.load(file)
    processes = [*record.get("processes", []), [pid, _start_time(pid)]]
    _write(lab_id, {**record, "processes": processes})


def keep(lab_id):
    """Marks a lab as one that outlives its process."""
    with open(_path(lab_id)) as file:
        record = json.load(file)
    _write(lab_id, {**record, "kept": True})


def unregister(lab_id):
    try:
        os.unlink(_path(lab_id))
    except FileNotFoundError:
        pass


def remove(lab_id, directory):
    """Takes a lab away that this process does not hold objects of."""
    _kill_processes(lab_id)
    listed = run(["ip", "netns", "list"], check=False).stdout
    for line in listed.splitlines():
        name = line.split()[0]
        if name.startswith(f"weft-{lab_id}-"):
            remove_namespace(name)
    if directory:
        shutil.rmtree(directory, ignore_errors=True)
    unregister(lab_id)


def _kill_processes(lab_id):
    """Ends what add_process has entered, with its children."""
    try:
        with open(_path(lab_id)) as file:
            processes = json.load(file).get("processes", [])
    except (OSError, ValueError):
        return
    for pid, start in processes:
        if start is not None and _start_time(pid) == start:
            try:
                os.killpg(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass


def _records():
    try:
        names = os.listdir(_DIRECTORY)
    except FileNotFoundError:
        return
    for name in names:
        if not name.endswith(".json"):
            continue
        try:
            with open(os.path.join(_DIRECTORY, name)) as file:
                yield name[:-len(".json")], json.load(file)
        except (OSError, ValueError):
            continue


def sweep():
    """Removes labs whose process is gone, unless they were kept on purpose. Returns their ids."""
    swept = []
    for lab_id, record in list(_records()):
        alive = record.get("start") is not None and _start_time(record["pid"]) == record["start"]
        if not alive and not record.get("kept"):
            remove(lab_id, record.get("directory"))
            swept.append(lab_id)
    return swept


def kept():
    """The labs that were kept on purpose: {id: directory}."""
    return {lab_id: record["directory"] for lab_id, record in _records() if record.get("kept")}
