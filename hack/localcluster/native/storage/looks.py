"""How full volumes are: the kubelet asks for every volume of the node in turn, and one look tells of all."""

import threading
import time
from pathlib import Path

from localcluster.native.storage import subvolumes

LOOK_SECONDS = 2.0


class Looks:
    """What the subvolumes of a pool hold, as of a moment ago.

    Parameters
    ----------
    pool
        Where the pool is mounted.
    """

    def __init__(self, pool: Path) -> None:
        self._pool = pool
        self._looked = 0.0
        self._uses: dict[str, subvolumes.Use] = {}
        self._lock = threading.Lock()

    def of(self, path: str) -> subvolumes.Use | None:
        """Return what a subvolume holds, by its path in the pool; None where it is not there any more."""
        with self._lock:
            if path not in self._uses or time.monotonic() - self._looked > LOOK_SECONDS:
                self._uses, self._looked = subvolumes.uses(self._pool), time.monotonic()
            return self._uses.get(path)
