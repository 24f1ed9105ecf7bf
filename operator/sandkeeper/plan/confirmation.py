"""Which plans are confirmed with the API server before they are carried out: those that a stale view makes harmful."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandkeeper.api.names import PREVIOUS_LABEL, SNAPSHOT_KIND
from sandkeeper.plan.claim import takes_over
from sandkeeper.plan.fence import is_fence
from sandkeeper.plan.writes import Create, Delete, Patch

if TYPE_CHECKING:
    from sandkeeper.plan.observed import Observed
    from sandkeeper.plan.sandbox import Plan
    from sandkeeper.plan.writes import Write


def needs_confirmation(observed: Observed, plan: Plan) -> bool:
    """Whether the sandbox has to be read once more before a plan is carried out."""
    return _revives(observed, plan) or any(map(_is_irrevocable, (*plan.writes, *plan.copies)))


def _revives(observed: Observed, plan: Plan) -> bool:
    """Whether a plan makes anew what a sandbox once had, rather than what it never had."""
    known = "observedGeneration" in observed.status
    return known and any(
        isinstance(write, Create) and not is_fence(write.obj) for write in (*plan.writes, *plan.copies)
    )


def _is_irrevocable(write: Write) -> bool:
    """Whether a write ends what can't be made again: a sandbox, workspace or copy, at once or with one that is gone.

    A workspace that is put aside is never used again either.
    """
    match write:
        case Delete(child):
            return child["kind"] in {"Sandbox", "PersistentVolumeClaim", SNAPSHOT_KIND}
        case Patch(child, patch):
            aside = PREVIOUS_LABEL in patch.get("metadata", {}).get("labels", {})
            return child["kind"] == "PersistentVolumeClaim" and (aside or takes_over(patch))
    return False
