"""Finds a sandbox that Kopf may not have told of yet: after a restart, children are known before sandboxes are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandkeeper.controllers.cluster import SANDBOXES
from sandkeeper.runtime.errors import ApiError

if TYPE_CHECKING:
    from sandkeeper.controllers.cluster import Cluster
    from sandkeeper.runtime.client import ApiClient
    from sandkeeper.runtime.resource import Json, Key


async def find_sandbox(client: ApiClient, cluster: Cluster, key: Key) -> Json | None:
    """Read a sandbox from the store, or from the API server before it is taken for missing.

    Returns
    -------
    dict or None
        As the store keeps it; None where it is not there, or is on its way out.
    """
    known = cluster.sandboxes.get(key)
    if known is not None:
        return known
    try:
        found = await client.get(SANDBOXES, *key)
    except ApiError as error:
        if error.not_found:
            return None
        raise
    # One that ends before Kopf has listed it is never heard of again: it must not get into the store from here.
    if "deletionTimestamp" in found["metadata"]:
        return None
    cluster.sandboxes.upsert(found)
    return cluster.sandboxes.get(key)
