"""Writes the status of an object of ours on the version that it was decided on, so that every late write loses."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandkeeper.controllers.children import OutdatedError
from sandkeeper.runtime.errors import ApiError
from sandkeeper.runtime.resource import key_of

if TYPE_CHECKING:
    from sandkeeper.runtime.client import ApiClient
    from sandkeeper.runtime.resource import Json, Resource
    from sandkeeper.runtime.store import Store


async def write_status(client: ApiClient, resource: Resource, store: Store, metadata: Json, status: Json) -> Json:
    """Patch a status.

    Parameters
    ----------
    store
        Where the object is evicted from if it is gone.
    metadata
        The object's, of the version that was decided on.

    Returns
    -------
    dict
        The object as it is now; the caller puts it into its store.

    Raises
    ------
    OutdatedError
        If the object is gone.
    ApiError
        If the server refuses.
    """
    key = key_of({"metadata": metadata})
    patch = {"metadata": {"resourceVersion": metadata["resourceVersion"]}, "status": status}
    try:
        return await client.patch(resource, *key, patch, subresource="status")
    except ApiError as error:
        if not error.not_found:
            raise
        store.remove(key, metadata["uid"])
        raise OutdatedError from error
