"""Events of one namespace neither delay nor displace another's."""

import asyncio
from collections import Counter

from sandkeeper.runtime.events import EventRecorder
from sandkeeper.runtime.metrics import Metrics
from sandkeeper.runtime.resource import EVENTS, PODS, Json
from unit.fakes import virtual_time
from unit.fakes.apiserver import FakeApiServer
from unit.fakes.client import FakeClient


def about(namespace: str, number: int) -> Json:
    name = f"{namespace}-{number}"
    return {"metadata": {"namespace": namespace, "name": name, "uid": f"uid-of-{name}"}}


class Telling:
    """A recorder and what it wrote."""

    def __init__(self) -> None:
        self.server = FakeApiServer(virtual_time.seconds)
        self.metrics = Metrics()
        self.recorder = EventRecorder(FakeClient(self.server), self.metrics, controller="test", instance="test")

    def tell(self, namespace: str, number: int = 0) -> None:
        self.recorder.record(PODS, about(namespace, number), "Normal", "Told", "Create", "It was told.")

    @property
    def told(self) -> list[str]:
        """Names of whom the events are about, in the order in which they were written."""
        events = sorted(self.server.all(EVENTS), key=lambda event: int(event["metadata"]["resourceVersion"]))
        return [event["regarding"]["name"] for event in events]

    def dropped(self) -> float | None:
        return self.metrics.registry.get_sample_value("sandkeeper_events_dropped_total")


def test_an_event_is_written_before_the_rest_of_anothers_flood() -> None:
    async def story() -> None:
        telling = Telling()
        for number in range(100):
            telling.tell("busy", number)
        telling.tell("calm")
        writing = asyncio.create_task(telling.recorder.run())
        await asyncio.sleep(60.0)

        assert telling.told[:3] == ["busy-0", "calm-0", "busy-1"]
        assert len(telling.told) == 101
        telling.tell("calm", 1)
        await asyncio.sleep(1.0)
        assert telling.told[-1] == "calm-1"
        writing.cancel()

    virtual_time.run(story())


def test_a_flood_displaces_only_its_own() -> None:
    async def story() -> None:
        telling = Telling()
        telling.tell("calm", 0)
        for number in range(1500):
            telling.tell("busy", number)
        telling.tell("calm", 1)
        writing = asyncio.create_task(telling.recorder.run())
        await asyncio.sleep(600.0)

        kept = Counter(name.split("-")[0] for name in telling.told)
        assert kept == {"calm": 2, "busy": 998}
        assert telling.dropped() == 502
        writing.cancel()

    virtual_time.run(story())
