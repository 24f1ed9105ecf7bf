"""What is held of a connection, whatever is done with it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from sandkeeper.gateway.stream import MOST_HELD, Stream
from unit.fakes.gateway import LOOPBACK

ONE_READ = 262_144


@asynccontextmanager
async def pair() -> AsyncIterator[tuple[Stream, asyncio.StreamReader, asyncio.StreamWriter]]:
    """Connect a stream to a peer."""
    made: asyncio.Queue[Stream] = asyncio.Queue()

    def make() -> Stream:
        made.put_nowait(stream := Stream())
        return stream

    server = await asyncio.get_running_loop().create_server(make, LOOPBACK, 0)
    reader, writer = await asyncio.open_connection(LOOPBACK, server.sockets[0].getsockname()[1])
    stream = await made.get()
    try:
        yield stream, reader, writer
    finally:
        stream.abort()
        writer.close()
        server.close()
        await asyncio.sleep(0.01)


async def test_of_what_is_given_back_again_and_again_no_more_is_held() -> None:
    async with pair() as (stream, _, writer):
        writer.write(bytes(32 << 20))
        for _ in range(100):
            data = await stream.receive(1)
            stream.give_back(data)
            await asyncio.sleep(0.001)
        assert len(stream.take()) <= MOST_HELD + ONE_READ


async def test_all_that_was_sent_arrives_although_it_is_read_in_pieces() -> None:
    async with pair() as (stream, _, writer):
        writer.write(bytes(8 << 20))
        writer.write_eof()
        got = 0
        while data := await stream.receive(5):
            got += len(data)
        assert got == 8 << 20


async def test_who_is_not_listened_to_is_waited_for_and_not_without_end() -> None:
    async with pair() as (stream, reader, _):
        with pytest.raises(TimeoutError):
            await stream.send(bytes(256 << 20), 0.05)
        assert await reader.read(10) == bytes(10)


async def test_a_connection_that_breaks_is_no_end() -> None:
    async with pair() as (stream, _, writer):
        waiting = asyncio.ensure_future(stream.receive(5))
        await asyncio.sleep(0.01)
        stream.abort()
        with pytest.raises(ConnectionError):
            await waiting
        with pytest.raises(ConnectionError):
            await stream.send(b"x", 5)
        writer.close()


def test_one_that_never_was_connected_can_be_aborted() -> None:
    stream = Stream()
    stream.abort()
    assert stream.lost
