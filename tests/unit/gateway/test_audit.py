"""What is recorded is told in whole lines, whatever a client sent and however slowly they are read."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandkeeper.gateway.audit import Audit
from sandkeeper.gateway.audit_lines import LONGEST, line
from sandkeeper.gateway.line_writer import LineWriter, unblocked
from sandkeeper.gateway.scans import MOST_NAMES, MOST_SOURCES, OTHER_NAMES
from sandkeeper.gateway.tally import DROPPED, Tally
from unit.gateway.records import allowed, caller, question, refused

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sandkeeper.gateway.record import Record


class Pipe:
    """Standard output whose reader reads only when asked to."""

    def __init__(self) -> None:
        self.reading, self.writing = os.pipe()
        os.set_blocking(self.reading, False)
        self.descriptor = unblocked(self.writing)

    def read(self) -> list[dict[str, Any]]:
        """Read all there is, as objects, a line each."""
        text = b""
        try:
            while part := os.read(self.reading, 65536):
                text += part
        except BlockingIOError:
            pass
        return [orjson.loads(each) for each in text.splitlines()]

    def close(self) -> None:
        for each in (self.reading, self.writing, self.descriptor):
            os.close(each)


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    made = Pipe()
    yield made
    made.close()


def audit_to(pipe: Pipe, **more: Any) -> Audit:
    tally = Tally()
    return Audit(tally, LineWriter(pipe.descriptor, lambda: tally.add(DROPPED), **more))


def dropped(audit: Audit) -> float:
    counts, _ = audit.tally.take()
    return sum(count.amount for count in counts if count.name == DROPPED)


def test_a_connection_is_a_line_that_says_everything(pipe: Pipe) -> None:
    audit_to(pipe).tell(allowed())

    assert pipe.read() == [
        {
            "time": "2023-11-14T22:13:20.250Z", "event": "egress", "namespace": "team", "name": "one",
            "uid": "uid-one", "source": "10.0.0.1", "kind": "tls", "domain": "example.com", "port": 443,
            "address": "93.184.215.14", "sni": "example.com", "host": "", "method": "", "path": "", "status": 0,
            "bytesUp": 100, "bytesDown": 2000, "seconds": 1.5, "verdict": "allowed", "rule": "example.com",
            "reason": "",
        }
    ]  # fmt: skip


def test_a_refusal_says_why(pipe: Pipe) -> None:
    audit_to(pipe).tell(refused())

    (told,) = pipe.read()
    assert (told["verdict"], told["reason"], told["sni"]) == ("denied", "domain-not-allowed", "evil.example")


ODD = st.text(st.characters(), max_size=3000)


@given(ODD, ODD, ODD, ODD, ODD)
def test_nothing_that_a_client_sends_breaks_a_line_or_makes_it_too_long(
    domain: str, sni: str, host: str, method: str, path: str
) -> None:
    record = refused(domain=domain, sni=sni, host=host, method=method, path=path)

    text = line(record, count=10**9, dropped=10**9)

    assert len(text) <= LONGEST
    assert text.count(b"\n") == 1
    assert text.endswith(b"\n")
    assert text[:-1].decode("ascii").isprintable()


@pytest.mark.parametrize("worst", ['"', "\\", "\x00", "\u2028", "\udc80", "é"])
def test_what_needs_most_room_still_fits(worst: str) -> None:
    record = refused(domain=worst * 9999, sni=worst * 9999, host=worst * 9999, path=worst * 9999, method=worst * 99)

    assert len(line(record, count=10**9, dropped=10**9)) <= LONGEST


def test_a_reader_who_does_not_read_holds_nobody_up(pipe: Pipe) -> None:
    audit = audit_to(pipe, most_kept=50_000)

    for _ in range(5000):
        audit.tell(allowed())
    lost = dropped(audit)
    first = pipe.read()
    audit.flush()
    kept = pipe.read()
    audit.tell(allowed())

    assert lost > 0
    assert len(first) + len(kept) + lost == 5000
    assert len(kept) > 50
    # Whoever reads again is told what is missing.
    assert [each.get("dropped", 0) for each in pipe.read()] == [lost]


async def test_the_last_lines_wait_for_a_slow_reader(pipe: Pipe) -> None:
    audit = audit_to(pipe)
    for _ in range(2000):
        audit.tell(allowed())

    finishing = asyncio.create_task(audit.finish(5.0))
    found = 0
    while not finishing.done():
        found += len(pipe.read())
        await asyncio.sleep(0.005)

    assert (found + len(pipe.read()), dropped(audit)) == (2000, 0)


async def test_the_last_lines_wait_for_no_reader_for_ever_and_are_counted(pipe: Pipe) -> None:
    audit = audit_to(pipe)
    for _ in range(2000):
        audit.tell(allowed())

    await audit.finish(0.05)

    lost = dropped(audit)
    assert lost > 0
    assert len(pipe.read()) + lost == 2000


def test_lines_of_one_turn_are_written_together_but_never_more_than_a_pipe_takes_whole() -> None:
    # A pipe of packets: each call that writes is one that reads.
    reading, writing = os.pipe2(os.O_DIRECT)
    turns: list[Callable[[], None]] = []
    writer = LineWriter(writing, lambda: None, soon=turns.append)
    lines = [b"%03d" % number + b"x" * 496 + b"\n" for number in range(20)]
    for each in lines:
        writer.write(each)
    assert (len(turns), writer.waiting) == (1, True)
    turns.pop()()
    assert not writer.waiting
    found = [os.read(reading, 65536) for _ in range(3)]
    assert [len(each) for each in found] == [4000, 4000, 2000]
    assert b"".join(found) == b"".join(lines)
    writer.write(lines[0])
    turns.pop()()
    assert os.read(reading, 65536) == lines[0]
    os.close(reading)
    os.close(writing)


def test_writing_without_waiting_is_a_matter_of_ours_alone(pipe: Pipe) -> None:
    assert os.get_blocking(pipe.writing)
    assert not os.get_blocking(pipe.descriptor)


def test_a_reader_who_is_gone_holds_nobody_up(pipe: Pipe) -> None:
    audit = audit_to(pipe)
    os.close(pipe.reading)

    audit.tell(allowed())
    audit.tell(allowed())

    pipe.reading = os.dup(pipe.writing)
    assert dropped(audit) == 2
    assert audit.traffic.take() == {"pod-one": pytest.approx(1_700_000_001.75)}


def test_a_scan_of_names_is_a_few_lines(pipe: Pipe) -> None:
    audit = audit_to(pipe)

    for _ in range(3):
        for number in range(1000):
            audit.tell(question(f"name-{number}.example"))
    before = pipe.read()
    audit.flush()
    lines = pipe.read()

    assert before == []
    assert len(lines) == MOST_NAMES + 1
    assert [each["count"] for each in lines] == [3] * MOST_NAMES + [3 * (1000 - MOST_NAMES)]
    assert lines[-1]["domain"] == OTHER_NAMES


def test_a_scan_from_many_sources_is_bounded_too(pipe: Pipe) -> None:
    told: list[tuple[Record, int]] = []
    audit = Audit(Tally(), None, lambda record, count: told.append((record, count)))

    for number in range(MOST_SOURCES + 100):
        audit.tell(refused("unknown-source", caller=None, source=f"10.{number >> 8}.{number & 255}.1"))
    audit.flush()

    assert len(told) == MOST_SOURCES + 1
    assert told[-1][1] == 100
    assert told[-1][0].source == ""


def test_who_has_an_address_next_does_not_answer_for_who_had_it(pipe: Pipe) -> None:
    audit = audit_to(pipe)

    audit.tell(question("a.example"))
    audit.tell(question("a.example", caller=caller("two")))
    audit.flush()

    assert [each["name"] for each in pipe.read()] == ["one", "two"]


async def test_sums_are_told_while_it_runs(pipe: Pipe, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sandkeeper.gateway.audit.WINDOW_SECONDS", 0.1)
    audit = audit_to(pipe)
    audit.tell(question("a.example"))
    running = asyncio.create_task(audit.run())

    for _ in range(100):
        await asyncio.sleep(0.05)
        if lines := pipe.read():
            break

    assert [each["domain"] for each in lines] == ["a.example"]
    running.cancel()


def test_traffic_is_what_carried_bytes_and_no_question() -> None:
    audit = Audit(Tally(), None)

    audit.tell(question("a.example", up=30, down=30))
    audit.tell(refused())
    assert audit.traffic.take() == {}
    audit.tell(allowed(started=50.0, seconds=10.0))
    audit.tell(allowed(started=40.0, seconds=10.0))

    assert audit.traffic.take() == {"pod-one": 60.0}
    assert audit.traffic.take() == {}


def test_a_record_that_cannot_be_told_ends_nothing(pipe: Pipe) -> None:
    audit = audit_to(pipe)

    audit.tell(allowed(started=float("inf")))

    assert dropped(audit) == 1
