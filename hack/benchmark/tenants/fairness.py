"""How long a tenant's single objects take while another tenant's burst is worked on, and while nothing else is.

Raw pods go through the same: what Kubernetes' own queue and two busy cores add shows in them.
"""

import asyncio
import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass, field

from benchmark import generator
from benchmark.connection import connected
from benchmark.errors import BenchmarkError
from benchmark.objects import Target, is_true
from benchmark.results import ratio
from benchmark.rounds import Bench
from benchmark.scenarios import Scenario
from benchmark.sightings import Sightings, watching
from benchmark.statistics import middle, percentile
from localcluster.progress import say
from sandkeeper.runtime.client import ApiClient
from sandkeeper.runtime.resource import Json, Key

BURST = Scenario("fairness-1000", "burst", 1000, prefix="busy")
OTHER = "calm-00"
EVERY_SECONDS = 0.2
"""A single one is asked for this often, whether or not the one before it is there."""
ALONE = 25
_MOST = 500
_PATIENCE_SECONDS = 120.0


@dataclass(frozen=True)
class Single:
    """One object's way, in seconds from its request.

    Attributes
    ----------
    accepted
        Until the request was answered.
    made
        Until its pod was seen; None for a raw pod, which is one.
    running
        Until it was seen Running.
    """

    accepted: float
    made: float | None
    running: float


@dataclass
class Fairness:
    """What was measured, a list of each round's single objects by target."""

    alone: dict[str, list[list[Single]]] = field(default_factory=dict)
    beside: dict[str, list[list[Single]]] = field(default_factory=dict)
    bursts: dict[str, list[float]] = field(default_factory=dict)

    def add(self, target: str, alone: list[Single], beside: list[Single], per_second: float) -> None:
        """Keep a round."""
        self.alone.setdefault(target, []).append(alone)
        self.beside.setdefault(target, []).append(beside)
        self.bursts.setdefault(target, []).append(per_second)

    def times(self, target: str, of: Callable[[Single], float | None]) -> float | None:
        """How many times as long it takes beside the burst: the median of the rounds' ratios of medians."""
        pairs = zip(self.beside[target], self.alone[target], strict=True)
        return middle(ratio(typical(busy, of), typical(calm, of)) for busy, calm in pairs)


def accepted(single: Single) -> float | None:
    """Return the API server's part before anybody else's."""
    return single.accepted


def made(single: Single) -> float | None:
    """Return the time in which the operator makes the pod, the answer included."""
    return single.made


def running(single: Single) -> float | None:
    """Return the whole."""
    return single.running


def typical(singles: Sequence[Single], of: Callable[[Single], float | None], share: float = 0.5) -> float | None:
    """Return a percentile of what is known of some objects."""
    return percentile([seconds for each in singles if (seconds := of(each)) is not None], share)


async def measure_fairness(bench: Bench, targets: Sequence[Target], rounds: int) -> Fairness:
    """Measure each target alone and beside a burst of its own kind, in turn."""
    found = Fairness()
    async with connected(bench.bed.client) as client:
        for number in range(rounds):
            for target in targets if number % 2 == 0 else reversed(targets):
                await _round(bench, _Tenant(client, target, number), target, number, found)
    return found


class _Tenant:
    """Who asks for single objects, in a namespace and over connections of its own."""

    def __init__(self, client: ApiClient, target: Target, number: int) -> None:
        self._client = client
        self.target = target
        stem = f"single{target.series}{number}n"
        self.keys = [Key(OTHER, f"{stem}{index}") for index in range(_MOST)]
        self.used: list[Key] = []

    async def ask(self, wanted: Callable[[int], bool]) -> list[Single]:
        """Ask for one after the other as long as more are wanted, of which the number so far is told."""
        async with AsyncExitStack() as stack:
            seen = [await stack.enter_async_context(watch) for watch in self._watches()]
            async with asyncio.timeout(_PATIENCE_SECONDS), asyncio.TaskGroup() as tasks:
                asked = []
                start = time.perf_counter()
                for number in itertools.count():
                    await asyncio.sleep(max(0.0, start + number * EVERY_SECONDS - time.perf_counter()))
                    if not wanted(number) or len(self.used) == len(self.keys):
                        break
                    key = self.keys[len(self.used)]
                    self.used.append(key)
                    asked.append(tasks.create_task(self._one(key, seen)))
        return [await each for each in asked]

    def _watches(self) -> Iterator[AbstractAsyncContextManager[Sightings]]:
        target, keys = self.target, self.keys
        yield watching(self._client, [target.created], keys, self._runs, OTHER)
        for part in target.gone[1:]:
            yield watching(self._client, [part], keys, lambda event, _: event != "DELETED", OTHER)

    def _runs(self, event: str, obj: Json) -> bool:
        return event != "DELETED" and is_true(obj, self.target.condition)

    async def _one(self, key: Key, seen: Sequence[Sightings]) -> Single:
        began = time.perf_counter()
        await self._client.create(self.target.resource, key.namespace, self.target.manifest(key))
        answered = time.perf_counter()
        parts = [self.target.created, *self.target.gone[1:]]
        for sightings, part in zip(seen, parts, strict=True):
            await sightings.one(part, key)
        ended, *pod = (sightings.moment(part, key) or began for sightings, part in zip(seen, parts, strict=True))
        return Single(answered - began, pod[0] - began if pod else None, ended - began)


async def _round(bench: Bench, tenant: _Tenant, target: Target, number: int, found: Fairness) -> None:
    keys = BURST.keys(number, target.series)
    # One that stays keeps the namespace's fence: the first sandbox of a namespace waits for that.
    await tenant.ask(lambda asked: asked < 1)
    await bench.quiet()
    alone = await tenant.ask(lambda asked: asked < ALONE)
    burst = asyncio.create_task(generator.create(bench.client, target, BURST, keys))
    await asyncio.sleep(EVERY_SECONDS)
    beside = await tenant.ask(lambda _: not burst.done())
    timing = await burst
    if not timing.complete:
        raise BenchmarkError(
            f"{len(timing.latencies)} of {timing.expected} of the burst, {target.name}, became Running"
        )
    found.add(target.name, alone, beside, timing.per_second)
    told = f"{len(beside)} single ones beside {timing.per_second:.1f} a second"
    times = f"{found.times(target.name, running) or 0:.1f} times as long"
    say(f"fairness, round {number + 1}, {target.name}: {told}, {times}")
    everything = [*keys, *tenant.used]
    await generator.delete(bench.client, target, BURST, everything)
    await bench.quiet()
