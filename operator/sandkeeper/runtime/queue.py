"""A keyed work queue with the semantics of client-go's, in which lanes of keys take turns.

A key is never worked on twice at once; a key added while in work runs once more; failures back off per key; and each
key has at most one timer, the earliest wins. Whatever waits in one lane, another's first key waits for one pass of each
other lane and for what is in work, of which no lane has more than its share. One dispatcher takes keys out: waking a
pool of idle workers for every event costs more than the event.
"""

from __future__ import annotations

import asyncio
import heapq
import sys
import time
from collections import Counter
from typing import TYPE_CHECKING, Generic, TypeVar

from sandkeeper.runtime.lanes import Lanes

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

K = TypeVar("K", bound="Hashable")


def _one_for_all(_: Hashable) -> Hashable:
    return None


class WorkQueue(Generic[K]):
    """Keys that wait to be worked on.

    Parameters
    ----------
    clock
        Monotonic seconds.
    base_delay, max_delay
        Back-off after the first failure, and its limit, in seconds; it doubles in between.
    lane
        Whose a key is: lanes take turns. By default all keys share one, and the first to come is the first to go.
    share
        Most keys of a lane in work at once, so that slow passes of one leave room for the others'.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], float] = time.monotonic,
        base_delay: float = 0.05,
        max_delay: float = 60.0,
        lane: Callable[[K], Hashable] = _one_for_all,
        share: int = sys.maxsize,
    ) -> None:
        self._clock = clock
        self._base_delay = base_delay
        self._max_delay = max_delay
        self._lane = lane
        self._share = share
        self._ready: Lanes[Hashable, K] = Lanes()
        self._added: dict[K, float] = {}  # waiting in _ready, or to be run once more; since when
        self._working: set[K] = set()
        self._in_work: Counter[Hashable] = Counter()  # of each lane
        self._failures: dict[K, int] = {}
        self._due: dict[K, float] = {}
        self._timers: list[tuple[float, int, K]] = []  # may hold outdated entries; _due is the truth
        self._sequence = 0
        self._wakeup = asyncio.Event()

    def __len__(self) -> int:
        """Keys that could be worked on now, but for the share of their lane."""
        return len(self._ready)

    @property
    def idle(self) -> bool:
        """Nothing is ready and nothing in work; timers may still be set."""
        return not self._ready and not self._working

    def add(self, key: K) -> None:
        """Ask for one pass over a key; several requests before it starts are one."""
        if key in self._added:
            return
        self._added[key] = self._clock()
        if key not in self._working:
            self._ready.push(self._lane(key), key)
            self._wakeup.set()

    def add_after(self, key: K, seconds: float) -> None:
        """Ask for a pass later; an earlier timer of the same key is kept, a later one replaced."""
        if seconds <= 0:
            self.add(key)
            return
        due = self._clock() + seconds
        if self._due.get(key, float("inf")) <= due:
            return
        self._due[key] = due
        self._sequence += 1
        heapq.heappush(self._timers, (due, self._sequence, key))
        self._wakeup.set()

    def retry(self, key: K, *, at_least: float = 0.0) -> float:
        """Ask for another pass after a failure.

        Parameters
        ----------
        at_least
            Seconds that the server asked to wait.

        Returns
        -------
        float
            Seconds until the key becomes ready.
        """
        failures = self._failures.get(key, 0)
        self._failures[key] = failures + 1
        delay = max(min(self._base_delay * 2.0 ** min(failures, 30), self._max_delay), at_least)
        self.add_after(key, delay)
        return delay

    def forget(self, key: K) -> None:
        """End a key's back-off, after a success."""
        self._failures.pop(key, None)

    def drop(self, key: K) -> None:
        """Forget a key's back-off and timer, once its object is gone."""
        self._failures.pop(key, None)
        self._due.pop(key, None)

    async def get(self) -> tuple[K, float]:
        """Wait for a key and take it into work; `done` must follow.

        Returns
        -------
        tuple
            The key, and how long it waited, in seconds.
        """
        while True:
            self._promote()
            if not self._ready.blocked:
                key = self._take()
                return key, self._clock() - self._added.pop(key)
            self._wakeup.clear()
            timeout = self._timers[0][0] - self._clock() if self._timers else None
            try:
                async with asyncio.timeout(timeout):
                    await self._wakeup.wait()
            except TimeoutError:
                continue

    def done(self, key: K) -> None:
        """Release a key; it becomes ready again where it was added meanwhile."""
        self._working.discard(key)
        lane = self._lane(key)
        if key in self._added:
            self._ready.push(lane, key)
        self._in_work[lane] -= 1
        if self._in_work[lane] < self._share:
            self._ready.resume(lane)
        if not self._in_work[lane]:
            del self._in_work[lane]
        if not self._ready.blocked:
            self._wakeup.set()

    def _take(self) -> K:
        """Take the next key into work, and halt its lane once that has its share."""
        lane, key = self._ready.pop()
        self._working.add(key)
        self._in_work[lane] += 1
        if self._in_work[lane] >= self._share:
            self._ready.halt(lane)
        return key

    def _promote(self) -> None:
        """Move keys whose time has come to the ready ones."""
        now = self._clock()
        while self._timers and self._timers[0][0] <= now:
            due, _, key = heapq.heappop(self._timers)
            if self._due.get(key) == due:
                del self._due[key]
                self.add(key)
