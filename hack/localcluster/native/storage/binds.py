"""Bind mounts of volumes at the paths that the kubelet names."""

import contextlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from localcluster.commands import run
from localcluster.native.storage.refusal import Refusal

MOUNTS = Path("/proc/self/mountinfo")


@dataclass(frozen=True)
class Bind:
    """One line of the kernel's list.

    Parameters
    ----------
    root
        The path in its file system that is mounted.
    target
        Where.
    """

    root: str
    target: str
    read_only: bool


def parse(text: str) -> list[Bind]:
    """Read the kernel's list, in the order in which mounts were made."""
    lines = (line.split() for line in text.splitlines())
    return [Bind(_plain(words[3]), _plain(words[4]), "ro" in words[5].split(",")) for words in lines]


def present() -> list[Bind]:
    """Return what is mounted in this mount namespace, in the order in which it was."""
    return parse(MOUNTS.read_text())


def bind(source: Path, root: str, target: Path, *, read_only: bool) -> None:
    """Mount a folder at a path; do nothing where it is mounted like that.

    Parameters
    ----------
    source
        The folder.
    root
        The same as a path in its file system.
    target
        Where to.

    Raises
    ------
    Refusal
        If something else is mounted there.
    """
    there = [mount for mount in present() if mount.target == str(target)]
    if there:
        if there[-1].root != root or there[-1].read_only != read_only:
            raise Refusal.already_exists(f"something else is mounted at {target}, or in another way")
        return
    target.mkdir(parents=True, exist_ok=True)
    run("mount", "--bind", source, target)
    if read_only:
        run("mount", "-o", "remount,bind,ro", target)


def unbind(target: Path) -> None:
    """Undo :func:`bind`, however often it was done."""
    for mount in present():
        if mount.target == str(target):
            run("umount", target)
    with contextlib.suppress(FileNotFoundError):
        target.rmdir()


def holders(root: str, mounts: Iterable[Bind]) -> list[str]:
    """Return where a path of a file system, or something below it, is mounted."""
    return [mount.target for mount in mounts if mount.root == root or mount.root.startswith(f"{root}/")]


def _plain(word: str) -> str:
    # The kernel writes blanks and backslashes as octal numbers.
    return word.encode().decode("unicode_escape") if "\\" in word else word
