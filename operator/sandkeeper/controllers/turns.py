"""Whose turn it is to pack: of the pods that wait, one whose node has a place, namespaces in turn.

A pod is packed once at a time, some of a node and some overall. Nobody holds one of these while waiting for another:
a tenant who puts a thousand to sleep would hold every node's places.
"""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from sandkeeper.runtime.resource import Json


@dataclass(frozen=True)
class PackLimits:
    """How much is packed at once, for whatever reason.

    Attributes
    ----------
    overall, per_node
        Packs at once; on a node they share its disks, in this process its connections.
    seconds
        After which one pack is given up.
    """

    overall: int = 32
    per_node: int = 4
    seconds: float = 900.0


@dataclass(frozen=True, eq=False)
class _Waiting:
    namespace: str
    node: str
    uid: str
    admitted: asyncio.Future[None]


class Turns:
    """Who packs, and who waits."""

    def __init__(self, limits: PackLimits | None = None) -> None:
        self.limits: Final = limits or PackLimits()
        self._line: OrderedDict[str, OrderedDict[_Waiting, None]] = OrderedDict()  # the first namespace has its turn
        self._on_node: Counter[str] = Counter()
        self._pods: set[str] = set()

    @asynccontextmanager
    async def take(self, pod: Json) -> AsyncIterator[None]:
        """Wait for a turn, and keep it; however many ask for a pod, it has one."""
        metadata, node = pod["metadata"], pod["spec"].get("nodeName", "")
        one = _Waiting(metadata["namespace"], node, metadata["uid"], asyncio.get_running_loop().create_future())
        self._line.setdefault(one.namespace, OrderedDict())[one] = None
        self._admit()
        try:
            await one.admitted
            yield
        finally:
            self._leave(one)
            self._admit()

    def _admit(self) -> None:
        """Give turns as long as there is one for somebody."""
        while len(self._pods) < self.limits.overall and (chosen := self._next()):
            line = self._line.pop(chosen.namespace)
            del line[chosen]
            if line:
                self._line[chosen.namespace] = line
            self._on_node[chosen.node] += 1
            self._pods.add(chosen.uid)
            chosen.admitted.set_result(None)

    def _next(self) -> _Waiting | None:
        """Find the first that there is a place for, of the first namespace that has one."""
        every = (one for line in self._line.values() for one in line)
        return next((one for one in every if self._fits(one)), None)

    def _fits(self, one: _Waiting) -> bool:
        given_up = one.admitted.done()
        return not given_up and one.uid not in self._pods and self._on_node[one.node] < self.limits.per_node

    def _leave(self, one: _Waiting) -> None:
        """Give back a place, or give up waiting for one."""
        if one.admitted.done() and not one.admitted.cancelled():
            self._on_node -= Counter({one.node: 1})
            self._pods.discard(one.uid)
            return
        line = self._line[one.namespace]
        del line[one]
        if not line:
            del self._line[one.namespace]
