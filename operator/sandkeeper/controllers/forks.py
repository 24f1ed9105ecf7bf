"""Takes snapshots on the way to forks: of each sandbox one after another, so that forks can share them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

from sandkeeper.api.names import FORK_LABEL
from sandkeeper.controllers.children import InTheWayError, OutdatedError
from sandkeeper.runtime.resource import Json, Key, key_of

if TYPE_CHECKING:
    from sandkeeper.controllers.children import ChildWriter
    from sandkeeper.controllers.cluster import Cluster
    from sandkeeper.plan.observed import Observed
    from sandkeeper.plan.writes import Create


class Forks:
    """Snapshots of sandboxes that are forked."""

    def __init__(self, cluster: Cluster, children: ChildWriter) -> None:
        self._cluster = cluster
        self._children = children
        self._turns: WeakValueDictionary[Key, asyncio.Lock] = WeakValueDictionary()

    def of(self, sandbox: Key) -> tuple[Json, ...]:
        """SandboxSnapshots of a sandbox that were taken on the way to forks."""
        return tuple(
            each for each in self._cluster.copies.of(sandbox) if FORK_LABEL in each["metadata"].get("labels", {})
        )

    async def take(self, write: Create, observed: Observed) -> None:
        """Take a snapshot, unless another fork's came first.

        Raises
        ------
        InTheWayError
            If what has its name is no fork's snapshot, or none any more.
        OutdatedError
            If there is one that was not known when this one was decided on.
        """
        sandbox = Key(write.obj["metadata"]["namespace"], write.obj["spec"]["sandboxRef"]["name"])
        turn = self._turns.setdefault(sandbox, asyncio.Lock())
        async with turn:
            if self.of(sandbox) != observed.source.forks:
                raise OutdatedError
            named = self._cluster.copies.snapshot(key_of(write.obj))
            if named is not None and named not in observed.source.forks:
                raise InTheWayError(named)
            await self._children.apply(write, None)
