"""A connection is to the very address that was asked for, or there is none."""

import asyncio
import socket
from typing import Any

import pytest

from sandkeeper.gateway.connecting import Connecting
from sandkeeper.gateway.poll import Poll
from sandkeeper.gateway.tcp import TcpTransport
from unit.fakes.gateway import LOOPBACK, echo, upstream


async def outcome(literal: str, port: int) -> TcpTransport | None:
    told: asyncio.Future[TcpTransport | None] = asyncio.get_running_loop().create_future()
    Connecting(Poll.running(), literal, port, asyncio.Protocol(), told.set_result)
    assert not told.done(), "not before its maker has it"
    async with asyncio.timeout(5):
        return await told


async def test_an_address_that_answers_is_connected() -> None:
    async with upstream(echo) as port:
        transport = await outcome(LOOPBACK, port)
        assert transport is not None
        assert transport.get_extra_info("peername") == (LOOPBACK, port)
        assert transport.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        transport.abort()


async def test_ipv6_is_connected_too() -> None:
    server = await asyncio.start_server(echo, "::1", 0)
    port = server.sockets[0].getsockname()[1]
    transport = await outcome("::1", port)
    assert transport is not None
    assert transport.get_extra_info("peername") == ("::1", port)
    transport.abort()
    server.close()


@pytest.mark.parametrize("literal", [LOOPBACK, "::1", "255.255.255.255"])
async def test_an_address_that_refuses_or_has_no_way_to_it_gives_none(literal: str) -> None:
    assert await outcome(literal, 1) is None


async def test_what_leads_elsewhere_is_closed_before_anything_goes_over_it(monkeypatch: pytest.MonkeyPatch) -> None:
    class Elsewhere(socket.socket):
        def connect_ex(self, address: Any) -> int:
            return super().connect_ex(("127.0.0.2", address[1]))

    server = await asyncio.start_server(echo, "127.0.0.2", 0)
    monkeypatch.setattr(socket, "socket", Elsewhere)
    assert await outcome(LOOPBACK, server.sockets[0].getsockname()[1]) is None
    server.close()


async def test_of_what_was_given_up_nobody_is_told() -> None:
    async with upstream(echo) as port:
        told: list[Any] = []
        for _ in range(2):
            attempt = Connecting(Poll.running(), LOOPBACK, port, asyncio.Protocol(), told.append)
            attempt.abort()
            attempt.abort()
        await asyncio.sleep(0.02)
        assert told == []
