"""Ports without names, joined end to end: what arrives is what was sent, both ways, whoever is slow or ends first."""

import asyncio
import hashlib
import random
import socket
import threading
import time
import tracemalloc
from collections.abc import Callable
from contextlib import suppress

import pytest

from sandkeeper.gateway import reasons
from sandkeeper.gateway.context import Context, Limits
from sandkeeper.gateway.nameless_front import NamelessFront
from unit.fakes.gateway import LOOPBACK, caller, echo, gateway, upstream

HOST = "git.example.com"
MEBI = 1 << 20


def ssh(slot: int = 0) -> Callable[[Context], NamelessFront]:
    return lambda context: NamelessFront(context, slot, 22)


async def test_a_server_may_speak_first() -> None:
    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"SSH-2.0-server\r\n")
        writer.write(await reader.readexactly(3))
        writer.close()

    async with (
        upstream(greet) as port,
        gateway(ssh(), caller(f"{HOST}:22"), places={(HOST, 22): port}) as served,
    ):
        reader, writer = await served.connect()
        assert await reader.readline() == b"SSH-2.0-server\r\n"
        writer.write(b"abc")
        assert await reader.read() == b"abc"
        writer.close()
        (record,) = await served.records()
    assert (record.kind, record.domain, record.port, record.allowed) == ("port", HOST, 22, True)
    assert (record.rule, record.up, record.down) == (f"{HOST}:22", 3, 19)


async def test_the_address_that_was_called_says_which_host_is_meant() -> None:
    asked = caller("one.example.com:22", "two.example.com:22")
    async with (
        upstream(echo) as port,
        gateway(ssh(slot=1), asked, places={("two.example.com", 22): port}) as served,
    ):
        reader, writer = await served.connect()
        writer.write(b"x")
        assert await reader.readexactly(1) == b"x"
        writer.close()
        (record,) = await served.records()
    assert record.domain == "two.example.com"


async def test_a_port_that_means_no_host_is_closed() -> None:
    async with gateway(ssh(slot=1), caller(f"{HOST}:22", "*.example.com")) as served:
        reader, writer = await served.connect()
        assert await reader.read() == b""
        writer.close()
        (record,) = await served.records()
    assert (record.reason, record.port, served.dialer.dialled) == (reasons.PORT_NOT_ALLOWED, 22, [])


async def test_large_bodies_go_both_ways_at_once_and_arrive_as_they_were() -> None:
    sent = {who: random.Random(who).randbytes(24 * MEBI) for who in ("client", "server")}
    arrived: dict[str, bytes] = {}

    async def exchange(who: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(sent[who])
        writer.write_eof()
        arrived[who] = hashlib.sha256(await reader.read()).digest()
        writer.close()

    async with (
        upstream(lambda reader, writer: exchange("server", reader, writer)) as port,
        gateway(ssh(), caller(f"{HOST}:22"), places={(HOST, 22): port}) as served,
    ):
        await exchange("client", *await served.connect())
        (record,) = await served.records()
    assert arrived["server"] == hashlib.sha256(sent["client"]).digest()
    assert arrived["client"] == hashlib.sha256(sent["server"]).digest()
    assert (record.up, record.down, record.reason) == (24 * MEBI, 24 * MEBI, "")


async def test_a_client_that_has_ended_still_receives() -> None:
    async def late(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        question = await reader.read()
        await asyncio.sleep(0.05)
        writer.write(question * 1000)
        writer.close()

    async with (
        upstream(late) as port,
        gateway(ssh(), caller(f"{HOST}:22"), places={(HOST, 22): port}) as served,
    ):
        reader, writer = await served.connect()
        writer.write(b"x" * 1000)
        writer.write_eof()
        assert len(await reader.read()) == MEBI - MEBI % 1_000_000
        writer.close()
        await served.records()


async def test_a_server_that_has_ended_still_receives() -> None:
    received = asyncio.get_running_loop().create_future()

    async def ended(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write_eof()
        received.set_result(await reader.read())
        writer.close()

    async with (
        upstream(ended) as port,
        gateway(ssh(), caller(f"{HOST}:22"), places={(HOST, 22): port}) as served,
    ):
        reader, writer = await served.connect()
        assert await reader.read() == b""
        writer.write(b"x" * MEBI)
        writer.write_eof()
        assert len(await received) == MEBI
        writer.close()
        await served.records()


@pytest.mark.parametrize("stalled", ["client", "server"])
async def test_who_does_not_read_stops_the_other_from_sending(stalled: str) -> None:
    # Plain sockets in threads: nothing of this process but the gateway may hold what was sent.
    server, block, sent = socket.create_server((LOOPBACK, 0)), bytes(MEBI), [0]

    def send(connection: socket.socket) -> None:
        connection.settimeout(0.5)
        try:
            while True:
                sent[0] += connection.send(block)
        except TimeoutError:
            return

    async with gateway(ssh(), caller(f"{HOST}:22"), places={(HOST, 22): server.getsockname()[1]}) as served:
        client = await asyncio.to_thread(socket.create_connection, (LOOPBACK, served.port))
        accepted, _ = await asyncio.to_thread(server.accept)
        tracemalloc.start()
        thread = threading.Thread(target=send, args=[accepted if stalled == "client" else client])
        thread.start()
        await asyncio.to_thread(thread.join)
        held = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
        for each in (client, accepted, server):
            each.close()
        (record,) = await served.records()
    moved = record.down if stalled == "client" else record.up
    assert held < MEBI
    assert 0 < moved <= sent[0] < 64 * MEBI


async def test_what_was_sent_before_an_end_arrives_although_the_reader_is_slow() -> None:
    async def burst(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"x" * 8 * MEBI)
        writer.close()

    async with (
        upstream(burst) as port,
        gateway(ssh(), caller(f"{HOST}:22"), places={(HOST, 22): port}) as served,
    ):
        reader, writer = await served.connect()
        await asyncio.sleep(0.1)
        assert len(await reader.read()) == 8 * MEBI
        writer.close()
        await served.records()


async def test_what_is_quiet_for_too_long_is_cut_and_what_is_not_lives() -> None:
    async with (
        upstream(echo) as port,
        gateway(ssh(), caller(f"{HOST}:22"), places={(HOST, 22): port}, limits=Limits(idle_seconds=600)) as served,
    ):
        quiet, busy = await served.connect(), await served.connect()
        for minutes in range(11):
            busy[1].write(b"x")
            assert await busy[0].readexactly(1) == b"x"
            served.context.connections.sweep(time.monotonic() + 60 * minutes)
        with suppress(ConnectionError):
            assert await quiet[0].read() == b""
        (record,) = served.audit.records
        assert (record.reason, record.allowed, len(served.context.connections)) == (reasons.TIMEOUT, True, 1)
        for _, writer in (quiet, busy):
            writer.close()
        await served.records(2)
