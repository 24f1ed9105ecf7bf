"""Remembers how often pods of a sandbox failed in a row, so that new ones are made at growing intervals.

Kept in memory: after a restart of the operator the first new pod comes at once, which does no harm.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sandkeeper.plan.observed import Failure
from sandkeeper.plan.sandbox import pause_after

_FORGIVEN_AFTER: Final = timedelta(minutes=10)


@dataclass
class _Row:
    pod: str
    count: int
    last: datetime
    failure: Failure


class Failures:
    """Failed pods by the uid of their sandbox."""

    def __init__(self) -> None:
        self._rows: dict[str, _Row] = {}

    def record(self, uid: str, pod: str, reason: str, message: str, now: datetime) -> None:
        """Count a failed pod, by its uid, once; ten quiet minutes start the count anew."""
        row = self._rows.get(uid)
        if row and row.pod == pod:
            return
        count = row.count + 1 if row and now - row.last < _FORGIVEN_AFTER else 1
        self._rows[uid] = _Row(pod, count, now, Failure(reason, message, now + pause_after(count)))

    def get(self, uid: str) -> Failure | None:
        """Read the last failure of a sandbox's pods."""
        row = self._rows.get(uid)
        return row.failure if row else None

    def forget(self, uid: str) -> None:
        """Drop what is known of a sandbox that is gone."""
        self._rows.pop(uid, None)
