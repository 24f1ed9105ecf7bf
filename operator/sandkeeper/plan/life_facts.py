"""What the status tells of a sandbox's life: since when it sleeps and why, what was kept, and what happens when."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sandkeeper.plan.lifecycle import Life, Phase, activity_annotation
from sandkeeper.plan.made_from import is_restored
from sandkeeper.plan.packing import git_status, pack_status
from sandkeeper.plan.pod_state import written
from sandkeeper.plan.workspace_choice import is_rolling_back, workspace_name

if TYPE_CHECKING:
    from datetime import datetime

    from sandkeeper.plan.observed import Observed
    from sandkeeper.plan.pod_state import PodState

Json = dict[str, Any]


def life_facts(observed: Observed, life: Life, state: PodState, now: datetime) -> Json:
    """Build the fields of the status that speak of sleep and expiry; None for those that are absent."""
    asleep = _asleep(observed, life, state, now)
    return {
        "asleep": asleep,
        "startedFrom": _started_from(observed, life, state),
        # With the volume goes what was packed on it.
        "pack": _pack(observed, life),
        "git": _git(observed, life) if asleep else None,
        "expiresAt": written(life.expires_at) if life.expires_at else None,
        **_idleness(observed, life, state),
    }


def _pack(observed: Observed, life: Life) -> Json | None:
    """What is packed on the volume; of another one than before nobody knows yet."""
    return pack_status(observed) if life.phase is not Phase.ENDED and _is_same_volume(observed) else None


def _git(observed: Observed, life: Life) -> Json | None:
    """Where the checkout stands while it sleeps: awake, Git itself tells."""
    return git_status(observed) if life.phase is Phase.ASLEEP and _is_same_volume(observed) else None


def _is_same_volume(observed: Observed) -> bool:
    """Whether the workspace is on the volume that it was on before; there is one."""
    name = workspace_name(observed)
    return observed.claim is not None and observed.status.get("workspaceClaimName", name) == name


def _asleep(observed: Observed, life: Life, state: PodState, now: datetime) -> Json | None:
    """Since when and why it sleeps: recorded once nothing holds it awake, and kept until it is to run again."""
    recorded: Json | None = observed.status.get("asleep")
    if life.phase is Phase.AWAKE:
        return None
    if life.phase is Phase.ENDED:
        return recorded
    if recorded is None and not state.at_rest:
        return None
    if recorded:
        return {**recorded, "cause": life.cause}
    sandbox = observed.sandbox
    fell = {"since": written(now), "cause": life.cause, "generation": sandbox.metadata.generation}
    said = activity_annotation(sandbox)
    return {**fell, "activity": said} if said else fell


def _started_from(observed: Observed, life: Life, state: PodState) -> str | None:
    """What it was started from last; of one that runs and never slept, the image."""
    if life.phase is not Phase.AWAKE:
        return None
    restored = is_restored(observed.claim)
    if restored and (is_rolling_back(observed) or "startupSeconds" not in observed.status):
        return "Snapshot"
    if observed.status.get("asleep"):
        return "Wake"
    runs = observed.pod is not None and state.running
    return observed.status.get("startedFrom") or ("Cold" if runs else None)


def _idleness(observed: Observed, life: Life, state: PodState) -> Json:
    """Since when it is idle, once that has lasted; where nothing is measured for a while, what was told last stays."""
    if life.recorded is None or state.at_rest:
        return {}
    idle = {"since": written(life.recorded.since), "cpuSeconds": life.recorded.cpu_seconds}
    if life.quiet_since is None or life.sleeps_at is None:
        return {"idle": idle, **{name: observed.status.get(name) for name in ("lastActivityTime", "sleepsAt")}}
    return {"idle": idle, "lastActivityTime": written(life.quiet_since), "sleepsAt": written(life.sleeps_at)}
