"""What a sandbox says of itself while it starts: what was said first, until the start is slow.

Most steps of a start are over before anybody has read of them, and each word costs the API server as much as two
sandbox reads. Only the sentence waits: reasons, facts, trouble and readiness are written when they are known.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from sandkeeper.plan.guest import left_a_pack
from sandkeeper.plan.guest_state import unpacks
from sandkeeper.plan.lifecycle import EXPIRED, Life, Phase
from sandkeeper.plan.packing import keeps
from sandkeeper.plan.pod_state import RESTORING, ROLLING_BACK, WAKING, PodState, condition, parse_time
from sandkeeper.plan.sleep import SLEEPING
from sandkeeper.plan.workspace_choice import is_rolling_back
from sandkeeper.plan.writes import Create

if TYPE_CHECKING:
    from sandkeeper.plan.observed import Observed
    from sandkeeper.plan.writes import Write

Json = dict[str, Any]

SLOW_AFTER: Final = timedelta(seconds=15)
"""A start that goes well is over by then."""
_AFTER_SLEEP: Final = frozenset({SLEEPING, EXPIRED, WAKING})


def worded(observed: Observed, life: Life, state: PodState, writes: tuple[Write, ...], now: datetime) -> PodState:
    """Word a start.

    Parameters
    ----------
    state
        What the sandbox is doing.
    writes
        What is about to be done for it.

    Returns
    -------
    PodState
        With what is to be said of it now, and when there may be more to say; any other state as it is.
    """
    if state.wrong or state.reason not in {"Starting", "Installing", ROLLING_BACK, RESTORING}:
        return state
    slow = _step_began(observed, writes, now) + SLOW_AFTER
    if now >= slow:
        return _named(observed, life, state)
    named = _named(observed, life, _unpacking(observed, state, slow))
    return named if named.reason == "Installing" else _as_said_first(observed, named, slow)


def _step_began(observed: Observed, writes: tuple[Write, ...], now: datetime) -> datetime:
    """When the present step began: a pod was asked for, its node took it, or it is to have ended."""
    pod = observed.pod
    if pod is None:
        since = _said(observed).get("lastTransitionTime")
        makes_pod = any(isinstance(write, Create) and write.obj["kind"] == "Pod" for write in writes)
        return now if makes_pod or not since else parse_time(since)
    metadata = pod["metadata"]
    times = (metadata.get("deletionTimestamp"), pod["status"].get("startTime"), metadata["creationTimestamp"])
    return parse_time(next(filter(None, times)))


def _unpacking(observed: Observed, state: PodState, slow: datetime) -> PodState:
    """Tell of an installation as a start while it rather is one: the guest unpacks what a former pod had installed.

    That takes seconds. What takes longer is installed: something else was asked for meanwhile, or another image.
    """
    pod = observed.pod
    if pod is None or state.reason != "Installing" or not keeps(pod) or not left_a_pack(observed.status):
        return state
    return replace(unpacks(pod), look_again=slow)


def _named(observed: Observed, life: Life, state: PodState) -> PodState:
    """Tell of a start after sleep, or on a workspace that was made from something, as such."""
    if state.reason == "Starting" and is_rolling_back(observed):
        return replace(state, reason=ROLLING_BACK)
    if state.reason == "Starting" and _restores(observed):
        return replace(state, reason=RESTORING)
    wakes = life.phase is Phase.AWAKE and _said(observed).get("reason") in _AFTER_SLEEP
    return replace(state, reason=WAKING) if wakes and state.reason == "Starting" else state


def _restores(observed: Observed) -> bool:
    """Whether a sandbox starts for the first time, and not empty."""
    return observed.sandbox.spec.source is not None and "startupSeconds" not in observed.status


def _as_said_first(observed: Observed, state: PodState, slow: datetime) -> PodState:
    """Keep the sentence that a start began with, and come back to it once it is slow."""
    said = _said(observed)
    if said.get("reason") == state.reason:
        message = said["message"]
    else:
        message = "Its pod is being started again." if state.reason == WAKING else state.message
    if message == state.message:
        return state
    return replace(state, message=message, look_again=min(filter(None, (slow, state.look_again))))


def _said(observed: Observed) -> Json:
    return condition({"status": observed.status}, "Ready")


def postponed(observed: Observed, state: PodState, now: datetime) -> datetime | None:
    """Until when a status need not be written, because the schema's default says the same: Pending.

    Returns
    -------
    datetime or None
        None where it is to be written now.
    """
    fresh = "observedGeneration" not in observed.status
    if not fresh or state.running or state.wrong or state.stalled or state.at_rest:
        return None
    started = observed.first_seen or observed.sandbox.metadata.creation_timestamp or now
    return started + SLOW_AFTER if now < started + SLOW_AFTER else None
