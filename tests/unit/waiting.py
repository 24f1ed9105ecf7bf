"""Waits for what nothing tells of: the work of other processes, of the kernel, and of tasks beside a test."""

import asyncio
from collections.abc import Callable


async def until(holds: Callable[[], object], seconds: float = 60.0, pause: float = 0.005) -> None:
    """Look again and again whether something is so.

    Parameters
    ----------
    pause
        Seconds between two looks; with 0 the loop has a turn in between.

    Raises
    ------
    TimeoutError
        If it is not so within so many seconds.
    """
    async with asyncio.timeout(seconds):
        while not holds():  # noqa: ASYNC110
            await asyncio.sleep(pause)
