"""Builders of the snapshots that a schedule made, as the store keeps them."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from sandkeeper.plan.pod_state import written
from sandkeeper.plan.schedule import scheduled_snapshot
from sandkeeper.plan.slim import slim_snapshot
from unit.fakes.objects import sandbox

if TYPE_CHECKING:
    from sandkeeper.api.sandbox import Sandbox

Json = dict[str, Any]

_TRUTH = {"Ready": "True", "Failed": "False", "Copying": "False"}


def copied(at: datetime, reason: str = "Ready", *, owner: Sandbox | None = None, **metadata: Any) -> Json:
    """Make the snapshot of a run.

    Parameters
    ----------
    reason
        ``Ready``, ``Failed``, ``Copying``, or empty for one that nobody has looked at.
    """
    snapshot = scheduled_snapshot(owner or sandbox(), at)
    name = snapshot["metadata"]["name"]
    snapshot["metadata"] |= {
        "uid": f"uid-{name}",
        "resourceVersion": "30",
        "creationTimestamp": written(at),
        **metadata,
    }
    if reason:
        told = {"type": "Ready", "status": _TRUTH[reason], "reason": reason, "message": "It is told."}
        snapshot["status"] = {"conditions": [told], "startTime": (at + timedelta(seconds=0.5)).isoformat()}
    if reason == "Ready":
        snapshot["status"]["durationSeconds"] = 1.0
    return slim_snapshot(snapshot)
