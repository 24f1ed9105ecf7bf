"""A TCP connection from a sandbox, as all fronts have it: identified, counted, cut when it may no longer be, recorded.

Nothing that a client sends says who it is: the address that it comes from does. What is recorded is told once: a
connection that was let in, refused or cut has one line, whatever happens to its two ends.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, ClassVar, Final, cast

from sandkeeper.gateway import reasons
from sandkeeper.gateway.connections import still_grants
from sandkeeper.gateway.context import DialError
from sandkeeper.gateway.record import Record
from sandkeeper.gateway.splice import Half, Splice

if TYPE_CHECKING:
    from sandkeeper.gateway.caller import Caller
    from sandkeeper.gateway.context import Attempt, Context
    from sandkeeper.gateway.record import Kind

MUCH: Final = 16_384
"""Bytes; hellos are shorter."""


class Inbound(asyncio.Protocol):
    """One connection; fronts derive from it and say what they do once its caller is known.

    Attributes
    ----------
    caller
        None until it is known; afterwards always with the rules that are in force.
    host, port, address
        What it reaches, as `connections.Live` says.
    first
        What the client sent so far that goes on to the host as it is.
    record
        None once it was told.
    """

    __slots__ = (
        "_attempt", "_client_ended", "_holds", "_stranger", "_task", "address", "caller", "context", "first", "host",
        "port", "record", "source", "splice", "transport",
    )  # fmt: skip
    kind: ClassVar[Kind]

    def __init__(self, context: Context) -> None:
        self.context = context
        self.caller: Caller | None = None
        self.host = self.address = self.source = ""
        self.port = 0
        self.first: bytes | bytearray = b""
        self.record: Record | None = None
        self.splice: Splice | None = None
        self._client_ended = False
        self._holds = False
        self._stranger = False
        self._task: asyncio.Task[None] | None = None
        self._attempt: Attempt | None = None

    # What a front adds.

    def admitted(self) -> None:
        """Begin: the caller is known and may have this connection."""

    def received(self, data: bytes) -> None:
        """Take what the client sent, until `join`."""
        self.first = data if not self.first else bytes(self.first) + data

    def reached(self, upstream: Half) -> None:
        """Go on: the host is connected."""
        self.join(upstream)

    def farewell(self, reason: str) -> bytes:
        """Last words to a client that is refused."""
        del reason
        return b""

    # What it does with them.

    def allows(self, host: str, port: int) -> bool:
        """Judge what is asked for, and write it into the record; refused if it may not be reached."""
        record, caller = self.record, self.caller
        if record is None or caller is None:
            return False
        record.domain, record.port = host, port
        verdict = caller.rules.verdict(host, port, self.context.now())
        record.rule = verdict.rule
        if not verdict.allowed:
            self.refuse(verdict.reason)
        return verdict.allowed

    def reach(self, host: str, port: int) -> None:
        """Dial a host that was found to be allowed; `reached` comes next, or a refusal."""
        caller, half, limits = self.caller, Half(), self.context.limits
        if caller is None:
            return
        self.host, self.port = host, port
        self._attempt = self.context.dialer.at_once(
            caller, host, port, half, lambda address: self._dialled(caller, half, address)
        )
        if self._attempt is not None:
            self.context.connections.expect(self, limits.dial_seconds)
            return
        # The dialer keeps to its limit, and says what went wrong; this is for one that does not.
        self.context.connections.expect(self, limits.dial_seconds + 2.0)
        self._task = asyncio.get_running_loop().create_task(self._dial(caller))

    def hold(self) -> None:
        """Read no more until the host is reached; what is much already is counted as what a host does not take."""
        self.transport.pause_reading()
        if len(self.first) > MUCH and not self._holds:
            self._holds = True
            self._stops(True)

    def join(self, upstream: Half) -> None:
        """Pass everything from here on between the client and the host; this protocol is left."""
        self.context.connections.expect_nothing(self)
        if self._holds:
            self._stops(False)
        transport, first, self.first = self.transport, self.first, b""
        self.splice = splice = Splice(transport, upstream, first, self._spliced)
        if self._client_ended:
            splice.client_ended()
        splice.watch(self._stops)

    def refuse(self, reason: str) -> None:
        """Say why not, as far as the client's protocol can, and close."""
        if self.record is None or self.record.reason:
            return
        self.record.reason = reason
        if words := self.farewell(reason):
            self.transport.write(words)
        self.transport.close()
        if self.caller is not None:
            self.context.connections.expect(self, self.context.limits.hello_seconds)

    # As `connections.Live`.

    @property
    def moved(self) -> int:
        """Bytes that it has carried so far, both ways."""
        return self.splice.up + self.splice.down if self.splice is not None else 0

    def follow(self, caller: Caller) -> None:
        """Take the caller as it is from now on."""
        self.caller = caller

    def cut(self, reason: str) -> None:
        """End at once."""
        if self.splice is not None:
            self.splice.cut(reason)
        elif self._attempt is not None and reason == reasons.TIMEOUT:
            self._give_up()
            self.refuse(reason)
        elif self.record is not None:
            self.record.reason = self.record.reason or reason
            self.transport.abort()

    def drain(self) -> None:
        """End as soon as nothing is under way: what is spliced is under way until it ends."""

    def sweep(self, now: float) -> None:
        """Look whether it has been quiet for too long."""
        if self.splice is not None:
            self.splice.sweep(now, self.context.limits.idle_seconds, self.context.limits.linger_seconds)

    # As asyncio.Protocol.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask who it is."""
        self.transport = cast("asyncio.Transport", transport)
        # A client that was gone before it was accepted has no address any more, and is nobody.
        self.source = (transport.get_extra_info("peername") or ("",))[0].removeprefix("::ffff:")
        caller = self.context.callers.known(self.source)
        self.record = Record(self.kind, caller, self.source, self.context.now())
        if caller is not None:
            self._admit(caller)
        elif self.context.connections.open_stranger():
            self._stranger = True
            self._task = asyncio.get_running_loop().create_task(self._identify())
        else:
            self.refuse(reasons.TOO_MANY)

    def data_received(self, data: bytes) -> None:
        """Take what the client sent; before its caller is known no more than one read of it."""
        if self.record is None or self.record.reason:
            return
        if self.caller is not None:
            self.received(data)
        else:
            self.first = data if not self.first else bytes(self.first) + data
            self.transport.pause_reading()

    def eof_received(self) -> bool:
        """Remember the end, which is passed on; the other direction goes on."""
        self._client_ended = True
        return True

    def connection_lost(self, error: Exception | None) -> None:
        """Record a client that was never joined."""
        del error
        if self._task is not None:
            self._task.cancel()
        self._give_up()
        self._end()

    def _admit(self, caller: Caller) -> None:
        refused = self.context.connections.open(self, caller)
        self.caller = caller
        if refused:
            self.refuse(refused)
        else:
            self.admitted()

    async def _identify(self) -> None:
        await self.context.callers.caller(self.source)
        self._forget_stranger()
        # It may have gone again since that answer was given.
        caller = self.context.callers.known(self.source)
        if caller is None or self.record is None:
            self.refuse(reasons.UNKNOWN_SOURCE)
            return
        self.record.caller = caller
        first, self.first = bytes(self.first), b""
        self._admit(caller)
        if first:
            self.data_received(first)
            self.transport.resume_reading()

    async def _dial(self, caller: Caller) -> None:
        try:
            _, half, address = await self.context.dialer.dial(caller, self.host, self.port, Half)
        except DialError as error:
            self.refuse(error.reason)
            return
        except Exception:
            self.refuse(reasons.UNREACHABLE)
            raise
        self._dialled(caller, cast("Half", half), address)

    def _dialled(self, caller: Caller, half: Half, address: str) -> None:
        """Go on with a connection, if that may still be.

        Parameters
        ----------
        caller
            As it was when the address was judged.
        address
            Empty where there is no connection.
        """
        self._attempt = None
        if not address:
            self.refuse(reasons.UNREACHABLE)
        elif self.record is None or self.record.reason:
            half.abort()
        elif self.caller is not None and not still_grants(address, self.port, caller, self.caller):
            half.abort()
            self.refuse(reasons.FORBIDDEN_ADDRESS)
        else:
            self.address = self.record.address = address
            self.record.allowed = True
            self.reached(half)

    def _give_up(self) -> None:
        attempt, self._attempt = self._attempt, None
        if attempt is not None:
            attempt.abort()

    def _stops(self, stopped: bool) -> None:
        self.context.connections.pressure.tell(self, stopped=stopped)

    def _spliced(self, reason: str) -> None:
        if self.record is not None and self.splice is not None:
            self.record.up, self.record.down = self.splice.up, self.splice.down
            self.record.reason = reason
        self.splice = None
        self._end()

    def _forget_stranger(self) -> None:
        if self._stranger:
            self._stranger = False
            self.context.connections.close_stranger()

    def _end(self) -> None:
        self._forget_stranger()
        self._task = None
        if self.caller is not None:
            self.context.connections.close(self, self.caller)
        record, self.record = self.record, None
        if record is not None:
            record.seconds = max(0.0, self.context.now() - record.started)
            self.context.audit.tell(record)
