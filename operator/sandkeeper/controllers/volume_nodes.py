"""On which node a workspace's volume is, where it is on that one alone: read once, since a volume does not move."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import structlog

from sandkeeper.plan.topology import only_node
from sandkeeper.runtime.informer import UNREACHABLE
from sandkeeper.runtime.resource import VOLUMES, Json

if TYPE_CHECKING:
    from sandkeeper.controllers.nodes import Nodes
    from sandkeeper.runtime.client import ApiClient

_MOST: Final = 10_000
"""Volumes that are remembered; beyond, they are read again."""


class VolumeNodes:
    """The nodes of volumes that are on one alone."""

    def __init__(self, client: ApiClient, nodes: Nodes) -> None:
        self._client = client
        self._nodes = nodes
        self._known: dict[str, str] = {}
        self._log = structlog.get_logger()

    async def of(self, claim: Json) -> str:
        """Name the node that a claim's volume is on; empty where several reach it, or nobody can tell."""
        name = claim["spec"].get("volumeName", "")
        if not name:
            return ""
        if name not in self._known:
            try:
                volume = await self._client.get(VOLUMES, "", name)
            except UNREACHABLE as error:
                # What is made from a copy without this waits for the scheduler.
                self._log.warning("a volume could not be read", volume=name, error=str(error) or repr(error))
                return ""
            self._remember(name, volume)
        return self._known[name]

    def _remember(self, name: str, volume: Json) -> None:
        if len(self._known) >= _MOST:
            self._known.clear()
        self._known[name] = only_node(volume, lambda node: self._nodes.named(node) is not None)
