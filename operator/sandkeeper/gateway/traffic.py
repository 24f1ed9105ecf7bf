"""When each pod last had traffic, for whoever asks whether its sandbox is at work. Questions of names are none."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sandkeeper.gateway.connections import Live
    from sandkeeper.gateway.record import Record


class Traffic:
    """Traffic since the last report."""

    def __init__(self) -> None:
        self._last: dict[str, float] = {}
        self._moved: dict[int, int] = {}

    def ended(self, record: Record) -> None:
        """Note a connection or request that has ended."""
        if record.caller and record.up + record.down and record.kind != "dns":
            uid, at = record.caller.pod_uid, record.started + record.seconds
            self._last[uid] = max(at, self._last.get(uid, 0.0))

    def look(self, live: Iterable[Live], now: float) -> None:
        """Note which of the connections that live have carried something since the last look.

        Parameters
        ----------
        now
            Seconds since the epoch.
        """
        before, self._moved = self._moved, {}
        for each in live:
            moved = self._moved[id(each)] = each.moved
            if each.caller is not None and moved != before.get(id(each), 0):
                self._last[each.caller.pod_uid] = now

    def take(self) -> dict[str, float]:
        """Give when pods last had traffic, by uid, as far as that is new."""
        last, self._last = self._last, {}
        return last
