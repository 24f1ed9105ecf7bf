"""Ends of connections that do not take what was sent to them, for each of which the process holds some of it.

How many there are is bounded for all callers together, since memory is. Where there are more, one of the caller's that
has the most goes: whoever has few is not troubled by it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandkeeper.gateway import reasons

if TYPE_CHECKING:
    from sandkeeper.gateway.connections import Live


class Pressure:
    """Registry of ends that have stopped.

    Parameters
    ----------
    most
        Ends at one time.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._ends: dict[str, dict[Live, int]] = {}
        self._total = 0

    def __len__(self) -> int:
        return self._total

    def tell(self, live: Live, *, stopped: bool) -> None:
        """Take note that an end of a connection takes nothing more, or something again."""
        if live.caller is None:
            return
        if not stopped:
            self._take(live, 1)
            return
        ends = self._ends.setdefault(live.caller.pod_uid, {})
        ends[live] = ends.get(live, 0) + 1
        self._total += 1
        if self._total > self._most:
            self._relieve()

    def forget(self, live: Live) -> None:
        """Forget a connection, whatever its ends are at."""
        self._take(live, 2)

    def _take(self, live: Live, number: int) -> None:
        uid = live.caller.pod_uid if live.caller is not None else ""
        ends = self._ends.get(uid, {})
        if not (had := ends.pop(live, 0)):
            return
        left = max(had - number, 0)
        self._total -= had - left
        if left:
            ends[live] = left
        if not ends:
            del self._ends[uid]

    def _relieve(self) -> None:
        ends = max(self._ends.values(), key=len)
        live = next(reversed(ends))
        self.forget(live)
        live.cut(reasons.TOO_MANY)
