"""The load: asks for objects at a scenario's pace and tells how long each took until the client saw it.

The same code with the same connections and the same pace serves raw pods and sandboxes, so their ratio is fair.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any

from benchmark.objects import Part, Target, is_true
from benchmark.scenarios import Scenario
from benchmark.sightings import Sightings, watching
from sandkeeper.runtime.client import ApiClient
from sandkeeper.runtime.errors import ApiError
from sandkeeper.runtime.resource import Json, Key

CONNECTIONS = 32
"""Requests that the client has open at once."""

Ask = Callable[[Key], Coroutine[Any, Any, None]]


@dataclass(frozen=True)
class Timing:
    """How one half of a round went.

    Parameters
    ----------
    expected
        Number of objects.
    latencies
        Seconds from the request until the client's watch saw the object there, for each that it saw.
    seconds
        From the first request to the last sighting.
    """

    expected: int
    latencies: list[float]
    seconds: float

    @property
    def complete(self) -> bool:
        """Whether every object arrived in time."""
        return len(self.latencies) == self.expected

    @property
    def per_second(self) -> float:
        """Objects a second."""
        return len(self.latencies) / self.seconds if self.seconds else 0.0


async def create(client: ApiClient, target: Target, scenario: Scenario, keys: Sequence[Key]) -> Timing:
    """Create objects at the scenario's pace, and time each from its request until it is Running."""
    asked: dict[Key, float] = {}

    async def ask(key: Key) -> None:
        asked[key] = time.perf_counter()
        await client.create(target.resource, key.namespace, target.manifest(key))

    def running(event: str, obj: Json) -> bool:
        return event != "DELETED" and is_true(obj, target.condition)

    async with watching(client, [target.created], keys, running) as sightings:
        await _within(scenario.time_limit, _paced(scenario, keys, ask, sightings, target.created), sightings)
        return timing(asked, sightings, [target.created], keys)


async def delete(client: ApiClient, target: Target, scenario: Scenario, keys: Sequence[Key]) -> Timing:
    """Delete objects as fast as the connections carry it, and time each until it and its children are gone."""
    asked: dict[Key, float] = {}

    async def ask(key: Key) -> None:
        asked[key] = time.perf_counter()
        try:
            await client.delete(target.resource, key.namespace, key.name)
        except ApiError as error:
            if not error.not_found:
                raise

    async with watching(client, target.gone, keys, lambda event, _: event == "DELETED") as sightings:
        await _within(scenario.time_limit, burst(keys, ask), sightings)
        return timing(asked, sightings, target.gone, keys)


def timing(asked: dict[Key, float], sightings: Sightings, parts: Sequence[Part], keys: Sequence[Key]) -> Timing:
    """Put requests and sightings together; an object is there when the last of its parts is."""
    latencies, last = [], 0.0
    for key in keys:
        moments = [sightings.moment(part, key) for part in parts]
        if key in asked and None not in moments:
            seen = max(moment for moment in moments if moment is not None)
            latencies.append(seen - asked[key])
            last = max(last, seen)
    seconds = last - min(asked.values()) if latencies else 0.0
    return Timing(len(keys), latencies, seconds)


async def _within(seconds: float, asking: Awaitable[None], sightings: Sightings) -> None:
    # What is missing when time is up shows as missing in the result.
    try:
        async with asyncio.timeout(seconds):
            await asking
            await sightings.every()
    except TimeoutError:
        return


def _paced(scenario: Scenario, keys: Sequence[Key], ask: Ask, sightings: Sightings, part: Part) -> Awaitable[None]:
    if scenario.one_at_a_time:
        return one_by_one(keys, ask, sightings, part)
    if scenario.per_second:
        return at_rate(keys, ask, scenario.per_second)
    return burst(keys, ask)


async def burst(keys: Sequence[Key], ask: Ask) -> None:
    """Ask for everything, with as many requests open at once as there are connections."""
    waiting = iter(keys)

    async def lane() -> None:
        for key in waiting:
            await ask(key)

    async with asyncio.TaskGroup() as lanes:
        for _ in range(min(CONNECTIONS, len(keys))):
            lanes.create_task(lane())


async def one_by_one(keys: Sequence[Key], ask: Ask, sightings: Sightings, part: Part) -> None:
    """Ask for the next when the one before is there."""
    for key in keys:
        await ask(key)
        await sightings.one(part, key)


async def at_rate(keys: Sequence[Key], ask: Ask, per_second: float) -> None:
    """Ask at fixed moments, whether or not the earlier ones are there yet."""
    start = time.perf_counter()
    async with asyncio.TaskGroup() as requests:
        for index, key in enumerate(keys):
            await asyncio.sleep(max(0.0, start + index / per_second - time.perf_counter()))
            requests.create_task(ask(key))
