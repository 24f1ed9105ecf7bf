"""Which copy of a sandbox its schedule makes now, which go, and when to look again.

A run is known by its time, and the name of its snapshot tells it, so that each is made once whatever befalls the
operator. Of runs that were missed the last one is made up for. A run that would copy what the last copy has already is
left out, and nothing is written for it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

from sandkeeper.api.names import API_VERSION, SCHEDULED_LABEL, SCHEDULED_VALUE, SNAPSHOT_KIND, child_labels
from sandkeeper.plan.cron import Cron, UnreadableError
from sandkeeper.plan.lifecycle import LONGEST_WAIT, Life, Phase
from sandkeeper.plan.pod_state import condition, parse_time, written
from sandkeeper.plan.retention import has_failed, is_copying, own_snapshots, superfluous
from sandkeeper.plan.tenant_text import harmless
from sandkeeper.plan.unchanged import is_ending, settled_until, why_unchanged
from sandkeeper.plan.writes import Create, Delete, Write

if TYPE_CHECKING:
    from datetime import datetime

    from sandkeeper.api.sandbox import Sandbox
    from sandkeeper.plan.observed import Observed

Json = dict[str, Any]

CONDITION: Final = "SnapshotsUpToDate"
LONGEST_STEM: Final = 38
_LONGEST_MESSAGE: Final = 500
_LATE: Final = timedelta(hours=1)
"""After which a run that waits is told of: a copy of a large volume takes a while, and one that hangs never ends."""


@dataclass(frozen=True)
class Copying:
    """What is to become of the schedule's snapshots.

    Attributes
    ----------
    writes
        SandboxSnapshots to make and to delete.
    status
        The status's field ``snapshots``; None for none.
    condition
        Truth, reason and sentence of the condition; None for none.
    look_again
        When time alone may change any of this.
    """

    writes: tuple[Write, ...] = ()
    status: Json | None = None
    condition: tuple[str, str, str] | None = None
    look_again: datetime | None = None


@dataclass(frozen=True)
class _Record:
    """What the status keeps of a schedule."""

    schedule: str
    since: datetime
    last: datetime | None = None
    name: str | None = None
    next: datetime | None = None
    skipped: str = ""

    @property
    def after(self) -> datetime:
        return max(filter(None, (self.since, self.last)))

    def to_json(self) -> Json:
        fields: Json = {
            "schedule": self.schedule,
            "since": written(self.since),
            "lastScheduleTime": written(self.last) if self.last else None,
            "lastSnapshotName": self.name,
            "nextScheduleTime": written(self.next) if self.next and not self.skipped else None,
            "skipped": self.skipped or None,
        }
        return {name: value for name, value in fields.items() if value is not None}


def plan_copies(observed: Observed, life: Life, now: datetime) -> Copying:
    """Decide on the copies of one sandbox.

    Returns
    -------
    Copying
        With no writes where no run is due and none is superfluous. Of an expired sandbox all copies stay.
    """
    wish = observed.sandbox.spec.snapshots
    if wish is None or life.phase is Phase.ENDED:
        return Copying()
    own = own_snapshots(observed.sandbox, observed.snapshots)
    going, later = superfluous(own, wish, observed.snapshots_in_use, now)
    deletes = tuple(map(Delete, going))
    if wish.schedule is None:
        return Copying(deletes, look_again=_bounded(now, later))
    try:
        cron = Cron(wish.schedule, wish.time_zone or "UTC")
    except UnreadableError as error:
        return Copying(deletes, condition=("False", "InvalidSchedule", str(error)), look_again=_bounded(now, later))
    creates, record, again = _next(observed, life, cron, own, now)
    return Copying(
        (*creates, *deletes), record.to_json(), _condition(observed, own, record, now), _bounded(now, later, again)
    )


def _next(
    observed: Observed, life: Life, cron: Cron, own: list[Json], now: datetime
) -> tuple[tuple[Write, ...], _Record, datetime | None]:
    """Decide on the run that is due, if one is: what is made, what is noted, and when the next one is."""
    share, unchanged = jitter_share(observed.sandbox), why_unchanged(observed, life, own)
    record = _settled(observed, _recorded(observed, now), cron, unchanged, now)
    due, following, again = cron.around(min(record.after, now), now, share)
    if due is None:
        return (), replace(record, next=following), again
    snapshot = scheduled_snapshot(observed.sandbox, due)
    name = snapshot["metadata"]["name"]
    done = replace(record, last=due, name=name, next=following)
    if any(each["metadata"]["name"] == name for each in observed.snapshots):
        return (), done, again
    if unchanged:
        # What changes this wakes the sandbox: its pod, or a measurement.
        return (), replace(record, skipped=unchanged), None
    # The one that is said already, lest a copy that hangs costs a write with every run.
    pending = replace(record, next=min(filter(None, (record.next, due))))
    if any(map(is_copying, own)) or is_ending(observed, life):
        # What its pod does on its way to sleep is to be in the copy.
        return (), pending, _told_late(pending, now)
    if observed.snapshot_refusal:
        return (), pending, observed.snapshot_refusal.look_again
    return (Create(snapshot),), done, again


def _recorded(observed: Observed, now: datetime) -> _Record:
    """Read what is known of this schedule; one that is new counts from now, or from the sandbox's own beginning."""
    wish = observed.sandbox.spec.snapshots
    words = f"{wish.schedule} {wish.time_zone or 'UTC'}" if wish else ""
    known = observed.status.get("snapshots") or {}
    if known.get("schedule") == words:
        last, following = (
            parse_time(known[name]) if name in known else None for name in ("lastScheduleTime", "nextScheduleTime")
        )
        name, skipped = known.get("lastSnapshotName"), known.get("skipped", "")
        return _Record(words, parse_time(known["since"]), last, name, following, skipped)
    created = observed.sandbox.metadata.creation_timestamp
    fresh = "observedGeneration" not in observed.status
    return _Record(words, created if fresh and created else now, name=known.get("lastSnapshotName"))


def _settled(observed: Observed, record: _Record, cron: Cron, unchanged: str, now: datetime) -> _Record:
    """Take runs as done with that came while there was nothing new to copy, once there is."""
    until = settled_until(observed, now) if record.skipped and not unchanged else None
    if until is None:
        return replace(record, skipped="")
    done = cron.around(record.after, until).due if until > record.after else None
    return replace(record, skipped="", last=done or record.last)


def _told_late(pending: _Record, now: datetime) -> datetime | None:
    """When it is told of a run that it waits; None where it is told already."""
    late = pending.next + _LATE if pending.next else now
    return late if late > now else None


def _condition(observed: Observed, own: list[Json], record: _Record, now: datetime) -> tuple[str, str, str]:
    refusal = observed.snapshot_refusal
    if refusal:
        return "False", refusal.reason, refusal.message
    if record.next and not record.skipped and now >= record.next + _LATE:
        return "False", "Delayed", f"The run of {written(record.next)} waits for {_awaited(own)}."
    # Once a newer one is ready, the failed one is on its way out.
    last = next((each for each in own if not is_copying(each)), None)
    if last is not None and has_failed(last):
        found = condition(last, "Ready")
        message = harmless(found.get("message", ""), _LONGEST_MESSAGE)
        return "False", str(found["reason"]), f"SandboxSnapshot {last['metadata']['name']}: {message}"
    return "True", "Scheduled", "Copies are made as the schedule asks."


def _awaited(own: list[Json]) -> str:
    """Name what a run waits for."""
    copying = next(filter(is_copying, own), None)
    if copying is None:
        return "the sandbox's pod to end"
    said = harmless(condition(copying, "Ready").get("message", ""), _LONGEST_MESSAGE).rstrip(".")
    return f"SandboxSnapshot {copying['metadata']['name']}" + (f": {said}" if said else "")


def _bounded(now: datetime, *moments: datetime | None) -> datetime | None:
    """Give the next of some moments, but none that is far away: the cluster's clock may be set meanwhile."""
    deadlines = [each for each in moments if each is not None]
    return min((*deadlines, now + LONGEST_WAIT)) if deadlines else None


def jitter_share(sandbox: Sandbox) -> float:
    """Give which part of the jitter a sandbox waits for, 0 to 1: always the same, and evenly spread over sandboxes."""
    return int(sha256(sandbox.metadata.uid.encode()).hexdigest()[:8], 16) / 0x100000000


def scheduled_snapshot(sandbox: Sandbox, run: datetime) -> Json:
    """Render the snapshot of a run. Nothing owns it, so that it outlives the sandbox."""
    name = sandbox.metadata.name
    metadata = {
        "name": f"{_stem(name)}-{run:%Y%m%d-%H%M}",
        "namespace": sandbox.metadata.namespace,
        "labels": {**child_labels(name), SCHEDULED_LABEL: SCHEDULED_VALUE},
    }
    spec = {"sandboxRef": {"name": name}}
    return {"apiVersion": API_VERSION, "kind": SNAPSHOT_KIND, "metadata": metadata, "spec": spec}


def _stem(name: str) -> str:
    if len(name) <= LONGEST_STEM:
        return name
    digest = sha256(name.encode()).hexdigest()[:8]
    return f"{name[: LONGEST_STEM - len(digest) - 1].rstrip('-')}-{digest}"
