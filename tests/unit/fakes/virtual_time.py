"""An event loop whose clock jumps: minutes of back-off pass in no time, and always in the same order."""

from __future__ import annotations

import asyncio
import selectors
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar
from unittest.mock import patch

if TYPE_CHECKING:
    from collections.abc import Coroutine

T = TypeVar("T")
EPOCH = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


class DeadlockError(Exception):
    """Every task waits for another, and no timer is set."""


class _Jumping(selectors.DefaultSelector):
    """Instead of waiting for its timeout, moves the clock by it."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise DeadlockError
        self.now += timeout
        return super().select(0)


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine on virtual time; ``time.monotonic`` and the event loop agree on it."""
    selector = _Jumping()
    with patch("time.monotonic", lambda: selector.now):
        loop = asyncio.SelectorEventLoop(selector)
        try:
            return loop.run_until_complete(work)
        finally:
            loop.run_until_complete(_end(asyncio.all_tasks(loop)))
            loop.run_until_complete(loop.shutdown_asyncgens())
            loop.close()


async def _end(tasks: set[asyncio.Task[Any]]) -> None:
    """Leave no task behind, so that no example disturbs the next one."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def seconds() -> float:
    """Virtual seconds since the start."""
    return asyncio.get_running_loop().time()


def wall_clock() -> datetime:
    """Virtual time of day."""
    return EPOCH + timedelta(seconds=seconds())


class VirtualDatetime(datetime):
    """Stands in for ``datetime`` in modules that ask what time it is."""

    @classmethod
    def now(cls, tz: Any = None) -> datetime:  # type: ignore[override]
        return wall_clock().astimezone(tz)
