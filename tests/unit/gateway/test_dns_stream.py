"""Questions by TCP: many on one connection, in pieces or at once, for as long as the connection is its caller's."""

import asyncio

import dns.message
import pytest

from sandkeeper.gateway import dns_stream as module
from sandkeeper.gateway import reasons
from sandkeeper.gateway.context import Limits
from unit.fakes.gateway import LOOPBACK, caller
from unit.gateway.test_dns_server import HOST, V4, Served, serving


def framed(name: str = HOST, identity: int = 7) -> bytes:
    query = dns.message.make_query(name, "A", id=identity)
    return query.to_wire(prepend_length=True)


async def connect(to: Served) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection(LOOPBACK, to.tcp)


async def answer(reader: asyncio.StreamReader) -> dns.message.Message:
    size = int.from_bytes(await reader.readexactly(2), "big")
    return dns.message.from_wire(await reader.readexactly(size))


async def pour(writer: asyncio.StreamWriter, data: bytes) -> None:
    """Send again and again, until it can't be sent any more."""
    async with asyncio.timeout(5):
        while True:
            writer.write(data)
            await writer.drain()


async def ended(reader: asyncio.StreamReader) -> bool:
    """Tell whether the other side closes; an answer instead fails."""
    try:
        async with asyncio.timeout(2):
            return await reader.read() == b""
    except ConnectionError:
        return True


async def test_questions_are_answered_in_order_however_they_come() -> None:
    async with serving(caller(HOST)) as served:
        reader, writer = await connect(served)
        writer.write(b"".join(framed(identity=each) for each in range(200)))
        assert [(await answer(reader)).id for _ in range(200)] == list(range(200))
        for byte in framed(identity=201):
            writer.write(bytes([byte]))
            await asyncio.sleep(0)
        assert (await answer(reader)).answer[0][0].to_text() == V4
        writer.close()


async def test_a_client_that_has_said_all_is_answered_before_the_end() -> None:
    async with serving(caller(HOST)) as served:
        reader, writer = await connect(served)
        writer.write(b"".join(framed(identity=each) for each in range(50)) + b"\0")
        writer.write_eof()
        assert [(await answer(reader)).id for _ in range(50)] == list(range(50))
        assert await ended(reader)
        writer.close()


async def test_a_client_that_takes_no_answers_is_asked_to_wait_and_then_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "IDLE_SECONDS", 0.2)
    monkeypatch.setattr("sandkeeper.gateway.connections.SWEEP_SECONDS", 0.05)
    async with serving(caller(HOST)) as served:
        reader, writer = await connect(served)
        transport = reader._transport  # type: ignore[attr-defined]
        transport.pause_reading()
        with pytest.raises(ConnectionError):
            await pour(writer, framed() * 1000)
        transport.abort()
        await asyncio.sleep(0.1)
        assert len(served.gateway.context.connections) == 0


@pytest.mark.parametrize("sent", [b"", b"\0", framed()[:-1]], ids=["nothing", "half a length", "half a question"])
async def test_a_connection_without_whole_questions_ends(sent: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "IDLE_SECONDS", 0.1)
    monkeypatch.setattr("sandkeeper.gateway.connections.SWEEP_SECONDS", 0.05)
    async with serving(caller(HOST)) as served:
        reader, writer = await connect(served)
        writer.write(sent)
        assert await ended(reader)
        writer.close()
        assert served.told() == []


@pytest.mark.parametrize(
    "sent", [b"\0\0", b"\0\x0bshort", b"\xff\xff", b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x02\0"]
)
async def test_what_speaks_another_protocol_is_closed(sent: bytes) -> None:
    async with serving(caller(HOST)) as served:
        reader, writer = await connect(served)
        writer.write(sent)
        assert await ended(reader)
        writer.close()


async def test_rules_that_change_hold_for_the_next_question_and_a_connection_ends_with_its_sandbox() -> None:
    one = caller(HOST)
    async with serving(one) as served:
        reader, writer = await connect(served)
        writer.write(framed())
        assert (await answer(reader)).answer
        served.gateway.callers.put(caller("other.example", pod_uid=one.pod_uid))
        writer.write(framed())
        assert not (await answer(reader)).answer
        served.gateway.callers.put(caller(HOST))
        assert await ended(reader)
        writer.close()
        assert served.told() == [(HOST, reasons.NOT_ALLOWED)]


async def test_an_unknown_source_is_closed_and_recorded_once() -> None:
    async with serving() as served:
        reader, writer = await connect(served)
        writer.write(framed())
        assert await ended(reader)
        writer.close()
        await asyncio.sleep(0.02)
        assert served.told() == [("", reasons.UNKNOWN_SOURCE)]


async def test_a_new_sandboxs_first_question_waits_for_it_even_if_it_has_said_all() -> None:
    async with serving() as served:
        served.gateway.callers.patience = 5.0
        reader, writer = await connect(served)
        writer.write(framed())
        writer.write_eof()
        await asyncio.sleep(0.05)
        served.gateway.callers.put(caller(HOST))
        assert (await answer(reader)).answer
        assert await ended(reader)
        writer.close()


async def test_connections_of_one_sandbox_are_bounded() -> None:
    async with serving(caller(HOST), limits=Limits(connections=2)) as served:
        held = [await connect(served) for _ in range(2)]
        await asyncio.sleep(0.02)
        reader, writer = await connect(served)
        assert await ended(reader)
        for each in (writer, *(other for _, other in held)):
            each.close()
        await asyncio.sleep(0.02)
        assert served.told() == [("", reasons.TOO_MANY)]


async def test_a_drain_closes_what_has_been_answered() -> None:
    async with serving(caller(HOST)) as served:
        reader, writer = await connect(served)
        writer.write(framed())
        assert (await answer(reader)).answer
        await served.gateway.context.connections.drain(30)
        assert await ended(reader)
        writer.close()
