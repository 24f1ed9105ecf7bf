"""Lets guests pack in the background: some at once on each node and overall, the others wait their turn.

What became of it is kept in memory alone: after a restart of the operator it packs again, which does no harm.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import aiohttp
import structlog

from sandkeeper.plan.guest import PACK_COMMAND
from sandkeeper.plan.packing import PackResult, pack_result, unreachable
from sandkeeper.plan.pod import CONTAINER
from sandkeeper.runtime.errors import ApiError
from sandkeeper.runtime.exec import Command, ExecError
from sandkeeper.runtime.resource import Json, Key, key_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from sandkeeper.controllers.metrics import PackMetrics
    from sandkeeper.runtime.client import ApiClient
    from sandkeeper.runtime.clock import Clock

_FORGOTTEN_AFTER: Final = timedelta(hours=1)
"""A result that nobody asked for speaks of a pod that is long gone."""


@dataclass(frozen=True)
class PackLimits:
    """How much is packed at once.

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


class Packer:
    """Packs pods and remembers the last result of each.

    Parameters
    ----------
    wake
        Called with the key of a sandbox whose pod has been packed, or could not be.
    """

    def __init__(
        self,
        client: ApiClient,
        wake: Callable[[Key], None],
        metrics: PackMetrics,
        clock: Clock,
        limits: PackLimits | None = None,
    ) -> None:
        self._client = client
        self._wake = wake
        self._metrics = metrics
        self._clock = clock
        self._limits = limits or PackLimits()
        self._overall = asyncio.Semaphore(self._limits.overall)
        self._nodes: defaultdict[str, _Node] = defaultdict(lambda: _Node(self._limits.per_node))
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._results: dict[str, PackResult] = {}
        self._log = structlog.get_logger()

    def start(self, key: Key, pod: Json) -> None:
        """Begin to pack the pod of a sandbox, unless that is under way."""
        uid = pod["metadata"]["uid"]
        if uid not in self._tasks:
            self._drop_old()
            self._tasks[uid] = asyncio.create_task(self._pack(key, pod), name=f"pack {key}")

    def running(self, pod_uid: str) -> bool:
        """Whether a pod is being packed, or waits its turn."""
        return pod_uid in self._tasks

    def result(self, pod_uid: str) -> PackResult | None:
        """What became of the last pack of a pod that ended in this process."""
        return self._results.get(pod_uid)

    def forget(self, pod_uid: str) -> None:
        """Drop the result of a pod: it was used, or is stale."""
        self._results.pop(pod_uid, None)

    async def stop(self) -> None:
        """Listen no more to packs under way; the guests finish them by themselves."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _pack(self, key: Key, pod: Json) -> None:
        uid = pod["metadata"]["uid"]
        try:
            async with self._turn(pod["spec"].get("nodeName", "")):
                result = await self._packed(key, pod)
            self._results[uid] = self._counted(result)
        except Exception as error:
            # Whatever it was, the sandbox must not wait for ever.
            self._log.exception("packing failed", key=str(key))
            self._results[uid] = self._counted(unreachable(uid, repr(error), self._clock.now()))
        finally:
            del self._tasks[uid]
        self._wake(key)

    async def _packed(self, key: Key, pod: Json) -> PackResult:
        started, uid = time.perf_counter(), pod["metadata"]["uid"]
        command = Command(key_of(pod), CONTAINER, PACK_COMMAND, seconds=self._limits.seconds)
        try:
            answer = await self._client.run(command)
            result = pack_result(uid, answer.exit_code, answer.stdout, self._clock.now())
        except TimeoutError:
            result = unreachable(uid, f"it took longer than {self._limits.seconds:.0f} s.", self._clock.now())
        except (ApiError, ExecError, aiohttp.ClientError, OSError) as error:
            result = unreachable(uid, str(error) or repr(error), self._clock.now())
        seconds = time.perf_counter() - started
        self._metrics.packed(result.reason or "ok", seconds, result.bytes)
        self._log.info(
            "packed", key=str(key), result=result.reason or "ok", why=result.message, seconds=round(seconds, 3)
        )
        return result

    def _counted(self, result: PackResult) -> PackResult:
        former = self._results.get(result.pod_uid)
        return replace(result, failures=(former.failures if former else 0) + 1) if result.reason else result

    @asynccontextmanager
    async def _turn(self, name: str) -> AsyncIterator[None]:
        """Wait for a place on the node first, so that a slow node's packs keep no place of the others."""
        node = self._nodes[name]
        node.users += 1
        try:
            async with node.places, self._overall:
                yield
        finally:
            node.users -= 1
            if not node.users:
                del self._nodes[name]

    def _drop_old(self) -> None:
        oldest = self._clock.now() - _FORGOTTEN_AFTER
        self._results = {uid: result for uid, result in self._results.items() if result.finished > oldest}


class _Node:
    def __init__(self, places: int) -> None:
        self.places = asyncio.Semaphore(places)
        self.users = 0
