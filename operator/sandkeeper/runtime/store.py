"""A cache of one kind that never goes back in time.

Events and the answers to our own writes arrive in any order. The newer resourceVersion wins, and an object that was
deleted stays deleted for its uid, so that a late answer to an earlier write can't bring it back. One that only left
the label selector comes back with a newer version.
"""

from __future__ import annotations

import time
from collections import OrderedDict, defaultdict
from math import inf
from typing import TYPE_CHECKING

from sandkeeper.runtime.resource import Json, Key, key_of, version_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

_TOMBSTONE_SECONDS = 600.0
"""Longer than any request lives; after that no answer can be late any more."""


class Store:
    """Objects of one kind by key, with an index by namespace and one by whatever they refer to.

    Parameters
    ----------
    slim
        Drops what nobody reads before an object is kept (a pod goes from 28 to 4 KiB).
    clock
        Monotonic seconds, for the age of tombstones.
    refers
        Names, of the object's own namespace, under which `referring` finds a slimmed object.
    """

    def __init__(
        self,
        slim: Callable[[Json], Json] | None = None,
        clock: Callable[[], float] = time.monotonic,
        *,
        refers: Callable[[Json], Iterable[str]] = lambda _: (),
    ) -> None:
        self._slim = slim
        self._clock = clock
        self._refers = refers
        self._referring: defaultdict[Key, set[Key]] = defaultdict(set)
        self._objects: dict[Key, Json] = {}
        self._namespaces: defaultdict[str, set[Key]] = defaultdict(set)
        # By uid: when it was buried, and the newest version that is known to be gone.
        self._tombstones: OrderedDict[str, tuple[float, float]] = OrderedDict()
        self._listed = -1

    def __len__(self) -> int:
        return len(self._objects)

    def __contains__(self, key: Key) -> bool:
        return key in self._objects

    def __iter__(self) -> Iterator[Key]:
        return iter(list(self._objects))

    def get(self, key: Key) -> Json | None:
        """Read the newest known state of an object; callers must not change it."""
        return self._objects.get(key)

    def in_namespace(self, namespace: str) -> Iterable[Key]:
        """Keys of a namespace, safe against changes while iterating."""
        return tuple(self._namespaces.get(namespace, ()))

    def referring(self, target: Key) -> Iterable[Key]:
        """Keys of the objects that refer to a name of their namespace, in the order of their names."""
        return tuple(sorted(self._referring.get(target, ())))

    def upsert(self, obj: Json) -> bool:
        """Keep an object unless something newer is known.

        Returns
        -------
        bool
            Whether the store changed.
        """
        key, uid, version = key_of(obj), obj["metadata"]["uid"], version_of(obj)
        if uid in self._tombstones and version <= self._tombstones[uid][1]:
            return False
        known = self._objects.get(key)
        if known is None and version <= self._listed:
            return False
        outdated = known is not None and version_of(known) >= version
        if known is not None and known["metadata"]["uid"] != uid:
            self._bury(uid if outdated else known["metadata"]["uid"])
        if outdated:
            return False
        if known is not None:
            self._unrefer(key, known)
        self._objects[key] = kept = self._slim(obj) if self._slim else obj
        for name in self._refers(kept):
            self._referring[Key(key.namespace, name)].add(key)
        self._namespaces[key.namespace].add(key)
        return True

    def remove(self, key: Key, uid: str, version: float = inf) -> bool:
        """Bury one incarnation; another one under the same name is left alone.

        Parameters
        ----------
        version
            Of the event that told it. What is newer shows that the object had only left the label selector. Without
            it, the object is gone for good.

        Returns
        -------
        bool
            Whether the store changed.
        """
        self._bury(uid, version)
        known = self._objects.get(key)
        if known is None or known["metadata"]["uid"] != uid or version_of(known) > version:
            return False
        self._drop(key)
        return True

    def buried(self, uid: str) -> bool:
        """Whether this incarnation is known to be gone."""
        return uid in self._tombstones

    def replace(self, listed: Iterable[Json], version: int) -> set[Key]:
        """Take a complete list as the truth up to its version.

        Parameters
        ----------
        listed
            Every object of the kind.
        version
            The list's own resourceVersion; what is newer than it in the store stays.

        Returns
        -------
        set of Key
            What changed, deletions that no event told us included.
        """
        changed, seen = set(), set()
        self._listed = -1
        for obj in listed:
            seen.add(key_of(obj))
            if self.upsert(obj):
                changed.add(key_of(obj))
        # An answer that is no newer and not in the list tells of an object that is gone.
        self._listed = version
        return changed | self.retain(seen, version)

    def retain(self, keys: set[Key], version: int) -> set[Key]:
        """Bury what a complete list of a certain version does not hold.

        Returns
        -------
        set of Key
            What was dropped. Objects newer than the list were created after it and stay.
        """
        gone = {key for key, obj in self._objects.items() if key not in keys and version_of(obj) <= version}
        for key in gone:
            self._bury(self._objects[key]["metadata"]["uid"], version)
            self._drop(key)
        return gone

    def _drop(self, key: Key) -> None:
        self._unrefer(key, self._objects.pop(key))
        peers = self._namespaces[key.namespace]
        peers.discard(key)
        if not peers:
            del self._namespaces[key.namespace]

    def _unrefer(self, key: Key, obj: Json) -> None:
        for name in self._refers(obj):
            target = Key(key.namespace, name)
            self._referring[target].discard(key)
            if not self._referring[target]:
                del self._referring[target]

    def _bury(self, uid: str, version: float = inf) -> None:
        now = self._clock()
        _, known = self._tombstones.get(uid, (now, -1))
        self._tombstones[uid] = (now, max(version, known))
        self._tombstones.move_to_end(uid)
        while next(iter(self._tombstones.values()))[0] < now - _TOMBSTONE_SECONDS:
            self._tombstones.popitem(last=False)
