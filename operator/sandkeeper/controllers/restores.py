"""Finds who is being restored from a snapshot, which has to stay as long."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandkeeper.api.names import FORK_LABEL
from sandkeeper.controllers.references import asked_claim, sandbox_of
from sandkeeper.plan.claim_state import is_going
from sandkeeper.plan.fork import snapshot_name
from sandkeeper.plan.made_from import note_of
from sandkeeper.runtime.resource import CLAIMS, Json, Key, key_of

if TYPE_CHECKING:
    from sandkeeper.controllers.cluster import Cluster


def restores_of(cluster: Cluster, snapshot: Json) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Name the sandboxes that are being restored from a snapshot.

    Returns
    -------
    tuple
        Those with a claim of it that has no volume yet, and those that ask for it and lack the claim that they ask for.
    """
    key, metadata, claims = key_of(snapshot), snapshot["metadata"], cluster.store(CLAIMS)
    of_it = list(filter(None, map(claims.get, claims.referring(Key(key.namespace, f"snapshotRef/{key.name}")))))
    mine = [claim for claim in of_it if note_of(claim).get("uid", metadata["uid"]) == metadata["uid"]]
    unbound = [each for each in mine if each["status"].get("phase") != "Bound" and not is_going(each)]
    sources = [f"snapshotRef/{key.name}"]
    if FORK_LABEL in metadata.get("labels", {}):
        sources.append(f"sandboxRef/{snapshot['spec']['sandboxRef']['name']}")
    asking = {each for source in sources for each in cluster.sandboxes.referring(Key(key.namespace, source))}
    lacking = [each.name for each in asking if _is_lacking(asked_claim(cluster, each))]
    return tuple(sorted({name for each in unbound for name in sandbox_of(each)})), tuple(sorted(lacking))


def forks_awaiting(cluster: Cluster, snapshot: Json) -> tuple[str, ...]:
    """Name the snapshots for which one may stand that has still to begin: those of all forks that are known by now.

    Whoever is known has been asked for, so what begins later is of a later moment.
    """
    if FORK_LABEL not in snapshot["metadata"].get("labels", {}) or "startTime" in (snapshot.get("status") or {}):
        return ()
    forked = Key(snapshot["metadata"]["namespace"], f"sandboxRef/{snapshot['spec']['sandboxRef']['name']}")
    lacking = [key for key in cluster.sandboxes.referring(forked) if _is_lacking(asked_claim(cluster, key))]
    known = filter(None, map(cluster.sandboxes.get, lacking))
    return tuple(snapshot_name(cluster.parsed.of(each)) for each in known)


def _is_lacking(claim: Json | None) -> bool:
    return claim is None or is_going(claim)
