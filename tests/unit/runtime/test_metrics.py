"""What alerts ask the runtime's metrics for is told from the start."""

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


def test_a_replica_tells_how_many_shards_there_are_and_that_it_holds_none_yet() -> None:
    metrics = Metrics()
    client = FakeClient(FakeApiServer(virtual_time.seconds))

    metrics.watch_shards(Shards(client, "system", "one", 4, print))

    assert metrics.registry.get_sample_value("sandkeeper_shards") == 4
    assert metrics.registry.get_sample_value("sandkeeper_shards_held") == 0


def test_whoever_has_no_shards_tells_of_none() -> None:
    assert Metrics().registry.get_sample_value("sandkeeper_shards_held") is None
