"""Port 443: what a client sees, what upstream gets, and what is recorded."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from sandkeeper.gateway import reasons
from sandkeeper.gateway.context import Context
from sandkeeper.gateway.tls_front import TlsFront
from unit.fakes.gateway import LOOPBACK, Gateway, caller, gateway

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def hello(name: str | None) -> bytes:
    """Give the first flight of this Python's OpenSSL."""
    outgoing = ssl.MemoryBIO()
    client = ssl.create_default_context()
    client.check_hostname = name is not None
    wrapped = client.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname=name)
    with pytest.raises(ssl.SSLWantReadError):
        wrapped.do_handshake()
    return outgoing.read()


@asynccontextmanager
async def upstream(handler: Handler) -> AsyncIterator[int]:
    """Serve on a port of loopback."""
    server = await asyncio.start_server(handler, LOOPBACK, 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()


async def connect(to: Gateway) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection(LOOPBACK, to.port)


def tls(context: Context) -> TlsFront:
    return TlsFront(context)


async def test_an_allowed_name_is_joined_with_the_very_bytes_that_were_read() -> None:
    first = hello("api.github.com")
    async with (
        upstream(echo) as port,
        gateway(tls, caller("*.github.com"), places={("api.github.com", 443): port}) as served,
    ):
        reader, writer = await connect(served)
        writer.write(first)
        assert await reader.readexactly(len(first)) == first
        writer.write_eof()
        assert await reader.read() == b""
        writer.close()
        (record,) = await served.records()
    assert (record.kind, record.sni, record.domain, record.port) == ("tls", "api.github.com", "api.github.com", 443)
    assert (record.allowed, record.rule, record.reason, record.address) == (True, "*.github.com", "", LOOPBACK)
    assert (record.up, record.down) == (len(first), len(first))


async def test_a_name_that_is_not_allowed_gets_an_alert_and_is_never_dialled() -> None:
    async with gateway(tls, caller("*.github.com")) as served:
        reader, writer = await connect(served)
        writer.write(hello("github.com"))
        assert await reader.read() == bytes((21, 3, 3, 0, 2, 2, 112))
        writer.close()
        (record,) = await served.records()
    assert (record.sni, record.allowed, record.reason) == ("github.com", False, reasons.NOT_ALLOWED)
    assert served.dialer.dialled == []
