"""The cgroup folders that pods are under: made by the node, removed by whoever finds them without one.

Both layouts of the kernel are known: one tree per controller (v1), or one tree for all (v2).
"""

import contextlib
import os
from pathlib import Path

from tenacity import Retrying, retry_if_result, stop_after_delay, wait_fixed

ROOT = Path("/sys/fs/cgroup")
V2_CONTROLLERS = "+cpuset +cpu +io +memory +pids"


def version(root: Path = ROOT) -> int:
    """Return which layout the machine has, 1 or 2."""
    return 2 if (root / "cgroup.controllers").exists() else 1


def hierarchies(root: Path = ROOT) -> list[Path]:
    """Return the top folder of every tree."""
    if version(root) == 2:
        return [root]
    # Two controllers that are mounted together appear under a third name too, as links.
    return [entry for entry in sorted(root.iterdir()) if entry.is_dir() and not entry.is_symlink()]


def make(name: str, root: Path = ROOT) -> None:
    """Make the group in every tree, so that the kubelet can make its own below."""
    for tree in hierarchies(root):
        group = tree / name.strip("/")
        group.mkdir(exist_ok=True)
        # A cpuset (v1) starts empty and takes no process until it has both.
        for setting in ("cpuset.cpus", "cpuset.mems"):
            if version(root) == 1 and (group / setting).exists():
                (group / setting).write_text((tree / setting).read_text())
        if version(root) == 2:
            for folder in (tree, group):
                with contextlib.suppress(OSError):
                    (folder / "cgroup.subtree_control").write_text(V2_CONTROLLERS)


def remove(name: str, root: Path = ROOT, seconds: float = 10.0) -> list[Path]:
    """Remove the group and all below it in every tree, and return what could not be.

    A group stays busy for a moment after its last process was killed.
    """
    patience = Retrying(
        retry=retry_if_result(bool),
        stop=stop_after_delay(seconds),
        wait=wait_fixed(0.1),
        retry_error_callback=lambda state: state.outcome.result() if state.outcome else [],
    )
    left: list[Path] = patience(_remove_once, name, root)
    return left


def _remove_once(name: str, root: Path) -> list[Path]:
    groups = [group for tree in hierarchies(root) if (group := tree / name.strip("/")).is_dir()]
    for group in groups:
        for folder, _, _ in os.walk(group, topdown=False):
            with contextlib.suppress(OSError):
                os.rmdir(folder)
    return [group for group in groups if group.exists()]
