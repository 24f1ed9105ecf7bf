"""Names are resolved by the gateway's own resolvers: whatever they do, addresses or one sentence come within bounds."""

import asyncio
import time
from pathlib import Path

import pytest
from dns.rcode import Rcode
from hypothesis import given
from hypothesis import strategies as st

from sandkeeper.gateway import resolver as module
from sandkeeper.gateway.resolver import Resolver, UnresolvableError, configured_servers
from unit.fakes.nameserver import LOOPBACK, Nameserver, nameserver
from unit.waiting import until

A, B = "a.example", "b.example"


def asking(*served: Nameserver, ipv6: bool = True, seconds: float = 20.0, try_seconds: float = 5.0) -> Resolver:
    return Resolver([each.server for each in served], ipv6=ipv6, seconds=seconds, try_seconds=try_seconds)


async def texts(resolver: Resolver, name: str) -> list[str]:
    return [str(each) for each in await resolver.addresses(name)]


class Clock:
    """A monotonic clock that stands until it is set."""

    def __init__(self) -> None:
        self.at = 0.0

    def __call__(self) -> float:
        return self.at


async def test_both_families_are_asked_for_at_once_and_only_where_there_is_a_way_for_both() -> None:
    async with nameserver() as served:
        served.addresses[A] = ["1.2.3.4", "2606:4700::1"]
        assert await texts(asking(served), A) == ["1.2.3.4", "2606:4700::1"]
        assert sorted(served.asked) == [(A, "A", False), (A, "AAAA", False)]
        served.asked.clear()
        assert await texts(asking(served, ipv6=False), A) == ["1.2.3.4"]
        assert served.asked == [(A, "A", False)]


async def test_simultaneous_questions_for_a_name_are_one_and_an_answer_holds_as_long_as_it_says() -> None:
    clock = Clock()
    async with nameserver() as served:
        served.addresses[A], served.seconds = ["1.2.3.4"], 30
        resolver = Resolver([served.server], ipv6=False, now=clock)
        answers = await asyncio.gather(*(texts(resolver, A) for _ in range(50)))
        assert answers == [["1.2.3.4"]] * 50
        assert len(served.asked) == 1
        served.addresses[A] = ["5.6.7.8"]
        clock.at = 29.9
        assert await texts(resolver, A) == ["1.2.3.4"]
        clock.at = 30.1
        assert resolver.known(A) is None
        assert await texts(resolver, A) == ["5.6.7.8"]
        assert len(served.asked) == 2


@pytest.mark.parametrize(("seconds", "held"), [(0, module.SHORTEST_SECONDS), (86_400, module.LONGEST_SECONDS)])
async def test_how_long_an_answer_holds_is_bounded(seconds: int, held: float) -> None:
    clock = Clock()
    async with nameserver() as served:
        served.addresses[A], served.seconds = ["1.2.3.4"], seconds
        resolver = Resolver([served.server], ipv6=False, now=clock)
        await resolver.addresses(A)
        clock.at = held - 0.1
        assert resolver.known(A)
        clock.at = held + 0.1
        assert resolver.known(A) is None


async def test_a_name_that_is_none_is_asked_for_again_soon() -> None:
    clock = Clock()
    async with nameserver() as served:
        resolver = Resolver([served.server], ipv6=False, now=clock)
        for _ in range(3):
            with pytest.raises(UnresolvableError, match=r"^a\.example has no address\.$"):
                await resolver.addresses(A)
        assert len(served.asked) == 1
        served.addresses[A] = ["1.2.3.4"]
        clock.at = module.LONGEST_NEGATIVE_SECONDS + 0.1
        assert await texts(resolver, A) == ["1.2.3.4"]


async def test_aliases_are_followed_and_those_that_lead_nowhere_have_no_address() -> None:
    async with nameserver() as served:
        served.aliases |= {A: "c.example", "c.example": B, "nowhere.example": "gone.example"}
        served.aliases |= {"round.example": "about.example", "about.example": "round.example"}
        served.addresses[B] = ["1.2.3.4"]
        resolver = asking(served, ipv6=False)
        assert await texts(resolver, A) == ["1.2.3.4"]
        assert served.names() == [A]
        for name in ("nowhere.example", "round.example"):
            with pytest.raises(UnresolvableError):
                await resolver.addresses(name)


async def test_an_answer_that_is_too_large_for_udp_is_asked_for_by_tcp() -> None:
    many = [f"1.2.3.{each}" for each in range(1, 200)]
    async with nameserver() as served:
        served.addresses[A] = many
        served.truncated.add(A)
        assert len(await texts(asking(served, ipv6=False), A)) == module.MOST_ADDRESSES
        assert served.asked == [(A, "A", False), (A, "A", True)]


async def test_the_case_of_a_question_is_random_and_an_answer_in_another_is_asked_for_by_tcp() -> None:
    name = "a-name-of-many-letters.example"
    async with nameserver() as served:
        served.addresses[name] = ["1.2.3.4"]
        for _ in range(3):
            await asking(served, ipv6=False).addresses(name)
        assert len(set(served.raw)) > 1
        assert not any(tcp for _, _, tcp in served.asked)
        served.lower = True
        assert await texts(asking(served, ipv6=False), name) == ["1.2.3.4"]
        assert served.asked[-1] == (name, "A", True)


@pytest.mark.parametrize("trouble", [Rcode.SERVFAIL, Rcode.REFUSED])
async def test_what_one_resolver_refuses_the_next_may_answer(trouble: Rcode) -> None:
    async with nameserver() as first, nameserver() as second:
        first.rcodes[A] = trouble
        second.addresses[A] = ["1.2.3.4"]
        assert await texts(asking(first, second), A) == ["1.2.3.4"]
        first.rcodes[B] = second.rcodes[B] = trouble
        with pytest.raises(UnresolvableError, match=trouble.name):
            await asking(first, second).addresses(B)


async def test_a_resolver_that_is_silent_or_gone_is_passed_over() -> None:
    async with nameserver() as silent, nameserver() as second:
        silent.silent = 1000
        second.addresses[A] = ["1.2.3.4"]
        assert await texts(asking(silent, second, try_seconds=0.2), A) == ["1.2.3.4"]
    assert [tcp for _, _, tcp in silent.asked] == [False, False]


async def test_a_lost_packet_is_asked_again() -> None:
    async with nameserver() as served:
        served.addresses[A], served.silent = ["1.2.3.4"], 1
        assert await texts(asking(served, ipv6=False, try_seconds=0.2), A) == ["1.2.3.4"]


async def test_without_any_answer_a_name_is_given_up_within_bounds_and_not_asked_for_by_each() -> None:
    async with nameserver() as served:
        served.silent = 1000
        resolver = asking(served, ipv6=False, seconds=0.3, try_seconds=0.1)
        began = time.monotonic()
        with pytest.raises(UnresolvableError, match=r"^a\.example was not resolved: "):
            await resolver.addresses(A)
        assert time.monotonic() - began < 5.0
        asked = len(served.asked)
        with pytest.raises(UnresolvableError):
            await resolver.addresses(A)
        assert len(served.asked) == asked


async def test_one_family_does_not_wait_long_for_the_other() -> None:
    async with nameserver() as served:
        served.addresses[A] = ["1.2.3.4", "2606:4700::1"]
        served.slow[A, "AAAA"] = 0.5
        resolver = asking(served)
        assert await texts(resolver, A) == ["1.2.3.4"]
        await until(lambda: resolver.known(A))
        assert [str(each) for each in resolver.known(A) or ()] == ["1.2.3.4", "2606:4700::1"]
        served.addresses[B] = ["2606:4700::2"]
        served.slow[B, "AAAA"] = 0.15
        assert await texts(resolver, B) == ["2606:4700::2"]


async def test_who_stops_waiting_takes_no_answer_from_others() -> None:
    async with nameserver() as served:
        served.addresses[A], served.slow[A, "A"] = ["1.2.3.4"], 0.1
        resolver = asking(served, ipv6=False)
        first, second = (asyncio.create_task(texts(resolver, A)) for _ in range(2))
        await asyncio.sleep(0.02)
        first.cancel()
        assert await second == ["1.2.3.4"]
        assert len(served.asked) == 1


async def test_what_is_kept_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_ANSWERS", 3)
    async with nameserver() as served:
        resolver = asking(served, ipv6=False)
        for name in "abcde":
            served.addresses[f"{name}.example"] = ["1.2.3.4"]
            await resolver.addresses(f"{name}.example")
        assert [bool(resolver.known(f"{name}.example")) for name in "abcde"] == [False, False, True, True, True]


async def test_a_packet_from_elsewhere_or_with_another_identity_is_no_answer() -> None:
    class Liar(asyncio.DatagramProtocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            self.transport = transport

        def datagram_received(self, data: bytes, source: tuple[str, int]) -> None:
            assert isinstance(self.transport, asyncio.DatagramTransport)
            for lie in (b"", b"junk", bytes([data[0] ^ 1]) + data[1:2] + b"\x81\x80" + data[4:], data):
                self.transport.sendto(lie, source)

    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(Liar, local_addr=(LOOPBACK, 0))
    port = transport.get_extra_info("sockname")[1]
    try:
        with pytest.raises(UnresolvableError):
            await Resolver([(LOOPBACK, port)], ipv6=False, seconds=0.3, try_seconds=0.1).addresses(A)
    finally:
        transport.close()


def test_a_machines_resolvers_are_read_without_its_search_domains(tmp_path: Path) -> None:
    configured = tmp_path / "resolv.conf"
    configured.write_text("search corp.example\nnameserver 10.96.0.10\nnameserver fd00::a\noptions ndots:5\n")
    assert configured_servers(str(configured)) == [("10.96.0.10", 53), ("fd00::a", 53)]


async def test_only_the_absolute_name_is_asked_for() -> None:
    async with nameserver() as served:
        with pytest.raises(UnresolvableError):
            await asking(served).addresses("localhost")
        with pytest.raises(UnresolvableError):
            await asking(served).addresses("kubernetes.default.svc")
        assert served.names() == ["kubernetes.default.svc", "localhost"]


@given(st.text("abcdefghijklmnopqrstuvwxyz0123456789-._", max_size=253))
def test_another_case_is_the_same_name(name: str) -> None:
    assert module._random_case(name).lower() == name
