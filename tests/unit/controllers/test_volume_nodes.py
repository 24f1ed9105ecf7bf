"""On which node a volume is, read once of each; what can't be read is on none that anybody knows of."""

import asyncio

import aiohttp
import pytest

from sandkeeper.controllers import volume_nodes
from sandkeeper.controllers.nodes import Nodes
from sandkeeper.controllers.volume_nodes import VolumeNodes
from sandkeeper.runtime.errors import ApiError
from sandkeeper.runtime.resource import VOLUMES, Json, Resource
from unit.fakes.apiserver import FakeApiServer
from unit.fakes.client import FakeClient
from unit.fakes.node import on_nodes
from unit.fakes.objects import node

REFUSED = {"reason": "Forbidden", "message": "persistentvolumes is forbidden"}


class Reading(FakeClient):
    """Counts what is read, and meets a fault as long as there is one."""

    def __init__(self, server: FakeApiServer) -> None:
        super().__init__(server)
        self.read: list[str] = []
        self.fault: Exception | None = None

    async def get(self, resource: Resource, namespace: str, name: str) -> Json:
        self.read.append(name)
        if self.fault is not None:
            raise self.fault
        return await super().get(resource, namespace, name)


class Story:
    """A node, and volumes that claims name."""

    def __init__(self) -> None:
        self.server = FakeApiServer()
        self.client = Reading(self.server)
        nodes = Nodes(self.client, lambda _: None, lambda _: None)
        nodes.store.upsert(node("n1"))
        self.places = VolumeNodes(self.client, nodes)

    def volume(self, name: str, spec: Json) -> None:
        self.server.create(VOLUMES, "", {"metadata": {"name": name}, "spec": spec})

    def of(self, name: str) -> str:
        return asyncio.run(self.places.of({"spec": {"volumeName": name} if name else {}}))


def test_a_volume_is_asked_for_once_wherever_it_is() -> None:
    it = Story()
    it.volume("local", on_nodes("n1"))
    it.volume("zonal", on_nodes("a", key="topology.kubernetes.io/zone"))

    assert [it.of("local"), it.of("local"), it.of("zonal"), it.of("zonal")] == ["n1", "n1", "", ""]
    assert it.client.read == ["local", "zonal"]


def test_a_claim_without_a_volume_asks_nobody() -> None:
    it = Story()

    assert (it.of(""), it.client.read) == ("", [])


@pytest.mark.parametrize(
    "fault",
    [ApiError("get", "persistentvolumes", 403, REFUSED), ApiError("get", "persistentvolumes", 503, {}),
     aiohttp.ServerDisconnectedError(), TimeoutError()],
    ids=lambda fault: repr(fault)[:30],
)  # fmt: skip
def test_one_that_can_t_be_read_is_on_no_node_that_is_known_and_is_asked_for_again(fault: Exception) -> None:
    it = Story()
    it.volume("local", on_nodes("n1"))
    it.client.fault = fault
    assert it.of("local") == ""

    it.client.fault = None

    assert it.of("local") == "n1"


def test_one_that_is_gone_is_on_no_node() -> None:
    assert Story().of("gone") == ""


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(volume_nodes, "_MOST", 2)
    it = Story()
    for name in ("one", "two", "three"):
        it.volume(name, on_nodes("n1"))

    assert {it.of(name) for name in ("one", "two", "three", "one")} == {"n1"}
    assert it.client.read == ["one", "two", "three", "one"]
