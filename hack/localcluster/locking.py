"""What is slow to make is made once: by one process at a time, and complete or not at all."""

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold an exclusive lock that the kernel drops when this process ends, however it ends."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def made_once(folder: Path, make: Callable[[Path], None]) -> Path:
    """Return a folder, made first if it is missing.

    Parameters
    ----------
    folder
        The folder wanted. It exists only when it is complete.
    make
        Fills the empty folder that it is given; it is renamed into place after.
    """
    if folder.exists():
        return folder
    with locked(folder.with_name(f".{folder.name}.lock")):
        if folder.exists():
            return folder
        unfinished = folder.with_name(f".{folder.name}.unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(parents=True)
        make(unfinished)
        os.rename(unfinished, folder)
    return folder
