"""What a sandbox's lifecycle asks for at a moment: to run, to sleep, or to have ended; and when that changes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import Enum
from typing import TYPE_CHECKING, Any, Final, Literal

from sandkeeper.api.lifecycle import RUNNING, SLEEPING
from sandkeeper.api.names import ACTIVITY_ANNOTATION
from sandkeeper.api.resolve import resolve_lifecycle
from sandkeeper.plan.idle import Recorded, idle_since, look_again, record
from sandkeeper.plan.layers import layers_of
from sandkeeper.plan.pod_state import condition, is_ready, parse_time, written
from sandkeeper.plan.policy import bounded, default_lifecycle

if TYPE_CHECKING:
    from sandkeeper.api.lifecycle import EffectiveLifecycle
    from sandkeeper.api.sandbox import Sandbox
    from sandkeeper.plan.observed import Observed

Json = dict[str, Any]
Cause = Literal["Requested", "Idle"]

EXPIRED: Final = "Expired"
LONGEST_WAIT: Final = timedelta(minutes=10)
"""How long a deadline is relied on before it is looked at again: the cluster's clock may have been set meanwhile."""


class Phase(Enum):
    """What a sandbox is to be."""

    AWAKE = "awake"
    ASLEEP = "asleep"
    ENDED = "ended"


@dataclass(frozen=True)
class Life:
    """What a lifecycle asks for.

    Attributes
    ----------
    cause
        Why it is to be asleep; empty where it is not.
    quiet_since, sleeps_at
        When something was last done in it, as far as measurements and clients tell, and when it therefore falls asleep;
        None where something is done, nobody knows, or it never falls asleep by itself.
    recorded
        What the status is to keep of that, so that a restart of the operator does not begin anew; None for nothing.
    expires_at
        When it expires, or did.
    deletes
        Whether it is deleted when it has expired.
    look_again
        When time alone may change any of this.
    """

    phase: Phase
    cause: Cause | Literal[""] = ""
    quiet_since: datetime | None = None
    sleeps_at: datetime | None = None
    recorded: Recorded | None = None
    expires_at: datetime | None = None
    deletes: bool = False
    look_again: datetime | None = None


def life_of(observed: Observed, now: datetime) -> Life:
    """Read what a sandbox's lifecycle asks for.

    Returns
    -------
    Life
        That depends on the spec, the recorded status, and the activity that is known; never on an earlier decision that
        was not recorded.
    """
    given = default_lifecycle(observed.policy)
    layers = (given, *layers_of(observed)) if given else layers_of(observed)
    lifecycle = bounded(resolve_lifecycle(*layers), observed.policy)
    expires_at = _expiry(observed, lifecycle)
    if expires_at and (now >= expires_at or _has_expired(observed.status, expires_at)):
        return Life(Phase.ENDED, expires_at=expires_at, deletes=lifecycle.deletes)
    if lifecycle.state == SLEEPING:
        return _looked_at(Life(Phase.ASLEEP, "Requested", expires_at=expires_at), now)
    if _stays_asleep(observed, lifecycle):
        return _looked_at(Life(Phase.ASLEEP, "Idle", expires_at=expires_at), now)
    return _awake(observed, lifecycle, expires_at, now)


def _awake(observed: Observed, lifecycle: EffectiveLifecycle, expires_at: datetime | None, now: datetime) -> Life:
    life, timeout, pod = Life(Phase.AWAKE, expires_at=expires_at), lifecycle.idle_timeout, observed.pod
    if timeout is None or pod is None or not is_ready(pod):
        return _looked_at(life, now)
    usage, rule, before, started = (
        observed.usage,
        observed.settings.idle,
        _recorded(observed.status),
        _started(pod, now),
    )
    idle = idle_since(usage, before, started, now, rule=rule, timeout=timeout)
    if before is not None and before.since >= started and _is_packs_own(observed, now):
        # What is measured meanwhile is the pack's own work, and must not undo what it was made for.
        idle = before.since
    life = replace(life, recorded=record(usage, idle, before, started, now, rule=rule, timeout=timeout))
    if idle is None:
        # A measurement that changes this wakes the sandbox.
        return _looked_at(life, now)
    since = max(filter(None, (idle, observed.used_at)))
    life = replace(life, quiet_since=since, sleeps_at=since + timeout)
    if now >= since + timeout:
        return _looked_at(replace(life, phase=Phase.ASLEEP, cause="Idle"), now)
    return _looked_at(life, now, look_again(since, life.recorded, timeout))


def _is_packs_own(observed: Observed, now: datetime) -> bool:
    """Whether a pod that is seen to work may do so because its guest packs or quiesces, or did just now."""
    result, usage = observed.pack_result, observed.usage
    if observed.packing:
        return True
    worked = max(filter(None, (result.finished if result else None, observed.quiesced_at)), default=None)
    if worked is None:
        return False
    seen = worked + 2 * observed.settings.idle.interval
    return now <= seen or (usage is not None and usage.busy_at is not None and usage.busy_at <= seen)


def _looked_at(life: Life, now: datetime, *moments: datetime) -> Life:
    """Set when to look again: at the next of all moments that change something."""
    deadlines = [each for each in (life.expires_at, *moments) if each is not None and each > now]
    return replace(life, look_again=min((*deadlines, now + LONGEST_WAIT))) if deadlines else life


def _recorded(status: Json) -> Recorded | None:
    idle = status.get("idle")
    return Recorded(parse_time(idle["since"]), idle["cpuSeconds"]) if idle else None


def _started(pod: Json, now: datetime) -> datetime:
    started = pod.get("status", {}).get("startTime")
    return parse_time(started) if started else now


def _expiry(observed: Observed, lifecycle: EffectiveLifecycle) -> datetime | None:
    created, slept = observed.sandbox.metadata.creation_timestamp, asleep_since(observed.status)
    deadlines = []
    if lifecycle.ttl and created:
        deadlines.append(created + lifecycle.ttl)
    if lifecycle.delete_after_sleep and slept:
        deadlines.append(slept + lifecycle.delete_after_sleep)
    return min(deadlines, default=None)


def _has_expired(status: Json, expires_at: datetime) -> bool:
    """Whether this deadline was found to be over once: a clock that is set back brings nothing back."""
    was_told = condition({"status": status}, "Ready").get("reason") == EXPIRED
    return was_told and status.get("expiresAt") == written(expires_at)


def _stays_asleep(observed: Observed, lifecycle: EffectiveLifecycle) -> bool:
    """Whether one that fell asleep by itself goes on sleeping."""
    asleep = observed.status.get("asleep")
    if not asleep or asleep["cause"] != "Idle" or lifecycle.idle_timeout is None:
        return False
    said = activity_annotation(observed.sandbox)
    # A new word wakes it, whatever its time: that is its client's, whose clock may be behind.
    if time_of_use(said) and said != asleep.get("activity", ""):
        return False
    # An edited spec that asks for Running in so many words is a wish, an untouched one is not.
    own = observed.sandbox.spec.lifecycle
    edited = asleep["generation"] != observed.sandbox.metadata.generation
    return not (edited and own is not None and own.state == RUNNING)


def asleep_since(status: Json) -> datetime | None:
    """When a sandbox fell asleep, as its status tells; None while it is not."""
    asleep = status.get("asleep")
    return parse_time(asleep["since"]) if asleep else None


def activity_annotation(sandbox: Sandbox) -> str:
    """What clients say of when they last used a sandbox; empty where they say nothing."""
    return sandbox.metadata.annotations.get(ACTIVITY_ANNOTATION, "")


def time_of_use(annotation: str) -> datetime | None:
    """Read when a client used a sandbox; None for what is no time with a zone (RFC 3339)."""
    try:
        used = datetime.fromisoformat(annotation)
    except ValueError:
        return None
    return used if used.tzinfo else None
