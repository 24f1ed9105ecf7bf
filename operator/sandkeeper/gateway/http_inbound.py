"""A connection from a sandbox that speaks HTTP: identified, counted, cut when it may no longer be, recorded by request.

Who it is, is told by the address that it comes from and by nothing that it sends. What it asks is another module's.
"""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from typing import TYPE_CHECKING, Final, Literal

from sandkeeper.gateway import reasons
from sandkeeper.gateway.record import Record
from sandkeeper.gateway.refusals import RefusalError, answer
from sandkeeper.gateway.splice import Splice
from sandkeeper.gateway.stream import PARTING_SECONDS, Stream

if TYPE_CHECKING:
    from sandkeeper.gateway.caller import Caller
    from sandkeeper.gateway.context import Context
    from sandkeeper.gateway.exchange import Exchange
    from sandkeeper.gateway.splice import Half
    from sandkeeper.gateway.upstream import Upstream

_UNCOUNTED: Final = frozenset({reasons.UNKNOWN_SOURCE, reasons.TOO_MANY, reasons.TOO_FAST})
_HASTY_SECONDS: Final = 0.1
"""Instead of the parting's, for those that no limit counts: enough for what was sent at once, and for no crowd."""


class HttpInbound(Stream):
    """One connection.

    Attributes
    ----------
    caller, host, port, address
        As `connections.Live` says.
    context
        What the front was given.
    record
        Of the request that is under way.
    """

    __slots__ = (
        "_before", "_cut", "_splice", "_task", "address", "caller", "context", "exchange", "host", "idle", "kind",
        "port", "record", "source", "upstream",
    )  # fmt: skip

    def __init__(self, context: Context, kind: Literal["http", "connect"]) -> None:
        super().__init__()
        self.context = context
        self.kind: Literal["http", "connect"] = kind
        self.record: Record | None = None
        self.exchange: Exchange | None = None
        self.upstream: Upstream | None = None
        self.idle = False
        self.caller: Caller | None = None
        self.host = self.address = self.source = ""
        self.port = 0
        self._splice: Splice | None = None
        self._task: asyncio.Task[None] | None = None
        self._cut = ""
        self._before = 0

    @abstractmethod
    async def turn(self) -> bool:
        """Serve one request; whether there may be another one."""

    # As asyncio.Protocol.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        super().connection_made(transport)
        # A client that was gone before it was accepted has no address any more, and is nobody.
        self.source = (transport.get_extra_info("peername") or ("",))[0].removeprefix("::ffff:")
        self.at_stop = self._stops
        self._task = asyncio.get_running_loop().create_task(self._serve())

    def eof_received(self) -> bool:
        """Let the host know, if it is at work for the client."""
        super().eof_received()
        if self.exchange is not None and self.upstream is not None:
            self.exchange.client_ended(self.upstream)
        return True

    def connection_lost(self, error: Exception | None) -> None:
        """Stop whatever was done for the client."""
        super().connection_lost(error)
        if self._task is not None and not self._task.done():
            self._task.cancel()
        else:
            self._forget()

    # As connections.Live.

    @property
    def moved(self) -> int:
        """Bytes that it has carried so far, both ways; of a request under way too."""
        spliced = self._splice.up + self._splice.down if self._splice is not None else 0
        return self.sent + spliced + (self.exchange.up if self.exchange is not None else 0)

    def follow(self, caller: Caller) -> None:
        """Take the caller as it is from now on."""
        self.caller = caller

    def cut(self, reason: str) -> None:
        """End at once."""
        self._cut = self._cut or reason
        if self._splice is not None:
            self._splice.cut(reason)
        else:
            self.transport.abort()
            if self._task is not None:
                self._task.cancel()

    def drain(self) -> None:
        """End after the response that is under way."""
        if self.exchange is not None:
            self.exchange.finish()
        elif self.idle:
            self.transport.close()

    def sweep(self, now: float) -> None:
        """Look whether it has been quiet for too long; while it is HTTP, each step has its own limit."""
        if self._splice is not None:
            self._splice.sweep(now, self.context.limits.idle_seconds, self.context.limits.linger_seconds)

    # What requests are recorded by.

    def begin(self) -> Record:
        """Begin the record of a request, or of a connection that is refused before any."""
        if self.record is None:
            self.record = Record(self.kind, self.caller, self.source, self.context.now())
            self._before = self.sent
        return self.record

    def tell(self) -> None:
        """End the record."""
        record, self.record = self.record, None
        if record is None:
            return
        record.reason = record.reason or self._cut
        record.down += self.sent - self._before
        record.seconds = max(0.0, self.context.now() - record.started)
        self.context.audit.tell(record)

    async def refuse(self, refusal: RefusalError) -> None:
        """Record a refusal, say it as far as that can be said now, and close."""
        self.begin().reason = refusal.reason
        if words := self.farewell(refusal):
            await self.send(words, PARTING_SECONDS)
            self.tell()
            await self.finish(_HASTY_SECONDS if refusal.reason in _UNCOUNTED else PARTING_SECONDS)
        else:
            self.transport.abort()

    def farewell(self, refusal: RefusalError) -> bytes:
        """Last words to a client that is refused; none in the middle of a response."""
        record = self.begin()
        if self.sent > self._before:
            return b""
        record.status = refusal.status
        return answer(refusal, record.domain, record.port, with_body=record.method != "HEAD")

    async def join(self, half: Half, first: bytes) -> None:
        """Pass everything from here on between the client and a host, until both have ended.

        Parameters
        ----------
        first
            What the client sent that the host has not got yet.
        """
        ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._splice = splice = Splice(
            self.transport, half, first, lambda reason: None if ended.done() else ended.set_result(reason)
        )
        if self.ended:
            splice.client_ended()
        splice.watch(self._stops)
        record = self.begin()
        try:
            record.reason = await ended
        finally:
            # Of what has ended this does nothing.
            splice.cut(self._cut)
            record.up += splice.up
            record.down += splice.down

    # What it does.

    async def _serve(self) -> None:
        try:
            await self._admit()
            while await self.turn():
                pass
        except RefusalError as refusal:
            await self.refuse(refusal)
        except OSError:
            # The client is gone, or does not take what it asked for.
            self.transport.abort()
        finally:
            self.tell()
            self._leave()

    async def _admit(self) -> None:
        """Find out who it is, and whether they may have one more connection."""
        caller = self.context.callers.known(self.source) or await self._identify()
        if caller is None:
            raise RefusalError(reasons.UNKNOWN_SOURCE)
        self.caller = caller
        if refused := self.context.connections.open(self, caller):
            raise RefusalError(refused)

    async def _identify(self) -> Caller | None:
        connections, callers = self.context.connections, self.context.callers
        if not connections.open_stranger():
            raise RefusalError(reasons.TOO_MANY)
        try:
            await callers.caller(self.source)
        finally:
            connections.close_stranger()
        # It may have gone again since that answer was given.
        return callers.known(self.source)

    def _stops(self, stopped: bool) -> None:
        """Take note of an end that takes nothing more, this one or the host's."""
        self.context.connections.pressure.tell(self, stopped=stopped)

    def _leave(self) -> None:
        if self.upstream is not None:
            self.upstream.close()
        if self._splice is not None or self.lost:
            self._forget()
            return
        self.transport.close()
        # What is closed lives on until the client has taken what was sent to it, which it may never do.
        self.context.connections.expect(self, self.context.limits.linger_seconds)

    def _forget(self) -> None:
        self.context.connections.expect_nothing(self)
        if self.caller is not None:
            self.context.connections.close(self, self.caller)
