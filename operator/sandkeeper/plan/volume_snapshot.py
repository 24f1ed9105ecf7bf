"""The VolumeSnapshot behind a snapshot: made once, taken over where a backup brought it back, and never made again."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from sandkeeper.api.names import (
    API_VERSION,
    RESTORED_LABEL,
    SANDBOX_LABEL,
    SNAPSHOT_KIND,
    child_labels,
    volume_snapshot_name,
)
from sandkeeper.api.resolve import resolve
from sandkeeper.api.snapshot import RETAIN
from sandkeeper.plan.captured import moment_of, notes
from sandkeeper.plan.made_from import readable_layer
from sandkeeper.plan.ownership import Ownership, is_managed
from sandkeeper.plan.pod_state import parse_time, written
from sandkeeper.plan.snapshot_observed import PENDING, QUIESCING, SLOW_AFTER, SnapshotState
from sandkeeper.plan.tenant_text import harmless
from sandkeeper.plan.writes import Patch

if TYPE_CHECKING:
    from datetime import datetime

    from sandkeeper.api.sandbox import SandboxSpec
    from sandkeeper.api.snapshot import SandboxSnapshot
    from sandkeeper.plan.captured import Moment
    from sandkeeper.plan.snapshot_observed import ObservedSnapshot

Json = dict[str, Any]

_SLOW_COPY: Final = timedelta(seconds=5)
"""A copy that only notes what is where, as most drivers make it, is over by then."""
_LONGEST_SENTENCE: Final = 500


def owner_of_snapshot(snapshot: SandboxSnapshot) -> Json:
    """Reference by which a VolumeSnapshot ends with its snapshot."""
    return {
        "apiVersion": API_VERSION,
        "kind": SNAPSHOT_KIND,
        "name": snapshot.metadata.name,
        "uid": snapshot.metadata.uid,
        "controller": True,
        "blockOwnerDeletion": True,
    }


def volume_snapshot(
    snapshot: SandboxSnapshot, claim: Json, class_name: str, layer: SandboxSpec, moment: Moment
) -> Json:
    """Render the VolumeSnapshot of a workspace, with what was captured noted on it."""
    metadata: Json = {
        "name": volume_snapshot_name(snapshot.metadata.name),
        "namespace": snapshot.metadata.namespace,
        "labels": child_labels(snapshot.spec.sandbox_ref.name),
        "annotations": notes(layer, moment),
    }
    if snapshot.spec.deletion_policy != RETAIN:
        metadata["ownerReferences"] = [owner_of_snapshot(snapshot)]
    source = {"persistentVolumeClaimName": claim["metadata"]["name"]}
    return {
        "apiVersion": "snapshot.storage.k8s.io/v1",
        "kind": "VolumeSnapshot",
        "metadata": metadata,
        "spec": {"volumeSnapshotClassName": class_name, "source": source},
    }


def copied_claim(volume: Json) -> str:
    """Name of the claim that a VolumeSnapshot is of; empty where it does not say."""
    return str(volume["spec"].get("source", {}).get("persistentVolumeClaimName", ""))


def whose(volume: Json, snapshot: SandboxSnapshot) -> Ownership:
    """Tell whose a VolumeSnapshot is: one without an owner, as from a backup, is by its label."""
    metadata = volume["metadata"]
    if not is_managed(volume) or metadata["labels"].get(SANDBOX_LABEL) != snapshot.spec.sandbox_ref.name:
        return Ownership.FOREIGN
    owner = next((each for each in metadata.get("ownerReferences") or () if each.get("controller")), None)
    if owner is None or owner["uid"] == snapshot.metadata.uid:
        return Ownership.OURS
    former = owner["kind"] == SNAPSHOT_KIND and owner["name"] == snapshot.metadata.name
    return Ownership.FORMER if former else Ownership.FOREIGN


def adoption(volume: Json, snapshot: SandboxSnapshot) -> tuple[Patch, ...]:
    """Patch that lets a VolumeSnapshot end with its snapshot, where that is to be and is not yet so."""
    owned = volume["metadata"].get("ownerReferences")
    if owned or snapshot.spec.deletion_policy == RETAIN or "deletionTimestamp" in volume["metadata"]:
        return ()
    return (Patch(volume, {"metadata": {"ownerReferences": [owner_of_snapshot(snapshot)]}}),)


def state_of_volume(observed: ObservedSnapshot, volume: Json, now: datetime) -> SnapshotState:
    """State of a snapshot whose VolumeSnapshot is there."""
    name, status = volume["metadata"]["name"], volume["status"]
    if "deletionTimestamp" in volume["metadata"]:
        return gone(observed)
    if status.get("readyToUse"):
        taken = status.get("creationTime")
        moment = f" as it was at {taken}" if taken else ""
        return SnapshotState("Ready", f"The workspace of Sandbox {observed.sandbox_name}{moment}.", ready=True)
    if status.get("error"):
        said = harmless(status["error"].get("message") or "it gave no reason", _LONGEST_SENTENCE).rstrip(".")
        message = f"VolumeSnapshot {name} can't be made yet; its driver tries again: {said}."
        return SnapshotState("Failed", message, wrong=True)
    return _copying(observed, volume, now)


def gone(observed: ObservedSnapshot) -> SnapshotState:
    """State of a snapshot that has lost what it was."""
    name = volume_snapshot_name(observed.snapshot.metadata.name)
    message = (
        f"VolumeSnapshot {name} was deleted, and with it what this snapshot was. It is not taken anew, since it is of "
        "one moment: delete it and make another one."
    )
    return SnapshotState("Failed", message, wrong=True)


def not_restored(observed: ObservedSnapshot) -> SnapshotState | None:
    """State of a snapshot that a backup brought back before its VolumeSnapshot, or without; None for any other.

    Taken anew it would be of another moment, under the name of the one that somebody relies on.
    """
    if RESTORED_LABEL not in observed.raw["metadata"].get("labels", {}) or observed.started:
        return None
    name = volume_snapshot_name(observed.snapshot.metadata.name)
    message = (
        f"VolumeSnapshot {name} has not come back from the backup that this snapshot is from ({RESTORED_LABEL}). It is "
        "not taken anew, since it is of one moment: restore that too, or delete this and make another one."
    )
    return SnapshotState("Failed", message, wrong=True)


def _copying(observed: ObservedSnapshot, volume: Json, now: datetime) -> SnapshotState:
    name, since, said = volume["metadata"]["name"], observed.started or now, observed.said
    if now < since + _SLOW_COPY and said.get("reason") in {PENDING, QUIESCING}:
        # Nobody has read of it before it is over.
        return SnapshotState(said["reason"], said["message"], look_again=since + _SLOW_COPY)
    if volume["status"].get("creationTime"):
        return SnapshotState("Copying", f"The driver is copying the workspace into VolumeSnapshot {name}.")
    if now < since + SLOW_AFTER:
        return SnapshotState("Copying", f"VolumeSnapshot {name} is being made.", look_again=since + SLOW_AFTER)
    waits_for = "the cluster's snapshot-controller, which has not begun with it; make sure that it runs"
    if volume["status"]:
        waits_for = "its driver, which has not answered; if that lasts, make sure that it and its csi-snapshotter run"
    return SnapshotState("Copying", f"VolumeSnapshot {name} waits for {waits_for}.")


def facts_of(observed: ObservedSnapshot, volume: Json, now: datetime) -> Json:
    """Tell of a VolumeSnapshot what stands in the status of its snapshot once it is ready."""
    status, moment, before = volume["status"], moment_of(volume), observed.status
    layer = readable_layer(volume)
    facts: Json = {
        "volumeSnapshotName": volume["metadata"]["name"],
        "creationTime": _time(status.get("creationTime")),
        "restoreSize": status.get("restoreSize"),
        "startTime": before.get("startTime", moment.start_time),
        "durationSeconds": before.get("durationSeconds", _duration(observed, now)),
        "pauseSeconds": moment.pause_seconds,
        "captured": {
            "environment": layer.to_json() if layer else None,
            "imageDigest": moment.image_digest,
            "egressHash": resolve(layer).egress.digest() if layer and layer.egress else None,
            "git": moment.git.to_json() if moment.git else None,
        },
    }
    facts["captured"] = {name: value for name, value in facts["captured"].items() if value is not None} or None
    return {name: value for name, value in facts.items() if value is not None}


def _time(said: str | None) -> str | None:
    return written(parse_time(said)) if said else None


def _duration(observed: ObservedSnapshot, now: datetime) -> float | None:
    """Seconds that it took; None for one that was taken before it was known here, as from a backup."""
    if observed.started is None or "volumeSnapshotName" in observed.status:
        return None
    return round(max(0.0, (now - observed.started).total_seconds()), 3)
