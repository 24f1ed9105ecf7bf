"""Which other objects an object speaks of, by the names under which stores find it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandkeeper.api.names import SANDBOX_LABEL, claim_name
from sandkeeper.controllers.parsed import parsed_source
from sandkeeper.plan.made_from import note_of, source_key
from sandkeeper.runtime.resource import Json, Key

if TYPE_CHECKING:
    from sandkeeper.controllers.cluster import Cluster


def source_of(sandbox: Json) -> tuple[str, ...]:
    """Name what the workspace of a sandbox is made from, as ``snapshotRef/NAME``; nothing where it begins empty."""
    source = sandbox["spec"].get("source") or {}
    return tuple(f"{kind}/{source[kind]['name']}" for kind in ("snapshotRef", "sandboxRef") if kind in source)


def sandbox_refers(sandbox: Json) -> tuple[str, ...]:
    """Name what the workspace of a sandbox is made from, and as ``templateRef/NAME`` its template."""
    template = sandbox["spec"].get("templateRef")
    return (*source_of(sandbox), f"templateRef/{template['name']}") if template else source_of(sandbox)


def asked_claim(cluster: Cluster, sandbox: Key) -> Json | None:
    """Find the claim that the spec of a sandbox asks for; None where it is not there."""
    raw = cluster.sandboxes.get(sandbox) or {}
    source = raw.get("spec", {}).get("source")
    made_from = source_key(parsed_source(source)) if source else ()
    return cluster.claim(Key(sandbox.namespace, claim_name(sandbox.name, *made_from)))


def claim_refers(claim: Json) -> tuple[str, ...]:
    """Name the sandbox whose a claim is, and as ``snapshotRef/NAME`` what it is made from."""
    source = note_of(claim).get("snapshot")
    return (*sandbox_of(claim), f"snapshotRef/{source}") if source else sandbox_of(claim)


def sandbox_of(child: Json) -> tuple[str, ...]:
    """Name the sandbox whose a child is; nothing for what is none's."""
    name = child["metadata"].get("labels", {}).get(SANDBOX_LABEL)
    return (name,) if name else ()
