"""The whole decision for one snapshot: its sandbox is quiesced, its volume copied once, and the copy kept as asked for.

A VolumeSnapshot that is there is never taken again, whatever the status says: it, and the notes on it, are the truth.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from sandkeeper.api.lifecycle import seconds
from sandkeeper.api.names import FORK_LABEL, IN_USE_FINALIZER
from sandkeeper.api.resolve import resolve
from sandkeeper.plan.captured import Moment, capture, too_big
from sandkeeper.plan.checkout import checkout_asleep
from sandkeeper.plan.lifecycle import EXPIRED
from sandkeeper.plan.made_from import layers_on
from sandkeeper.plan.ownership import Ownership
from sandkeeper.plan.pod_state import condition, parse_time, written
from sandkeeper.plan.quiescing import quiesced_first, quiescing, to_await
from sandkeeper.plan.snapshot_classes import UnsupportedError
from sandkeeper.plan.snapshot_observed import (
    PENDING,
    QUIESCING,
    SLOW_AFTER,
    ObservedSnapshot,
    SnapshotPlan,
    SnapshotState,
)
from sandkeeper.plan.status import dated_condition, image_digest
from sandkeeper.plan.volume_snapshot import (
    adoption,
    facts_of,
    gone,
    not_restored,
    state_of_volume,
    volume_snapshot,
    whose,
)
from sandkeeper.plan.writes import Create, Delete, Patch, merge_patch

if TYPE_CHECKING:
    from sandkeeper.api.environment import Environment
    from sandkeeper.api.sandbox import Sandbox
    from sandkeeper.plan.checkout import CapturedCheckout
    from sandkeeper.plan.writes import Write

Json = dict[str, Any]
_Decision = tuple[SnapshotState, tuple["Write", ...]]

_RETRY: Final = timedelta(minutes=1)
"""How often what is amiss is looked at where no event may tell of its end."""
_RESTORE_BEGINS: Final = timedelta(seconds=10)
"""Within which a restore that holds a deleted snapshot has made its claim, if it ever does."""
_LONGEST_WAIT: Final = timedelta(minutes=10)
_MOST_FORKS: Final = 1000
"""That are told in a status; others take another snapshot."""
_ON_ITS_WAY: Final = frozenset({PENDING, QUIESCING, "Copying"})


def plan_snapshot(observed: ObservedSnapshot, now: datetime) -> SnapshotPlan:
    """Decide on one snapshot.

    Returns
    -------
    SnapshotPlan
        With no writes and no status where everything is as it should be.
    """
    if observed.snapshot.metadata.deletion_timestamp:
        return _end(observed, now)
    expires_at = expiry(observed)
    if expires_at and now >= expires_at:
        return SnapshotPlan(SnapshotState("Expired", "It is being deleted."), (Delete(observed.raw),))
    if _is_held(observed) and not (observed.readers or observed.awaited or observed.diffs):
        # The status is written on the version that this makes.
        return SnapshotPlan(SnapshotState("Released", ""), (_release(observed),), look_again=now)
    state, writes = _decide(observed, now)
    plan = finish(observed, state, writes, now)
    waits = [plan.look_again, now + _RETRY if _is_held(observed) else None]
    waits.append(min(expires_at, now + _LONGEST_WAIT) if expires_at else None)
    return replace(plan, look_again=min(filter(None, waits), default=None))


def expiry(observed: ObservedSnapshot) -> datetime | None:
    """When a snapshot is to be deleted, whatever became of it; None for never, or as long as nobody can tell.

    One that is on the way to a fork lives as long after it was ready, or has failed: a driver may copy for longer.
    """
    lasts, made = seconds(observed.snapshot.spec.expires_after), observed.snapshot.metadata.creation_timestamp
    if lasts and made and FORK_LABEL in observed.raw["metadata"].get("labels", {}):
        said = observed.said
        if said.get("reason", PENDING) in _ON_ITS_WAY:
            return None
        made = max(made, parse_time(said["lastTransitionTime"]))
    return made + lasts if lasts and made else None


def finish(observed: ObservedSnapshot, state: SnapshotState, writes: tuple[Write, ...], now: datetime) -> SnapshotPlan:
    """Put the status to a decision, or the moment when it is worth writing."""
    slow = (observed.started or observed.snapshot.metadata.creation_timestamp or now) + SLOW_AFTER
    if state.reason == PENDING and observed.said.get("reason") in {PENDING, QUIESCING} and now < slow:
        # What was said first, or by the schema's default, will do.
        return SnapshotPlan(state, writes, look_again=slow)
    status = merge_patch(observed.status, _status(observed, state, now))
    look_again = state.look_again or (now + _RETRY if state.wrong else None)
    return SnapshotPlan(state, writes, status, look_again)


def _status(observed: ObservedSnapshot, state: SnapshotState, now: datetime) -> Json:
    truth, expires_at = "True" if state.ready else "False", expiry(observed)
    generation = observed.snapshot.metadata.generation
    ready = dated_condition(observed.status, generation, now, "Ready", truth, state.reason, state.message)
    status = {
        **observed.status,
        "observedGeneration": generation,
        "conditions": [ready],
        "expiresAt": written(expires_at) if expires_at else None,
    }
    if state.begins:
        status["startTime"] = now.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
        status["standsFor"] = list(observed.forks[:_MOST_FORKS]) or None
    if state.ready and observed.volume_snapshot is not None:
        status |= facts_of(observed, observed.volume_snapshot, now)
    return {name: value for name, value in status.items() if value is not None}


def _decide(observed: ObservedSnapshot, now: datetime) -> _Decision:
    volume = observed.volume_snapshot
    if volume is None:
        lost = gone(observed) if "volumeSnapshotName" in observed.status else not_restored(observed)
        return (lost, ()) if lost else _take(observed, now)
    owner = whose(volume, observed.snapshot)
    if owner is Ownership.FOREIGN:
        return conflict(volume), ()
    if owner is Ownership.FORMER:
        message = f"Waiting for VolumeSnapshot {volume['metadata']['name']} of a deleted snapshot of this name to end."
        return SnapshotState(PENDING, message), ()
    return state_of_volume(observed, volume, now), adoption(volume, observed.snapshot)


def conflict(volume: Json) -> SnapshotState:
    """Explain that an object stands in the way."""
    message = (
        f"VolumeSnapshot {volume['metadata']['name']} is there and does not belong to this snapshot; delete it, or "
        "make a snapshot of another name."
    )
    return SnapshotState("Conflict", message, wrong=True)


def _take(observed: ObservedSnapshot, now: datetime) -> _Decision:
    """Decide on a snapshot that is still to be taken."""
    sandbox, claim = observed.sandbox, observed.claim
    if sandbox is None:
        message = (
            f"spec.sandboxRef.name: Sandbox {observed.sandbox_name} is not there; make it, or delete this snapshot."
        )
        return SnapshotState("SandboxNotFound", message, wrong=True), ()
    try:
        class_name = _class_for(observed, sandbox)
    except _AmissError as error:
        return error.state, ()
    awaited = _without_volume(observed) or to_await(observed)
    if awaited or claim is None:
        return awaited or quiescing(observed), ()
    if observed.started is None:
        return replace(quiescing(observed), begins=True, look_again=now), ()
    first = quiesced_first(observed, now)
    if first:
        return first
    # How it goes on is told of the answer.
    state = replace(_said_before(observed), look_again=now)
    return state, (Create(_copy(observed, sandbox, claim, class_name)),)


def _said_before(observed: ObservedSnapshot) -> SnapshotState:
    """State of a snapshot whose copy begins: what was said first, unless that was trouble."""
    said = observed.said
    if said.get("reason") == QUIESCING:
        return SnapshotState(QUIESCING, said["message"])
    return SnapshotState("Copying", f"The workspace of Sandbox {observed.sandbox_name} is being copied.")


class _AmissError(Exception):
    def __init__(self, reason: str, message: str) -> None:
        self.state = SnapshotState(reason, message, wrong=True)
        super().__init__(message)


def _class_for(observed: ObservedSnapshot, sandbox: Sandbox) -> str:
    """Name the class to copy with, or raise what is amiss."""
    if observed.base.missing:
        raise _AmissError(
            "TemplateNotFound",
            f"SandboxTemplate {observed.base.absent} of Sandbox {observed.sandbox_name} is not there, so nobody knows "
            "what environment is to be captured; it goes on once the template is there.",
        )
    workspace = resolve(*layers_on(observed.claim, sandbox.spec, observed.base.used.layers)).workspace
    if not workspace.persistent:
        raise _AmissError(
            "WorkspaceNotPersistent",
            f"The workspace of Sandbox {observed.sandbox_name} is Ephemeral, on no volume that could be copied; take "
            "snapshots of sandboxes whose spec.workspace.type is Persistent.",
        )
    try:
        chosen = observed.snapshot_classes.choose(
            observed.snapshot.spec.volume_snapshot_class_name, _driver(observed, workspace.storage_class_name)
        )
    except UnsupportedError as error:
        raise _AmissError("NoSnapshotSupport", str(error)) from error
    if observed.claim and (trouble := too_big(capture(sandbox, observed.claim, observed.base.used.layers))):
        raise _AmissError("Failed", trouble)
    return chosen


def _driver(observed: ObservedSnapshot, asked: str | None) -> str:
    """Name the driver of a workspace, or of the one that is to be made; empty where nobody knows."""
    given = observed.claim["spec"].get("storageClassName") if observed.claim else None
    bound = observed.claim is not None and observed.claim["status"].get("phase") == "Bound"
    return observed.classes.driver(given if bound else given or asked or observed.classes.default)


def _without_volume(observed: ObservedSnapshot) -> SnapshotState | None:
    """State while there is no volume to be copied."""
    claim, name = observed.claim, observed.sandbox_name
    if claim is None and condition({"status": observed.sandbox_status}, "Ready").get("reason") == EXPIRED:
        message = f"spec.sandboxRef.name: Sandbox {name} has expired, and its workspace is gone; take another one."
        return SnapshotState("Failed", message, wrong=True)
    if claim is None:
        message = f"Waiting for the workspace of Sandbox {name}, which is made when it first starts."
        return SnapshotState(PENDING, message)
    if "deletionTimestamp" in claim["metadata"]:
        return SnapshotState(PENDING, f"Waiting for a new workspace of Sandbox {name}: the present one was deleted.")
    if claim["status"].get("phase") != "Bound":
        return SnapshotState(PENDING, f"Waiting for the volume of the workspace of Sandbox {name}.")
    return None


def _copy(observed: ObservedSnapshot, sandbox: Sandbox, claim: Json, class_name: str) -> Json:
    pod, result = observed.pod, observed.quiesced
    digest = (image_digest(pod) if pod else None) or observed.sandbox_status.get("imageDigest")
    pause = result.pause_seconds if result else None
    git = _checkout(observed, resolve(*layers_on(claim, sandbox.spec, observed.base.used.layers)))
    start, packed = observed.status["startTime"], _is_packed(observed)
    moment = Moment(
        start_time=start, pause_seconds=pause, image_digest=digest, git=git, packed=packed,
        node=observed.volume_node or None,
    )  # fmt: skip
    return volume_snapshot(
        observed.snapshot, claim, class_name, capture(sandbox, claim, observed.base.used.layers), moment
    )


def _is_packed(observed: ObservedSnapshot) -> bool | None:
    if observed.quiesced is not None:
        return observed.quiesced.entries > 0
    return "pack" in observed.sandbox_status if "asleep" in observed.sandbox_status else None


def _checkout(observed: ObservedSnapshot, environment: Environment) -> CapturedCheckout | None:
    """Tell where the checkout stands: of a sandbox that sleeps as it fell asleep, else as its guest has just told."""
    result = observed.quiesced
    found = checkout_asleep(observed.sandbox_status) or (result.git if result else None)
    return found.of(environment.git.repository) if found and environment.git else None


def _is_held(observed: ObservedSnapshot) -> bool:
    return IN_USE_FINALIZER in observed.snapshot.metadata.finalizers


def _release(observed: ObservedSnapshot) -> Patch:
    others = [each for each in observed.snapshot.metadata.finalizers if each != IN_USE_FINALIZER]
    return Patch(observed.raw, {"metadata": {"finalizers": others}})


def _end(observed: ObservedSnapshot, now: datetime) -> SnapshotPlan:
    """Decide on a snapshot that was deleted: whoever is being restored from it comes first."""
    if not _is_held(observed):
        return SnapshotPlan(SnapshotState("Deleting", "It was deleted."))
    deleted = observed.snapshot.metadata.deletion_timestamp or now
    begins = deleted + _RESTORE_BEGINS
    waits_for = observed.readers or (observed.awaited if now < begins else ())
    if not waits_for and not observed.diffs:
        return SnapshotPlan(SnapshotState("Deleting", "It was deleted."), (_release(observed),))
    restored, copied = ", ".join(waits_for[:5]), ", ".join(observed.diffs[:5])
    how = f"restored by Sandbox {restored}" if waits_for else f"copied for SandboxDiff {copied}"
    message = f"It was deleted, is being {how}, and goes once that is done."
    awaits = waits_for and not observed.readers
    # No event tells of a reader that is gone whose claim stays, or has never come.
    state = SnapshotState("Deleting", message, look_again=begins if awaits else now + _RETRY)
    return finish(observed, state, (), now)
