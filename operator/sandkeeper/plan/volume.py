"""What is the matter with the volume of a workspace, where the pod alone would not tell."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from sandkeeper.api.quantities import parsed
from sandkeeper.plan.claim import expands, is_smaller
from sandkeeper.plan.claim_state import capacity, is_bound, is_going, is_placed, requested
from sandkeeper.plan.git_state import missing_secret
from sandkeeper.plan.origin import Awaited, origin_of
from sandkeeper.plan.pod_state import SECRET_MISSING, PodState, condition, is_ready, parse_time
from sandkeeper.plan.secrets import has_files, missing_file
from sandkeeper.plan.workspace_choice import pods_claim, target_name, workspaces

if TYPE_CHECKING:
    from sandkeeper.api.environment import Environment
    from sandkeeper.plan.observed import Observed
    from sandkeeper.plan.storage_classes import StorageClasses

Json = dict[str, Any]

_PATIENCE: Final = timedelta(seconds=10)
"""Provisioning takes a few seconds; a volume that takes longer is worth a word, and a look at the Events about it."""
_ASK_AGAIN: Final = timedelta(seconds=30)
_RESIZE_ERRORS: Final = ("ControllerResizeError", "NodeResizeError")


def volume_state(observed: Observed, environment: Environment, state: PodState, now: datetime) -> PodState:
    """State of a sandbox whose pod is there, seen together with its volume.

    Parameters
    ----------
    state
        What the pod says.
    """
    pod = observed.pod
    if pod is None or "deletionTimestamp" in pod["metadata"]:
        return state
    if environment.workspace.persistent:
        return _state_with_claim(observed, environment, pod, state, now)
    mounts = has_files(environment) or _has_secret(environment)
    return _mounted_late(observed, environment, pod, state, now) if mounts else state


def _state_with_claim(
    observed: Observed, environment: Environment, pod: Json, state: PodState, now: datetime
) -> PodState:
    claim = observed.claim
    if claim is None:
        return _lost(observed, state) if pod["spec"].get("nodeName") else state
    if is_going(claim):
        return _deleting(claim, state)
    if claim["status"].get("phase") == "Lost":
        return replace(state, reason="VolumeLost", message=_without_volume(claim), wrong=True, at_rest=False)
    if is_ready(pod):
        return state
    return _awaited(observed, environment, claim, pod, state, now)


def must_stay(observed: Observed) -> bool:
    """Whether the pod must not be ended by the operator, since what is in the workspace would go with it.

    `volume_state` says so, and what is to be done.
    """
    claim, pod = observed.claim, observed.pod
    if claim is None:
        return "workspaceClaimName" in observed.status and pod is not None and bool(pod["spec"].get("nodeName"))
    return is_going(claim) or claim["status"].get("phase") == "Lost"


def outdated_volume(claim: Json | None, environment: Environment, classes: StorageClasses) -> tuple[str, str] | None:
    """Reason and sentence where a volume is not of the size that was asked for; None where it is."""
    if claim is None or not environment.workspace.persistent or not is_bound(claim):
        return None
    wanted, asked, has = environment.workspace.size, requested(claim), capacity(claim)
    if is_smaller(claim, environment) and not expands(claim, classes):
        return "WorkspaceNotExpandable", (
            f"spec.workspace.size is {wanted} and the volume's {has}, but {_class_of(claim)} does not allow it to grow."
        )
    error = _resize_error(claim)
    if error:
        return "VolumeResizeFailed", f"The volume can't grow from {has} to {asked}: {error.rstrip('.')}."
    if parsed(has) < parsed(wanted):
        return "VolumeResizing", f"The volume is growing from {has} to {wanted}."
    if parsed(asked) > parsed(wanted):
        return "WorkspaceLarger", f"The volume has {has}, more than the {wanted} asked for: no volume shrinks."
    return None


def worth_asking(observed: Observed, now: datetime) -> Json | None:
    """Object whose Events may tell why a volume is long in coming; None where nothing is late."""
    pod, claim = observed.pod, observed.claim
    if pod is None:
        return claim if claim is not None and is_placed(claim) and _is_late(claim, now) else None
    if "deletionTimestamp" in pod["metadata"]:
        return None
    beside = _made_beside(observed, claim) if claim is not None else None
    if beside is not None:
        return beside if now >= _patience_ends(beside) else None
    if is_ready(pod):
        return None
    if claim is not None and _is_late(claim, now):
        return claim
    return pod if is_mounting(pod) and now >= _mounting_late(pod) else None


def _is_late(claim: Json, now: datetime) -> bool:
    return claim["status"].get("phase") == "Pending" and now >= _patience_ends(claim)


def _made_beside(observed: Observed, claim: Json) -> Json | None:
    """Claim that waits for its volume while the pod is on another one."""
    if len(observed.claims) <= 1:
        return None
    target = workspaces(observed).get(target_name(observed), claim)
    return None if target is claim or is_bound(target) or is_going(target) else target


def _missing(news: str, environment: Environment) -> PodState | None:
    """State of a sandbox whose pod waits for a Secret that is mounted; None where it waits for something else."""
    of_git = missing_secret(news, environment.git)
    if of_git:
        return of_git
    file = missing_file(news, environment)
    return PodState(SECRET_MISSING, file, wrong=True) if file else None


def _has_secret(environment: Environment) -> bool:
    return environment.git is not None and environment.git.credentials_secret is not None


def _awaited(
    observed: Observed, environment: Environment, claim: Json, pod: Json, state: PodState, now: datetime
) -> PodState:
    scheduled = condition(pod, "PodScheduled")
    message = scheduled.get("message", "") if scheduled.get("status") == "False" else ""
    if message and "volume" not in message.lower():
        # The scheduler has other reasons, and a claim that waits for its first consumer is none of them.
        return state
    if claim["status"].get("phase") == "Pending":
        return awaited_volume(observed, claim, message, now)
    if "persistentvolumeclaim" in message.lower():
        # The volume has come, and the scheduler is about to look again.
        return PodState("Starting", "The volume is there; waiting for a node.")
    return _mounted_late(observed, environment, pod, state, now)


def awaited_volume(observed: Observed, claim: Json, message: str, now: datetime) -> PodState:
    """State of a sandbox that waits for the volume of a claim.

    Parameters
    ----------
    message
        What the scheduler says of it.
    """
    missing = observed.classes.missing(claim["spec"].get("storageClassName"))
    if missing:
        return PodState(*missing, wrong=True)
    name, until = claim["metadata"]["name"], _patience_ends(claim)
    if now < until:
        return PodState("Starting", f"Waiting for the volume of PersistentVolumeClaim {name}.", look_again=until)
    origin = origin_of(observed)
    if isinstance(origin, Awaited) and origin.state.wrong:
        # Its provisioner waits for what the claim names, and knows less of why that is not there.
        return replace(origin.state, look_again=now + _ASK_AGAIN)
    told = observed.volume_news or message or "its provisioner has said nothing"
    text = f"PersistentVolumeClaim {name} has no volume yet: {told.rstrip('.')}."
    return PodState("VolumePending", text, wrong=True, look_again=now + _ASK_AGAIN)


def _mounted_late(observed: Observed, environment: Environment, pod: Json, state: PodState, now: datetime) -> PodState:
    if state.wrong or not is_mounting(pod):
        return state
    late = _mounting_late(pod)
    if now < late:
        return replace(state, look_again=late)
    if not observed.volume_news:
        return replace(state, look_again=now + _ASK_AGAIN)
    missing = _missing(observed.volume_news, environment)
    if missing:
        return replace(missing, look_again=now + _ASK_AGAIN)
    text = f"The volume is not mounted on node {pod['spec']['nodeName']}: {observed.volume_news.rstrip('.')}."
    return PodState("VolumeMountFailed", text, wrong=True, look_again=now + _ASK_AGAIN)


def is_mounting(pod: Json) -> bool:
    """Whether the kubelet is at what comes before the containers: volumes and network (KEP-3085)."""
    return bool(pod["spec"].get("nodeName")) and condition(pod, "PodReadyToStartContainers").get("status") == "False"


def _mounting_late(pod: Json) -> datetime:
    return parse_time(pod["status"]["startTime"]) + _PATIENCE * 2


def _patience_ends(claim: Json) -> datetime:
    return parse_time(claim["metadata"]["creationTimestamp"]) + _PATIENCE


def _lost(observed: Observed, state: PodState) -> PodState:
    text = (
        f"PersistentVolumeClaim {pods_claim(observed.pod or {}, observed.sandbox.metadata.name)} is gone while the pod "
        "uses its volume: copy what you need out of the sandbox, for its next start makes a new, empty workspace."
    )
    return replace(state, reason="WorkspaceLost", message=text, wrong=True, at_rest=False)


def _deleting(claim: Json, state: PodState) -> PodState:
    text = (
        f"PersistentVolumeClaim {claim['metadata']['name']} was deleted, and goes as soon as the pod ends: copy what "
        "you need out of the sandbox, then delete its pod to start with a new, empty workspace."
    )
    return replace(state, reason="WorkspaceDeleting", message=text, wrong=True, at_rest=False)


def _without_volume(claim: Json) -> str:
    name = claim["metadata"]["name"]
    return (
        f"The PersistentVolume of PersistentVolumeClaim {name} is gone, and with it what was in the workspace: delete "
        "the claim to start with a new, empty one."
    )


def _class_of(claim: Json) -> str:
    name = claim["spec"].get("storageClassName")
    return f"StorageClass {name}" if name else "a volume without StorageClass"


def _resize_error(claim: Json) -> str:
    """What the resizer or the kubelet say of a volume that can't grow; empty where they say nothing (KEP-1790)."""
    for kind in _RESIZE_ERRORS:
        found = condition(claim, kind)
        if found.get("status") == "True":
            return " ".join(found.get("message", kind).split())[:500]
    stage = claim["status"].get("allocatedResourceStatuses", {}).get("storage", "")
    return "the storage system refuses that size" if stage.endswith("Infeasible") else ""
