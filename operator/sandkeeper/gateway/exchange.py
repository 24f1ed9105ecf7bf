"""One request and its response, both read and said anew, so that neither side reads what the other side wrote.

Bodies pass as they come, in both directions at once. A body that does not come whole is not passed on as whole: the
connections are closed instead.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import h11

from sandkeeper.gateway import reasons
from sandkeeper.gateway.message_headers import (
    forwarded_information,
    forwarded_request,
    forwarded_response,
    tokens,
    upgrades,
)
from sandkeeper.gateway.refusals import RefusalError
from sandkeeper.gateway.splice import Half

if TYPE_CHECKING:
    from sandkeeper.gateway.context import Limits
    from sandkeeper.gateway.request_rules import Target
    from sandkeeper.gateway.stream import Stream

_EVENTS_AT_ONCE: Final = 64
"""After which other connections have their turn: a body in chunks of one byte shall not stop the process."""
_REPEATABLE: Final = frozenset({b"GET", b"HEAD", b"OPTIONS", b"TRACE"})


class StaleError(Exception):
    """A kept connection was closed by the host before it could have read the request, which may be sent again."""


class Upstream:
    """A connection to the host of a request.

    Attributes
    ----------
    place
        Host and port.
    used
        Whether it has served a request before.
    """

    __slots__ = ("address", "http", "place", "stream", "used")

    def __init__(self, stream: Stream, place: tuple[str, int], address: str, most_head_bytes: int) -> None:
        self.stream = stream
        self.place = place
        self.address = address
        self.used = False
        self.http = h11.Connection(h11.CLIENT, most_head_bytes)

    @property
    def open(self) -> bool:
        """Whether it may be sent a request."""
        return self.http.our_state is h11.IDLE and not (self.stream.ended or self.stream.lost or self.stream.held)

    def settle(self) -> bool:
        """Make it ready for another request; whether it can be.

        A host that sent more than it was asked for is not asked again on this connection.
        """
        done = self.http.our_state is h11.DONE and self.http.their_state is h11.DONE
        if not done or self.http.trailing_data[0] or self.stream.held or self.stream.ended or self.stream.lost:
            return False
        self.http.start_next_cycle()
        self.used = True
        return True

    def detach(self) -> Half:
        """Give it away, with what was read of it, to be spliced."""
        half, early = Half(), self.http.trailing_data[0] + self.stream.take()
        half.connection_made(self.stream.transport)
        if early:
            half.data_received(early)
        self.stream.transport.set_protocol(half)
        if self.stream.ended:
            half.eof_received()
        if self.stream.lost:
            half.connection_lost(None)
        return half

    def close(self) -> None:
        """Close it, whatever it is at."""
        self.stream.abort()


class Exchange:
    """A request whose head was read and judged.

    Parameters
    ----------
    client, server
        The sandbox's side, and the reader and writer of this one request.
    last
        Whether the client's connection is closed after it.

    Attributes
    ----------
    up
        Bytes of the request's body, as they were framed.
    status
        Of the response, once it is known.
    switched
        Whether the host took up an upgrade; everything that follows is no HTTP any more.
    """

    def __init__(
        self,
        client: Stream,
        server: h11.Connection,
        request: h11.Request,
        target: Target,
        limits: Limits,
        *,
        last: bool,
    ) -> None:
        self._client = client
        self._server = server
        self._request = request
        self._forwarded = forwarded_request(request, target)
        self._limits = limits
        self._last = last
        self._out: list[bytes] = []
        self._has_body = server.next_event() is h11.NEED_DATA
        self._begun = False
        self._events = 0
        self.up = 0
        self.status = 0
        self.switched = False

    @property
    def may_go_on(self) -> bool:
        """Whether the client's connection may carry another request."""
        done = self._server.our_state is h11.DONE and self._server.their_state is h11.DONE
        return done and not self._last

    async def run(self, upstream: Upstream) -> None:
        """Carry it out.

        Raises
        ------
        StaleError
            If it may be tried again on another connection.
        RefusalError
            If either side did not keep to HTTP; with ``status`` 0 the client can be told so.
        ConnectionError
            If the client is gone.
        """
        await self._send_up(upstream, upstream.http.send(self._forwarded))
        if not self._has_body:
            self._send_end(upstream)
            await self._receive(upstream)
            return
        body = asyncio.get_running_loop().create_task(self._pass_body(upstream))
        response = asyncio.get_running_loop().create_task(self._receive(upstream))
        try:
            await self._both(body, response)
        finally:
            body.cancel()
            response.cancel()
            await asyncio.gather(body, response, return_exceptions=True)

    async def _both(self, body: asyncio.Task[None], response: asyncio.Task[None]) -> None:
        """Wait for the response; a body that breaks ends both, one that the host did not wait for is not waited for."""
        await asyncio.wait((body, response), return_when=asyncio.FIRST_COMPLETED)
        if body.done() and not response.done():
            body.result()
            await response
        if not body.done():
            # A host that answered without the whole body: what is left of it is not asked for any more.
            self._last = True
        response.result()

    def finish(self) -> None:
        """Let it be the last on the client's connection."""
        self._last = True

    def client_ended(self, upstream: Upstream) -> None:
        """Tell the host that the client says no more, as it would have seen by itself: most then stop their work."""
        transport = upstream.stream.transport
        if self._server.their_state is not h11.SEND_BODY and not self._client.held and not transport.is_closing():
            transport.write_eof()

    async def _give_way(self) -> None:
        self._events += 1
        if not self._events % _EVENTS_AT_ONCE:
            await asyncio.sleep(0)

    # Up.

    async def _pass_body(self, upstream: Upstream) -> None:
        while True:
            try:
                event = self._server.next_event()
            except h11.RemoteProtocolError:
                raise RefusalError(reasons.BAD_REQUEST) from None
            if event is h11.NEED_DATA:
                await self._need_body()
            elif isinstance(event, h11.Data):
                await self._send_up(upstream, upstream.http.send(h11.Data(data=event.data)))
                await self._give_way()
            else:
                self._send_end(upstream)
                rest = self._server.trailing_data[0]
                self.up -= len(rest)
                self._client.give_back(rest)
                return

    async def _need_body(self) -> None:
        try:
            data = await self._client.receive(self._limits.idle_seconds)
        except TimeoutError:
            raise RefusalError(reasons.TIMEOUT, 408) from None
        self.up += len(data)
        self._server.receive_data(data)

    def _send_end(self, upstream: Upstream) -> None:
        if (end := upstream.http.send(h11.EndOfMessage())) and not upstream.stream.lost:
            upstream.stream.transport.write(end)

    async def _send_up(self, upstream: Upstream, data: bytes) -> None:
        try:
            await upstream.stream.send(data, self._limits.idle_seconds)
        except TimeoutError:
            raise RefusalError(reasons.TIMEOUT) from None
        except ConnectionError:
            # It may have answered before it closed; what reads the answer finds out.
            return

    # Down.

    async def _receive(self, upstream: Upstream) -> None:
        while True:
            try:
                event = upstream.http.next_event()
            except h11.RemoteProtocolError:
                raise RefusalError(reasons.UNREACHABLE) from None
            if event is h11.NEED_DATA:
                await self._flush()
                await self._need_response(upstream)
            elif isinstance(event, h11.InformationalResponse):
                if self._inform(event):
                    break
            elif isinstance(event, h11.Response):
                self.status = event.status_code
                self._say(forwarded_response(event, last=self._last))
            elif isinstance(event, h11.Data):
                self._say(h11.Data(data=event.data))
                await self._give_way()
            elif isinstance(event, h11.EndOfMessage):
                self._say(h11.EndOfMessage())
                break
            else:
                raise RefusalError(reasons.UNREACHABLE)
        await self._flush()

    async def _need_response(self, upstream: Upstream) -> None:
        try:
            data = await upstream.stream.receive(self._limits.idle_seconds)
        except TimeoutError:
            raise RefusalError(reasons.TIMEOUT) from None
        except ConnectionError:
            data = None
        if not data and upstream.used and not self._begun:
            repeatable = self._request.method in _REPEATABLE and not self._has_body
            raise StaleError if repeatable else RefusalError(reasons.UNREACHABLE)
        if data is None:
            # Broken and not ended: where the end of the connection is the end of the body, there was none.
            raise RefusalError(reasons.UNREACHABLE)
        self._begun = True
        upstream.http.receive_data(data)

    def _inform(self, event: h11.InformationalResponse) -> bool:
        """Pass on an interim response; whether it was the last that is HTTP."""
        if event.status_code == 101:
            asked = {each.lower() for each in upgrades(self._request)}
            taken = {each.lower() for each in tokens(event, b"upgrade")}
            if not taken or not taken <= asked:
                raise RefusalError(reasons.UNREACHABLE)
            self.status, self.switched = 101, True
        if self._request.http_version != b"1.0":
            self._say(forwarded_information(event))
        return self.switched

    def _say(self, event: h11.Event) -> None:
        self._out.append(self._server.send(event) or b"")

    async def _flush(self) -> None:
        if self._out:
            data, self._out = b"".join(self._out), []
            if data:
                await self._client.send(data, self._limits.idle_seconds)
