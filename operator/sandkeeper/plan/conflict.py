"""What stands in a sandbox's way: an object that is not its own, or a claim that can't hold its workspace."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sandkeeper.api.workspace import EPHEMERAL
from sandkeeper.plan.claim import unfit
from sandkeeper.plan.claim_state import claim_ownership
from sandkeeper.plan.made_from import UnreadableError, captured_layers, captured_text
from sandkeeper.plan.new_claim import on_no_volume, unreadable
from sandkeeper.plan.ownership import Ownership, ownership
from sandkeeper.plan.pod_state import PodState

if TYPE_CHECKING:
    from sandkeeper.api.environment import Environment
    from sandkeeper.api.sandbox import Sandbox
    from sandkeeper.plan.observed import Observed

Json = dict[str, Any]

CONFLICT: Final = "Conflict"


def conflict(observed: Observed, environment: Environment) -> PodState | None:
    """State where something that is not ours has the name of one of our children."""
    claim = observed.claim if environment.workspace.persistent else None
    if claim is None and observed.claim is not None and _is_to_stay(observed.claim, observed.sandbox):
        return _left_on(observed.claim)
    if observed.sandbox.spec.source and not environment.workspace.persistent:
        return on_no_volume()
    if claim is not None and claim_ownership(claim, observed.sandbox) is Ownership.FOREIGN:
        return conflict_state(claim)
    if claim is not None and unfit(claim):
        return _unfit_state(claim)
    for child in (observed.pod, observed.service, observed.ports_policy):
        if child is not None and ownership(child, observed.sandbox) is Ownership.FOREIGN:
            return conflict_state(child)
    return None


def not_captured(claim: Json | None) -> PodState | None:
    """State of a sandbox of whose claim it can't be read what environment belongs to it."""
    try:
        captured_layers(captured_text(claim))
    except UnreadableError as error:
        return unreadable(f"PersistentVolumeClaim {(claim or {})['metadata']['name']}", str(error))
    return None


def _is_to_stay(claim: Json, sandbox: Sandbox) -> bool:
    """Whether a claim holds the workspace of a sandbox that does not itself say that it needs none."""
    own = sandbox.spec.workspace
    return (own is None or own.type != EPHEMERAL) and ownership(claim, sandbox) is Ownership.OURS


def _left_on(claim: Json) -> PodState:
    """State of a sandbox whose template, by now, would have its workspace on no volume."""
    message = (
        f"spec.workspace.type: the workspace is on PersistentVolumeClaim {claim['metadata']['name']} and can't become "
        "Ephemeral; write Persistent here, name another template, or make another sandbox."
    )
    return PodState(CONFLICT, message, wrong=True, stalled=True)


def _unfit_state(claim: Json) -> PodState:
    name = claim["metadata"]["name"]
    message = f"PersistentVolumeClaim {name} can't hold a workspace: {unfit(claim)}; delete it or rename the sandbox."
    return PodState(CONFLICT, message, wrong=True, stalled=True)


def conflict_state(child: Json) -> PodState:
    """Explain that an object stands in the way."""
    message = (
        f"{child['kind']} {child['metadata']['name']} is there and does not belong to this sandbox; "
        "delete or rename one of the two."
    )
    return PodState(CONFLICT, message, wrong=True, stalled=True)
