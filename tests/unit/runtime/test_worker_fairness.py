"""A worker at a queue with lanes: what one tenant has under way, or waiting, is not what another waits for."""

import asyncio
from collections import Counter

from sandkeeper.runtime.metrics import Metrics
from sandkeeper.runtime.queue import WorkQueue
from sandkeeper.runtime.resource import Key
from sandkeeper.runtime.worker import Worker
from unit.fakes import virtual_time

SECONDS = {"busy": 1.0, "other": 1.0, "calm": 0.1}


class Passes:
    """A worker whose passes take as long as those of their namespace do, and when each ended."""

    def __init__(self, *, concurrency: int, share: int) -> None:
        self.queue: WorkQueue[Key] = WorkQueue(clock=virtual_time.seconds, lane=lambda key: key.namespace, share=share)
        self.ended: dict[Key, float] = {}
        self._worker = Worker(self.queue, self._pass, Metrics(), concurrency=concurrency, kind="Sandbox")
        self._task = asyncio.create_task(self._worker.run())

    async def _pass(self, key: Key) -> None:
        await asyncio.sleep(SECONDS[key.namespace])
        self.ended[key] = virtual_time.seconds()


def test_a_single_one_does_not_wait_for_a_burst_of_slow_passes() -> None:
    async def story() -> None:
        passes = Passes(concurrency=16, share=4)
        for number in range(1000):
            passes.queue.add(Key("busy", str(number)))
        await asyncio.sleep(10.5)
        asked = virtual_time.seconds()

        passes.queue.add(Key("calm", "one"))
        await asyncio.sleep(1.0)

        assert passes.ended[Key("calm", "one")] - asked < 0.11
        assert len(passes.ended) - 1 == 11 * 4

    virtual_time.run(story())


def test_bursts_of_two_tenants_advance_together_however_late_the_second_comes() -> None:
    async def story() -> None:
        passes = Passes(concurrency=16, share=4)
        for number in range(500):
            passes.queue.add(Key("busy", f"first-{number}"))
        await asyncio.sleep(4.5)
        early = len(passes.ended)
        for number in range(500):
            passes.queue.add(Key("other", str(number)))
        await asyncio.sleep(10.0)

        done = Counter(key.namespace for key in passes.ended)
        assert abs(done["busy"] - early - done["other"]) <= 16

    virtual_time.run(story())
