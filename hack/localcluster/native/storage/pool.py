"""The file system that all volumes are in: a btrfs in a sparse file of the node's state folder.

It is mounted in the node's mount namespace alone and its loop device clears itself, so nothing outlives the node.
"""

import contextlib
import shutil
from pathlib import Path

from localcluster.commands import run
from localcluster.errors import ClusterError

FILE_NAME = "volumes.btrfs"
MOUNT = Path("/run/volumes")
# Of what is free on the machine's disk; the file grows as volumes do.
SHARE = 0.8
SMALLEST = 1024**3
# Nothing waits for the disk: the file does not outlive the node, and the page cache outlives every process. A commit
# every few seconds keeps what the quotas say of use up to date.
OPTIONS = "loop,noatime,nobarrier,commit=5,discard=async"


def prepare(file: Path, mount: Path = MOUNT) -> None:
    """Make the pool anew and mount it; called once, in the node's own mount namespace.

    Raises
    ------
    ClusterError
        If the kernel has no btrfs or gives no loop device.
    """
    with file.open("wb") as content:
        content.truncate(max(int(shutil.disk_usage(file.parent).free * SHARE), SMALLEST))
    run("mkfs.btrfs", "--quiet", "--nodiscard", file)
    mount.mkdir(parents=True)
    run("mount", "-t", "btrfs", "-o", OPTIONS, file, mount)
    run("btrfs", "quota", "enable", mount)


def detach(file: Path) -> None:
    """Free the loop devices of a pool that is mounted nowhere any more; they free themselves unless somebody erred."""
    with contextlib.suppress(ClusterError):
        for device in run("losetup", "--noheadings", "--output", "NAME", "--associated", file).split():
            run("losetup", "--detach", device)
