"""One round: create at the scenario's pace and settle, delete everything and settle; with the cost of each half."""

import asyncio
import gc
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass

from benchmark import generator
from benchmark.generator import Timing
from benchmark.objects import Target
from benchmark.scenarios import Scenario
from benchmark.testbed import Testbed
from benchmark.usage import CpuSeconds, cpu_seconds, difference, forget_peak, peak_memory
from sandkeeper.runtime.client import ApiClient
from sandkeeper.runtime.resource import Key

SETTLE_SECONDS = 1.0
"""Time for what still follows, as late status writes and events; it belongs to the costs, not to the latency."""
QUIET_CORES = 0.15
QUIET_LIMIT_SECONDS = 30.0


@dataclass(frozen=True)
class Half:
    """The creation or the deletion of a round's objects.

    Parameters
    ----------
    timing
        How long it took.
    cpu
        CPU seconds by process, what followed within the settling time included.
    peak_memory
        The operator's peak resident memory in bytes; None without an operator.
    """

    timing: Timing
    cpu: CpuSeconds
    peak_memory: int | None


@dataclass(frozen=True)
class Round:
    """Both halves."""

    create: Half
    delete: Half

    @property
    def converged(self) -> bool:
        """Whether every object reached Running, and was gone later."""
        return self.create.timing.complete and self.delete.timing.complete


class Bench:
    """A testbed with a connected client.

    Parameters
    ----------
    bed
        What runs.
    client
        Who creates and watches.
    """

    def __init__(self, bed: Testbed, client: ApiClient) -> None:
        self.bed = bed
        self.client = client

    async def round(self, target: Target, scenario: Scenario, number: int) -> Round:
        """Measure one round.

        Parameters
        ----------
        target
            What is created.
        scenario
            How much of it and how fast.
        number
            Distinguishes the rounds of a scenario.
        """
        self.bed.guard(target.guarded)
        keys = scenario.keys(number, target.series)
        created = await self.created(target, scenario, keys)
        deleted = await self.deleted(target, scenario, keys)
        await self.quiet()
        return Round(created, deleted)

    async def created(self, target: Target, scenario: Scenario, keys: Sequence[Key]) -> Half:
        """Measure the first half."""
        return await self._half(generator.create(self.client, target, scenario, keys))

    async def deleted(self, target: Target, scenario: Scenario, keys: Sequence[Key]) -> Half:
        """Measure the second half."""
        return await self._half(generator.delete(self.client, target, scenario, keys))

    async def _half(self, load: Awaitable[Timing]) -> Half:
        self.bed.check()
        pids = self.bed.pids
        operator = pids.get("operator")
        if operator:
            forget_peak(operator)
        before = cpu_seconds(pids)
        timing = await _undisturbed(load)
        await asyncio.sleep(SETTLE_SECONDS)
        self.bed.check()
        cpu = difference(before, cpu_seconds(pids))
        return Half(timing, cpu, peak_memory(operator) if operator else None)

    async def quiet(self) -> None:
        """Wait until nothing is left to do, so that one round's garbage is not collected in the next."""
        for _ in range(int(QUIET_LIMIT_SECONDS)):
            used = await self.idle(1.0)
            if sum(used.values()) < QUIET_CORES:
                return

    async def idle(self, seconds: float) -> CpuSeconds:
        """Return the CPU seconds a second that each process uses while nothing is asked for."""
        before = cpu_seconds(self.bed.pids)
        await asyncio.sleep(seconds)
        spent = difference(before, cpu_seconds(self.bed.pids))
        return {name: value / seconds for name, value in spent.items()}


async def _undisturbed(load: Awaitable[Timing]) -> Timing:
    # A collection in the client would show as latency of what it measures.
    gc.collect()
    gc.disable()
    try:
        return await load
    finally:
        gc.enable()
