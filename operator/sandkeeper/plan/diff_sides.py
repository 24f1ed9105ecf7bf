"""How the two sides of a diff become claims that a pod can read.

A SandboxSnapshot that is being read is held by a finalizer until its copy has a volume, so that it is deleted after it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sandkeeper.api.names import IN_USE_FINALIZER
from sandkeeper.plan.claim_state import is_going
from sandkeeper.plan.diff_pod import diff_claim, diff_snapshot
from sandkeeper.plan.made_from import readable_layer
from sandkeeper.plan.ownership import Ownership
from sandkeeper.plan.pod_state import PodState, condition
from sandkeeper.plan.tenant_text import harmless
from sandkeeper.plan.writes import Create, Delete, Patch

if TYPE_CHECKING:
    from sandkeeper.plan.diff_observed import ObservedDiff, Side
    from sandkeeper.plan.writes import Write

Json = dict[str, Any]

PREPARING: Final = "Preparing"
COPYING: Final = "The snapshots are being copied for the pod that compares them"
_UNDER_WAY: Final = frozenset({"Pending", "Quiescing", "Copying", "Released"})
"""Reasons of a snapshot of which nothing has to be told but that it is being taken."""
_LONGEST: Final = 500


def in_the_way(observed: ObservedDiff) -> PodState | None:
    """Tell what keeps a diff from having its children, for somebody else's have their names."""
    for child in observed.children:
        whose, what = observed.whose(child), f"{child['kind']} {child['metadata']['name']}"
        if whose is Ownership.FOREIGN:
            return PodState("Conflict", f"{what} is there and is not the diff's; delete it, or make another diff.")
        if whose is Ownership.FORMER:
            return PodState(PREPARING, f"{what} of a deleted SandboxDiff of this name is being removed.")
    return None


def copies(observed: ObservedDiff) -> tuple[PodState | None, tuple[Write, ...]]:
    """Decide on the claims of both sides.

    Returns
    -------
    tuple
        What the pod has to wait for, if anything, and what to write for it.
    """
    wanted: list[Write] = []
    for side in (observed.old, observed.new):
        if side.claim is None:
            waits, writes = _source(observed, side)
            if waits:
                return waits, writes
            wanted += writes
        elif is_going(side.claim):
            name = side.claim["metadata"]["name"]
            return PodState(PREPARING, f"Waiting for PersistentVolumeClaim {name}, which was deleted, to be gone."), ()
    return None, (*_holds(observed), *wanted)


def _source(observed: ObservedDiff, side: Side) -> tuple[PodState | None, tuple[Write, ...]]:
    """Decide on the claim of a side that has none."""
    snapshot = side.snapshot
    if snapshot is None and observed.is_of_now and side is observed.new:
        return _taken(observed)
    if snapshot is None or "deletionTimestamp" in snapshot["metadata"]:
        fate = "is not there" if snapshot is None else "is being deleted"
        return PodState("SnapshotNotFound", f"SandboxSnapshot {side.name} {fate}."), ()
    waits = _unready(observed, side, snapshot)
    if waits or side.volume_snapshot is None:
        return waits, ()
    lacks = _class_lacks(observed, side.volume_snapshot)
    if lacks:
        return lacks, ()
    return None, (Create(diff_claim(observed.diff, side.role, snapshot, side.volume_snapshot)),)


def _taken(observed: ObservedDiff) -> tuple[PodState, tuple[Write, ...]]:
    """Take a snapshot of the sandbox as it is now."""
    name = observed.sandbox
    if not observed.has_sandbox:
        return PodState("SandboxNotFound", f"Sandbox {name} is not there, so there is nothing to compare with."), ()
    return _being_taken(observed), (Create(diff_snapshot(observed.diff, name)),)


def _being_taken(observed: ObservedDiff) -> PodState:
    return PodState(PREPARING, f"A snapshot of Sandbox {observed.sandbox} is being taken.")


def _unready(observed: ObservedDiff, side: Side, snapshot: Json) -> PodState | None:
    """Tell why a snapshot can't be read yet."""
    ready = condition(snapshot, "Ready")
    said = harmless(ready.get("message", ""), _LONGEST)
    if ready.get("status") != "True":
        if observed.is_of_now and side is observed.new and ready.get("reason", "Pending") in _UNDER_WAY:
            return _being_taken(observed)
        return PodState(
            "SnapshotNotReady", f"SandboxSnapshot {side.name} is not ready ({ready.get('reason', 'Pending')}): {said}"
        )
    if side.volume_snapshot is None or not side.volume_snapshot["status"].get("readyToUse"):
        return PodState("SnapshotNotReady", f"The VolumeSnapshot of SandboxSnapshot {side.name} is not there.")
    return None


def _class_lacks(observed: ObservedDiff, volume_snapshot: Json) -> PodState | None:
    layer = readable_layer(volume_snapshot)
    name = layer.workspace.storage_class_name if layer and layer.workspace else None
    missing = observed.classes.missing(name)
    if missing is None:
        return None
    which = f"StorageClass {name}, of which the snapshot is," if name else "A default StorageClass"
    return PodState(missing[0], f"{which} is not there, so the snapshot can't be copied.")


def _holds(observed: ObservedDiff) -> list[Write]:
    """Hold the snapshots whose copies have no volume yet."""
    holds: dict[str, Write] = {}
    for side in (observed.old, observed.new):
        bound = side.claim is not None and side.claim["status"].get("phase") == "Bound"
        if side.snapshot is None or bound or "deletionTimestamp" in side.snapshot["metadata"]:
            continue
        present = side.snapshot["metadata"].get("finalizers") or []
        if IN_USE_FINALIZER not in present:
            holds[side.name] = Patch(side.snapshot, {"metadata": {"finalizers": [*present, IN_USE_FINALIZER]}})
    return list(holds.values())


def unbound(observed: ObservedDiff) -> PodState | None:
    """State of a pod whose copies have no volume yet, which is why no node takes it."""
    claims = (observed.old.claim, observed.new.claim)
    if all(claim is None or claim["status"].get("phase") == "Bound" for claim in claims):
        return None
    told = condition(observed.pod or {}, "PodScheduled").get("message", "")
    why = f": {harmless(told, _LONGEST)}" if told else ""
    return PodState(PREPARING, f"{COPYING}{why}".rstrip(".") + ".")


def leftovers(observed: ObservedDiff) -> tuple[Write, ...]:
    """End what nobody reads any more: the copies, and the snapshot that was taken on the way.

    Their protection (pvc-protection) keeps claims until the last pod that names them is gone, though it has ended.
    """
    spent = [each for each in observed.children if each["kind"] != "Pod"]
    return tuple(
        Delete(each)
        for each in spent
        if "deletionTimestamp" not in each["metadata"] and observed.whose(each) is Ownership.OURS
    )
