"""Lets guests pack, or quiesce, in the background, each when it is its turn.

What became of it is kept in memory alone: after a restart of the operator it packs again, which does no harm.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from dataclasses import replace
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
    from collections.abc import Callable
    from datetime import datetime

    from sandkeeper.controllers.metrics import PackMetrics
    from sandkeeper.controllers.turns import Turns
    from sandkeeper.runtime.client import ApiClient
    from sandkeeper.runtime.clock import Clock

_FORGOTTEN_AFTER: Final = timedelta(hours=1)
"""A result that nobody asked for speaks of a pod that is long gone."""


class Packer:
    """Lets the guests of pods do one thing, and remembers the last result for each uid that it was done for.

    Parameters
    ----------
    wake
        Called with the key of the object that a pod has been packed for, or could not be.
    turns
        Shared by all that run.
    words
        What a guest is asked for.
    """

    def __init__(
        self,
        client: ApiClient,
        wake: Callable[[Key], None],
        metrics: PackMetrics,
        clock: Clock,
        turns: Turns,
        words: tuple[str, ...] = PACK_COMMAND,
    ) -> None:
        self._client = client
        self._wake = wake
        self._metrics = metrics
        self._clock = clock
        self._turns = turns
        self._words = words
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._results: dict[str, PackResult] = {}
        self._pods_at_work: Counter[str] = Counter()
        self._worked: dict[str, datetime] = {}
        self._log = structlog.get_logger()

    def start(self, key: Key, pod: Json, uid: str = "") -> None:
        """Begin to pack a pod, unless that is under way.

        Parameters
        ----------
        key, uid
            Of the object that it is done for; without a uid that is the pod itself.
        """
        uid = uid or pod["metadata"]["uid"]
        if uid not in self._tasks:
            self._drop_old()
            self._tasks[uid] = asyncio.create_task(self._pack(key, pod, uid), name=f"{self._words[-1]} {key}")

    def running(self, uid: str) -> bool:
        """Whether a pod is being packed for a uid, or waits its turn."""
        return uid in self._tasks

    def worked_at(self, pod_uid: str) -> datetime | None:
        """When a pod was last at it, whomever for: now while it is; None where it was not, or long ago."""
        return self._clock.now() if self._pods_at_work[pod_uid] else self._worked.get(pod_uid)

    def result(self, uid: str) -> PackResult | None:
        """What became of the last pack for a uid that ended in this process."""
        return self._results.get(uid)

    def forget(self, uid: str) -> None:
        """Drop the result for a uid: it was used, or is stale."""
        self._results.pop(uid, None)

    async def stop(self) -> None:
        """Listen no more to packs under way; the guests finish them by themselves."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _pack(self, key: Key, pod: Json, uid: str) -> None:
        try:
            async with self._turns.take(pod):
                result = await self._packed(key, pod)
            self._results[uid] = self._counted(uid, result)
        except Exception as error:
            # Whatever it was, the sandbox must not wait for ever.
            self._log.exception("packing failed", key=str(key))
            result = unreachable(pod["metadata"]["uid"], repr(error), self._clock.now())
            self._results[uid] = self._counted(uid, result)
        finally:
            del self._tasks[uid]
        self._wake(key)

    async def _packed(self, key: Key, pod: Json) -> PackResult:
        started, uid = time.perf_counter(), pod["metadata"]["uid"]
        self._pods_at_work[uid] += 1
        command = Command(key_of(pod), CONTAINER, self._words, seconds=self._turns.limits.seconds)
        try:
            answer = await self._client.run(command)
            result = pack_result(uid, answer.exit_code, answer.stdout, self._clock.now())
        except TimeoutError:
            result = unreachable(uid, f"it took longer than {self._turns.limits.seconds:.0f} s.", self._clock.now())
        except (ApiError, ExecError, aiohttp.ClientError, OSError) as error:
            result = unreachable(uid, str(error) or repr(error), self._clock.now())
        finally:
            self._pods_at_work -= Counter({uid: 1})
            self._worked[uid] = self._clock.now()
        seconds = time.perf_counter() - started
        self._metrics.packed(result.reason or "ok", seconds, result.bytes)
        self._log.info(
            "packed", key=str(key), result=result.reason or "ok", why=result.message, seconds=round(seconds, 3)
        )
        return result

    def _counted(self, uid: str, result: PackResult) -> PackResult:
        former = self._results.get(uid)
        return replace(result, failures=(former.failures if former else 0) + 1) if result.reason else result

    def _drop_old(self) -> None:
        oldest = self._clock.now() - _FORGOTTEN_AFTER
        self._results = {uid: result for uid, result in self._results.items() if result.finished > oldest}
        self._worked = {uid: moment for uid, moment in self._worked.items() if moment > oldest}
