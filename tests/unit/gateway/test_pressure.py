"""What clients and hosts do not take fills the memory of no gateway, and costs nobody who has little of it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial

import pytest

from sandkeeper.gateway import reasons
from sandkeeper.gateway.context import Context, Limits
from sandkeeper.gateway.http_front import HttpFront
from sandkeeper.gateway.nameless_front import NamelessFront
from sandkeeper.gateway.tls_front import TlsFront
from unit.fakes.gateway import LOOPBACK, Gateway, caller, client_hello, gateway
from unit.waiting import until

HOST = "api.example.com"
NEIGHBOUR = "127.0.0.2"
SSH = 22
MOST = 3
LARGE = bytes(16 * 1024 * 1024)
POST = b"POST / HTTP/1.1\r\nHost: api.example.com\r\nContent-Length: %d\r\n\r\n" % len(LARGE)
GET = b"GET / HTTP/1.1\r\nHost: api.example.com\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(LARGE)


@asynccontextmanager
async def host(says: bytes) -> AsyncIterator[int]:
    """Serve what takes nothing, and may say much."""
    over = asyncio.Event()

    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(says)
        await over.wait()
        writer.transport.abort()

    # A limit without which a server would read ahead.
    server = await asyncio.start_server(serve, LOOPBACK, 0, limit=1)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        over.set()
        server.close()


async def stops(served: Gateway, says: bytes, source: str = LOOPBACK) -> None:
    """Connect, say something, and take nothing."""
    before = len(served.context.connections.pressure)
    reader, writer = await asyncio.open_connection(LOOPBACK, served.port, local_addr=(source, 0), limit=1)
    del reader
    served.clients.append(writer)
    writer.write(says)
    await until(lambda: before >= MOST or len(served.context.connections.pressure) != before)


STORIES = {
    "up by TLS": (TlsFront, 443, client_hello(HOST) + LARGE, b""),
    "down by TLS": (TlsFront, 443, client_hello(HOST), LARGE),
    "up by HTTP": (HttpFront, 80, POST + LARGE, b""),
    "down by HTTP": (HttpFront, 80, GET, OK + LARGE),
}


@pytest.mark.parametrize("story", STORIES)
async def test_who_has_the_most_that_is_not_taken_gives_way(story: str) -> None:
    front, port, asks, answers = STORIES[story]
    callers = caller(HOST), caller(HOST, address=NEIGHBOUR)
    async with (
        host(answers) as place,
        gateway(front, *callers, limits=Limits(stopped=MOST), places={(HOST, port): place}) as served,
    ):
        await stops(served, asks, NEIGHBOUR)
        for _ in range(MOST + 2):
            await stops(served, asks)
        await until(lambda: len(served.audit.records) >= 3)
        assert [(each.source, each.reason) for each in served.audit.records] == [(LOOPBACK, reasons.TOO_MANY)] * 3
        assert len(served.context.connections.pressure) == len(served.context.connections) == MOST
        for each in list(served.context.connections):
            each.cut(reasons.DRAINED)
        await served.records(MOST * 2)
        assert len(served.context.connections.pressure) == 0


@pytest.mark.parametrize(
    ("front", "port", "hello"),
    [(TlsFront, 443, client_hello(HOST)), (partial(NamelessFront, slot=0, port=SSH), SSH, b"")],
    ids=["TLS", "a port"],
)
async def test_what_clients_send_before_their_host_answers_is_bounded_for_all_together(
    front: Callable[[Context], Callable[[], asyncio.Protocol]], port: int, hello: bytes
) -> None:
    who = caller(f"{HOST}:{port}")
    async with gateway(front, who, limits=Limits(stopped=MOST), places={(HOST, port): 1}) as served:
        served.dialer.silent = True
        for _ in range(MOST + 2):
            await stops(served, hello + LARGE)
        await until(lambda: len(served.audit.records) >= 2)
        assert [each.reason for each in served.audit.records] == [reasons.TOO_MANY] * 2
        assert len(served.context.connections.pressure) == len(served.context.connections) == MOST
        for each in list(served.context.connections):
            each.cut(reasons.DRAINED)
        await served.records(MOST + 2)
        assert len(served.context.connections.pressure) == 0
        assert all(each.aborted for each in served.dialer.attempts)


async def test_what_requests_carry_before_their_host_answers_is_bounded_too() -> None:
    async with gateway(HttpFront, caller(HOST), limits=Limits(stopped=MOST), places={(HOST, 80): 1}) as served:
        served.dialer.gate = asyncio.Event()
        for _ in range(MOST + 2):
            await stops(served, POST + LARGE)
        await until(lambda: len(served.audit.records) >= 2)
        assert [each.reason for each in served.audit.records] == [reasons.TOO_MANY] * 2
        assert len(served.context.connections.pressure) == MOST
        served.dialer.gate.set()
        await served.records(MOST + 2)
        assert len(served.context.connections.pressure) == 0
