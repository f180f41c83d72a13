"""A container's file system: the machine's own root, the image's files, and the volumes in their places."""

import os
import shlex
import shutil
from dataclasses import dataclass


@dataclass(frozen=True)
class Mount:
    """A file or directory of the host that appears at `path` in the container."""
    source: str
    path: str
    read_only: bool = False


def start_script(directory, layer, mounts, read_only, working_directory, hostname, argv):
    """A shell script that builds the root below `directory` and becomes argv in it.

    It runs as root in mount, UTS and PID namespaces of its own, so that everything it mounts ends with it.
    """
    root, upper, work = (os.path.join(directory, name) for name in ("root", "upper", "work"))
    for path in (root, upper, work):
        os.makedirs(path, mode=0o755, exist_ok=True)
    if layer:
        _lay(layer, upper)
    lines = ["set -e", f"hostname {shlex.quote(hostname)}",
             f"mount -t overlay overlay -o {shlex.quote(f'lowerdir=/,upperdir={upper},workdir={work}')}"
             f" {shlex.quote(root)}",
             f"mount -t proc proc {shlex.quote(root)}/proc",
             f"mount --rbind /sys {shlex.quote(root)}/sys",
             f"mount --rbind /dev {shlex.quote(root)}/dev"]
    for mount in sorted(mounts, key=lambda one: one.path):
        # Symbolic links (/var/run) lead elsewhere in the machine's root; they must not lead out of this one.
        target = shlex.quote(root + os.path.realpath(mount.path))
        source = shlex.quote(mount.source)
        if os.path.isdir(mount.source):
            lines.append(f"mkdir -p {target}")
        else:
            lines += [f"mkdir -p {shlex.quote(os.path.dirname(root + os.path.realpath(mount.path)))}",
                      f"[ -e {target} ] || : >{target}"]
        lines.append(f"mount --rbind {source} {target}")
        if mount.read_only:
            lines.append(f"mount -o remount,bind,ro {target}")
    enter = [root, "/usr/bin/env"]
    if working_directory:
        lines.append(f"mkdir -p {shlex.quote(root + os.path.realpath(working_directory))}")
    enter.append(f"--chdir={working_directory or '/'}")
    if read_only:
        lines.append(f"mount -o remount,ro {shlex.quote(root)}")
    lines.append(f"exec chroot {shlex.join(enter + list(argv))}")
    return "\n".join(lines) + "\n"


def _lay(layer, upper):
    """Puts an image's files into a container's upper directory.

    Programs are linked, for nobody writes to them; the rest is copied, for a container may. (As a lower
    directory of its own the layer would lie inside the other one, which the kernel refuses.)
    """
    for folder, _, names in os.walk(layer):
        target = os.path.join(upper, os.path.relpath(folder, layer))
        os.makedirs(target, mode=0o755, exist_ok=True)
        for name in names:
            place = os.link if folder.endswith("/bin") else shutil.copy2
            place(os.path.join(folder, name), os.path.join(target, name))
