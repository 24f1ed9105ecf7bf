"""Subvolumes with quotas, by the programs of btrfs."""

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from localcluster.commands import run
from localcluster.errors import ClusterError

# Every subvolume's root has this inode number.
ROOT_INODE = 256


@dataclass(frozen=True)
class Use:
    """What a subvolume holds and may hold, in bytes; ``limit`` is None where nothing limits it."""

    used: int
    limit: int | None


def create(path: Path, size: int) -> None:
    """Make an empty subvolume that takes so many bytes."""
    run("btrfs", "subvolume", "create", path)
    limit(path, size)


def copy(source: Path, path: Path, size: int) -> None:
    """Make a writable copy of a subvolume or snapshot that takes so many bytes, those it begins with included."""
    run("btrfs", "subvolume", "snapshot", source, path)
    limit(path, size)


def freeze(source: Path, path: Path) -> None:
    """Make a read-only copy."""
    run("btrfs", "subvolume", "snapshot", "-r", source, path)


def limit(path: Path, size: int) -> None:
    """Say how many bytes a subvolume takes."""
    run("btrfs", "qgroup", "limit", str(size), path)


def delete(path: Path) -> None:
    """Delete a subvolume with those that somebody made in it; its space is freed in the background."""
    with contextlib.suppress(ClusterError):
        run("btrfs", "subvolume", "delete", path)
        return
    run("btrfs", "property", "set", "-f", path, "ro", "false")
    for inner in _inner(path):
        run("btrfs", "subvolume", "delete", inner)
    run("btrfs", "subvolume", "delete", path)


def uses(pool: Path) -> dict[str, Use]:
    """Return what all subvolumes of a pool hold, by their paths in it, as of the last commit."""
    return parse_uses(run("btrfs", "qgroup", "show", "--raw", "-r", pool))


def parse_uses(text: str) -> dict[str, Use]:
    """Read what ``btrfs qgroup show --raw -r`` says: identity, referenced, exclusive, limit and path."""
    found = {}
    for line in text.splitlines():
        match line.split(None, 4):
            case [group, used, _, most, path] if group.startswith("0/"):
                found[path.strip()] = Use(int(used), None if most == "none" else int(most))
    return found


def _inner(path: Path) -> Iterator[Path]:
    for folder, names, _ in os.walk(path, topdown=False):
        for name in names:
            inner = Path(folder, name)
            if not inner.is_symlink() and inner.stat().st_ino == ROOT_INODE:
                yield inner
