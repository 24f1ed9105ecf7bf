"""What alerts ask the runtime's metrics for is told from the start."""

import asyncio

from sandkeeper.runtime.metrics import PASS_RESULTS, Metrics
from sandkeeper.runtime.queue import WorkQueue
from sandkeeper.runtime.shards import Shards
from sandkeeper.runtime.worker import Worker
from unit.fakes import virtual_time
from unit.fakes.apiserver import FakeApiServer
from unit.fakes.client import FakeClient


async def nothing(_: str) -> None:
    return None


def test_passes_that_never_were_are_told_as_none() -> None:
    metrics = Metrics()

    Worker(WorkQueue[str](), nothing, metrics, concurrency=1, kind="Sandbox")

    for result in PASS_RESULTS:
        labels = {"kind": "Sandbox", "result": result}
        assert metrics.registry.get_sample_value("sandkeeper_pass_seconds_count", labels) == 0


def test_a_replica_tells_how_many_shards_there_are_and_how_many_it_holds() -> None:
    async def story() -> list[tuple[float | None, float | None]]:
        metrics, client = Metrics(), FakeClient(FakeApiServer(virtual_time.seconds), page=500)
        shards = Shards(client, "system", "one", 4, lambda _: None)
        metrics.watch_shards(shards)
        told = [shards_of(metrics)]
        running = asyncio.create_task(shards.run())
        await asyncio.sleep(10)
        told.append(shards_of(metrics))
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        return [*told, shards_of(metrics)]

    assert virtual_time.run(story()) == [(4, 0), (4, 4), (4, 0)]


def shards_of(metrics: Metrics) -> tuple[float | None, float | None]:
    value = metrics.registry.get_sample_value
    return value("sandkeeper_shards"), value("sandkeeper_shards_held")


def test_whoever_has_no_shards_tells_of_none() -> None:
    assert Metrics().registry.get_sample_value("sandkeeper_shards_held") is None
