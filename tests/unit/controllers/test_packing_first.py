"""A whole operator that replaces pods whose guests keep what changed: packed first, or not replaced at all."""

import asyncio

import pytest

from sandkeeper.controllers.cluster import SANDBOXES
from sandkeeper.runtime.exec import ExecResult
from sandkeeper.runtime.resource import PODS, Json
from unit.controllers.world import NAMESPACE, World
from unit.fakes import virtual_time

pytestmark = pytest.mark.usefixtures("no_network")

KEPT: Json = {"workspace": {"type": "Persistent"}}
PACKED = ExecResult(0, b'{"entries": 3, "bytes": 1000}', b"")
FULL = ExecResult(1, b'{"error": {"reason": "VolumeFull", "message": "No space is left."}}', b"")


async def edited(guest: ExecResult) -> tuple[World, str]:
    """Let a sandbox run whose guest answers so, change its environment, and give the uid of its first pod."""
    world = World()
    world.replica.client.guest = guest
    world.server.create(SANDBOXES, NAMESPACE, {"metadata": {"name": "a"}, "spec": KEPT})
    await asyncio.sleep(5.0)
    before = str(world.server.get(PODS, NAMESPACE, "sbx-a")["metadata"]["uid"])
    world.server.patch(SANDBOXES, NAMESPACE, "a", {"spec": {"env": [{"name": "A", "value": "1"}]}})
    await asyncio.sleep(5.0)
    return world, before


def uid(world: World) -> str:
    return str(world.server.get(PODS, NAMESPACE, "sbx-a")["metadata"]["uid"])


def test_a_pod_is_packed_once_and_then_replaced_by_one_that_waits_for_it() -> None:
    async def story() -> None:
        world, before = await edited(PACKED)

        assert world.replica.client.packed == ["sbx-a"]
        assert uid(world) != before
        assert world.stories()["a"] == ("True", "Running", True)
        assert world.sandboxes()[0]["status"]["pack"]["entries"] == 3
        assert "startupProbe" in world.server.get(PODS, NAMESPACE, "sbx-a")["spec"]["containers"][0]

    virtual_time.run(story())


def test_a_replacement_writes_its_pods_and_three_words_about_them() -> None:
    async def story() -> list[tuple[str, str]]:
        world, _ = await edited(PACKED)
        calls = [call for call in world.replica.client.calls if call[1] in {"pods", "sandboxes"}]
        return calls[calls.index(("patch", "sandboxes")) + 1 :]

    said = ("patch", "sandboxes")
    assert virtual_time.run(story()) == [said, ("delete", "pods"), said, ("create", "pods"), said]


def test_a_pod_that_can_not_be_packed_stays_until_it_can() -> None:
    async def story() -> None:
        world, before = await edited(FULL)
        assert uid(world) == before
        assert world.stories()["a"] == ("False", "PackFailed", True)

        await asyncio.sleep(300.0)
        assert len(world.replica.client.packed) in range(3, 6), "with a growing pause"
        world.replica.client.guest = PACKED
        await asyncio.sleep(600.0)

        assert uid(world) != before
        assert world.stories()["a"] == ("True", "Running", True)

    virtual_time.run(story())


def test_taking_the_change_back_mends_it_too() -> None:
    async def story() -> None:
        world, before = await edited(FULL)

        world.server.patch(SANDBOXES, NAMESPACE, "a", {"spec": {"env": None}})
        await asyncio.sleep(5.0)

        assert uid(world) == before
        assert world.stories()["a"] == ("True", "Running", True)

    virtual_time.run(story())


@pytest.mark.parametrize("end", ["restart", "crash"])
def test_an_operator_that_ends_while_it_waits_for_a_pack_packs_anew(end: str) -> None:
    async def story() -> None:
        world, before = await edited(FULL)

        await world.befall(end)
        world.replica.client.guest = PACKED
        await asyncio.sleep(30.0)

        assert uid(world) != before
        assert world.replica.client.packed == ["sbx-a"]
        assert world.stories()["a"] == ("True", "Running", True)

    virtual_time.run(story())
