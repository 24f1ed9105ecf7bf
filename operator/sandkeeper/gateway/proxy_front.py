"""Port 3128: the proxy for tools that want one, by which nothing is reached that is not reached without.

A tunnel to port 443 has to begin with a ClientHello that names the host it was asked for, and only then is the host
dialled. There is none to port 80, where each request is judged: those are asked for by their whole URLs.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from sandkeeper.gateway import reasons
from sandkeeper.gateway.hello import HelloError, HelloReader
from sandkeeper.gateway.http_connection import HttpConnection
from sandkeeper.gateway.places import PROXY_PORT
from sandkeeper.gateway.refusals import RefusalError
from sandkeeper.gateway.request_rules import TLS_PORT, WEB_PORT, proxy_target, tunnel_target
from sandkeeper.gateway.splice import Half
from sandkeeper.gateway.stream import PARTING_SECONDS
from sandkeeper.gateway.tls_front import alert

if TYPE_CHECKING:
    import h11

    from sandkeeper.gateway.context import Context

_ESTABLISHED: Final = b"HTTP/1.1 200 Connection established\r\n\r\n"


class ProxyFront:
    """Makes the connections of the proxy's port."""

    listens_on: Final = PROXY_PORT

    def __init__(self, context: Context) -> None:
        self._context = context

    def __call__(self) -> ProxyConnection:
        """Make the protocol of one more."""
        return ProxyConnection(self._context)


class ProxyConnection(HttpConnection):
    """One connection, over which requests come with their whole URLs, or a tunnel is asked for."""

    __slots__ = ("_in_tls",)

    def __init__(self, context: Context) -> None:
        super().__init__(context, "connect", proxy_target)
        self._in_tls = False

    def farewell(self, refusal: RefusalError) -> bytes:
        """Last words to a client that is refused: in a tunnel it speaks TLS."""
        return alert(refusal.reason) if self._in_tls else super().farewell(refusal)

    async def handle(self, server: h11.Connection, request: h11.Request) -> bool:
        """Judge a request and have it carried out; whether there may be another one."""
        if request.method != b"CONNECT":
            return await super().handle(server, request)
        host, port = tunnel_target(request)
        self.judge(host, port)
        if port == WEB_PORT:
            said = f"port 80 has no tunnel; ask for http://{host}/ by the whole URL"
            raise RefusalError(reasons.PORT_NOT_ALLOWED, said=said)
        if port == TLS_PORT:
            await self._tunnel_tls(host)
        else:
            half = await self.dial(host, port, Half)
            try:
                await self._establish()
                await self.join(half, self.take())
            finally:
                half.abort()
        return False

    async def _establish(self) -> None:
        self.begin().status = 200
        await self.send(_ESTABLISHED, PARTING_SECONDS)

    async def _tunnel_tls(self, host: str) -> None:
        """Read the hello before anything is dialled: the client sends none before it was told that all is well."""
        await self._establish()
        self._in_tls = True
        reader = HelloReader(self.context.limits.hello_bytes)
        until = asyncio.get_running_loop().time() + self.context.limits.hello_seconds
        record = self.begin()
        while (hello := self._feed(reader, await self._more(until))) is None:
            pass
        record.sni = hello
        if hello != host:
            raise RefusalError(reasons.INNER_SNI)
        # Time has passed since, and the rules may be others.
        self.judge(host, TLS_PORT)
        half = await self.dial(host, TLS_PORT, Half)
        await self.join(half, bytes(reader.seen) + self.take())

    async def _more(self, until: float) -> bytes:
        try:
            data = await self.receive(until - asyncio.get_running_loop().time())
        except TimeoutError:
            raise RefusalError(reasons.TIMEOUT, 408) from None
        if not data:
            raise RefusalError(reasons.BAD_HELLO)
        return data

    def _feed(self, reader: HelloReader, data: bytes) -> str | None:
        try:
            hello = reader.feed(data)
        except HelloError as error:
            raise RefusalError(error.reason) from None
        return None if hello is None else hello.server_name
