"""Port 443: what a client sees, what upstream gets, and what is recorded."""

import asyncio
import socket
import ssl
import struct

import pytest

from sandkeeper.gateway import reasons
from sandkeeper.gateway.context import Limits
from sandkeeper.gateway.tls_front import TlsFront
from unit.fakes.gateway import LOOPBACK, Gateway, caller, client_hello, echo, gateway, upstream
from unit.waiting import until

from .hellos import CORPUS, hello, message, records

HOST = "api.github.com"


def alert(description: int) -> bytes:
    return bytes((21, 3, 3, 0, 2, 2, description))


async def answer(served: Gateway, sent: bytes, source: str = LOOPBACK) -> bytes:
    """Send something, and read all that comes back."""
    reader, writer = await served.connect(source)
    writer.write(sent)
    try:
        return await reader.read()
    finally:
        writer.close()


async def test_an_allowed_name_is_joined_with_the_very_bytes_that_were_read() -> None:
    first = client_hello("API.github.com.")
    async with (
        upstream(echo) as port,
        gateway(TlsFront, caller("*.github.com"), places={(HOST, 443): port}) as served,
    ):
        reader, writer = await served.connect()
        writer.write(first)
        assert await reader.readexactly(len(first)) == first
        writer.write_eof()
        assert await reader.read() == b""
        writer.close()
        (record,) = await served.records()
    assert (record.kind, record.sni, record.domain, record.port) == ("tls", HOST, HOST, 443)
    assert (record.allowed, record.rule, record.reason, record.address) == (True, "*.github.com", "", LOOPBACK)
    assert (record.up, record.down, record.source) == (len(first), len(first), LOOPBACK)


REFUSED = {
    "another name": (client_hello("github.com"), reasons.NOT_ALLOWED, 112),
    "no name": (CORPUS["openssl-no-name"], reasons.NO_SNI, 112),
    "an address": (CORPUS["openssl-address"], reasons.IP_LITERAL, 49),
    "an encrypted hello": (CORPUS["go-encrypted"], reasons.ENCRYPTED_HELLO, 49),
    "no TLS": (b"GET / HTTP/1.1\r\nHost: api.github.com\r\n\r\n", reasons.BAD_HELLO, 50),
    "a name of another port": (client_hello("db.example.com"), reasons.PORT_NOT_ALLOWED, 49),
}


@pytest.mark.parametrize("what", REFUSED)
async def test_what_is_refused_gets_an_alert_and_is_never_dialled(what: str) -> None:
    sent, reason, description = REFUSED[what]
    async with gateway(TlsFront, caller("*.github.com", "db.example.com:5432")) as served:
        assert await answer(served, sent) == alert(description)
        (record,) = await served.records()
    assert (record.allowed, record.reason, record.rule) == (False, reason, "")
    assert served.dialer.dialled == []


async def test_a_client_is_told_by_its_own_library_why() -> None:
    context = ssl.create_default_context()
    async with gateway(TlsFront, caller("*.github.com")) as served:
        with pytest.raises(ssl.SSLError, match="UNRECOGNIZED_NAME"):
            await asyncio.open_connection(LOOPBACK, served.port, ssl=context, server_hostname="example.com")
        await served.records()


async def test_a_hello_may_come_byte_by_byte() -> None:
    first = client_hello(HOST)
    async with (
        upstream(echo) as port,
        gateway(TlsFront, caller(HOST), places={(HOST, 443): port}) as served,
    ):
        reader, writer = await served.connect()
        writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in first:
            writer.write(bytes([byte]))
            await asyncio.sleep(0)
        assert await reader.readexactly(len(first)) == first
        writer.close()
        await served.records()


async def test_what_a_client_sends_behind_its_hello_reaches_the_host_in_order() -> None:
    first, early = client_hello(HOST), [bytes([number]) * 30_000 for number in range(10)]
    async with (
        upstream(echo) as port,
        gateway(TlsFront, caller(HOST), places={(HOST, 443): port}) as served,
    ):
        served.dialer.gate = asyncio.Event()
        reader, writer = await served.connect()
        for piece in (first, *early):
            writer.write(piece)
            await asyncio.sleep(0.005)
        served.dialer.gate.set()
        expected = b"".join([first, *early])
        assert await reader.readexactly(len(expected)) == expected
        writer.close()
        (record,) = await served.records()
    assert record.up == record.down == len(expected)


@pytest.mark.parametrize("reason", [reasons.UNRESOLVABLE, reasons.FORBIDDEN_ADDRESS, reasons.UNREACHABLE])
async def test_a_host_that_cannot_be_dialled_is_said_and_recorded(reason: str) -> None:
    async with gateway(TlsFront, caller(HOST), places={(HOST, 443): reason}) as served:
        assert (await answer(served, client_hello(HOST)))[:1] == b"\x15"
        (record,) = await served.records()
    assert (record.allowed, record.reason, record.rule, record.domain) == (False, reason, HOST, HOST)


async def test_a_dialer_that_breaks_leaves_no_connection_behind() -> None:
    # An error of a kind that no dialer should raise: port 1 refuses, and the fake lets that through.
    async with gateway(TlsFront, caller(HOST), places={(HOST, 443): 1}) as served:
        served.dialer.gate = asyncio.Event()
        served.dialer.gate.set()
        seen: list[str] = []
        asyncio.get_running_loop().set_exception_handler(lambda _loop, context: seen.append(context["message"]))
        assert await answer(served, client_hello(HOST)) == alert(80)
        (record,) = await served.records()
    assert record.reason == reasons.UNREACHABLE


async def test_a_host_that_refuses_is_said_and_recorded() -> None:
    async with gateway(TlsFront, caller(HOST), places={(HOST, 443): 1}) as served:
        assert await answer(served, client_hello(HOST)) == alert(80)
        (record,) = await served.records()
    assert (record.allowed, record.reason, record.address) == (False, reasons.UNREACHABLE, "")


async def test_a_host_that_is_silent_is_said_and_recorded() -> None:
    limits = Limits(dial_seconds=0.05)
    async with gateway(TlsFront, caller(HOST), limits=limits, places={(HOST, 443): 1}) as served:
        served.dialer.silent = True
        assert await answer(served, client_hello(HOST)) == alert(80)
        (record,) = await served.records()
    assert (record.allowed, record.reason) == (False, reasons.TIMEOUT)
    assert [each.aborted for each in served.dialer.attempts] == [True]


@pytest.mark.parametrize("ending", ["client", "policy"])
async def test_who_goes_while_a_host_is_silent_takes_the_attempt_along(ending: str) -> None:
    who = caller(HOST)
    async with gateway(TlsFront, who, places={(HOST, 443): 1}) as served:
        served.dialer.silent = True
        _, writer = await served.connect()
        writer.write(client_hello(HOST))
        await until(lambda: served.dialer.attempts)
        if ending == "client":
            reset = struct.pack("ii", 1, 0)
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset)
            writer.close()
        else:
            served.callers.put(caller(pod_uid=who.pod_uid))
        (record,) = await served.records()
    assert (record.allowed, record.reason) == (False, "" if ending == "client" else reasons.POLICY_CHANGED)
    assert [each.aborted for each in served.dialer.attempts] == [True]


@pytest.mark.parametrize("sent", [b"", client_hello(HOST)[:100]], ids=["nothing", "half a hello"])
async def test_a_client_that_ends_before_its_hello_does_is_recorded(sent: bytes) -> None:
    async with gateway(TlsFront, caller(HOST)) as served:
        reader, writer = await served.connect()
        writer.write(sent)
        writer.write_eof()
        assert await reader.read() == alert(50)
        writer.close()
        (record,) = await served.records()
    assert record.reason == reasons.BAD_HELLO


async def test_a_client_that_is_gone_before_the_dial_ends_leaves_nothing_behind() -> None:
    dialled: list[asyncio.StreamWriter] = []

    async def remember(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        dialled.append(writer)

    async with (
        upstream(remember) as port,
        gateway(TlsFront, caller(HOST), places={(HOST, 443): port}) as served,
    ):
        served.dialer.gate = asyncio.Event()
        _, writer = await served.connect()
        writer.write(client_hello(HOST))
        await until(lambda: served.dialer.dialled)
        reset = struct.pack("ii", 1, 0)
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset)
        writer.close()
        (record,) = await served.records()
        served.dialer.gate.set()
        await asyncio.sleep(0.05)
    assert dialled == []
    assert (record.domain, record.allowed, record.reason) == (HOST, False, "")


async def test_a_client_that_is_gone_before_it_is_accepted_is_recorded_all_the_same() -> None:
    async with gateway(TlsFront, caller(HOST)) as served:
        # Within this one step the loop accepts nothing.
        with socket.create_connection((LOOPBACK, served.port)) as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        (record,) = await served.records()
    assert (record.source, record.caller is not None, record.allowed) == (LOOPBACK, True, False)


async def test_a_client_that_ends_while_the_host_is_dialled_still_gets_the_answer() -> None:
    async with (
        upstream(echo) as port,
        gateway(TlsFront, caller(HOST), places={(HOST, 443): port}) as served,
    ):
        served.dialer.gate = asyncio.Event()
        reader, writer = await served.connect()
        writer.write(client_hello(HOST))
        writer.write_eof()
        await asyncio.sleep(0.02)
        served.dialer.gate.set()
        assert len(await reader.read()) == len(client_hello(HOST))
        writer.close()
        await served.records()


async def test_a_slow_hello_is_cut_however_it_trickles() -> None:
    async with gateway(TlsFront, caller(HOST), limits=Limits(hello_seconds=0.1)) as served:
        _, writer = await served.connect()
        for byte in client_hello(HOST):
            if writer.is_closing():
                break
            writer.write(bytes([byte]))
            await asyncio.sleep(0.05)
        assert writer.is_closing()
        (record,) = await served.records()
    assert (record.reason, record.allowed) == (reasons.TIMEOUT, False)
    assert 0.1 <= record.seconds < 5


async def test_a_hello_larger_than_any_is_refused_as_soon_as_it_says_so() -> None:
    large = records(message(hello(HOST.encode(), [(21, bytes(9000))])))
    async with gateway(TlsFront, caller(HOST), limits=Limits(hello_bytes=8192)) as served:
        assert await answer(served, large[:100]) == alert(50)
        await served.records()


async def test_nobody_gets_nothing_but_a_refusal() -> None:
    async with gateway(TlsFront) as served:
        reader, writer = await served.connect()
        writer.write(client_hello(HOST))
        assert await reader.read() == alert(49)
        writer.close()
        (record,) = await served.records()
    assert (record.caller, record.reason, record.source) == (None, reasons.UNKNOWN_SOURCE, LOOPBACK)


async def test_the_first_packet_of_a_new_sandbox_waits_until_its_pod_is_known() -> None:
    first, new = client_hello(HOST), caller(HOST)
    async with (
        upstream(echo) as port,
        gateway(TlsFront, places={(HOST, 443): port}) as served,
    ):
        served.callers.patience = 5
        reader, writer = await served.connect()
        writer.write(first)
        await asyncio.sleep(0.03)
        served.callers.put(new)
        assert await reader.readexactly(len(first)) == first
        writer.close()
        (record,) = await served.records()
    assert (record.caller, record.allowed) == (new, True)


async def test_only_so_many_strangers_may_wait() -> None:
    async with gateway(TlsFront, limits=Limits(strangers=2)) as served:
        served.callers.patience = 0.3
        ends = [await served.connect() for _ in range(3)]
        assert await ends[2][0].read() == alert(49)
        found = [each.reason for each in await served.records(3)]
        for _, writer in ends:
            writer.close()
        reader, writer = await served.connect()
        assert await reader.read() == alert(49)
        writer.close()
    assert found == [reasons.TOO_MANY, *[reasons.UNKNOWN_SOURCE] * 2]
