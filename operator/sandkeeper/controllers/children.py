"""Carries out planned writes and puts their answers into the stores, so that no pass acts on less than was written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sandkeeper.controllers.cluster import RESOURCES, SANDBOXES
from sandkeeper.controllers.copies import SNAPSHOTS
from sandkeeper.plan.claim_state import claim_ownership
from sandkeeper.plan.fence import is_fence
from sandkeeper.plan.ownership import Ownership, is_managed, ownership
from sandkeeper.plan.writes import Create, Delete, Patch, Write
from sandkeeper.runtime.errors import ApiError
from sandkeeper.runtime.resource import CLAIMS, Json, Resource, key_of

if TYPE_CHECKING:
    from sandkeeper.api.sandbox import Sandbox
    from sandkeeper.controllers.cluster import Cluster
    from sandkeeper.runtime.client import ApiClient, PatchType


_UNIQUE: Final = frozenset({SANDBOXES.kind, CLAIMS.kind, SNAPSHOTS.kind})
"""Kinds of what can't be made again."""
IN_THE_WAY_SECONDS: Final = 10.0
"""How often to look whether an object in the way is gone: one without our label is not watched."""


class InTheWayError(Exception):
    """An object that is not the sandbox's has the name that a child needs."""

    def __init__(self, child: Json) -> None:
        self.child = child
        super().__init__(f"{child['kind']} {child['metadata']['name']} is in the way")


class OutdatedError(Exception):
    """The stores were behind; they are not any more, and the decision has to be made anew."""


class ChildWriter:
    """Writes children of sandboxes."""

    def __init__(self, client: ApiClient, cluster: Cluster) -> None:
        self._client = client
        self._cluster = cluster

    async def apply(self, write: Write, sandbox: Sandbox | None) -> None:
        """Carry out one write.

        Parameters
        ----------
        sandbox
            Whose child it is; None for what is a namespace's.

        Raises
        ------
        InTheWayError
            If the name is taken.
        OutdatedError
            If the object was not, or was already, there.
        ApiError
            If the server refuses.
        """
        match write:
            case Create(obj):
                await self._create(obj, sandbox)
            case Patch(child, patch, subresource):
                await self._patch(child, patch, subresource)
            case Delete(child):
                await self.delete(child)

    async def _create(self, obj: Json, sandbox: Sandbox | None) -> None:
        resource, namespace = RESOURCES[obj["kind"]], obj["metadata"]["namespace"]
        store = self._cluster.store(resource)
        try:
            self._keep(resource, await self._client.create(resource, namespace, obj))
        except ApiError as error:
            if not error.already_exists:
                raise
            existing = await self._existing(obj)
            whose = Ownership.OURS if sandbox is None or is_fence(obj) else _whose(existing, sandbox)
            if whose is Ownership.FOREIGN or not is_managed(existing):
                raise InTheWayError(existing) from error
            store.upsert(existing)
            raise OutdatedError from error

    async def _existing(self, obj: Json) -> Json:
        resource, key = RESOURCES[obj["kind"]], key_of(obj)
        try:
            return {"kind": obj["kind"], **await self._client.get(resource, key.namespace, key.name)}
        except ApiError as error:
            if error.not_found:
                raise OutdatedError from error
            raise

    async def _patch(self, child: Json, patch: Json, subresource: str) -> None:
        resource, key = RESOURCES[child["kind"]], key_of(child)
        # The version that the decision was made on, so that every late write loses.
        version = {"resourceVersion": child["metadata"]["resourceVersion"]}
        body = {**patch, "metadata": {**patch.get("metadata", {}), **version}}
        # A resize names its container in a list, which a plain merge patch would replace as a whole.
        kind: PatchType = "strategic" if subresource else "merge"
        try:
            answer = await self._client.patch(resource, *key, body, subresource=subresource, kind=kind)
            self._keep(resource, answer)
        except ApiError as error:
            self._forget_if_gone(child, error)
            raise

    async def delete(self, child: Json) -> None:
        """Delete this incarnation of a child, or learn that it is gone."""
        resource, key, uid = RESOURCES[child["kind"]], key_of(child), child["metadata"]["uid"]
        store = self._cluster.store(resource)
        try:
            answer = await self._client.delete(resource, *key, uid=uid, version=_version(child))
        except ApiError as error:
            self._forget_if_gone(child, error)
            raise
        if answer.get("metadata", {}).get("deletionGracePeriodSeconds"):
            store.upsert(answer)
        elif answer["kind"] == "Status" or "finalizers" not in answer["metadata"]:
            store.remove(key, uid)
            if resource == CLAIMS:
                # Its event will be no news, and a snapshot may wait for whom it is read by.
                self._cluster.claim_changed(key, child, None)

    def _keep(self, resource: Resource, answer: Json) -> None:
        """Keep the answer to a write; of a snapshot its own controller has to hear, for the event will be no news."""
        if resource == SNAPSHOTS:
            self._cluster.copies.put(answer)
        else:
            self._cluster.store(resource).upsert(answer)

    def _forget_if_gone(self, child: Json, error: ApiError) -> None:
        """Evict what a write showed to be gone: a missed deletion must not be acted on for ever."""
        gone = error.not_found or (error.conflict and "Precondition failed: UID" in error.message)
        if gone:
            self._cluster.store(RESOURCES[child["kind"]]).remove(key_of(child), child["metadata"]["uid"])
            raise OutdatedError from error


def _whose(existing: Json, sandbox: Sandbox) -> Ownership:
    return (claim_ownership if existing["kind"] == CLAIMS.kind else ownership)(existing, sandbox)


def _version(child: Json) -> str:
    """Version that a deletion is for, where what is deleted can't be made again; empty for any."""
    return str(child["metadata"]["resourceVersion"]) if child["kind"] in _UNIQUE else ""
