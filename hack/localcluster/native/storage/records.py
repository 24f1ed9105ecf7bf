"""Volumes and snapshots as values, and how big a volume is to be."""

import hashlib
import re
from dataclasses import dataclass

from localcluster.native.storage.refusal import Refusal

SAFE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


@dataclass(frozen=True)
class Source:
    """Where a volume's content comes from: a ``volume`` or a ``snapshot``."""

    kind: str
    id: str


@dataclass(frozen=True)
class Volume:
    """A volume.

    Parameters
    ----------
    id
        Its name in the shelf.
    size
        How many bytes it takes.
    source
        What it was made from, if from anything.
    """

    id: str
    size: int
    source: Source | None = None


@dataclass(frozen=True)
class Snapshot:
    """A snapshot.

    Parameters
    ----------
    volume
        Id of the volume that it was taken of.
    size
        How many bytes a volume made from it takes at least.
    taken
        Seconds since the epoch.
    """

    id: str
    volume: str
    size: int
    taken: float


@dataclass(frozen=True)
class Wanted:
    """How big a volume is to be; nothing asked is zero.

    Parameters
    ----------
    least, most
        Bytes that it has to take, and that it may take.
    """

    least: int = 0
    most: int = 0

    def fits(self, size: int) -> bool:
        """Tell whether a size is what was asked for."""
        return size >= self.least and (not self.most or size <= self.most)

    def size(self, default: int) -> int:
        """Return the size of a new volume."""
        chosen = self.least or max(min(default, self.most or default), 1)
        if not self.fits(chosen):
            raise Refusal.out_of_range(f"no volume has at least {self.least} and at most {self.most} bytes")
        return chosen


def id_of(name: str) -> str:
    """Return the id of what is asked for under a name, which may be anything."""
    return name if SAFE_NAME.fullmatch(name) else hashlib.sha256(name.encode()).hexdigest()
