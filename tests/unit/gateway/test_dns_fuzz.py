"""Whatever comes to the name server, it answers once or not at all, with little, and with allowed names only."""

import asyncio
import time
from itertools import count
from pathlib import Path

import dns.message
import pytest
from dns.rcode import Rcode
from hypothesis import given, settings
from hypothesis import strategies as st

from sandkeeper.gateway import reasons
from sandkeeper.gateway.connections import Connections
from sandkeeper.gateway.context import Context, Limits
from sandkeeper.gateway.dns_packets import HEADER_BYTES
from sandkeeper.gateway.dns_server import DnsServer
from unit.fakes.gateway import LOOPBACK, FakeAudit, FakeCallers, FakeDialer, caller

HOST, SUFFIX = b"api.example.com", b".supabase.co"
WHO = caller(HOST.decode(), f"*{SUFFIX.decode()}")
MOST_ADDED = 40
"""Bytes: the one record that says that there is nothing, or an address."""
CORPUS = {each.stem: each.read_bytes() for each in sorted((Path(__file__).parent / "corpus" / "dns").glob("*.bin"))}
_sources = count()


def context(audit: FakeAudit) -> Context:
    callers, limits = FakeCallers(WHO), Limits()
    callers.slots = {0: ("10.96.0.50", "fd00::50")}
    return Context(callers, FakeDialer(), audit, Connections(callers, limits, time.time), limits, time.time)


AUDIT = FakeAudit()
SERVER = DnsServer(context(AUDIT))


def written_name(wire: bytes) -> bytes | None:
    """Read the name of a question as plainly as it can be read, by no library; None for none."""
    labels, at = [], HEADER_BYTES
    while at < len(wire) and 0 < wire[at] < 64:
        labels.append(wire[at + 1 : at + 1 + wire[at]])
        at += 1 + wire[at]
    if at >= len(wire) or wire[at] or any(b"." in each for each in labels):
        return None
    return b".".join(labels).lower()


def is_allowed(name: bytes | None) -> bool:
    return name is not None and (name == HOST or name.endswith(SUFFIX))


def check(wire: bytes) -> None:
    """Answer a packet, and hold the answer against what is promised."""
    AUDIT.records.clear()
    answer = SERVER.answer(wire, f"source-{next(_sources)}", WHO, stream=False)
    for record in AUDIT.records:
        assert record.reason in reasons.ALL
        assert len(record.domain) <= 253
        assert record.domain.isascii()
        assert record.domain.isprintable()
    if answer is None:
        assert len(wire) < HEADER_BYTES or wire[2] & 0x80
        return
    assert answer[:2] == wire[:2]
    assert answer[2] & 0x80
    assert len(answer) <= len(wire) + MOST_ADDED
    response = dns.message.from_wire(answer)
    if response.answer:
        assert response.rcode() == Rcode.NOERROR
        assert is_allowed(written_name(wire))
        assert {each.to_text() for each in response.answer[0]} <= {"10.96.0.50", "fd00::50"}
    elif response.rcode() == Rcode.NXDOMAIN:
        assert not is_allowed(written_name(wire)) or AUDIT.records[0].reason == reasons.BAD_NAME
    if response.rcode() in (Rcode.NOERROR, Rcode.NXDOMAIN):
        assert (
            response.question[0].name.to_wire()
            == wire[HEADER_BYTES:][: len(response.question[0].name.to_wire() or b"")]
        )


@pytest.mark.parametrize("name", CORPUS)
def test_odd_questions_are_answered_with_little_or_not_at_all(name: str) -> None:
    check(CORPUS[name])


LABELS = st.one_of(
    st.sampled_from(
        [b"api", b"example", b"com", b"supabase", b"co", b"API", b"api.example.com", b"\xff", b"a" * 63, b"xn--a"]
    ),
    st.binary(min_size=1, max_size=63),
)
NUMBERS = st.one_of(st.sampled_from([0, 1, 2, 28, 41, 65, 250, 252, 255, 256, 65_535]), st.integers(0, 65_535))


@st.composite
def questions(draw: st.DrawFn) -> bytes:
    """Build what is nearly a question."""
    known = st.sampled_from([[b"api", b"example", b"com"], [b"a", b"supabase", b"co"], [b"supabase", b"co"]])
    labels = draw(st.one_of(known, st.lists(LABELS, max_size=6)))
    name = b"".join(bytes([len(each)]) + each for each in labels) + b"\0"
    numbers = [draw(NUMBERS), draw(st.one_of(st.just(0x100), NUMBERS)), 1, 0, 0, draw(st.sampled_from([0, 1, 2]))]
    edns = b"\0\0\x29" + b"".join(draw(NUMBERS).to_bytes(2, "big") for _ in range(3)) + draw(st.binary(max_size=40))
    kind, among = draw(NUMBERS), draw(st.one_of(st.just(1), NUMBERS))
    wire = b"".join(each.to_bytes(2, "big") for each in numbers) + name
    return wire + kind.to_bytes(2, "big") + among.to_bytes(2, "big") + (edns if numbers[5] else b"")


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """Take a packet, and cut, fill, change or repeat some of it."""
    wire = bytearray(draw(st.one_of(st.sampled_from(list(CORPUS.values())), questions())))
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(wire)))
        end = min(len(wire), start + draw(st.integers(0, 8)))
        wire[start:end] = draw(st.one_of(st.binary(max_size=8), st.just(bytes(wire[start:end]) * 2)))
    return bytes(wire)


PACKETS = st.one_of(st.binary(max_size=600), questions(), mutated())


@given(PACKETS)
def test_no_packet_gets_more_than_it_should(wire: bytes) -> None:
    check(wire)


@pytest.mark.slow
@settings(max_examples=20_000)
@given(PACKETS)
def test_no_packet_of_very_many_gets_more_than_it_should(wire: bytes) -> None:
    check(wire)


class Pipe(asyncio.Transport):
    """Keeps what is written until it is closed."""

    def __init__(self) -> None:
        super().__init__({"peername": (LOOPBACK, 1)})
        self.written, self.closed = b"", False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        assert not self.closed
        self.written += bytes(data)

    def close(self) -> None:
        self.closed = True

    abort = close

    def is_closing(self) -> bool:
        return self.closed

    def pause_reading(self) -> None:
        return None

    resume_reading = pause_reading


async def streamed(chunks: list[bytes]) -> tuple[bytes, bool]:
    server, pipe = DnsServer(context(FakeAudit())), Pipe()
    protocol = server.stream()
    protocol.connection_made(pipe)
    for each in chunks:
        if not pipe.closed:
            protocol.data_received(each)
    for _ in range(20):
        await asyncio.sleep(0)
    protocol.connection_lost(None)
    return pipe.written, pipe.closed


@given(st.lists(PACKETS, max_size=30), st.lists(st.integers(1, 200), max_size=20), st.binary(max_size=20))
async def test_how_a_stream_is_cut_into_pieces_changes_nothing(
    wires: list[bytes], cuts: list[int], rest: bytes
) -> None:
    data = b"".join(len(each).to_bytes(2, "big") + each for each in wires) + rest
    chunks, at = [], 0
    for size in cuts:
        chunks.append(data[at : at + size])
        at += size
    chunks.append(data[at:])
    assert await streamed(chunks) == await streamed([data])
