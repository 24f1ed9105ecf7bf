"""Which plans are confirmed with the API server before they are carried out: those that a stale view makes harmful."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandkeeper.plan.claim import takes_over
from sandkeeper.plan.fence import is_fence
from sandkeeper.plan.writes import Create, Delete, Patch

if TYPE_CHECKING:
    from sandkeeper.plan.observed import Observed
    from sandkeeper.plan.sandbox import Plan
    from sandkeeper.plan.writes import Write


def needs_confirmation(observed: Observed, plan: Plan) -> bool:
    """Whether the sandbox has to be read once more before a plan is carried out."""
    return _revives(observed, plan) or any(map(_is_irrevocable, plan.writes))


def _revives(observed: Observed, plan: Plan) -> bool:
    """Whether a plan makes anew what a sandbox once had, rather than what it never had."""
    known = "observedGeneration" in observed.status
    return known and any(
        isinstance(write, Create) and not is_fence(write.obj) for write in (*plan.writes, *plan.copies)
    )


def _is_irrevocable(write: Write) -> bool:
    """Whether a write ends what can't be made again: a sandbox or a workspace, at once or with one that is gone."""
    match write:
        case Delete(child):
            return child["kind"] in {"Sandbox", "PersistentVolumeClaim"}
        case Patch(child, patch):
            return child["kind"] == "PersistentVolumeClaim" and takes_over(patch)
    return False
