"""Measures Weft on this machine, and says how."""

import argparse
import sys

import bench_control_plane
import bench_data_path
from terminal import StepFailed, cross


def main():
    parser = argparse.ArgumentParser(prog="tools/bench", description=__doc__)
    subjects = parser.add_subparsers(dest="subject", required=True, metavar="SUBJECT")
    # A subject is a module with add_to(subjects), whose parser sets `run`.
    bench_control_plane.add_to(subjects)
    bench_data_path.add_to(subjects)
    options = parser.parse_args()
    try:
        options.run(options)
    except StepFailed as failure:
        cross(failure)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
