"""The time of the cluster: what the API server says, so that a deadline is the same for whoever reads the object."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Final

import structlog

_TOLERATED: Final = timedelta(seconds=2)
"""Dates of HTTP have whole seconds, and an answer takes its time."""
_HEARD_EVERY: Final = 10.0


class Clock:
    """Tells the API server's time.

    It starts with this machine's own time and goes on steadily, whatever that is set to meanwhile. Where the server's
    answers disagree by more than two seconds, the server is right: creation times, on which deadlines stand, are its.
    One answer alone proves nothing, for what is deleted by a wrong clock stays deleted.
    """

    def __init__(self) -> None:
        self._set(datetime.now(UTC))
        self._heard_at = float("-inf")
        self._agreed = False
        self._suspected: timedelta | None = None
        self._log = structlog.get_logger()

    def now(self) -> datetime:
        """Give the time, in UTC."""
        return self.at(time.monotonic())

    def at(self, monotonic: float) -> datetime:
        """Give the time at a moment of this process's monotonic clock, in UTC."""
        return self._base + timedelta(seconds=monotonic - self._started)

    def hear(self, date: str) -> None:
        """Take note of the ``Date`` header of an answer that went well; empty where it had none."""
        moment = time.monotonic()
        if not date or (self._agreed and moment - self._heard_at < _HEARD_EVERY):
            return
        self._heard_at = moment
        try:
            told = parsedate_to_datetime(date)
        except ValueError:
            return
        if told.tzinfo is not None:
            self._weigh(told, told - self.now())

    def _weigh(self, told: datetime, off: timedelta) -> None:
        suspected, self._suspected = self._suspected, None
        if abs(off) <= _TOLERATED:
            self._agreed = True
        elif suspected is None or abs(off - suspected) > _TOLERATED:
            # The next answer is to say the same, and is listened to at once.
            self._suspected, self._agreed = off, False
        else:
            self._log.warning(
                "the clock differs from the API server's, whose time is taken", seconds=off.total_seconds()
            )
            self._set(told)
            self._agreed = True

    def _set(self, moment: datetime) -> None:
        self._base, self._started = moment, time.monotonic()
