"""Before its volume is copied, a sandbox that runs brings all that it wrote onto it; one that rests has done so.

Only a guest can be asked to. Where none can be, the copy is what a power failure would leave, as a file system expects.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sandkeeper.api.names import GUEST_ANNOTATION
from sandkeeper.plan.lifecycle import asleep_since
from sandkeeper.plan.ownership import Ownership, ownership
from sandkeeper.plan.packing import FRESH, can_be_asked
from sandkeeper.plan.pod_state import is_lost
from sandkeeper.plan.snapshot_observed import PENDING, QUIESCING, SnapshotState
from sandkeeper.plan.writes import Quiesce

if TYPE_CHECKING:
    from datetime import datetime

    from sandkeeper.plan.snapshot_observed import ObservedSnapshot
    from sandkeeper.plan.writes import Write

Json = dict[str, Any]


_TRIED_AGAIN: Final = frozenset({"Failed", "Conflict", "QuotaExceeded", "PolicyDenied"})
"""What may be said of an attempt once it has begun."""


def to_await(observed: ObservedSnapshot) -> SnapshotState | None:
    """State while a pod is in the way of a copy that can neither be asked nor left alone; None where there is none."""
    pod, name = observed.pod, observed.sandbox_name
    if observed.quiescing or pod is None or not _has_begun(observed, pod):
        return None
    if "deletionTimestamp" in pod["metadata"] or asleep_since(observed.sandbox_status):
        return SnapshotState(PENDING, f"Waiting for the pod of Sandbox {name} to end.")
    if observed.packing:
        # It may be on its way to sleep, and then needs nothing more.
        return SnapshotState(PENDING, f"Waiting for Sandbox {name} to be packed.")
    if not _has_guest(pod) or (can_be_asked(pod) and not is_lost(observed.node)):
        return None
    message = (
        f"Waiting for the pod of Sandbox {name} to run, so that it can bring what it wrote onto its volume; a sandbox "
        "that sleeps is copied as it is."
    )
    return SnapshotState(PENDING, message)


def quiescing(observed: ObservedSnapshot) -> SnapshotState:
    """State while a sandbox is quiesced: a failure stays told until another attempt has ended."""
    said = observed.said
    reason = said.get("reason")
    if reason == QUIESCING:
        return SnapshotState(QUIESCING, said["message"])
    if observed.started and reason in _TRIED_AGAIN:
        return SnapshotState(reason, said["message"], wrong=True)
    return SnapshotState(QUIESCING, f"Sandbox {observed.sandbox_name} is being brought onto its volume.")


def quiesced_first(observed: ObservedSnapshot, now: datetime) -> tuple[SnapshotState, tuple[Write, ...]] | None:
    """Decide on what has to reach the volume before it is copied.

    Returns
    -------
    tuple or None
        None where it may be copied.
    """
    pod, result, before = observed.pod, observed.quiesced, quiescing(observed)
    if observed.quiescing:
        return before, ()
    if pod is None or not _has_begun(observed, pod) or not _has_guest(pod):
        return None
    if result is None or result.pod_uid != pod["metadata"]["uid"]:
        return before, (Quiesce(pod),)
    if result.reason:
        message = (
            f"What changed in Sandbox {observed.sandbox_name} could not be packed, so it was not copied; it is tried "
            f"again. {result.reason}: {result.message}"
        )
        failed = SnapshotState("Failed", message, wrong=True, look_again=max(result.again_at, now))
        return failed, () if now < result.again_at else (Quiesce(pod),)
    return None if now < result.finished + FRESH else (before, (Quiesce(pod),))


def _has_begun(observed: ObservedSnapshot, pod: Json) -> bool:
    """Whether a pod may have written anything: one of this sandbox that a node has taken."""
    sandbox = observed.sandbox
    return (
        sandbox is not None and ownership(pod, sandbox) is not Ownership.FOREIGN and bool(pod["spec"].get("nodeName"))
    )


def _has_guest(pod: Json) -> bool:
    return GUEST_ANNOTATION in pod["metadata"].get("annotations", {})
