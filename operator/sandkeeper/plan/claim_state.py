"""Whose a claim is and how far it has got."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sandkeeper.api.names import SANDBOX_LABEL, SELECTED_NODE_ANNOTATION
from sandkeeper.plan.ownership import Ownership, is_managed, ownership

if TYPE_CHECKING:
    from sandkeeper.api.sandbox import Sandbox

Json = dict[str, Any]


def claim_ownership(claim: Json, sandbox: Sandbox) -> Ownership:
    """Tell whose a claim is: one without an owner is for the sandbox that its label names."""
    metadata = claim["metadata"]
    if any(owner.get("controller") for owner in metadata.get("ownerReferences") or ()):
        return ownership(claim, sandbox)
    meant = is_managed(claim) and metadata["labels"].get(SANDBOX_LABEL) == sandbox.metadata.name
    return Ownership.OURS if meant else Ownership.FOREIGN


def is_going(claim: Json | None) -> bool:
    """Whether a claim was deleted; it is there until the last pod that uses it has ended (pvc-protection)."""
    return claim is not None and "deletionTimestamp" in claim["metadata"]


def is_bound(claim: Json) -> bool:
    """Whether a claim has its volume."""
    return bool(claim.get("status", {}).get("phase") == "Bound")


def is_placed(claim: Json) -> bool:
    """Whether the volume of a claim is made, or to be made, for a node that is chosen."""
    return SELECTED_NODE_ANNOTATION in (claim["metadata"].get("annotations") or {})


def requested(claim: Json) -> str:
    """Size that a claim asks for."""
    return str(claim["spec"].get("resources", {}).get("requests", {}).get("storage", "0"))


def capacity(claim: Json) -> str:
    """Size that a claim has got, or else what it asks for."""
    return str(claim["status"].get("capacity", {}).get("storage", requested(claim)))
