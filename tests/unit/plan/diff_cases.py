"""Builders of what a decision on a SandboxDiff is made on."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import orjson

from sandkeeper.api.diff import SandboxDiff
from sandkeeper.api.names import CAPTURED_ANNOTATION
from sandkeeper.plan.diff_observed import ObservedDiff, Side
from sandkeeper.plan.diff_pod import NEW, OLD, diff_claim, diff_pod, diff_snapshot
from sandkeeper.plan.observed import Settings
from sandkeeper.plan.pod_state import written
from sandkeeper.plan.slim import slim_claim, slim_pod, slim_snapshot, slim_volume_snapshot
from sandkeeper.plan.user_namespace import NodeSupport
from unit.fakes.objects import CREATED, NOW, Json, classes, stored

SUMMARY: Json = {
    "workspace": {"added": 3, "changed": 1, "deleted": 2, "bytesAdded": 700, "bytesDeleted": 30},
    "system": {"added": 9, "changed": 0, "deleted": 0, "bytesAdded": 4096, "bytesDeleted": 0},
    "packages": {"apt": {"added": {"count": 1, "names": ["jq=1.7"]}}},
    "unread": 0,
}
READY: Json = {"conditions": [{"type": "Ready", "status": "True", "reason": "Ready", "message": "It is."}]}


def diff_of(to: Json | None = None, **spec: Any) -> SandboxDiff:
    """Make a SandboxDiff ``d`` of snapshot ``before`` in namespace ``team``."""
    metadata = {"name": "d", "namespace": "team", "uid": "uid-d", "generation": 1, "resourceVersion": "10"}
    compared = {"to": to} if to else {}
    full = {"from": {"snapshotRef": {"name": "before"}}, **compared, **spec}
    return SandboxDiff.model_validate({"metadata": {**metadata, "creationTimestamp": written(CREATED)}, "spec": full})


AFTER = diff_of(to={"snapshotRef": {"name": "after"}})
OF_NOW = diff_of()


def snapshot(name: str, status: Json | None = None, **metadata: Any) -> Json:
    """Make a SandboxSnapshot of sandbox ``a`` that is ready."""
    made: Json = {"metadata": {"name": name, "namespace": "team"}, "spec": {"sandboxRef": {"name": "a"}}}
    made = stored({**made, "status": READY if status is None else status}, uid=f"uid-{name}")
    made["metadata"] |= metadata
    return slim_snapshot(made)


def volume_snapshot(name: str, environment: Json | None = None, **status: Any) -> Json:
    """Make the VolumeSnapshot behind a snapshot."""
    captured = environment or {"workspace": {"storageClassName": "fast", "size": "10Gi"}}
    metadata = {"name": f"sbx-{name}", "namespace": "team"}
    metadata["annotations"] = {CAPTURED_ANNOTATION: orjson.dumps(captured).decode()}  # type: ignore[assignment]
    ready = {"readyToUse": True, "restoreSize": "20Gi", **status}
    return slim_volume_snapshot(stored({"metadata": metadata, "spec": {"source": {}}, "status": ready}))


def side(role: str, name: str, **parts: Any) -> Side:
    """Make a side whose snapshot is ready and that has no copy."""
    return Side(role, name, **{"snapshot": snapshot(name), "volume_snapshot": volume_snapshot(name), **parts})


def copy_of(diff: SandboxDiff, role: str, name: str, phase: str = "Bound", **metadata: Any) -> Json:
    """Make the claim of a side."""
    claim = stored(diff_claim(diff, role, snapshot(name), volume_snapshot(name)), uid=f"uid-{role}")
    claim["metadata"] |= metadata
    return slim_claim({**claim, "status": {"phase": phase}})


def taken_of(diff: SandboxDiff, **status: Any) -> Json:
    """Make the snapshot that is taken on the way."""
    return slim_snapshot({**stored(diff_snapshot(diff, "a"), uid="uid-taken"), "status": status or READY})


def pod_of(diff: SandboxDiff, status: Json, *, attempt: int = 1, node: str = "n1", **metadata: Any) -> Json:
    """Make the pod of an attempt, as the store keeps it."""
    pod = stored(diff_pod(diff, Settings(), attempt=attempt, root=True, user_namespace=True), uid=f"uid-{attempt}")
    pod["metadata"] |= metadata
    pod["spec"]["nodeName"] = node
    return slim_pod({**pod, "status": status})


def ended(message: str, *, phase: str = "Succeeded", at: datetime = NOW, code: int = 0, **more: Any) -> Json:
    """Make the status of a pod whose container ended with a message."""
    terminated = {"exitCode": code, "message": message, "finishedAt": written(at), **more}
    return {"phase": phase, "containerStatuses": [{"name": "diff", "state": {"terminated": terminated}}]}


def observed(diff: SandboxDiff = AFTER, status: Json | None = None, **parts: Any) -> ObservedDiff:
    """Make what is there: by default both snapshots, ready, and nothing made from them."""
    return ObservedDiff(
        **{
            "diff": diff,
            "status": status or {},
            "settings": Settings(),
            "nodes": NodeSupport(),
            "classes": classes(),
            "old": side(OLD, "before"),
            "new": side(NEW, "after"),
            "sandbox": "a",
            "has_sandbox": True,
            **parts,
        }
    )


def copied(diff: SandboxDiff = AFTER, phase: str = "Bound") -> dict[str, Any]:
    """Give both sides with their copies."""
    new = "after" if diff is AFTER else "now"
    return {
        "old": side(OLD, "before", claim=copy_of(diff, OLD, "before", phase)),
        "new": side(NEW, new, claim=copy_of(diff, NEW, new, phase)),
    }


def later(seconds: float) -> datetime:
    """Give the moment so many seconds from now."""
    return NOW + timedelta(seconds=seconds)
