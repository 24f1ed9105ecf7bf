"""Runs passes over the keys of a queue, many at once, and turns their failures into back-off."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Generic, TypeVar

import aiohttp
import structlog

from sandkeeper.runtime.errors import ApiError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Hashable

    from sandkeeper.runtime.metrics import Metrics
    from sandkeeper.runtime.queue import WorkQueue

K = TypeVar("K", bound="Hashable")


class Worker(Generic[K]):
    """Takes keys from a queue and runs a pass over each.

    Parameters
    ----------
    reconcile
        One pass over a key. Returns seconds until the key wants to be looked at again, or None.
    concurrency
        Most passes at once; they mostly wait for the API server.
    kind
        What the keys are, for logs and metrics.
    patience
        Seconds that passes under way get to finish when the work ends; then they are cancelled.
    """

    def __init__(
        self,
        queue: WorkQueue[K],
        reconcile: Callable[[K], Awaitable[float | None]],
        metrics: Metrics,
        *,
        concurrency: int,
        kind: str,
        patience: float = 10.0,
    ) -> None:
        self._queue = queue
        self._reconcile = reconcile
        self._metrics = metrics
        self._slots = asyncio.Semaphore(concurrency)
        self._kind = kind
        metrics.expect_passes(kind)
        self._patience = patience
        self._log = structlog.get_logger()
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Work until cancelled; passes under way are then finished first."""
        try:
            while True:
                await self._slots.acquire()
                key, waited = await self._queue.get()
                self._metrics.queue_wait.labels(self._kind).observe(waited)
                task = asyncio.create_task(self._pass(key))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
        finally:
            if self._tasks:
                _, late = await asyncio.wait(self._tasks, timeout=self._patience)
                for task in late:
                    task.cancel()
                await asyncio.gather(*late, return_exceptions=True)

    async def _pass(self, key: K) -> None:
        started, result = time.perf_counter(), "ok"
        try:
            again = await self._reconcile(key)
        except Exception as error:  # one key's defect must not stop the others
            result = self._failed(key, error)
        else:
            self._queue.forget(key)
            if again is not None:
                self._queue.add_after(key, again)
        finally:
            self._queue.done(key)
            self._slots.release()
            self._metrics.pass_seconds.labels(self._kind, result).observe(time.perf_counter() - started)

    def _failed(self, key: K, error: Exception) -> str:
        """Schedule another try; a conflict is ordinary, the unexpected is logged with its trace."""
        asked = error.retry_after if isinstance(error, ApiError) else None
        delay = self._queue.retry(key, at_least=asked or 0.0)
        log = self._log.bind(kind=self._kind, key=str(key), again_in=round(delay, 2))
        if isinstance(error, ApiError) and error.conflict:
            log.debug("a newer version is there, trying again", error=str(error))
            return "conflict"
        if isinstance(error, ApiError | aiohttp.ClientError | TimeoutError):
            log.warning("pass failed, trying again", error=str(error) or repr(error))
            return "error"
        log.error("pass failed unexpectedly, trying again", exc_info=error)
        return "defect"
