"""Files of a volume that change all at once, in the layout that a kubelet makes."""

import os
import shutil
import time


def write_atomically(directory, files, gid=None):
    """Makes a directory hold exactly these files: {path: (bytes, mode)}, or {path: (bytes, mode, uid)}.

    They are links into a directory of their own that `..data` points to, so that a reader sees either all of
    the old or all of the new. Returns whether anything changed.
    """
    if _held(directory) == {path: entry[0] for path, entry in files.items()}:
        return False
    fresh = f"..{time.time_ns()}"
    for path, (content, mode, *owner) in files.items():
        target = os.path.join(directory, fresh, path)
        _make_directories(os.path.join(directory, fresh), os.path.dirname(path), gid)
        with open(os.open(target, os.O_CREAT | os.O_WRONLY | os.O_EXCL, 0o600), "wb") as file:
            file.write(content)
        os.chown(target, owner[0] if owner else 0, gid if gid is not None else -1)
        os.chmod(target, mode | (0o440 if gid is not None else 0))
    os.makedirs(os.path.join(directory, fresh), mode=0o755, exist_ok=True)
    link = os.path.join(directory, "..data")
    before = os.readlink(link) if os.path.islink(link) else None
    os.symlink(fresh, link + "_tmp")
    os.rename(link + "_tmp", link)
    wanted = {path.split("/")[0] for path in files}
    for name in wanted:
        if not os.path.lexists(os.path.join(directory, name)):
            os.symlink(os.path.join("..data", name), os.path.join(directory, name))
    for name in os.listdir(directory):
        if not name.startswith("..") and name not in wanted:
            os.unlink(os.path.join(directory, name))
    if before:
        shutil.rmtree(os.path.join(directory, before), ignore_errors=True)
    return True


def _held(directory):
    data = os.path.join(directory, "..data")
    if not os.path.isdir(data):
        return None
    held = {}
    for folder, _, names in os.walk(data):
        for name in names:
            path = os.path.join(folder, name)
            with open(path, "rb") as file:
                held[os.path.relpath(path, data)] = file.read()
    return held


def _make_directories(top, path, gid):
    os.makedirs(os.path.join(top, path), mode=0o755, exist_ok=True)
    if gid is not None:
        os.chown(os.path.join(top, path), -1, gid)
