"""Whose an object is: only what a sandbox owns by uid is ever changed on its behalf."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Any

from sandkeeper.api.names import API_VERSION, MANAGED_LABEL, MANAGED_VALUE, SANDBOX_KIND

if TYPE_CHECKING:
    from sandkeeper.api.sandbox import Sandbox

Json = dict[str, Any]


class Ownership(Enum):
    """Relation of an object to the sandbox whose child has its name."""

    OURS = "ours"
    FORMER = "former"
    """Belongs to a deleted sandbox of the same name, and will go with it."""
    FOREIGN = "foreign"


def owner_reference(sandbox: Sandbox) -> Json:
    """Reference that every child carries, so that garbage collection ends it even if the operator is gone."""
    return {
        "apiVersion": API_VERSION,
        "kind": SANDBOX_KIND,
        "name": sandbox.metadata.name,
        "uid": sandbox.metadata.uid,
        "controller": True,
        "blockOwnerDeletion": True,
    }


def owner_of(child: Json) -> Json | None:
    """Read a child's controlling Sandbox reference, or None where something else or nothing owns it."""
    for owner in child["metadata"].get("ownerReferences", ()):
        if owner.get("controller") and owner["kind"] == SANDBOX_KIND and owner["apiVersion"] == API_VERSION:
            return dict(owner)
    return None


def ownership(child: Json, sandbox: Sandbox) -> Ownership:
    """Tell whose a child is."""
    owner = owner_of(child)
    if owner is None or owner["name"] != sandbox.metadata.name:
        return Ownership.FOREIGN
    return Ownership.OURS if owner["uid"] == sandbox.metadata.uid else Ownership.FORMER


def is_managed(child: Json) -> bool:
    """Whether an object carries the label that the operator puts on all that it makes."""
    return bool(child["metadata"].get("labels", {}).get(MANAGED_LABEL) == MANAGED_VALUE)
