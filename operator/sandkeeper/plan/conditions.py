"""Conditions as the operator writes them: its time is when the status last changed, not when it was looked at."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sandkeeper.plan.pod_state import condition, written

if TYPE_CHECKING:
    from datetime import datetime

Json = dict[str, Any]


def stated(status: Json, generation: int, now: datetime, kind: str, truth: str, reason: str, message: str) -> Json:
    """Build a condition.

    Parameters
    ----------
    status
        Present status of the object, whose condition of this kind keeps its time while its truth stays.
    generation
        Of the spec that it speaks of.
    """
    before = condition({"status": status}, kind)
    since = before.get("lastTransitionTime") if before.get("status") == truth else None
    return {
        "type": kind,
        "status": truth,
        "reason": reason,
        "message": message,
        "observedGeneration": generation,
        "lastTransitionTime": since or written(now),
    }
