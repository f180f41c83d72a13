"""`kubectl logs`: what a container has printed, from the file in which the node keeps it."""

import os
import time

_PIECE = 64 * 1024
_LOOK_SECONDS = 0.1


def read(path, tail_lines=None, limit_bytes=None):
    """The log so far as bytes; nothing if there is none yet."""
    content = _tail(_read(path), tail_lines)
    return content if limit_bytes is None else content[:limit_bytes]


def follow(path, tail_lines, running, write):
    """Writes the log and what is added to it, until running() is false.

    `write` raises OSError when nobody listens any more; it is called with nothing now and then.
    """
    content = _read(path)
    position = len(content)
    write(_tail(content, tail_lines))
    while True:
        alive = running()
        if _size(path) > position:
            with open(path, "rb") as file:
                file.seek(position)
                while piece := file.read(_PIECE):
                    write(piece)
                    position += len(piece)
        elif not alive:
            return
        else:
            write(b"")
            time.sleep(_LOOK_SECONDS)


def _read(path):
    try:
        with open(path, "rb") as file:
            return file.read()
    except FileNotFoundError:
        return b""


def _tail(content, lines):
    if lines is None:
        return content
    split = content.splitlines(keepends=True)
    return b"".join(split[max(0, len(split) - lines):])


def _size(path):
    try:
        return os.path.getsize(path)
    except FileNotFoundError:
        return 0
