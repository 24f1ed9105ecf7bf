"""Workers are told everything before anything else, and replaced when they end, hang, or talk nonsense."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from sandkeeper.gateway import fleet as fleet_module
from sandkeeper.gateway.fleet import Fleet
from sandkeeper.gateway.wire import Change, Report, Slots
from unit.waiting import until

OPERATOR = Path(__file__).parents[3] / "operator"
CHILD = """
import os, socket, sys, time
sys.path.insert(0, {path!r})
from sandkeeper.gateway.wire import Drain, Listening, Report, Synced, TO_WORKER, encoded
line = socket.socket(fileno=int(sys.argv[1])).makefile("rwb")

def say(message):
    line.write(encoded(message)); line.flush()

told = []
while True:
    length = line.read(4)
    if not length:
        sys.exit(1)
    message = TO_WORKER.validate_json(line.read(int.from_bytes(length, "big")))
    told.append(message.kind)
    if isinstance(message, Synced):
        {behaviour}
        say(Listening())
    if isinstance(message, Drain):
        say(Report(traffic={{",".join(told): float(os.getpid())}}))
        sys.exit(0)
    say(Report(traffic={{",".join(told): float(os.getpid())}}, open=1))
"""


class Lab:
    """A fleet of two small workers that tell what they were told."""

    def __init__(self, behaviour: str) -> None:
        self.reports: list[Report] = []
        script = CHILD.format(path=str(OPERATOR), behaviour=behaviour)
        self.fleet = Fleet(2, self.known, self.reports.append, (sys.executable, "-c", script))

    def known(self) -> list[object]:
        return [Slots({0: ("10.96.0.1",)}), Change()]

    @property
    def told(self) -> dict[int, str]:
        """What each worker was told, by its process's id."""
        return {int(pid): told for report in self.reports for told, pid in report.traffic.items()}


@asynccontextmanager
async def running(behaviour: str = "pass") -> AsyncIterator[Lab]:
    lab = Lab(behaviour)
    task = asyncio.create_task(lab.fleet.run())
    try:
        yield lab
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_every_worker_is_told_all_and_then_every_change() -> None:
    async with running() as lab:
        await until(lambda: lab.fleet.listening == 2)
        assert set(lab.told.values()) == {"slots,change,synced"}

        lab.fleet.tell(Change(1.0))

        await until(lambda: list(lab.told.values()) == ["slots,change,synced,change"] * 2)
        assert lab.fleet.open == 2


async def test_a_worker_that_dies_is_replaced_by_one_that_knows_as_much() -> None:
    async with running() as lab:
        await until(lambda: lab.fleet.listening == 2)
        victim = next(iter(lab.told))

        os.kill(victim, signal.SIGKILL)

        await until(lambda: len(lab.told) == 3)
        await until(lambda: lab.fleet.listening == 2)
        assert [told for pid, told in lab.told.items() if pid != victim] == ["slots,change,synced"] * 2


async def test_a_worker_that_hangs_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fleet_module, "SILENT_SECONDS", 0.5)
    async with running() as lab:
        await until(lambda: lab.fleet.listening == 2)

        # They say nothing while they are told nothing.
        await until(lambda: len(lab.told) >= 4)


async def test_a_worker_that_talks_nonsense_is_replaced() -> None:
    async with running("line.write(b'\\0\\0\\0\\2{}'); line.flush(); time.sleep(60)") as lab:
        await until(lambda: len(lab.told) >= 4)

        assert lab.fleet.listening == 0


async def test_the_fleet_ends_once_all_are_drained() -> None:
    lab = Lab("pass")
    task = asyncio.create_task(lab.fleet.run())
    await until(lambda: lab.fleet.listening == 2)

    draining = asyncio.create_task(lab.fleet.drain(5.0))
    await asyncio.wait_for(task, 10)

    assert list(lab.told.values()) == ["slots,change,synced,drain"] * 2
    draining.cancel()


async def test_a_fleet_that_is_ended_leaves_no_process() -> None:
    async with running() as lab:
        await until(lambda: lab.fleet.listening == 2)

    await until(lambda: not any(Path(f"/proc/{pid}/cmdline").exists() for pid in lab.told))
