"""Connects to the first of some addresses that answers (RFC 8305, section 5), and leaves no other connection behind.

It is no coroutine: a task, its timeout and the futures between them cost as much as the rest of a connection.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Final

from sandkeeper.gateway.connecting import Connecting
from sandkeeper.gateway.poll import Poll

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sandkeeper.gateway.tcp import TcpTransport

    Done = Callable[[TcpTransport | None], None]

ATTEMPT_DELAY_SECONDS: Final = 0.25
"""After which the next address is tried beside those that have not answered."""
MOST_AT_ONCE: Final = 3
"""Attempts: a process has files for so many of each connection, and a name may have many addresses that are silent."""


class Race:
    """Attempts to connect, of which one wins.

    Parameters
    ----------
    literals
        Addresses in their canonical spelling, the best one first.
    protocol
        That gets the connection.
    done
        Called once, and never before this object is there: with the transport, whose ``peername`` is the address, or
        with None if no address answers. Not after `abort`.

    Raises
    ------
    OSError
        If there is no socket left.
    """

    __slots__ = ("_attempts", "_done", "_left", "_port", "_protocol", "_timer")

    def __init__(self, literals: Sequence[str], port: int, protocol: asyncio.Protocol, done: Done) -> None:
        self._left = list(literals)
        self._port = port
        self._protocol = protocol
        self._done: Done | None = done
        self._attempts: dict[str, Connecting] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._try_next()

    def abort(self) -> None:
        """Make no connection."""
        self._done = None
        self._stop()

    def _try_next(self) -> None:
        """Try one more address, and the one after it unless that is told of before."""
        literal = self._left.pop(0)
        self._timer = None
        if len(self._attempts) == MOST_AT_ONCE:
            self._attempts.pop(next(iter(self._attempts))).abort()
        self._attempts[literal] = Connecting(
            Poll.running(), literal, self._port, self._protocol, partial(self._told, literal)
        )
        if self._left:
            self._timer = asyncio.get_running_loop().call_later(ATTEMPT_DELAY_SECONDS, self._try_next_or_fail)

    def _try_next_or_fail(self) -> None:
        try:
            self._try_next()
        except OSError:
            self._left.clear()
            self._fail()

    def _told(self, literal: str, transport: TcpTransport | None) -> None:
        del self._attempts[literal]
        if transport is not None:
            self._stop()
            self._finish(transport)
        elif self._left:
            if self._timer is not None:
                self._timer.cancel()
            self._try_next_or_fail()
        else:
            self._fail()

    def _fail(self) -> None:
        """Give up, unless an answer may still come."""
        if not self._attempts:
            self._finish(None)

    def _finish(self, transport: TcpTransport | None) -> None:
        done, self._done = self._done, None
        if done is not None:
            done(transport)

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        attempts, self._attempts = self._attempts, {}
        for each in attempts.values():
            each.abort()


async def connect(literals: Sequence[str], port: int, protocol: asyncio.Protocol) -> TcpTransport:
    """Connect to the first of some addresses that answers, and wait for it.

    Raises
    ------
    OSError
        If none does.
    """
    made: asyncio.Future[TcpTransport | None] = asyncio.get_running_loop().create_future()

    def told(transport: TcpTransport | None) -> None:
        if not made.done():
            made.set_result(transport)
        elif transport is not None:
            # Whoever waited stopped in this moment, and was not told so yet.
            transport.abort()

    race = Race(literals, port, protocol, told)
    try:
        transport = await made
    except asyncio.CancelledError:
        race.abort()
        # It may have been connected and given up in the same moment.
        if not made.cancelled() and (transport := made.result()):
            transport.abort()
        raise
    if transport is None:
        raise ConnectionError(f"{', '.join(literals)} did not answer on port {port}.")
    return transport
