"""Reads an object before it is taken for missing: whoever needs it may be heard of before it is itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandkeeper.runtime.errors import ApiError

if TYPE_CHECKING:
    from sandkeeper.runtime.client import ApiClient
    from sandkeeper.runtime.resource import Key, Resource
    from sandkeeper.runtime.store import Store


async def look_up(client: ApiClient, resource: Resource, store: Store, key: Key) -> bool:
    """Read an object from the API server into its store.

    Returns
    -------
    bool
        Whether there is news of it.
    """
    try:
        return store.upsert(await client.get(resource, *key))
    except ApiError as error:
        if error.not_found:
            return False
        raise
