"""One side of an HTTP exchange, for coroutines: bytes are read no faster than they are taken, and sent likewise.

At most `MOST_HELD` bytes and one read are held of what came, and the transport's high-water mark of what goes.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, cast

if TYPE_CHECKING:
    from collections.abc import Callable

MOST_HELD: Final = 65_536
PARTING_SECONDS: Final = 2.0
"""How long a client may go on sending what will not be read after the last word was said to it."""


class Stream(asyncio.Protocol):
    """A connection.

    Attributes
    ----------
    ended, lost
        Whether the other side has said its last, and whether the connection is gone, or was never there.
    at_end
        Called once when the first of both happens.
    at_stop
        Called when the other side takes nothing more, and when it does again.
    sent
        Bytes.
    """

    __slots__ = (
        "_drained", "_held", "_paused", "_reading", "_waiting", "at_end", "at_stop", "ended", "lost", "sent",
        "transport",
    )  # fmt: skip

    transport: asyncio.Transport

    def __init__(self) -> None:
        self._held: bytes | bytearray = b""
        self._waiting: asyncio.Future[None] | None = None
        self._drained: asyncio.Future[None] | None = None
        self._paused = False
        self._reading = True
        self.at_end: Callable[[], None] | None = None
        self.at_stop: Callable[[bool], None] | None = None
        self.ended = False
        self.lost = True
        self.sent = 0

    # For coroutines.

    @property
    def held(self) -> bool:
        """Whether there are bytes that were not taken yet."""
        return bool(self._held)

    def take(self) -> bytes:
        """Take what is there."""
        data, self._held = bytes(self._held), b""
        return data

    def give_back(self, data: bytes | bytearray) -> None:
        """Put back what was taken and not needed; it comes first again."""
        if data:
            self._held = bytearray(data) + self._held

    async def receive(self, seconds: float) -> bytes:
        """Take what is there, or wait for it; empty at the end.

        Raises
        ------
        TimeoutError
            If nothing comes for so long.
        ConnectionError
            If the connection broke.
        """
        if not self._held and not self.ended:
            self._check()
            # Not when bytes are taken: of those that are given back ever more would be held.
            if not self._reading:
                self._reading = True
                self.transport.resume_reading()
            self._waiting = asyncio.get_running_loop().create_future()
            try:
                await _within(self._waiting, seconds)
            finally:
                self._waiting = None
        if not self._held and self.lost and not self.ended:
            raise ConnectionResetError
        return self.take()

    async def send(self, data: bytes, seconds: float) -> None:
        """Send, and wait while the other side does not take it.

        Raises
        ------
        TimeoutError
            If it takes nothing for so long.
        ConnectionError
            If the connection broke.
        """
        self._check()
        self.transport.write(data)
        self.sent += len(data)
        if self._paused:
            self._drained = asyncio.get_running_loop().create_future()
            try:
                await _within(self._drained, seconds)
            finally:
                self._drained = None

    async def finish(self, seconds: float) -> None:
        """Close so that what was sent arrives: to close with bytes unread would reset it (RFC 9112, 9.6)."""
        if self.lost:
            return
        try:
            if self.transport.can_write_eof() and not self.transport.is_closing():
                self.transport.write_eof()
            async with asyncio.timeout(seconds):
                while await self.receive(seconds):
                    pass
        except (OSError, RuntimeError):
            # A time-out is one as well: long enough.
            pass
        finally:
            self.transport.close()

    def abort(self) -> None:
        """Close at once, if there is anything to close."""
        if not self.lost:
            self.transport.abort()

    def _check(self) -> None:
        if self.lost:
            raise ConnectionResetError

    # As asyncio.Protocol.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self.transport = cast("asyncio.Transport", transport)
        self.lost = False

    def data_received(self, data: bytes) -> None:
        """Keep what came until it is taken."""
        if not self._held:
            self._held = data
        else:
            if not isinstance(self._held, bytearray):
                self._held = bytearray(self._held)
            self._held += data
        if self._reading and len(self._held) > MOST_HELD:
            self._reading = False
            self.transport.pause_reading()
        _wake(self._waiting)

    def eof_received(self) -> bool:
        """Tell of the end; this side may still send."""
        self.ended = True
        self._tell_end()
        return True

    def connection_lost(self, error: Exception | None) -> None:
        """Wake whoever waits."""
        del error
        self.lost = True
        self._tell_end()
        if self._paused:
            self.resume_writing()

    def pause_writing(self) -> None:
        """Have senders wait."""
        self._paused = True
        if self.at_stop is not None:
            self.at_stop(True)

    def resume_writing(self) -> None:
        """Let them go on."""
        self._paused = False
        if self.at_stop is not None:
            self.at_stop(False)
        _wake(self._drained)

    def _tell_end(self) -> None:
        _wake(self._waiting)
        at_end, self.at_end = self.at_end, None
        if at_end is not None:
            at_end()


def _wake(waiting: asyncio.Future[None] | None) -> None:
    if waiting is not None and not waiting.done():
        waiting.set_result(None)


async def _within(waiting: asyncio.Future[None], seconds: float) -> None:
    """Wait for one future, at less than the price of asyncio.timeout."""
    timer = asyncio.get_running_loop().call_later(seconds, _expire, waiting)
    try:
        await waiting
    finally:
        timer.cancel()


def _expire(waiting: asyncio.Future[None]) -> None:
    if not waiting.done():
        waiting.set_exception(TimeoutError())
