"""When the runs of a cron expression are due, in its time zone, as Debian's cron has it.

Where the clocks go forward, a run at a time that there is not comes right after the gap; where they go back, a run at a
time that there is twice comes once. Expressions whose minutes or hours begin with a star follow the time that passes.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import chain, pairwise
from typing import TYPE_CHECKING, Final, NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

from sandkeeper.api.schedule import SHORTHANDS

if TYPE_CHECKING:
    from collections.abc import Iterator

LONGEST_JITTER: Final = timedelta(seconds=30)
_JITTER_SHARE: Final = 0.1
_LOOK_BACK: Final = timedelta(hours=4)
"""Going backwards is not exact while an hour comes twice, so the last hours are gone through forwards."""


class UnreadableError(Exception):
    """A schedule says no moments; the text is a sentence that names field, value and what is allowed."""


class Runs(NamedTuple):
    """What is due and what comes.

    Attributes
    ----------
    due
        The last run whose moment has come; None for none that counts.
    next, starts
        The one after that, and when its jitter is over; None where there is none.
    """

    due: datetime | None
    next: datetime | None
    starts: datetime | None


class Cron:
    """A cron expression in a time zone.

    Parameters
    ----------
    expression
        Five fields, or a shorthand.
    zone
        Name of the time zone.

    Raises
    ------
    UnreadableError
        If either is not known, or no moment fits.
    """

    def __init__(self, expression: str, zone: str) -> None:
        self._fields = SHORTHANDS.get(expression, expression)
        try:
            self._zone = ZoneInfo(zone)
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise UnreadableError(
                f'spec.snapshots.timeZone: "{zone}" is not a time zone that the operator knows; it must be a name of '
                "the tz database, such as Europe/Berlin or UTC."
            ) from error
        if len(self._fields.split()) != 5 or not self._comes():
            raise UnreadableError(
                f'spec.snapshots.schedule: "{expression}" names no moment that ever comes; it must be a cron '
                "expression of five fields, such as */10 * * * * or 0 2 * * MON-FRI."
            )

    def _comes(self) -> bool:
        try:
            return next(self.runs(datetime(2000, 1, 1, tzinfo=UTC)), None) is not None
        except CronSimError:
            return False

    def runs(self, after: datetime) -> Iterator[datetime]:
        """Give the moments after another one, in UTC and in order."""
        for run in CronSim(self._fields, after.astimezone(self._zone)):
            # The first one of those that come twice may be over already.
            if run.astimezone(UTC) > after:
                yield run.astimezone(UTC)

    def around(self, after: datetime, now: datetime, share: float = 0.0) -> Runs:
        """Find the last run that is due, and the next one.

        Parameters
        ----------
        after
            Runs until then don't count.
        share
            Which part of the jitter is waited for after each run, 0 to 1.
        """
        due = None
        for run, following in pairwise(chain(self._from(after, now), (None,))):
            if run is None:
                break
            starts = run + share * jitter(run, following)
            if starts > now:
                return Runs(due, run, starts)
            due = run
        return Runs(due, None, None)

    def _from(self, after: datetime, now: datetime) -> Iterator[datetime]:
        """Give the runs after a moment, leaving out what is long over."""
        long_ago = now - _LOOK_BACK
        if after < long_ago:
            last = next(CronSim(self._fields, long_ago.astimezone(self._zone), reverse=True), after)
            # Itself included.
            after = max(after, last.astimezone(UTC) - timedelta(seconds=1))
        return self.runs(after)


def jitter(run: datetime, following: datetime | None) -> timedelta:
    """Most that a run is delayed, so that not all sandboxes are copied at once: a tenth of the pause, at most 30 s."""
    return min(_JITTER_SHARE * (following - run), LONGEST_JITTER) if following else LONGEST_JITTER
