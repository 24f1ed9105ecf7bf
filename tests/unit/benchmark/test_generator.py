"""The pace is the same for everything that is measured, and only the first sighting of an object counts."""

import asyncio
import time

import pytest

from benchmark import generator
from benchmark.generator import CONNECTIONS, timing
from benchmark.objects import sandboxes
from benchmark.sightings import Sightings
from sandkeeper.runtime.resource import Key

KEYS = [Key("team", f"n{index}") for index in range(100)]


class Server:
    """Answers every request after a moment, and remembers how many were open at once."""

    def __init__(self) -> None:
        self.asked: list[Key] = []
        self.most_open = 0
        self._open = 0

    async def ask(self, key: Key) -> None:
        self.asked.append(key)
        self._open += 1
        self.most_open = max(self.most_open, self._open)
        await asyncio.sleep(0.001)
        self._open -= 1


async def test_a_burst_asks_for_everything_once_with_bounded_concurrency() -> None:
    server = Server()

    await generator.burst(KEYS, server.ask)

    assert sorted(server.asked) == sorted(KEYS)
    assert server.most_open == CONNECTIONS


async def test_one_by_one_asks_only_when_the_one_before_is_there() -> None:
    part = sandboxes().created
    sightings = Sightings()
    sightings.expect(part, KEYS[:5])
    there: list[Key] = []

    def arrive(key: Key) -> None:
        there.append(key)
        sightings.saw(part, key)

    async def ask(key: Key) -> None:
        assert len(there) == KEYS.index(key)
        asyncio.get_running_loop().call_later(0.001, arrive, key)

    await generator.one_by_one(KEYS[:5], ask, sightings, part)

    assert there == KEYS[:5]


async def test_a_rate_does_not_wait_for_answers() -> None:
    server = Server()
    began = time.perf_counter()

    await generator.at_rate(KEYS[:5], server.ask, per_second=100.0)

    assert server.asked == KEYS[:5]
    assert time.perf_counter() - began >= 0.04


async def test_an_object_is_gone_when_the_last_of_its_parts_is() -> None:
    parts = sandboxes().gone
    sightings = Sightings()
    for part in parts:
        sightings.expect(part, KEYS[:2])
    asked = {key: time.perf_counter() for key in KEYS[:2]}
    for part in parts:
        sightings.saw(part, Key("team", part.named("n0")))
    sightings.saw(parts[0], Key("team", "n1"))

    told = timing(asked, sightings, parts, KEYS[:2])

    assert (len(told.latencies), told.expected, told.complete) == (1, 2, False)


async def test_later_sightings_change_nothing() -> None:
    part = sandboxes().created
    sightings = Sightings()
    sightings.expect(part, KEYS[:1])
    sightings.saw(part, KEYS[0])
    first = sightings.moment(part, KEYS[0])

    sightings.saw(part, KEYS[0])
    sightings.saw(part, Key("team", "somebody-elses"))

    assert sightings.moment(part, KEYS[0]) == first


@pytest.mark.parametrize("latencies", [[], [0.5]])
def test_a_phase_in_which_nothing_took_time_has_no_rate(latencies: list[float]) -> None:
    assert generator.Timing(1, latencies, 0.0).per_second == 0.0
