"""Which connections may be, and which may live on: limits, and policy that changes while they are open."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest

from sandkeeper.gateway import reasons
from sandkeeper.gateway.caller import Caller
from sandkeeper.gateway.connections import still_grants
from sandkeeper.gateway.context import Limits
from sandkeeper.gateway.tls_front import TlsFront
from unit.fakes.gateway import LOOPBACK, Gateway, caller, client_hello, echo, gateway, upstream
from unit.waiting import until

ONE, TWO = "one.example.com", "two.example.com"
NEIGHBOUR = "127.0.0.2"
Ends = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def join(served: Gateway, host: str = ONE, source: str = LOOPBACK) -> Ends:
    """Open a connection that is joined with its host."""
    reader, writer = await served.connect(source)
    sent = client_hello(host)
    writer.write(sent)
    assert await reader.readexactly(len(sent)) == sent
    return reader, writer


async def is_cut(ends: Ends) -> bool:
    """Whether a connection ends within a fifth of a second."""
    try:
        async with asyncio.timeout(0.2):
            return await ends[0].read() == b""
    except ConnectionError:
        return True
    except TimeoutError:
        return False


async def refused(served: Gateway, source: str = LOOPBACK) -> bool:
    """Whether a new connection gets nowhere."""
    try:
        reader, writer = await served.connect(source)
        writer.write(client_hello(ONE))
        answer = await reader.read(1)
        writer.close()
    except (ConnectionError, RuntimeError):
        return True
    return answer in {b"", b"\x15"}


async def with_echo(run: Callable[[Gateway], Awaitable[None]], *callers: Caller, limits: Limits | None = None) -> None:
    """Run a story at a front, with hosts that send back what they get."""
    async with upstream(echo) as port:
        places: dict[tuple[str, int], int | str] = {(host, 443): port for host in (ONE, TWO)}
        async with gateway(TlsFront, *callers, limits=limits, places=places) as served:
            await run(served)


async def test_what_a_narrower_policy_no_longer_gives_is_cut_and_the_rest_lives() -> None:
    wide = caller(ONE, TWO)

    async def story(served: Gateway) -> None:
        taken, kept = await join(served, ONE), await join(served, TWO)
        served.callers.put(caller(TWO, pod_uid=wide.pod_uid))
        assert await is_cut(taken)
        kept[1].write(b"still here")
        assert await kept[0].readexactly(10) == b"still here"
        (record,) = served.audit.records
        assert (record.domain, record.reason, record.allowed) == (ONE, reasons.POLICY_CHANGED, True)
        assert record.down == record.up > 0
        kept[1].close()
        await served.records(2)

    await with_echo(story, wide)


async def test_a_connection_in_the_middle_of_its_dial_is_cut_too() -> None:
    wide = caller(ONE)

    async def story(served: Gateway) -> None:
        served.dialer.gate = asyncio.Event()
        ends = await served.connect()
        ends[1].write(client_hello(ONE))
        await until(lambda: served.dialer.dialled)
        served.callers.put(caller(TWO, pod_uid=wide.pod_uid))
        served.dialer.gate.set()
        assert await is_cut(ends)
        (record,) = await served.records()
        assert (record.reason, record.allowed, record.address) == (reasons.POLICY_CHANGED, False, "")

    await with_echo(story, wide)


async def test_a_connection_in_the_middle_of_its_hello_is_judged_by_the_new_policy() -> None:
    wide = caller(ONE)

    async def story(served: Gateway) -> None:
        reader, writer = await served.connect()
        sent = client_hello(ONE)
        writer.write(sent[:100])
        await asyncio.sleep(0.02)
        served.callers.put(caller(TWO, pod_uid=wide.pod_uid))
        writer.write(sent[100:])
        assert (await reader.read())[:1] == b"\x15"
        writer.close()
        (record,) = await served.records()
        assert record.reason == reasons.NOT_ALLOWED
        assert served.dialer.dialled == []

    await with_echo(story, wide)


async def test_what_a_wider_policy_gives_is_there_for_the_next_connection() -> None:
    narrow = caller(TWO)

    async def story(served: Gateway) -> None:
        assert await refused(served)
        served.callers.put(caller(ONE, TWO, pod_uid=narrow.pod_uid))
        (await join(served, ONE))[1].close()
        await served.records(2)

    await with_echo(story, narrow)


async def test_of_a_sandbox_that_is_gone_everything_is_cut() -> None:
    async def story(served: Gateway) -> None:
        ends = await join(served)
        served.callers.remove(LOOPBACK)
        assert await is_cut(ends)
        assert await refused(served)
        gone, unknown = await served.records(2)
        assert (gone.reason, unknown.reason) == (reasons.SANDBOX_GONE, reasons.UNKNOWN_SOURCE)

    await with_echo(story, caller(ONE))


async def test_a_recycled_address_never_speaks_for_its_old_owner() -> None:
    old, new = caller(ONE), caller(ONE)

    async def story(served: Gateway) -> None:
        ends = await join(served)
        served.callers.put(new)
        assert await is_cut(ends)
        (await join(served))[1].close()
        first, second = await served.records(2)
        assert (first.caller, first.reason, second.caller, second.reason) == (old, reasons.SANDBOX_GONE, new, "")

    await with_echo(story, old)


async def test_two_hundred_connections_are_closed_within_a_fifth_of_a_second() -> None:
    wide = caller(ONE)

    async def story(served: Gateway) -> None:
        ends = [await join(served) for _ in range(200)]
        served.callers.put(caller(TWO, pod_uid=wide.pod_uid))
        assert all(await asyncio.gather(*map(is_cut, ends)))
        assert {each.reason for each in await served.records(200)} == {reasons.POLICY_CHANGED}

    await with_echo(story, wide)


async def test_a_private_address_goes_with_the_range_that_granted_it() -> None:
    asked = caller(ONE, cidrs=[{"cidr": "127.0.0.0/8"}])

    async def story(served: Gateway) -> None:
        ends = await join(served)
        served.callers.put(caller(ONE, pod_uid=asked.pod_uid, cidrs=[{"cidr": "127.0.0.1/32", "ports": [443]}]))
        assert not await is_cut(ends)
        served.callers.put(caller(ONE, pod_uid=asked.pod_uid))
        # What `is_cut` waited for before took the reader's place in the stream: the record tells.
        (record,) = await served.records()
        assert record.reason == reasons.POLICY_CHANGED

    await with_echo(story, asked)


@pytest.mark.parametrize("address", ["64:ff9b::a00:5", "fec0::5", "192.88.99.5", "93.184.216.34"])
def test_an_address_that_is_private_by_another_form_or_by_the_cluster_goes_as_well(address: str) -> None:
    cidr = f"{address}/{128 if ':' in address else 32}"
    granted, narrowed = caller(ONE, cidrs=[{"cidr": cidr, "ports": [443]}]), caller(ONE)
    assert not still_grants(address, 443, granted, narrowed)
    assert still_grants(address, 80, granted, narrowed)
    assert still_grants(address, 443, narrowed, granted)


async def test_a_private_address_that_is_dialled_while_its_range_goes_is_not_joined() -> None:
    asked = caller(ONE, cidrs=[{"cidr": "127.0.0.0/8"}])

    async def story(served: Gateway) -> None:
        served.dialer.gate = asyncio.Event()
        reader, writer = await served.connect()
        writer.write(client_hello(ONE))
        await until(lambda: served.dialer.dialled)
        served.callers.put(caller(ONE, pod_uid=asked.pod_uid))
        served.dialer.gate.set()
        assert (await reader.read())[:1] == b"\x15"
        (record,) = await served.records()
        assert (record.reason, record.allowed) == (reasons.FORBIDDEN_ADDRESS, False)

    await with_echo(story, asked)


async def test_what_only_setup_needs_is_cut_when_setup_is_over() -> None:
    clock = [datetime(2026, 3, 1, tzinfo=UTC)]

    def now() -> float:
        return clock[0].timestamp()

    asked = caller(TWO, setup=[ONE], setup_until=clock[0] + timedelta(minutes=5))
    async with upstream(echo) as port:
        places: dict[tuple[str, int], int | str] = {(host, 443): port for host in (ONE, TWO)}
        async with gateway(TlsFront, asked, places=places, now=now) as served:
            installs, works = await join(served, ONE), await join(served, TWO)
            served.context.connections.sweep(time.monotonic())
            assert len(served.context.connections) == 2
            clock[0] += timedelta(minutes=5)
            served.context.connections.sweep(time.monotonic())
            assert await is_cut(installs)
            assert await refused(served)
            works[1].close()
            found = await served.records(3)
    assert [(each.domain, each.reason) for each in found] == [
        (ONE, reasons.POLICY_CHANGED),
        (ONE, reasons.NOT_ALLOWED),
        (TWO, ""),
    ]


async def test_a_caller_has_only_so_many_at_once() -> None:
    async def story(served: Gateway) -> None:
        ends = [await join(served) for _ in range(3)]
        assert await refused(served)
        ends.pop()[1].close()
        await until(lambda: len(served.context.connections) <= 2)
        ends.append(await join(served))
        for _, writer in ends:
            writer.close()
        assert [each.reason for each in await served.records(5)].count(reasons.TOO_MANY) == 1

    await with_echo(story, caller(ONE), limits=Limits(connections=3))


async def test_a_caller_may_open_only_so_many_in_a_time() -> None:
    async def story(served: Gateway) -> None:
        for _ in range(3):
            (await join(served))[1].close()
        assert await refused(served)
        await asyncio.sleep(1.1)
        (await join(served))[1].close()
        assert [each.reason for each in await served.records(5)].count(reasons.TOO_FAST) == 1

    await with_echo(story, caller(ONE), limits=Limits(rate=1, burst=3))


async def test_a_neighbour_works_on_while_a_sandbox_opens_all_it_can() -> None:
    async def hold(served: Gateway) -> None:
        with suppress(ConnectionError):
            await served.connect()

    async def story(served: Gateway) -> None:
        flood = asyncio.gather(*(hold(served) for _ in range(600)))
        began = time.monotonic()
        for _ in range(20):
            (await join(served, source=NEIGHBOUR))[1].close()
        assert time.monotonic() - began < 5
        await flood
        assert len(served.context.connections) <= 120
        reasons_of_flood = {each.reason for each in served.audit.records if each.source == LOOPBACK}
        assert reasons_of_flood == {reasons.TOO_MANY}
        assert {each.reason for each in served.audit.records if each.source == NEIGHBOUR} == {""}

    await with_echo(story, caller(ONE), caller(ONE, address=NEIGHBOUR), limits=Limits(connections=100))


async def test_who_holds_much_of_a_full_gateway_gets_no_more_so_that_others_do() -> None:
    async def story(served: Gateway) -> None:
        ends = [await join(served) for _ in range(24)]
        assert await refused(served)
        ends += [await join(served, source=NEIGHBOUR) for _ in range(4)]
        assert await refused(served, source=NEIGHBOUR)
        for _, writer in ends:
            writer.close()
        await served.records(30)

    limits = Limits(connections=64, total=32)
    await with_echo(story, caller(ONE), caller(ONE, address=NEIGHBOUR), limits=limits)


async def test_a_drain_lets_what_is_open_end_and_cuts_what_does_not() -> None:
    async def story(served: Gateway) -> None:
        ending, staying = await join(served), await join(served)
        drained = asyncio.create_task(served.context.connections.drain(0.3))
        await asyncio.sleep(0.05)
        assert served.context.connections.draining
        ending[1].write(b"to the end")
        assert await ending[0].readexactly(10) == b"to the end"
        ending[1].close()
        await drained
        assert await is_cut(staying)
        assert [each.reason for each in await served.records(2)] == ["", reasons.DRAINED]

    await with_echo(story, caller(ONE))


async def test_a_drain_is_over_as_soon_as_all_have_ended() -> None:
    async def story(served: Gateway) -> None:
        _, writer = await join(served)
        drained = asyncio.create_task(served.context.connections.drain(60))
        writer.close()
        async with asyncio.timeout(2):
            await drained
        await served.records()

    await with_echo(story, caller(ONE))


@pytest.mark.parametrize("held", [0, 3])
async def test_a_caller_that_holds_nothing_is_forgotten_once_it_may_open_all_again(held: int) -> None:
    async def story(served: Gateway) -> None:
        ends = [await join(served) for _ in range(held)]
        (await join(served))[1].close()
        for _, writer in ends:
            writer.close()
        await served.records(held + 1)
        connections = served.context.connections
        connections.sweep(time.monotonic() + 60)
        assert connections._held == {}

    await with_echo(story, caller(ONE))
