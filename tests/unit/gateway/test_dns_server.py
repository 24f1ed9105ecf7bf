"""What a sandbox is answered by its name server: the gateway for a name that is allowed, and nothing for any other."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

import dns.asyncquery
import dns.edns
import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rrset
import pytest
from dns.rcode import Rcode
from dns.rdataclass import RdataClass

from sandkeeper.gateway import dns_server as module
from sandkeeper.gateway import reasons
from sandkeeper.gateway.caller import Caller
from sandkeeper.gateway.context import Limits
from sandkeeper.gateway.dns_server import DnsServer
from unit.fakes.gateway import LOOPBACK, Gateway, caller, gateway

HOST = "api.example.com"
V4, V6, SECOND = "10.96.0.50", "fd00::50", "10.96.0.51"
SLOTS = {0: (V4, V6), 1: (SECOND,)}


@dataclass
class Served:
    """A name server on loopback, and all that stands around it."""

    gateway: Gateway
    udp: int

    @property
    def tcp(self) -> int:
        return self.gateway.port

    def told(self) -> list[tuple[str, str]]:
        return [(each.domain, each.reason) for each in self.gateway.audit.records]

    async def send(self, wire: bytes, seconds: float = 1.0) -> bytes | None:
        """Send a packet; gives the answer, None for none."""
        loop, answers = asyncio.get_running_loop(), asyncio.Queue[bytes]()

        class Client(asyncio.DatagramProtocol):
            def datagram_received(self, data: bytes, _: object) -> None:
                answers.put_nowait(data)

        transport, _ = await loop.create_datagram_endpoint(Client, remote_addr=(LOOPBACK, self.udp))
        transport.sendto(wire)
        try:
            async with asyncio.timeout(seconds):
                return await answers.get()
        except TimeoutError:
            return None
        finally:
            transport.close()

    async def ask(self, query: dns.message.Message, *, tcp: bool = False) -> dns.message.Message:
        """Ask as a client does, which believes only an answer to its question."""
        if tcp:
            return await dns.asyncquery.tcp(query, LOOPBACK, 2, self.tcp)
        return await dns.asyncquery.udp(query, LOOPBACK, 2, self.udp)

    async def found(self, name: str, kind: str = "A", *, tcp: bool = False) -> list[str] | str:
        """Give the addresses of a name, or what is said of it."""
        response = await self.ask(dns.message.make_query(name, kind), tcp=tcp)
        if response.rcode() == Rcode.NOERROR and response.answer:
            return [each.to_text() for each in response.answer[0]]
        assert not response.answer
        return "NODATA" if response.rcode() == Rcode.NOERROR else Rcode.to_text(response.rcode())


@asynccontextmanager
async def serving(
    *callers: Caller, now: Callable[[], float] = time.time, limits: Limits | None = None
) -> AsyncIterator[Served]:
    servers: list[DnsServer] = []

    def front(context: object) -> Callable[[], asyncio.Protocol]:
        servers.append(DnsServer(context))  # type: ignore[arg-type]
        return servers[0].stream

    async with gateway(front, *callers, now=now, limits=limits) as around:
        around.callers.slots = dict(SLOTS)
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(servers[0].datagrams, local_addr=(LOOPBACK, 0))
        try:
            yield Served(around, transport.get_extra_info("sockname")[1])
        finally:
            transport.close()


@pytest.mark.parametrize("tcp", [False, True], ids=["udp", "tcp"])
async def test_an_allowed_name_leads_to_the_gateway_and_any_other_does_not_exist(tcp: bool) -> None:
    async with serving(caller(HOST, "*.supabase.co")) as served:
        assert await served.found(HOST, tcp=tcp) == [V4]
        assert await served.found(HOST, "AAAA", tcp=tcp) == [V6]
        assert await served.found("a.b.supabase.co", tcp=tcp) == [V4]
        assert served.told() == []
        others = [
            "supabase.co",
            "evilsupabase.co",
            "x.api.example.com",
            "api.example.com.evil.org",
            "example.com",
            "com",
        ]
        for name in others:
            assert await served.found(name, tcp=tcp) == "NXDOMAIN"
        assert served.told() == [(name, reasons.NOT_ALLOWED) for name in others]
        assert {(each.kind, each.allowed) for each in served.gateway.audit.records} == {("dns", False)}


@pytest.mark.parametrize(
    "kind", ["TXT", "CNAME", "MX", "HTTPS", "SVCB", "NS", "SOA", "PTR", "SRV", "CAA", "NULL", "TYPE65280"]
)
async def test_an_allowed_name_has_addresses_and_nothing_else(kind: str) -> None:
    async with serving(caller(HOST)) as served:
        assert await served.found(HOST, kind) == "NODATA"
        assert await served.found("other.example", kind) == "NXDOMAIN"


async def test_nothing_is_said_to_be_kept_for_long() -> None:
    async with serving(caller(HOST)) as served:
        for name, kind in ((HOST, "A"), (HOST, "TXT"), ("other.example", "A")):
            response = await served.ask(dns.message.make_query(name, kind))
            assert [each.ttl for each in response.answer + response.authority] == [5]
            assert response.flags & dns.flags.RA


async def test_any_is_answered_with_one_family_and_without_ipv6_there_is_none() -> None:
    async with serving(caller(HOST)) as served:
        assert await served.found(HOST, "ANY") == [V4]
        served.gateway.callers.slots = {0: (V4,)}
        assert await served.found(HOST, "AAAA") == "NODATA"
        served.gateway.callers.slots = {0: (V6,)}
        assert await served.found(HOST, "ANY") == [V6]
        assert await served.found(HOST, "A") == "NODATA"
        served.gateway.callers.slots = {}
        assert await served.found(HOST, "A") == "SERVFAIL"


async def test_hosts_that_share_a_port_lead_to_addresses_of_their_own() -> None:
    async with serving(caller("a.example:22", "b.example:22", "b.example")) as served:
        assert await served.found("a.example") == [V4]
        assert await served.found("b.example") == [SECOND]
        assert await served.found("b.example", "AAAA") == "NODATA"


async def test_the_case_of_a_question_is_kept_in_its_answer() -> None:
    async with serving(caller(HOST)) as served:
        query = dns.message.make_query("ApI.eXaMpLe.CoM", "A")
        response = await served.ask(query)
        assert response.question[0].name.labels == query.question[0].name.labels
        assert response.answer[0].name.labels == query.question[0].name.labels


@pytest.mark.parametrize(
    ("labels", "reason"),
    [
        ((b"api.example.com",), reasons.BAD_NAME),
        ((b"api", b"example.com"), reasons.BAD_NAME),
        ((b"api", b"example", b"com."), reasons.BAD_NAME),
        ((b"api\0", b"example", b"com"), reasons.BAD_NAME),
        ((b"api", b"example", b"com\n"), reasons.BAD_NAME),
        ((b" api", b"example", b"com"), reasons.BAD_NAME),
        ((b"*", b"example", b"com"), reasons.BAD_NAME),
        ((b"\xe2\x84\xaapi", b"example", b"com"), reasons.BAD_NAME),
        ((b"\xff" * 63,) * 3, reasons.BAD_NAME),
        ((b"-", b"com"), reasons.BAD_NAME),
        ((), reasons.BAD_NAME),
        ((b"10", b"0", b"0", b"1"), reasons.IP_LITERAL),
        ((b"0x7f000001",), reasons.IP_LITERAL),
        ((b"::1",), reasons.IP_LITERAL),
        ((b"1", b"0", b"0", b"127", b"in-addr", b"arpa"), reasons.NOT_ALLOWED),
        ((b"xn--pi-7kc", b"example", b"com"), reasons.NOT_ALLOWED),
        ((b"a" * 63, b"b" * 63, b"c" * 63, b"d" * 61), reasons.NOT_ALLOWED),
    ],
)
async def test_odd_names_are_never_taken_for_an_allowed_one(labels: tuple[bytes, ...], reason: str) -> None:
    async with serving(caller(HOST, "*.com")) as served:
        served.gateway.callers.put(caller(HOST))
        response = await served.ask(dns.message.make_query(dns.name.Name([*labels, b""]), "A"))
        assert response.rcode() == Rcode.NXDOMAIN
        ((domain, told),) = served.told()
        assert told == reason
        assert len(domain) <= 253
        assert domain.isascii()
        assert domain.isprintable()


async def test_an_international_name_is_its_ascii_form() -> None:
    async with serving(caller("xn--bcher-kva.example")) as served:
        assert await served.found("bücher.example") == [V4]
        assert await served.found("XN--BCHER-KVA.example.") == [V4]
        raw = dns.name.Name(["bücher".encode(), b"example", b""])
        assert (await served.ask(dns.message.make_query(raw, "A"))).rcode() == Rcode.NXDOMAIN


@pytest.mark.parametrize("rdclass", [RdataClass.CH, RdataClass.HS, RdataClass.ANY, RdataClass.NONE])
async def test_other_classes_and_whole_zones_are_refused(rdclass: RdataClass) -> None:
    async with serving(caller(HOST, "version.bind")) as served:
        assert (await served.ask(dns.message.make_query("version.bind", "TXT", rdclass))).rcode() == Rcode.REFUSED
        assert (await served.ask(dns.message.make_query(HOST, "AXFR"), tcp=True)).rcode() == Rcode.REFUSED
        assert {reason for _, reason in served.told()} == {reasons.BAD_QUESTION}


async def test_edns_is_answered_with_what_is_understood_of_it() -> None:
    async with serving(caller(HOST)) as served:
        options: list[dns.edns.Option] = [
            dns.edns.GenericOption(dns.edns.OptionType.make(code), b"12345678") for code in (10, 65_001)
        ]
        query = dns.message.make_query(HOST, "A", use_edns=0, payload=4096, want_dnssec=True, options=options)
        response = await served.ask(query)
        assert (response.edns, response.payload, response.options) == (0, 1232, ())
        assert response.ednsflags & dns.flags.DO
        assert (await served.ask(dns.message.make_query(HOST, "A", use_edns=False))).edns == -1
        response = await served.ask(dns.message.make_query(HOST, "A", use_edns=1))
        assert (response.rcode(), response.edns, response.answer) == (Rcode.BADVERS, 0, [])


async def test_an_answer_that_does_not_fit_is_cut_and_whole_by_tcp() -> None:
    async with serving(caller(HOST)) as served:
        served.gateway.callers.slots = {0: tuple(f"10.0.0.{each}" for each in range(1, 201))}
        for edns, most in ((False, 512), (0, 1232)):
            query = dns.message.make_query(HOST, "A", use_edns=edns, payload=65_535 if edns == 0 else None)
            wire = await served.send(query.to_wire())
            assert wire is not None
            assert len(wire) <= most
            assert dns.message.from_wire(wire).flags & dns.flags.TC
        assert len(await served.found(HOST, tcp=True)) == 200


@pytest.mark.parametrize(
    ("wire", "rcode"),
    [
        (b"", None), (b"\0", None), (bytes(11), None),
        (b"ab\x80\0" + bytes(8), None),
        (b"ab\x01\0" + bytes(8), Rcode.FORMERR),
        (b"ab\x01\0\0\1" + bytes(6), Rcode.FORMERR),
        (b"ab\x01\0\0\1" + bytes(6) + b"\xc0\x0c\0\1\0\1", Rcode.FORMERR),
        (b"ab\x01\0\0\1" + bytes(6) + b"\xc0\x00\0\1\0\1", Rcode.FORMERR),
        (b"ab\x01\0\0\1" + bytes(6) + b"\x40a\0\0\1\0\1", Rcode.FORMERR),
        (b"ab\x01\0\0\2" + bytes(6) + b"\1a\0\0\1\0\1\1b\0\0\1\0\1", Rcode.FORMERR),
        (b"ab\x01\0\0\1" + bytes(6) + b"\1a\0\0\1\0\1junk", Rcode.FORMERR),
        (b"ab\x01\0\0\1" + bytes(6) + b"\1a\0\0\1\0\1" + bytes(2000), Rcode.FORMERR),
        (b"ab\x01\0\0\1\0\1\0\0\0\0\1a\0\0\1\0\1\1a\0\0\1\0\1\0\0\0\0\0\4\1\2\3\4", Rcode.FORMERR),
        (b"ab\x10\0" + bytes(8), Rcode.NOTIMP), (b"ab\x20\0" + bytes(8), Rcode.NOTIMP),
        (b"ab\x28\0" + bytes(8), Rcode.NOTIMP), (b"ab\x78\0" + bytes(8), Rcode.NOTIMP),
    ],
)  # fmt: skip
async def test_what_is_no_question_is_told_so_or_dropped(wire: bytes, rcode: Rcode | None) -> None:
    async with serving(caller(HOST)) as served:
        answer = await served.send(wire, 1.0 if rcode else 0.05)
        if rcode is None:
            assert answer is None
        else:
            assert answer is not None
            assert answer[:2] == b"ab"
            assert answer[2] & 0x80
            assert answer[3] & 0xF == rcode
            assert served.told() == [("", reasons.BAD_QUESTION)]


async def test_an_unknown_source_is_refused_and_a_new_sandboxs_first_question_waits_for_it() -> None:
    async with serving() as served:
        assert await served.found(HOST) == "REFUSED"
        assert served.told() == [(HOST, reasons.UNKNOWN_SOURCE)]
        served.gateway.callers.patience = 5.0
        waiting = asyncio.create_task(served.found(HOST))
        await asyncio.sleep(0.02)
        served.gateway.callers.put(caller(HOST))
        assert await waiting == [V4]
        assert await served.found(HOST, tcp=True) == [V4]


async def test_unknown_sources_take_up_a_bounded_number_of_places(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_WAITING_OF_A_SOURCE", 3)
    async with serving() as served:
        served.gateway.callers.patience = 0.1
        wire = dns.message.make_query(HOST, "A").to_wire()
        answers = await asyncio.gather(*(served.send(wire, 1.0) for _ in range(10)))
        assert sum(each is not None for each in answers) == 3
        assert await served.found(HOST) == "REFUSED"


async def test_two_sandboxes_are_answered_by_their_own_rules() -> None:
    async with serving(caller(HOST)) as served:
        assert await served.found(HOST) == [V4]
        served.gateway.callers.put(caller("other.example"))
        assert await served.found(HOST) == "NXDOMAIN"
        assert await served.found("other.example") == [V4]
        served.gateway.callers.remove(LOOPBACK)
        assert await served.found("other.example") == "REFUSED"


async def test_names_of_setup_exist_until_it_is_over() -> None:
    at = [1000.0]
    until = datetime.fromtimestamp(1010.0, UTC)
    async with serving(caller(HOST, setup=["packages.example"], setup_until=until), now=lambda: at[0]) as served:
        assert await served.found("packages.example") == [V4]
        at[0] = 1010.0
        assert await served.found("packages.example") == "NXDOMAIN"


async def test_a_flood_of_one_source_is_dropped_beyond_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "QUESTIONS_AT_ONCE", 5.0)
    monkeypatch.setattr(module, "QUESTIONS_PER_SECOND", 0.001)
    async with serving(caller(HOST)) as served:
        wire = dns.message.make_query(HOST, "A").to_wire()
        assert all([await served.send(wire) for _ in range(5)])
        assert not any([await served.send(wire, 0.1) for _ in range(3)])


async def test_an_address_of_ipv4_is_known_by_a_socket_of_both_families() -> None:
    async with serving(caller(HOST)) as served:
        server = DnsServer(served.gateway.context)
        answered = asyncio.Queue[tuple[bytes, object]]()

        class Socket(asyncio.DatagramTransport):
            def sendto(self, data: bytes | bytearray | memoryview, source: object = None) -> None:
                answered.put_nowait((bytes(data), source))

            def is_closing(self) -> bool:
                return False

        source = (f"::ffff:{LOOPBACK}", 5353, 0, 0)
        server.receive(dns.message.make_query(HOST, "A").to_wire(), source[:2], Socket())
        wire, to = answered.get_nowait()
        assert dns.message.from_wire(wire).answer[0][0].to_text() == V4
        assert to == source[:2]


async def test_a_packet_full_of_records_is_refused_unread() -> None:
    async with serving(caller(HOST)) as served:
        query = dns.message.make_query(HOST, "A", use_edns=0, options=[dns.edns.NSIDOption(b"")] * 200)
        for wire in (
            query.to_wire(),
            b"ab\x01\0\0\1\0\0\0\0\0\3" + b"\1a\0\0\1\0\1" + b"\1a\0\0\1\0\1\0\0\0\0\0\0" * 3,
        ):
            answer = await served.send(wire)
            assert answer is not None
            assert (answer[3] & 0xF, len(answer)) == (Rcode.FORMERR, 12)
