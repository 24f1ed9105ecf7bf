"""A real worker process, told by its parent who is who: it judges by that, reports, and ends as it is told."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import dns.asyncquery
import dns.message
import dns.rcode
import pytest

from localcluster.ports import free_ports
from sandkeeper.gateway.fleet import Fleet
from sandkeeper.gateway.places import DNS_PORT, HTTP_PORT, TLS_PORT
from sandkeeper.gateway.reasons import DRAINED
from sandkeeper.gateway.wire import Change, Entry, Report, Slots
from unit.gateway.pods import grant
from unit.waiting import until

OPERATOR = Path(__file__).parents[3] / "operator"
OFFSET = free_ports("127.0.0.1").apiserver - HTTP_PORT
"""Ports are shared with whoever asks for it, another run of these tests included: each run has its own."""
ONE, STRANGER = "127.0.4.1", "127.0.4.9"


class Lab:
    """One worker, and the parent's end."""

    def __init__(self) -> None:
        self.reports: list[Report] = []
        self.entries: dict[str, Entry] = {}
        self.fleet = Fleet(1, self.known, self.reports.append)

    def known(self) -> list[object]:
        return [Slots({0: ("10.96.0.1",)}), Change(entries=tuple(self.entries.values()))]

    def allow(self, *domains: str) -> None:
        entry = Entry(ONE, "team", "one", "uid-one", "pod-one", grant(*domains))
        self.entries[ONE] = entry
        self.fleet.tell(Change(asyncio.get_running_loop().time(), (entry,)))

    async def resolve(self, name: str, source: str = ONE) -> str:
        question = dns.message.make_query(name, "A")
        answer = await dns.asyncquery.udp(question, "127.0.0.1", 30, DNS_PORT + OFFSET, source=source)
        return dns.rcode.to_text(answer.rcode())

    async def ask(self, host: str, source: str = ONE) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", HTTP_PORT + OFFSET, local_addr=(source, 0))
        writer.write(f"GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
        answer = await reader.read()
        writer.close()
        return answer.partition(b"\r\n")[0]


@asynccontextmanager
async def running(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Lab]:
    for name, value in {
        "PORT_OFFSET": OFFSET,
        "PORTS": "[22]",
        "RESOLVERS": '["127.0.0.1"]',
        "RESOLVERS_PORT": 9,
    }.items():
        monkeypatch.setenv(f"SANDKEEPER_GATEWAY_{name}", str(value))
    monkeypatch.setenv("PYTHONPATH", str(OPERATOR))
    lab = Lab()
    task = asyncio.create_task(lab.fleet.run())
    try:
        await until(lambda: lab.fleet.listening == 1)
        yield lab
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_worker_judges_by_what_it_was_told_last(monkeypatch: pytest.MonkeyPatch) -> None:
    async with running(monkeypatch) as lab:
        assert await lab.resolve("allowed.test") == "REFUSED"

        lab.allow("allowed.test")

        await until(lambda: any(spread.name.endswith("lag_seconds") for each in lab.reports for spread in each.spreads))
        assert await lab.resolve("allowed.test") == "NOERROR"
        assert await lab.resolve("other.test") == "NXDOMAIN"
        assert await lab.resolve("allowed.test", STRANGER) == "REFUSED"


async def test_a_worker_reports_what_it_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    async with running(monkeypatch) as lab:
        lab.allow("allowed.test")
        await until(lambda: any(each.spreads for each in lab.reports))

        assert await lab.ask("other.test") == b"HTTP/1.1 403 Forbidden"

        await until(lambda: any(each.denials for each in lab.reports))
        (denial,) = next(each.denials for each in lab.reports if each.denials)
        assert (denial.namespace, denial.name, denial.target, denial.count) == ("team", "one", "other.test:80", 1)


async def test_a_worker_that_is_drained_takes_nothing_more_and_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    async with running(monkeypatch) as lab:
        draining = asyncio.create_task(lab.fleet.drain(5.0))

        await until(lambda: lab.fleet.listening == 0)

        with pytest.raises(OSError, match="refused"):
            socket.create_connection(("127.0.0.1", HTTP_PORT + OFFSET), timeout=5).close()
        draining.cancel()


async def test_what_a_drained_worker_cuts_is_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    async with running(monkeypatch) as lab:
        lab.allow("allowed.test")
        await until(lambda: any(each.spreads for each in lab.reports))
        reader, writer = await asyncio.open_connection("127.0.0.1", TLS_PORT + OFFSET, local_addr=(ONE, 0))
        await until(lambda: lab.reports[-1].open == 1)

        draining = asyncio.create_task(lab.fleet.drain(0.3))

        assert await reader.read() == b""
        writer.close()
        await until(lambda: lab.fleet.listening == 0)
        ended = [count.labels for each in lab.reports for count in each.counts if "connections" in count.name]
        assert ended == [("tls", "denied", DRAINED)]
        draining.cancel()
