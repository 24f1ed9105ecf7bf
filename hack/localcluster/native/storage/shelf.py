"""A driver's volumes and snapshots, each a folder with the subvolume and what is known of it.

A folder is made under a hidden name and renamed when it is complete, and renamed back before it is taken apart: what a
kill leaves half done is hidden, and swept away by the next start.
"""

import json
import shutil
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from localcluster.native.storage import subvolumes
from localcluster.native.storage.records import SAFE_NAME, Snapshot, Source, Volume, Wanted, id_of
from localcluster.native.storage.refusal import Refusal

DATA, ABOUT = "data", "about.json"
HIDDEN = "."
DEFAULT_SIZE = 1024**3


class Shelf:
    """The volumes and snapshots of one driver.

    Parameters
    ----------
    pool
        Where the pool is mounted.
    driver
        The driver's name.
    disk
        Folder on the disk that the pool grows on; without one the pool has its room to itself.
    """

    def __init__(self, pool: Path, driver: str, disk: Path | None = None) -> None:
        self.pool = pool
        self._disk = disk
        self._volumes = pool / driver / "volumes"
        self._snapshots = pool / driver / "snapshots"
        self._locks: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)

    def sweep(self) -> None:
        """Take apart what an earlier process left half done."""
        for folder in (self._volumes, self._snapshots):
            folder.mkdir(parents=True, exist_ok=True)
            for entry in folder.glob(f"{HIDDEN}*"):
                _take_apart(entry)

    def free(self) -> int:
        """Return the bytes that are left for all volumes together.

        The pool's file is sparse: other clusters' pools, and whatever else is on the disk, take from the same room.
        """
        return min(shutil.disk_usage(place).free for place in filter(None, (self.pool, self._disk)))

    def data(self, volume: str) -> Path:
        """Return where a volume's content is."""
        return self._volumes / volume / DATA

    def volumes(self) -> list[Volume]:
        """Return all volumes in the order of their ids."""
        return [found for entry in _entries(self._volumes) if (found := self.volume(entry))]

    def snapshots(self) -> list[Snapshot]:
        """Return all snapshots in the order of their ids."""
        return [found for entry in _entries(self._snapshots) if (found := self.snapshot(entry))]

    def volume(self, name: str) -> Volume | None:
        """Return a volume, None where there is none of that id."""
        about = _read(self._volumes, name)
        if about is None:
            return None
        source = about.pop("source")
        return Volume(**about, source=Source(**source) if source else None)

    def snapshot(self, name: str) -> Snapshot | None:
        """Return a snapshot, None where there is none of that id."""
        about = _read(self._snapshots, name)
        return Snapshot(**about) if about else None

    def make_volume(self, name: str, wanted: Wanted, source: Source | None) -> Volume:
        """Return the volume of a name, made where there is none.

        Raises
        ------
        Refusal
            If the one that is there is another than asked for, or the source is not there or too big.
        """
        with self._locked(id_of(name)):
            if found := self.volume(id_of(name)):
                if not wanted.fits(found.size) or found.source != source:
                    raise Refusal.already_exists(f"volume {found.id} is there with another size or source")
                return found
            data, least = self._content(source) if source else (None, DEFAULT_SIZE)
            volume = Volume(id_of(name), wanted.size(least), source)
            if source and volume.size < least:
                raise Refusal.out_of_range(f"{source.kind} {source.id} needs {least} bytes, not {volume.size}")
            with _made(self._volumes / volume.id, volume) as target:
                subvolumes.copy(data, target, volume.size) if data else subvolumes.create(target, volume.size)
            return volume

    def expand(self, name: str, wanted: Wanted) -> Volume:
        """Let a volume take more; it never takes less than before."""
        with self._locked(name):
            volume = self.volume(name)
            if volume is None:
                raise Refusal.not_found(f"there is no volume {name}")
            if volume.size >= wanted.least:
                return volume
            bigger = Volume(volume.id, wanted.size(wanted.least), volume.source)
            subvolumes.limit(self.data(name), bigger.size)
            _write(self._volumes / name, bigger)
            return bigger

    def delete_volume(self, name: str) -> None:
        """Delete a volume; its snapshots stay."""
        self._delete(self._volumes, name)

    def make_snapshot(self, name: str, volume: str) -> Snapshot:
        """Return the snapshot of a name, taken where there is none.

        Raises
        ------
        Refusal
            If the one that is there is of another volume, or the volume is not there.
        """
        with self._locked(id_of(name)):
            if found := self.snapshot(id_of(name)):
                if found.volume != volume:
                    raise Refusal.already_exists(f"snapshot {found.id} is there, of volume {found.volume}")
                return found
            taken_of = self.volume(volume)
            if taken_of is None:
                raise Refusal.not_found(f"there is no volume {volume}")
            snapshot = Snapshot(id_of(name), volume, taken_of.size, time.time())
            with _made(self._snapshots / snapshot.id, snapshot) as target:
                subvolumes.freeze(self.data(volume), target)
            return snapshot

    def delete_snapshot(self, name: str) -> None:
        """Delete a snapshot; what was made from it stays."""
        self._delete(self._snapshots, name)

    def _content(self, source: Source) -> tuple[Path, int]:
        found = self.volume(source.id) if source.kind == "volume" else self.snapshot(source.id)
        if found is None:
            raise Refusal.not_found(f"there is no {source.kind} {source.id}")
        folder = self._volumes if source.kind == "volume" else self._snapshots
        return folder / source.id / DATA, found.size

    def _delete(self, folder: Path, name: str) -> None:
        if not SAFE_NAME.fullmatch(name):
            return
        hidden = folder / f"{HIDDEN}gone-{name}"
        with self._locked(name):
            # Whoever heard that a deletion failed asks again; by then it is hidden.
            _take_apart(hidden)
            if (folder / name).exists():
                (folder / name).rename(hidden)
                _take_apart(hidden)

    @contextmanager
    def _locked(self, name: str) -> Iterator[None]:
        with self._locks[name]:
            yield


def _entries(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir() if not entry.name.startswith(HIDDEN))


def _read(folder: Path, name: str) -> dict[str, Any] | None:
    if not SAFE_NAME.fullmatch(name):
        return None
    try:
        content: dict[str, Any] = json.loads((folder / name / ABOUT).read_text())
    except FileNotFoundError:
        return None
    return content


def _write(folder: Path, about: Volume | Snapshot) -> None:
    unfinished = folder / f"{HIDDEN}{ABOUT}"
    unfinished.write_text(json.dumps(asdict(about)))
    unfinished.rename(folder / ABOUT)


@contextmanager
def _made(folder: Path, about: Volume | Snapshot) -> Iterator[Path]:
    """Give the path for a subvolume, and show the folder when it is there."""
    hidden = folder.with_name(f"{HIDDEN}new-{folder.name}")
    _take_apart(hidden)
    hidden.mkdir()
    _write(hidden, about)
    yield hidden / DATA
    hidden.rename(folder)


def _take_apart(folder: Path) -> None:
    if (folder / DATA).exists():
        subvolumes.delete(folder / DATA)
    if folder.exists():
        shutil.rmtree(folder)
