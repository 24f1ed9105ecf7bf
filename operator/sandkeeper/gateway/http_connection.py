"""Requests over a sandbox's connection, one after the other, each judged by the host that it names.

A host's connection is kept for as long as the requests stay with that host. Whatever is refused ends the client's
connection, since what follows on it could be read in more than one way.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, Literal, TypeVar, cast

import h11

from sandkeeper.gateway import reasons
from sandkeeper.gateway.connections import still_grants
from sandkeeper.gateway.context import DialError
from sandkeeper.gateway.exchange import Exchange, StaleError
from sandkeeper.gateway.http_inbound import HttpInbound
from sandkeeper.gateway.inbound import MUCH
from sandkeeper.gateway.refusals import RefusalError
from sandkeeper.gateway.request_rules import HeadReader, check_head, host_of
from sandkeeper.gateway.splice import Half
from sandkeeper.gateway.stream import PARTING_SECONDS, Stream
from sandkeeper.gateway.upstream import Upstream

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandkeeper.gateway.context import Context
    from sandkeeper.gateway.request_rules import Target

MOST_PATH: Final = 512
"""Of a path that is recorded, which is without its query: that may hold secrets."""
MOST_WORD: Final = 255
"""Of a method or host that is recorded."""
Dialled = TypeVar("Dialled", Stream, Half)


class HttpConnection(HttpInbound):
    """One connection.

    Parameters
    ----------
    kind
        Of its records.
    read_target
        Tells what a request is for, or refuses it.
    """

    __slots__ = ("_dials", "_holds", "_read_target", "_turns")

    def __init__(
        self, context: Context, kind: Literal["http", "connect"], read_target: Callable[[h11.Request], Target]
    ) -> None:
        super().__init__(context, kind)
        self._read_target = read_target
        self._turns = 0
        self._dials = self._holds = False

    def data_received(self, data: bytes) -> None:
        """Keep what came until it is taken."""
        super().data_received(data)
        self._count_held()

    async def turn(self) -> bool:
        """Serve one request; whether there may be another one."""
        if not await self._begins():
            return False
        self.begin()
        more = await self._answer(await self._read_head())
        self.tell()
        self._turns += 1
        if not more:
            await self.finish(PARTING_SECONDS)
        return more

    async def handle(self, server: h11.Connection, request: h11.Request) -> bool:
        """Judge a request and have it carried out; whether there may be another one."""
        target, record = self._read_target(request), self.begin()
        record.path = target.path.partition("?")[0][:MOST_PATH]
        self.judge(target.host, target.port)
        last = self.context.connections.draining
        exchange = self.exchange = Exchange(self, server, request, target, self.context.limits, last=last)
        try:
            await self._carry_out(exchange, (target.host, target.port))
        except h11.LocalProtocolError:
            # A response that can't be said anew.
            raise RefusalError(reasons.UNREACHABLE) from None
        finally:
            self.exchange = None
            record.status = exchange.status
            record.up += exchange.up
        return exchange.may_go_on

    def judge(self, host: str, port: int) -> None:
        """Refuse what the caller's rules do not allow at this moment."""
        record, caller = self.begin(), self.caller
        if caller is None:
            raise RefusalError(reasons.UNKNOWN_SOURCE)
        record.domain, record.port = host, port
        verdict = caller.rules.verdict(host, port, self.context.now())
        record.rule = verdict.rule
        if not verdict.allowed:
            raise RefusalError(verdict.reason)

    async def dial(self, host: str, port: int, factory: Callable[[], Dialled]) -> Dialled:
        """Connect to a host that was found to be allowed, in the place of another one."""
        self._drop()
        self.host, self.port, self.address = host, port, ""
        made: list[Dialled] = []

        def make() -> Dialled:
            made.append(factory())
            return made[-1]

        try:
            protocol = await self._connect(make)
        except BaseException as error:
            # It may have been connected and stopped in the same moment.
            for each in made:
                each.abort()
            if isinstance(error, DialError):
                raise RefusalError(error.reason) from None
            if isinstance(error, OSError):
                raise RefusalError(
                    reasons.TIMEOUT if isinstance(error, TimeoutError) else reasons.UNREACHABLE
                ) from None
            raise
        self.begin().allowed = True
        return protocol

    def _count_held(self) -> None:
        """Count what is much while the host has not answered as what a host does not take."""
        if self._dials and not self._holds and len(self._held) > MUCH:
            self._holds = True
            self._stops(True)

    def _count_no_more(self) -> None:
        self._dials = False
        if self._holds:
            self._holds = False
            self._stops(False)

    async def _connect(self, make: Callable[[], Dialled]) -> Dialled:
        caller = self.caller
        if caller is None:
            raise RefusalError(reasons.UNKNOWN_SOURCE)
        self._dials = True
        self._count_held()
        try:
            # The dialer keeps to its limit, and says what went wrong; this is for one that does not.
            async with asyncio.timeout(self.context.limits.dial_seconds + 2.0):
                _, protocol, address = await self.context.dialer.dial(caller, self.host, self.port, make)
        finally:
            self._count_no_more()
        if not still_grants(address, self.port, caller, self.caller or caller):
            raise RefusalError(reasons.FORBIDDEN_ADDRESS)
        self.address = self.begin().address = address
        return cast("Dialled", protocol)

    async def _begins(self) -> bool:
        """Wait for a request to begin; whether one did."""
        if self.context.connections.draining and not self.held:
            return False
        limits = self.context.limits
        self.idle = True
        try:
            self.give_back(await self.receive(limits.keep_alive_seconds if self._turns else limits.head_seconds))
        except TimeoutError:
            if not self._turns:
                raise RefusalError(reasons.TIMEOUT, 408) from None
        finally:
            self.idle = False
        return self.held

    async def _read_head(self) -> bytes:
        until = asyncio.get_running_loop().time() + self.context.limits.head_seconds
        reader, data = HeadReader(self.context.limits.head_bytes), self.take()
        while (head := reader.feed(data)) is None:
            try:
                data = await self.receive(until - asyncio.get_running_loop().time())
            except TimeoutError:
                raise RefusalError(reasons.TIMEOUT, 408) from None
            if not data:
                raise RefusalError(reasons.BAD_REQUEST)
        self.give_back(reader.seen)
        self.begin().up = len(head)
        return head

    async def _answer(self, head: bytes) -> bool:
        check_head(head)
        server = h11.Connection(h11.SERVER, self.context.limits.head_bytes)
        server.receive_data(head)
        try:
            request = server.next_event()
        except h11.RemoteProtocolError:
            raise RefusalError(reasons.BAD_REQUEST) from None
        if not isinstance(request, h11.Request):
            raise RefusalError(reasons.BAD_REQUEST)
        record = self.begin()
        record.method = request.method.decode("ascii")[:MOST_WORD]
        # A name and password before the host are refused, and not told.
        record.host = (host_of(request) or "").rpartition("@")[2][:MOST_WORD]
        return await self.handle(server, request)

    async def _carry_out(self, exchange: Exchange, place: tuple[str, int]) -> None:
        try:
            await exchange.run(await self._reach(place))
        except StaleError:
            self._drop()
            await exchange.run(await self._reach(place))
        upstream = self.upstream
        if upstream is None:
            return
        if exchange.switched:
            self.upstream = None
            await self.join(upstream.detach(), self.take())
        elif not upstream.settle():
            self._drop()

    async def _reach(self, place: tuple[str, int]) -> Upstream:
        """Connection to a host: the one that is there, or a new one."""
        kept, record = self.upstream, self.begin()
        if kept is not None and kept.place == place and kept.open:
            record.address, record.allowed = kept.address, True
            return kept
        stream = await self.dial(*place, Stream)
        self.upstream = Upstream(stream, place, self.address, self.context.limits.head_bytes)
        stream.at_end, stream.at_stop = self._host_ended, self._stops
        return self.upstream

    def _host_ended(self) -> None:
        """End as well while nothing is asked, as the client would see it of the host itself."""
        if self.idle and not self.held:
            self.transport.close()

    def _drop(self) -> None:
        upstream, self.upstream = self.upstream, None
        if upstream is not None:
            upstream.stream.at_end = None
            upstream.close()
