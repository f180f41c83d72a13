"""Pods without a cluster: network namespaces joined by a bridge, with everything that a mesh needs in them.

    from lab import Lab

    with Lab() as lab:
        lab.start_control_plane()
        web = lab.add_pod("web")
        ...

Needs root and Debian's programs; nothing outside the namespaces is changed. A lab takes itself down when
its block ends, however it ends; what a killed run left behind is swept by the next one.
"""

from lab.capture import Capture
from lab.lab import Lab
from lab.pod import Pod
from lab.process import Process
from lab.shell import CommandFailed, Deadline, run, wait_for

__all__ = ["Capture", "CommandFailed", "Deadline", "Lab", "Pod", "Process", "run", "wait_for"]
