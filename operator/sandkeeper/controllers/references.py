"""Names by which objects are found from what they refer to, as stores index them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandkeeper.api.names import SANDBOX_LABEL
from sandkeeper.plan.made_from import note_of

if TYPE_CHECKING:
    from sandkeeper.runtime.resource import Json


def source_of(sandbox: Json) -> tuple[str, ...]:
    """Name what the workspace of a sandbox is made from, as ``snapshotRef/NAME``; nothing where it begins empty."""
    source = sandbox["spec"].get("source") or {}
    return tuple(f"{kind}/{source[kind]['name']}" for kind in ("snapshotRef", "sandboxRef") if kind in source)


def claim_refers(claim: Json) -> tuple[str, ...]:
    """Name the sandbox of a claim, and as ``snapshotRef/NAME`` what it was made from."""
    source = note_of(claim).get("snapshot")
    return (*sandbox_of(claim), f"snapshotRef/{source}") if source else sandbox_of(claim)


def sandbox_of(child: Json) -> tuple[str, ...]:
    """Name the sandbox that an object is labelled for; nothing where it is labelled for none."""
    name = child["metadata"].get("labels", {}).get(SANDBOX_LABEL)
    return (name,) if name else ()
