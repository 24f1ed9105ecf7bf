"""What a protocol sees of a connection is what asyncio promises, on real sockets."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import struct
import time
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any, cast

import pytest

from sandkeeper.gateway.listening import Listening
from sandkeeper.gateway.poll import READABLE, Poll
from unit.fakes.gateway import LOOPBACK, bound
from unit.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from sandkeeper.gateway.tcp import TcpTransport

MEBI = 1024 * 1024


class Kept(asyncio.Protocol):
    """Keeps all that it is told."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.data = b""
        self.error: Exception | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("TcpTransport", transport)

    def data_received(self, data: bytes) -> None:
        self.data += data

    def eof_received(self) -> bool:
        self.told.append("eof")
        return True

    def pause_writing(self) -> None:
        self.told.append("pause")

    def resume_writing(self) -> None:
        self.told.append("resume")

    def connection_lost(self, error: Exception | None) -> None:
        self.told.append("lost")
        self.error = error


@asynccontextmanager
async def accepted(
    make: Callable[[], Kept] = Kept, listener: socket.socket | None = None
) -> AsyncIterator[tuple[Kept, socket.socket]]:
    """Give a connection's protocol, and the client's socket."""
    made: list[Kept] = []

    def front() -> Kept:
        made.append(make())
        return made[-1]

    listening = Listening(Poll.running(), listener or bound(LOOPBACK), front, 16)
    with socket.create_connection((LOOPBACK, listening.port)) as client:
        client.setblocking(False)
        await until(lambda: bool(made) and hasattr(made[0], "transport"))
        yield made[0], client
        made[0].transport.abort()
    listening.close()
    await asyncio.sleep(0)


async def read(client: socket.socket, size: int) -> bytes:
    """Read so many bytes, or to the end."""
    found, loop = b"", asyncio.get_running_loop()
    async with asyncio.timeout(10):
        while len(found) < size and (data := await loop.sock_recv(client, MEBI)):
            found += data
    return found


def reset(client: socket.socket) -> None:
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


async def test_what_comes_is_told_and_what_is_written_goes() -> None:
    async with accepted() as (kept, client):
        client.send(b"hello")
        await until(lambda: kept.data == b"hello")
        kept.transport.write(b"good ")
        kept.transport.write(bytearray(b"day"))
        assert await read(client, 8) == b"good day"
        assert kept.transport.get_extra_info("peername") == client.getsockname()


async def test_small_packets_go_at_once() -> None:
    async with accepted() as (kept, _):
        found = kept.transport.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        assert found


async def test_what_is_not_taken_is_kept_and_stops_the_writer_until_it_is_taken() -> None:
    sent = os.urandom(8 * MEBI)
    async with accepted() as (kept, client):
        kept.transport.write(sent[:MEBI])
        kept.transport.write(sent[MEBI:])
        assert kept.told == ["pause"]
        assert 0 < kept.transport.get_write_buffer_size() < len(sent)
        assert await read(client, len(sent)) == sent
        assert kept.told == ["pause", "resume"]
        assert kept.transport.get_write_buffer_size() == 0


async def test_nothing_is_read_while_reading_is_paused() -> None:
    async with accepted() as (kept, client):
        kept.transport.pause_reading()
        client.send(b"hello")
        await asyncio.sleep(0.02)
        assert (kept.data, kept.transport.is_reading()) == (b"", False)
        kept.transport.resume_reading()
        await until(lambda: kept.data == b"hello")


async def test_a_protocol_that_takes_over_is_stopped_as_the_one_before_was() -> None:
    async with accepted() as (kept, client):
        kept.transport.write(bytes(8 * MEBI))
        heir = Kept()
        kept.transport.set_protocol(heir)
        assert (kept.told, heir.told) == (["pause"], ["pause"])
        assert await read(client, 8 * MEBI) == bytes(8 * MEBI)
        assert (kept.told, heir.told) == (["pause"], ["pause", "resume"])


async def test_what_a_poll_does_not_take_is_not_left_open(monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel has no memory left, or bounds what one user may wait for."""

    class Full:
        def __init__(self, real: Any) -> None:
            self.real, self.asked = real, list[int]()

        def __getattr__(self, name: str) -> Any:
            return getattr(self.real, name)

        def register(self, descriptor: int, _: int) -> None:
            self.asked.append(descriptor)
            raise OSError(errno.ENOSPC, "No space left on device")

    poll, said = Poll.running(), list[Any]()
    asyncio.get_running_loop().set_exception_handler(lambda _, context: said.append(context["exception"]))
    listening = Listening(poll, bound(LOOPBACK), asyncio.Protocol, 16)
    full = Full(poll._epoll)
    with socket.create_connection((LOOPBACK, listening.port)) as client:
        client.setblocking(False)
        monkeypatch.setattr(poll, "_epoll", full)
        await until(lambda: bool(said))
        monkeypatch.undo()
        assert said[0].errno == errno.ENOSPC
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(full.asked[0])
        assert full.asked[0] not in poll._owners
    listening.close()


async def test_a_protocol_that_keeps_what_comes_is_not_told_much_at_once() -> None:
    class Once(Kept):
        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            self.transport.pause_reading()

    async with accepted(Once) as (kept, client):
        kept.transport.pause_reading()
        with suppress(BlockingIOError):
            while True:
                client.send(bytes(MEBI))
        kept.transport.resume_reading()
        await until(lambda: bool(kept.data))
        assert len(kept.data) <= 65_536


async def test_an_end_is_of_one_direction() -> None:
    async with accepted() as (kept, client):
        client.send(b"last words")
        client.shutdown(socket.SHUT_WR)
        await until(lambda: kept.told == ["eof"])
        assert kept.data == b"last words"
        kept.transport.write(bytes(4 * MEBI))
        kept.transport.write_eof()
        kept.transport.write(b"after the end")
        assert await read(client, 5 * MEBI) == bytes(4 * MEBI)
        assert "lost" not in kept.told


async def test_what_closes_sends_what_was_written_before_and_reads_no_more() -> None:
    async with accepted() as (kept, client):
        kept.transport.write(bytes(16 * MEBI))
        kept.transport.close()
        assert (kept.transport.is_closing(), kept.transport.is_reading()) == (True, False)
        assert kept.told == ["pause"]
        assert await read(client, 16 * MEBI) == bytes(16 * MEBI)
        await until(lambda: kept.told[-1] == "lost")
        assert (kept.told.count("lost"), kept.error) == (1, None)


async def test_an_abort_ends_at_once_and_is_told_once() -> None:
    async with accepted() as (kept, client):
        kept.transport.write(bytes(16 * MEBI))
        kept.transport.abort()
        kept.transport.close()
        kept.transport.abort()
        assert "lost" not in kept.told, "not in the middle of what calls it"
        await until(lambda: kept.told[-1] == "lost")
        assert len(await read(client, 17 * MEBI)) < 16 * MEBI
        assert kept.told.count("lost") == 1


async def test_a_broken_connection_is_told_with_its_error() -> None:
    async with accepted() as (kept, client):
        reset(client)
        await until(lambda: kept.told == ["lost"])
        assert isinstance(kept.error, ConnectionResetError)


async def test_a_connection_that_breaks_while_it_is_not_read_costs_nothing_until_it_is_read_again() -> None:
    async with accepted() as (kept, client):
        kept.transport.pause_reading()
        reset(client)
        began, slept = time.thread_time(), 0.2
        await asyncio.sleep(slept)
        assert time.thread_time() - began < slept / 2
        kept.transport.resume_reading()
        await until(lambda: kept.told == ["lost"])


async def test_a_connection_that_breaks_while_something_is_kept_for_it_is_told() -> None:
    async with accepted() as (kept, client):
        kept.transport.pause_reading()
        kept.transport.write(bytes(8 * MEBI))
        reset(client)
        await until(lambda: kept.told[-1] == "lost")


async def test_a_protocol_that_fails_loses_its_connection_and_nobody_else_does() -> None:
    class Failing(Kept):
        def data_received(self, data: bytes) -> None:
            raise KeyError(data)

    said: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: said.append(context["exception"]))
    async with accepted(Failing) as (failing, client), accepted() as (kept, other):
        client.send(b"hello")
        other.send(b"hello")
        await until(lambda: failing.told == ["lost"] and kept.data == b"hello")
        assert [type(each) for each in said] == [KeyError]


async def test_a_listener_without_descriptors_rests_and_then_goes_on() -> None:
    class Exhausted(socket.socket):
        refused = 0

        def accept(self) -> tuple[socket.socket, Any]:
            if not self.refused:
                self.refused += 1
                raise OSError(errno.EMFILE, "Too many open files")
            return super().accept()

    listener = Exhausted(fileno=bound(LOOPBACK).detach())
    listener.setblocking(False)
    async with accepted(listener=listener) as (kept, client):
        client.send(b"hello")
        await until(lambda: kept.data == b"hello")
        assert listener.refused == 1


async def test_no_descriptor_is_closed_while_events_are_handed_out() -> None:
    """A newcomer may have the number of one that is closed, and would be told of the other's events."""
    poll, told, closed = Poll.running(), list[str](), list[str]()
    one, other = socket.socketpair()
    with one, other:

        def ready(name: str, own: socket.socket, victim: socket.socket) -> Callable[[int], None]:
            def told_of(_: int) -> None:
                told.append(name)
                poll.remove(own.fileno())
                poll.end(victim.fileno(), lambda: closed.append(name))
                assert closed == []

            return told_of

        poll.add(one.fileno(), READABLE, ready("one", one, other))
        poll.add(other.fileno(), READABLE, ready("other", other, one))
        one.send(b"x")
        other.send(b"x")
        await until(lambda: bool(closed))
        assert len(told) == 1
        assert closed == told


@pytest.mark.parametrize("name", ["peername", "socket"])
async def test_a_transport_tells_what_it_is_asked_for(name: str) -> None:
    async with accepted() as (kept, _):
        assert kept.transport.get_extra_info(name) is not None
        assert kept.transport.get_extra_info("cipher", "none") == "none"
        assert kept.transport.get_protocol() is kept
        assert kept.transport.can_write_eof()
