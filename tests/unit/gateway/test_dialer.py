"""An allowed name is dialled at an address that was checked for that very sandbox, or it is not dialled."""

import asyncio
import socket
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from ipaddress import ip_address
from typing import Any

import pytest

from sandkeeper.gateway import dialer as module
from sandkeeper.gateway import happy_eyeballs, reasons
from sandkeeper.gateway.addresses import Address, AddressFilter
from sandkeeper.gateway.caller import Caller
from sandkeeper.gateway.context import DialError
from sandkeeper.gateway.dialer import Dialer
from sandkeeper.gateway.resolver import Resolver
from sandkeeper.gateway.rules import Rules
from sandkeeper.gateway.splice import Half
from sandkeeper.gateway.tls_front import TlsFront
from unit.fakes.gateway import LOOPBACK, caller, gateway
from unit.fakes.nameserver import Nameserver, nameserver

HOST = "api.example"
PUBLIC, OTHER, PRIVATE = "127.0.0.1", "127.0.0.2", "127.0.1.1"
GRANT = [{"cidr": "10.0.1.0/24"}]


class Loopback(AddressFilter):
    """Judges loopback as what it stands for here: 127.0.0.x for a public network, 127.0.1.x for a private one."""

    def refusal(self, address: Address, port: int, rules: Rules) -> str:
        text = str(address)
        for here, there in (("127.0.0.", "93.184.216."), ("127.0.1.", "10.0.1.")):
            text = text.replace(here, there)
        return super().refusal(ip_address(text), port, rules)


@asynccontextmanager
async def upstreams(*addresses: str) -> AsyncIterator[tuple[int, list[str]]]:
    """Serve one port at some addresses; gives it, and to which of them each connection came."""
    came: list[str] = []

    async def served(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        came.append(writer.get_extra_info("sockname")[0])
        writer.close()

    first = await asyncio.start_server(served, addresses[0], 0)
    port = first.sockets[0].getsockname()[1]
    servers = [first, *[await asyncio.start_server(served, each, port) for each in addresses[1:]]]
    try:
        yield port, came
    finally:
        for each in servers:
            each.close()


def dialer(served: Nameserver, seconds: float = 20.0, *, ipv6: bool = False, asking: float = 10.0) -> Dialer:
    return Dialer(Resolver([served.server], ipv6=ipv6, seconds=asking), Loopback(), seconds)


async def dialled(by: Dialer, who: Caller, port: int, host: str = HOST) -> str:
    """Give the address that was dialled, or why none was."""
    try:
        transport, _, address = await by.dial(who, host, port, asyncio.Protocol)
    except DialError as error:
        return error.reason
    assert transport.get_extra_info("peername")[0] == address
    transport.close()
    return address


async def test_a_public_address_is_dialled() -> None:
    async with nameserver() as served, upstreams(PUBLIC) as (port, came):
        served.addresses[HOST] = [PUBLIC]
        assert await dialled(dialer(served), caller(HOST), port) == PUBLIC
        await asyncio.sleep(0.02)
        assert came == [PUBLIC]


async def begun(by: Dialer, who: Caller, port: int) -> str | None:
    """Give the address that is dialled at once, empty for one that does not answer; None where it has to be asked."""
    told: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    half = Half()
    if by.at_once(who, HOST, port, half, told.set_result) is None:
        return None
    address = await told
    half.abort()
    return address


async def test_one_known_address_is_dialled_at_once() -> None:
    async with nameserver() as served, upstreams(PUBLIC) as (port, came):
        served.addresses[HOST] = [PUBLIC]
        by, who = dialer(served), caller(HOST)
        assert await begun(by, who, port) is None, "nobody knows it yet"
        await dialled(by, who, port)
        assert await begun(by, who, port) == PUBLIC
        assert await begun(by, who, 1) == ""
        assert len(served.asked) == 1
        await asyncio.sleep(0.02)
        assert came == [PUBLIC, PUBLIC]


async def test_of_several_known_addresses_those_are_dialled_at_once_that_may_be(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # One that refuses is not waited for.
    monkeypatch.setattr(happy_eyeballs, "ATTEMPT_DELAY_SECONDS", 30.0)
    async with nameserver() as served, upstreams(OTHER, PRIVATE) as (port, came):
        served.addresses[HOST] = [PUBLIC, PRIVATE, "10.0.0.1", OTHER]
        by, who = dialer(served), caller(HOST)
        assert await dialled(by, who, port) == OTHER
        assert await begun(by, who, port) == OTHER
        await asyncio.sleep(0.02)
        assert came == [OTHER, OTHER]


async def test_of_several_known_addresses_one_that_is_granted_is_dialled_at_once() -> None:
    async with nameserver() as served, upstreams(PRIVATE) as (port, _):
        served.addresses[HOST] = [PUBLIC, PRIVATE, "10.0.0.1"]
        by, who = dialer(served), caller(HOST, cidrs=GRANT)
        assert await dialled(by, who, port) == PRIVATE
        assert await begun(by, who, port) == PRIVATE
        assert await begun(by, caller(HOST), port) == "", "nobody else's"


async def test_a_private_address_is_dialled_at_once_for_the_sandbox_that_was_granted_it() -> None:
    async with nameserver() as served, upstreams(PRIVATE) as (port, came):
        served.addresses[HOST] = [PRIVATE]
        by, granted = dialer(served), caller(HOST, cidrs=GRANT)
        assert await dialled(by, granted, port) == PRIVATE
        assert await begun(by, caller(HOST), port) is None
        assert await begun(by, granted, port) == PRIVATE
        await asyncio.sleep(0.02)
        assert came == [PRIVATE, PRIVATE]


@pytest.mark.parametrize("addresses", [[PRIVATE], ["10.0.0.1"], [PRIVATE, "fe80::1"]])
async def test_what_is_private_is_not_dialled_at_once_either(addresses: list[str]) -> None:
    async with nameserver() as served, upstreams(PRIVATE) as (port, came):
        served.addresses[HOST] = addresses
        by = dialer(served)
        assert await dialled(by, caller(HOST), port) == reasons.FORBIDDEN_ADDRESS
        assert await begun(by, caller(HOST), port) is None
        assert came == []


async def test_of_several_addresses_one_that_answers_is_dialled() -> None:
    async with nameserver() as served, upstreams(OTHER) as (port, _):
        served.addresses[HOST] = [PUBLIC, OTHER]
        assert await dialled(dialer(served), caller(HOST), port) == OTHER


async def test_an_address_that_is_silent_does_not_hold_up_the_next() -> None:
    """192.0.2.1 has nobody who answers, or no way to it."""
    async with nameserver() as served, upstreams(PUBLIC) as (port, _):
        served.addresses[HOST] = ["192.0.2.1", PUBLIC]
        who = caller(HOST, cidrs=[{"cidr": "192.0.2.0/24"}])
        began = time.monotonic()
        assert await dialled(dialer(served), who, port) == PUBLIC
        assert time.monotonic() - began < 5.0


async def test_one_family_that_leads_nowhere_does_not_hold_up_the_other() -> None:
    async with nameserver() as served, upstreams(PUBLIC) as (port, _):
        served.addresses[HOST] = ["2606:4700::1", OTHER, "2606:4700::2", PUBLIC]
        began = time.monotonic()
        assert await dialled(dialer(served, ipv6=True), caller(HOST), port) == PUBLIC
        assert time.monotonic() - began < 5.0


@pytest.mark.parametrize(
    "addresses",
    [
        ["10.0.0.1"], ["127.1.2.3"], ["169.254.169.254"], ["::1"], ["::ffff:127.0.0.1"], ["64:ff9b::127.0.0.1"],
        ["fd00:ec2::254"], ["0.0.0.0"], ["255.255.255.255"], ["224.0.0.1"], [PRIVATE], [PRIVATE, "fe80::1"],
    ],
)  # fmt: skip
async def test_a_name_that_leads_only_to_private_addresses_is_not_dialled(addresses: list[str]) -> None:
    async with nameserver() as served, upstreams(PUBLIC, PRIVATE) as (port, came):
        served.addresses[HOST] = addresses
        assert await dialled(dialer(served, ipv6=True), caller(HOST), port) == reasons.FORBIDDEN_ADDRESS
        assert came == []


async def test_private_addresses_are_stripped_from_among_public_ones() -> None:
    async with nameserver() as served, upstreams(PUBLIC, PRIVATE) as (port, came):
        served.addresses[HOST] = [PRIVATE, "10.0.0.1", PUBLIC, "169.254.169.254"]
        for _ in range(5):
            assert await dialled(dialer(served), caller(HOST), port) == PUBLIC
        await asyncio.sleep(0.02)
        assert set(came) == {PUBLIC}


async def test_a_private_address_is_dialled_for_the_sandbox_that_was_granted_it_and_for_no_other_at_the_same_time() -> (
    None
):
    async with nameserver() as served, upstreams(PRIVATE) as (port, came):
        served.addresses[HOST] = [PRIVATE]
        one, granted, other = caller(HOST), caller(HOST, cidrs=GRANT), caller(HOST, cidrs=[{"cidr": "10.0.2.0/24"}])
        by = dialer(served)
        order = [one, granted, other, granted, one]
        found = await asyncio.gather(*(dialled(by, who, port) for who in order))
        refused = reasons.FORBIDDEN_ADDRESS
        assert found == [refused, PRIVATE, refused, PRIVATE, refused]
        assert [await dialled(by, who, port) for who in order] == found
        assert len(served.asked) == 1
        await asyncio.sleep(0.02)
        assert len(came) == 4


async def test_a_grant_with_ports_is_of_those_ports() -> None:
    async with nameserver() as served, upstreams(PRIVATE) as (port, _):
        served.addresses[HOST] = [PRIVATE]
        assert (
            await dialled(dialer(served), caller(HOST, cidrs=[{"cidr": "10.0.1.0/24", "ports": [port]}]), port)
            == PRIVATE
        )
        other = caller(HOST, cidrs=[{"cidr": "10.0.1.0/24", "ports": [port - 1]}])
        assert await dialled(dialer(served), other, port) == reasons.FORBIDDEN_ADDRESS


async def test_a_name_that_changes_between_check_and_dial_is_dialled_where_it_was_checked() -> None:
    """Each answer differs from the one before: public, private, public."""
    async with nameserver() as served, upstreams(PUBLIC, PRIVATE) as (port, came):
        served.seconds = 0
        for turn in range(6):
            served.addresses[HOST] = [PRIVATE if turn % 2 else PUBLIC]
            resolver = Resolver([served.server], ipv6=False)
            found = await dialled(Dialer(resolver, Loopback()), caller(HOST), port)
            served.addresses[HOST] = [PUBLIC if turn % 2 else PRIVATE]
            assert found == (reasons.FORBIDDEN_ADDRESS if turn % 2 else PUBLIC)
            assert len(served.asked) == turn + 1
        await asyncio.sleep(0.02)
        assert set(came) == {PUBLIC}


async def test_a_socket_that_leads_elsewhere_is_closed_before_anything_goes_over_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As if a name had been given to the system after all."""

    class Elsewhere(socket.socket):
        def connect_ex(self, address: Any) -> int:
            return super().connect_ex((PRIVATE, address[1]))

    async with nameserver() as served, upstreams(PUBLIC, PRIVATE) as (port, _):
        served.addresses[HOST] = [PUBLIC, OTHER]
        by, who = dialer(served), caller(HOST)
        assert await dialled(by, who, port) == PUBLIC
        monkeypatch.setattr(socket, "socket", Elsewhere)
        assert await begun(by, who, port) == ""
        assert await dialled(by, who, port) == reasons.UNREACHABLE


async def test_what_does_not_exist_or_does_not_answer_has_a_reason_of_its_own() -> None:
    async with nameserver() as served, upstreams(OTHER) as (port, _):
        by = dialer(served, asking=0.5)
        assert await dialled(by, caller("gone.example"), port, "gone.example") == reasons.UNRESOLVABLE
        served.addresses[HOST] = [PUBLIC]
        assert await dialled(by, caller(HOST), port) == reasons.UNREACHABLE
        served.silent = 1000
        assert await dialled(by, caller("slow.example"), port, "slow.example") == reasons.UNRESOLVABLE


async def test_a_dial_has_an_end() -> None:
    async with nameserver() as served, upstreams(PUBLIC) as (port, _):
        served.addresses[HOST], served.slow[HOST, "A"] = [PUBLIC], 1.0
        assert await dialled(dialer(served, 0.05), caller(HOST), port) == reasons.TIMEOUT


async def test_a_sandbox_whose_names_are_slow_holds_up_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_QUESTIONS", 4)
    async with nameserver() as served, upstreams(PUBLIC) as (port, _):
        slow, quick, by = caller("*.slow.example"), caller(HOST), dialer(served, 1.0)
        names = [f"n{each}.slow.example" for each in range(40)]
        served.addresses[HOST] = [PUBLIC]
        served.slow |= {(name, "A"): 0.8 for name in names}
        waiting = [asyncio.create_task(dialled(by, slow, port, name)) for name in names]
        for _ in range(100):
            if len(served.names()) == 4:
                break
            await asyncio.sleep(0.005)
        assert await dialled(by, quick, port) == PUBLIC
        assert len(served.names()) == 5
        assert {await each for each in waiting} <= {reasons.UNRESOLVABLE, reasons.TIMEOUT}
        assert len(served.names()) < 20


async def test_who_goes_away_without_an_answer_gets_no_more_questions_for_that(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_QUESTIONS", 4)
    async with nameserver() as served:
        slow, by = caller("*.slow.example"), dialer(served)
        names = [f"n{each}.slow.example" for each in range(40)]
        served.slow |= {(name, "A"): 0.5 for name in names}
        for name in names:
            going = asyncio.create_task(dialled(by, slow, 443, name))
            await asyncio.sleep(0.005)
            going.cancel()
        assert len(served.names()) == 4


async def shake_hands(port: int, name: str) -> None:
    with pytest.raises((OSError, EOFError)):
        await asyncio.open_connection(LOOPBACK, port, ssl=ssl.create_default_context(), server_hostname=name)


async def test_no_question_of_a_forbidden_name_leaves_the_gateway() -> None:
    """A label of a name would carry out what a sandbox is to keep."""
    async with nameserver() as served:
        real = dialer(served)
        async with gateway(lambda context: TlsFront(replace(context, dialer=real)), caller("*.allowed.example")) as to:
            for name in ("c2VjcmV0.evil.example", "allowed.example", "c2VjcmV0.allowed.example.evil.example"):
                await shake_hands(to.port, name)
            assert served.asked == []
            await shake_hands(to.port, "a.allowed.example")
            assert served.names() == ["a.allowed.example"]
