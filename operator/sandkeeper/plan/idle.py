"""Since when a sandbox is idle, from its pod's CPU time and traffic. What was not measured is not idle.

Between two measurements a pod was at work where it used more than a threshold, as an average, or had traffic. All times
of one process come from its monotonic clock, so that no step of the wall clock makes a sandbox idle; what a process
before it found is known by the record in the status alone.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final, NamedTuple

_CACHED: Final = 30.0
"""Most seconds that a sample is old: a kubelet looks at each pod every 10 to 15 s, and answers with its last look."""
_FRESH: Final = timedelta(minutes=1)
"""Least of what a measurement is good for, however often it is asked for: the kubelet has a pace of its own."""
_ROUNDED: Final = timedelta(seconds=2)
"""Times in a status are whole seconds, and clocks are corrected a little all the time."""
_PUBLISHED_AFTER: Final = 1 / 3
"""Part of the idle timeout after which idleness is worth a write: pauses of an agent at work are mostly shorter."""


@dataclass(frozen=True)
class IdleRule:
    """What counts as idle.

    Attributes
    ----------
    threshold
        Cores that a pod may use on average and still be idle.
    interval
        Between two measurements.
    """

    threshold: float = 0.01
    interval: timedelta = timedelta(minutes=1)

    @property
    def fresh(self) -> timedelta:
        """How old a measurement may be, and how far from the one before it: a kubelet may miss a few."""
        return max(5 * self.interval, _FRESH)


class Sample(NamedTuple):
    """What a kubelet says of a pod.

    Attributes
    ----------
    at
        Seconds, by the node's clock.
    cpu_seconds
        CPU time that the pod has used since it started.
    """

    at: float
    cpu_seconds: float


@dataclass(frozen=True, slots=True)
class Track:
    """What is kept of the measurements of one pod; times are seconds of this process's monotonic clock.

    Attributes
    ----------
    sample, heard
        The last one that said something new, and when it came.
    first, first_cpu_seconds
        Since when there is no gap in the measurements, and the total then.
    busy, busy_cpu_seconds
        When it was last seen to work, and the total then; None where it never was.
    traffic
        When it last had traffic, as far as that was known with the last sample; None for never.
    """

    sample: Sample
    heard: float
    first: float
    first_cpu_seconds: float
    busy: float | None = None
    busy_cpu_seconds: float = 0.0
    traffic: float | None = None

    @property
    def idle(self) -> bool:
        """Whether it did nothing between the last two measurements."""
        return self.heard > self.first and self.heard != self.busy


def follow(track: Track | None, sample: Sample, heard: float, rule: IdleRule, traffic: float | None = None) -> Track:
    """Take a further sample.

    Parameters
    ----------
    track
        What is known so far; None for the first sample.
    heard
        When it came, in seconds of this process's monotonic clock.
    traffic
        When the pod last had traffic, by the same clock; None for never.

    Returns
    -------
    Track
        One that begins anew where the counter or the node's clock went back, or where too much time is missing.
    """
    if track is None:
        return Track(sample, heard, heard, sample.cpu_seconds, traffic=traffic)
    if sample == track.sample:
        return track
    talked = traffic is not None and (track.traffic is None or traffic > track.traffic)
    track = replace(track, traffic=traffic) if talked else track
    spent = sample.cpu_seconds - track.sample.cpu_seconds
    waited = heard - track.heard
    # A node's clock that jumps ahead must not make little of what was spent.
    elapsed = min(sample.at - track.sample.at, waited + _CACHED)
    if not (elapsed > 0 and spent >= 0 and waited <= rule.fresh.total_seconds()):
        return replace(track, sample=sample, heard=heard, first=heard, first_cpu_seconds=sample.cpu_seconds)
    if spent <= rule.threshold * elapsed and not talked:
        return replace(track, sample=sample, heard=heard)
    return replace(track, sample=sample, heard=heard, busy=heard, busy_cpu_seconds=sample.cpu_seconds)


@dataclass(frozen=True)
class Usage:
    """What measurements of one pod say.

    Attributes
    ----------
    measured_at, cpu_seconds
        When it was last measured, and the total then.
    first_at, first_cpu_seconds
        Since when this process has measured it without a gap, and the total then.
    busy_at, busy_cpu_seconds
        When it was last seen to work, and the total then; None where it never was.
    traffic_at
        When it last had traffic, whoever measured it then; None where none is known.
    """

    measured_at: datetime
    cpu_seconds: float
    first_at: datetime
    first_cpu_seconds: float
    busy_at: datetime | None = None
    busy_cpu_seconds: float = 0.0
    traffic_at: datetime | None = None


@dataclass(frozen=True)
class Recorded:
    """What a status says of a sandbox that is idle, so that a restart of the operator does not begin anew.

    Attributes
    ----------
    since
        When it was last at work, as far as is known.
    cpu_seconds
        CPU time that its pod had used by then.
    """

    since: datetime
    cpu_seconds: float


def idle_since(
    usage: Usage | None, recorded: Recorded | None, started: datetime, now: datetime, *, rule: IdleRule,
    timeout: timedelta,
) -> datetime | None:  # fmt: skip
    """Tell since when a sandbox is idle.

    Parameters
    ----------
    usage
        Measurements of its pod; None where there are none.
    recorded
        What the status says, by this process or one before it.
    started
        When the pod started; what was recorded earlier speaks of another one.
    timeout
        After which the sandbox is to sleep.

    Returns
    -------
    datetime or None
        None where it is at work, or not known to be idle.
    """
    if usage is None or now - usage.measured_at > rule.fresh or usage.busy_at == usage.measured_at:
        return None
    since = max(usage.first_at, usage.busy_at or usage.first_at)
    if recorded and started <= recorded.since <= since and _still(usage, recorded, rule, timeout):
        since = recorded.since
    elif usage.measured_at == usage.first_at:
        return None
    return min(max(since, started), now)


def _still(usage: Usage, recorded: Recorded, rule: IdleRule, timeout: timedelta) -> bool:
    """Whether a pod did nothing between what was recorded and the first measurement of this process.

    An average over hours in which nobody measured would hide work: the pod may have used no more than idleness of one
    timeout explains.
    """
    if any(at is not None and recorded.since < at for at in (usage.busy_at, usage.traffic_at)):
        return False
    elapsed = min(usage.first_at - recorded.since, timeout).total_seconds()
    return 0 <= usage.first_cpu_seconds - recorded.cpu_seconds <= rule.threshold * elapsed


def record(
    usage: Usage | None, since: datetime | None, recorded: Recorded | None, started: datetime, now: datetime, *,
    rule: IdleRule, timeout: timedelta,
) -> Recorded | None:  # fmt: skip
    """Tell what the status is to say of idleness.

    Each write costs the API server more than the measurement: it says nothing before a third of the timeout has passed,
    nothing new while the same idleness lasts, and is cleared once that is seen to have ended. Where nothing is
    measured, as after a restart, it stays: the next measurement decides.

    Parameters
    ----------
    since
        What `idle_since` gave on the same arguments.

    Returns
    -------
    Recorded or None
        The same object where nothing has to be written.
    """
    if usage is None or now - usage.measured_at > rule.fresh:
        return recorded if recorded and recorded.since >= started else None
    if since is None:
        return None
    if recorded and abs(recorded.since - since) < _ROUNDED:
        return recorded
    if now - since < timeout * _PUBLISHED_AFTER:
        return None
    quiet = usage.busy_cpu_seconds if usage.busy_at and usage.busy_at >= usage.first_at else usage.first_cpu_seconds
    return Recorded(since, quiet)


def look_again(since: datetime, recorded: Recorded | None, timeout: timedelta) -> datetime:
    """Tell when idleness that goes on asks for something: for its record, and then for sleep."""
    return since + (timeout if recorded else timeout * _PUBLISHED_AFTER)
