#!/usr/bin/python3
"""Copies .proto files and everything that they import, and nothing else, into one tree.

Imports are looked up below the roots in the order given; what only a --system directory has (protobuf's own
google/protobuf/*.proto) is left where it is, for protoc finds it there.
"""

import argparse
import os
import re
import shutil
import sys

_IMPORT = re.compile(r'^\s*import\s+(?:public\s+|weak\s+)?"([^"]+)"\s*;', re.MULTILINE)


def find(path, directories):
    """The first of the directories that has the path, or None."""
    return next((d for d in directories if os.path.isfile(os.path.join(d, path))), None)


def closure(files, roots, system):
    """{path: root} of the files and all that they import; ends the program if one is nowhere."""
    found, waiting = {}, [(path, "the command line") for path in files]
    while waiting:
        path, importer = waiting.pop()
        if path in found or find(path, system):
            continue
        root = find(path, roots)
        if root is None:
            sys.exit(f"{path}, imported by {importer}, is in none of {', '.join(roots + system)}")
        found[path] = root
        with open(os.path.join(root, path), encoding="utf-8") as file:
            waiting += [(imported, path) for imported in _IMPORT.findall(file.read())]
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", action="append", required=True, help="where to look; repeatable")
    parser.add_argument("--system", action="append", default=[], help="where protoc looks by itself")
    parser.add_argument("--out", required=True, help="the tree to write")
    parser.add_argument("files", nargs="+", help="paths below a root")
    arguments = parser.parse_args()
    for path, root in sorted(closure(arguments.files, arguments.root, arguments.system).items()):
        target = os.path.join(arguments.out, path)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        shutil.copyfile(os.path.join(root, path), target)


if __name__ == "__main__":
    main()
