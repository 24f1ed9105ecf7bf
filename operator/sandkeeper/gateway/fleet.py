"""The workers: as many as there are to be, each told all that is known and then every change.

One that ends, or is not heard of, is replaced. None is ever half-informed: it takes connections only after it was told
everything, and a change goes to all in the order in which it came.
"""

from __future__ import annotations

import asyncio
import socket
import sys
import time
from typing import TYPE_CHECKING, Final

import structlog
from pydantic import ValidationError

from sandkeeper.gateway.wire import FROM_WORKER, Channel, Drain, Listening, Report, Synced, encoded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

SILENT_SECONDS: Final = 15.0
"""A worker reports every second; one that does not hangs."""
_STARTS_SECONDS: Final = 60.0
_MOST_UNSENT: Final = 256 * 1024 * 1024
_PROVEN_SECONDS: Final = 60.0
_LONGEST_BACKOFF: Final = 10.0
_LATE_SECONDS: Final = 10.0


class Worker:
    """One child process and our end of the line to it.

    Attributes
    ----------
    listening
        Whether it takes connections.
    open
        Connections when it last reported.
    """

    def __init__(self, process: asyncio.subprocess.Process, channel: Channel[Listening | Report]) -> None:
        self.process = process
        self.channel = channel
        self.listening = False
        self.open = 0
        self._heard = time.monotonic() + _STARTS_SECONDS

    @classmethod
    async def start(cls, command: tuple[str, ...]) -> Worker:
        """Start one."""
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        channel = await Channel.over(ours, FROM_WORKER)
        try:
            process = await asyncio.create_subprocess_exec(
                *command, str(theirs.fileno()), pass_fds=(theirs.fileno(),), stdin=asyncio.subprocess.DEVNULL
            )
        except BaseException:
            channel.abort()
            raise
        finally:
            theirs.close()
        return cls(process, channel)

    @property
    def hangs(self) -> bool:
        """Whether it does not say or take anything any more."""
        return time.monotonic() - self._heard > SILENT_SECONDS or self.channel.unsent > _MOST_UNSENT

    async def receive(self) -> Report | None:
        """Wait for its next report; None once it is gone."""
        while isinstance(message := await self.channel.receive(), Listening):
            self.listening, self._heard = True, time.monotonic()
        self._heard = time.monotonic()
        return message

    async def end(self) -> int:
        """Wait until it has ended, which is helped along where that is cancelled, and give its exit status."""
        self.channel.abort()
        ending = asyncio.ensure_future(self.process.wait())
        try:
            return await asyncio.shield(ending)
        except asyncio.CancelledError:
            self.kill()
            await ending
            raise

    def kill(self) -> None:
        """End it at once."""
        if self.process.returncode is None:
            self.process.kill()


class Fleet:
    """Keeps the workers running.

    Parameters
    ----------
    size
        How many.
    known
        Gives everything that a new worker has to be told, as messages.
    heard
        Called with every report.
    """

    def __init__(
        self, size: int, known: Callable[[], Iterable[object]], heard: Callable[[Report], None],
        command: tuple[str, ...] = (sys.executable, "-m", "sandkeeper.gateway.worker"),
    ) -> None:  # fmt: skip
        self._size = size
        self._known = known
        self._heard = heard
        self._command = command
        self._workers: dict[int, Worker] = {}
        self._draining = False
        self._log = structlog.get_logger()

    @property
    def listening(self) -> int:
        """How many take connections."""
        return sum(worker.listening for worker in self._workers.values())

    @property
    def open(self) -> int:
        """Connections of all of them."""
        return sum(worker.open for worker in self._workers.values())

    def tell(self, message: object) -> None:
        """Tell all of them something."""
        sent = encoded(message)
        for worker in self._workers.values():
            worker.channel.send(sent)

    async def run(self) -> None:
        """Keep all of them running until they have been drained; cancelled, end them at once."""
        async with asyncio.TaskGroup() as kept:
            watching = kept.create_task(self._watch())
            async with asyncio.TaskGroup() as workers:
                for index in range(self._size):
                    workers.create_task(self._keep(index))
            watching.cancel()

    async def drain(self, seconds: float) -> None:
        """Let what is open end, and what has not after so many seconds be cut; `run` ends with the last one."""
        self._draining = True
        self.tell(Drain(seconds))
        await asyncio.sleep(seconds + _LATE_SECONDS)
        for worker in self._workers.values():
            worker.kill()

    async def _keep(self, index: int) -> None:
        backoff = 0.0
        while not self._draining:
            started = time.monotonic()
            status = await self._live(index)
            if self._draining:
                break
            backoff = 0.1 if time.monotonic() - started > _PROVEN_SECONDS else min(_LONGEST_BACKOFF, backoff * 2 or 0.1)
            self._log.error("a worker ended, starting another", worker=index, status=status, in_seconds=backoff)
            await asyncio.sleep(backoff)

    async def _live(self, index: int) -> int:
        """Start one, listen to it until it is gone, and give its exit status."""
        worker = await Worker.start(self._command)
        for message in (*self._known(), Synced()):
            worker.channel.send(encoded(message))
        # Nothing was awaited since: what changes from here on is told to it as to the others.
        self._workers[index] = worker
        try:
            while (report := await worker.receive()) is not None:
                worker.open = report.open
                self._heard(report)
        except ValidationError:
            self._log.exception("a worker said what can't be understood", worker=index)
            worker.kill()
        except asyncio.CancelledError:
            worker.kill()
            raise
        finally:
            del self._workers[index]
            if not self._draining:
                worker.kill()
            status = await worker.end()
        return status

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(1.0)
            for index, worker in self._workers.items():
                if worker.hangs:
                    self._log.error("a worker hangs, ending it", worker=index)
                    worker.kill()
