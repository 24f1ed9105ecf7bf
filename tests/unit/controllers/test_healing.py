"""Stories of mishaps, each with the one thing that must follow."""

import asyncio
from functools import partial
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandkeeper.controllers.cluster import FENCES, SANDBOXES
from sandkeeper.plan.fence import fence_policy, is_fence
from sandkeeper.runtime.resource import NETWORK_POLICIES, NODES, PODS, RUNTIME_CLASSES
from unit.controllers.world import NAMESPACE, World
from unit.fakes import virtual_time
from unit.fakes.apiserver import FakeApiServer
from unit.fakes.client import Faults
from unit.fakes.node import NODE, ready
from unit.fakes.replica import Replica

pytestmark = pytest.mark.usefixtures("no_network")

POD = {"containers": [{"name": "sandbox", "image": "debian:12"}]}


async def running(*names: str, rate: float = 0.0) -> World:
    """Start a world in which so many sandboxes run."""
    world = World(rate=rate)
    for name in names:
        await world.befall("apply", name)
    await asyncio.sleep(5.0)
    assert world.stories() == dict.fromkeys(names, ("True", "Running", True))
    return world


def uid_of_pod(world: World, name: str = "a") -> Any:
    pod = world.server.find(PODS, NAMESPACE, f"sbx-{name}")
    return pod and pod["metadata"]["uid"]


def another_pod(world: World, before: str) -> bool:
    return uid_of_pod(world) not in {None, before}


@pytest.mark.parametrize("mishap", ["fail_pod", "evict_pod", "delete_pod"])
def test_a_pod_that_is_lost_is_replaced_within_seconds(mishap: str) -> None:
    async def story() -> None:
        world = await running("a")
        before = uid_of_pod(world)
        await world.befall(mishap)
        await asyncio.sleep(5.0)
        assert another_pod(world, before)
        assert world.stories()["a"] == ("True", "Running", True)

    virtual_time.run(story())


def test_pods_that_fail_again_and_again_are_made_at_growing_intervals() -> None:
    async def story() -> list[float]:
        world = await running("a")
        pauses = []
        for _ in range(5):
            before = uid_of_pod(world)
            await world.befall("fail_pod")
            pauses.append(await world.until(partial(another_pod, world, before)))
            await asyncio.sleep(5.0)
        return pauses

    assert virtual_time.run(story()) == pytest.approx([0, 5, 10, 20, 40], abs=1.0)


def test_a_failed_pod_whose_deletion_has_to_be_tried_again_counts_once() -> None:
    async def story() -> float:
        world = await running("a")
        world.faults.rate = 1.0
        await world.befall("fail_pod")
        await asyncio.sleep(4.0)
        world.faults.rate = 0.0
        return await world.until(lambda: world.stories()["a"][1] == "Running")

    assert virtual_time.run(story()) < 15.0


@pytest.mark.parametrize("choice", [3, 4], ids=["seen by informers", "unseen"])
def test_a_conflict_ends_when_what_was_in_the_way_goes(choice: int) -> None:
    async def story() -> None:
        world = World()
        occupied = asyncio.create_task(world.befall("occupy", "a", choice))
        await asyncio.sleep(0.0)
        await world.befall("apply")
        await asyncio.sleep(2.0)
        assert world.stories()["a"][1] == "Conflict"
        await occupied
        await asyncio.sleep(70.0)
        assert world.stories()["a"] == ("True", "Running", True)

    virtual_time.run(story())


def test_a_fence_is_mended_though_one_sandbox_of_the_namespace_is_on_its_way_out() -> None:
    async def story() -> None:
        world = await running("a", "b", "c")
        for name in "ab":
            world.server.patch(SANDBOXES, NAMESPACE, name, {"metadata": {"finalizers": ["example.com/wait"]}})
            await world.befall("delete", name)
        await asyncio.sleep(5.0)
        await world.befall("delete_fence")
        await asyncio.sleep(5.0)
        assert world.server.find(NETWORK_POLICIES, NAMESPACE, "sandkeeper-fence")

    virtual_time.run(story())


def test_the_sign_of_a_fence_comes_back() -> None:
    async def story() -> None:
        world = await running("a")
        await world.befall("delete_sign")
        await asyncio.sleep(5.0)
        assert world.children() == world.expected()

    virtual_time.run(story())


def test_a_fence_from_before_there_were_signs_gets_one_though_nothing_but_a_pod_is_left_behind_it() -> None:
    async def story() -> None:
        server = FakeApiServer(virtual_time.seconds)
        left = {"metadata": {"name": "sbx-left", "labels": {"sandkeeper.dev/managed": "true"}}, "spec": POD}
        server.create(NETWORK_POLICIES, NAMESPACE, fence_policy(NAMESPACE, None))
        server.create(PODS, NAMESPACE, left)
        Replica(server, Faults(Random(0), 0.0, 0.0))
        await asyncio.sleep(30.0)
        assert server.find(FENCES, NAMESPACE, "sandkeeper-fence")
        server.delete(PODS, NAMESPACE, "sbx-left")
        await asyncio.sleep(30.0)
        assert not server.find(FENCES, NAMESPACE, "sandkeeper-fence")
        assert not server.find(NETWORK_POLICIES, NAMESPACE, "sandkeeper-fence")

    virtual_time.run(story())


def test_a_label_taken_off_and_put_back_is_no_reason_to_ask_for_ever() -> None:
    async def story() -> None:
        world = await running("a")
        before = uid_of_pod(world)
        await world.befall("hide_pod", "a", 3)
        await asyncio.sleep(70.0)
        assert uid_of_pod(world) == before
        assert world.stories()["a"] == ("True", "Running", True)

    virtual_time.run(story())


@pytest.mark.parametrize("name", ["fluid", "a"])
def test_a_write_that_lost_a_race_is_decided_anew_whatever_the_sandbox_is_called(name: str) -> None:
    async def story() -> None:
        world = await running(name)
        before = uid_of_pod(world, name)
        world.faults.latency = 0.5
        await world.befall("apply", name, 3)
        for number in range(6):
            note = {"metadata": {"annotations": {"number": str(number)}}}
            world.server.patch(PODS, NAMESPACE, f"sbx-{name}", note)
            await asyncio.sleep(0.3)
        await asyncio.sleep(10.0)
        assert uid_of_pod(world, name) == before
        assert world.server.get(PODS, NAMESPACE, f"sbx-{name}")["metadata"]["labels"]["app"] == "x"

    virtual_time.run(story())


def test_a_node_that_is_lost_shows_even_if_the_news_of_its_pods_comes_first() -> None:
    async def story() -> list[str]:
        world = await running("a")
        pod = world.server.get(PODS, NAMESPACE, "sbx-a")
        world.server.replace_status(PODS, pod, pod["status"] | {"conditions": ready("False")})
        await asyncio.sleep(5.0)
        reasons = []
        for status in ("Unknown", "True"):
            node = world.server.get(NODES, "", NODE)
            world.server.replace_status(NODES, node, node["status"] | {"conditions": ready(status)})
            await asyncio.sleep(5.0)
            reasons.append(world.stories()["a"][1])
        return reasons

    assert virtual_time.run(story()) == ["NodeLost", "Starting"]


@pytest.mark.parametrize("mended", ["node", "RuntimeClass"])
def test_a_sandbox_that_requires_a_user_namespace_starts_when_it_can_have_one(mended: str) -> None:
    async def story() -> list[tuple[str, str, bool]]:
        world = World()
        await asyncio.sleep(1.0)
        node = world.server.get(NODES, "", NODE)
        handlers = [{"name": "runsc", "features": {"userNamespaces": True}}, {"name": ""}, {"name": "old"}]
        node = world.server.replace_status(NODES, node, node["status"] | {"runtimeHandlers": handlers})
        gvisor = world.server.create(RUNTIME_CLASSES, "", {"metadata": {"name": "gvisor"}, "handler": "old"})
        security = {"userNamespace": "Required"} | ({} if mended == "node" else {"runtimeClassName": "gvisor"})
        world.server.create(SANDBOXES, NAMESPACE, {"metadata": {"name": "a"}, "spec": {"security": security}})
        await asyncio.sleep(5.0)
        stories = [world.stories()["a"]]
        if mended == "node":
            able = [{"name": "", "features": {"userNamespaces": True}}]
            world.server.replace_status(NODES, node, node["status"] | {"runtimeHandlers": able})
        else:
            world.server.delete(RUNTIME_CLASSES, "", gvisor["metadata"]["name"])
            world.server.create(RUNTIME_CLASSES, "", {"metadata": {"name": "gvisor"}, "handler": "runsc"})
        await asyncio.sleep(5.0)
        return [*stories, world.stories()["a"]]

    assert virtual_time.run(story()) == [("False", "NoUserNamespace", True), ("True", "Running", True)]


def test_a_sandbox_made_anew_under_its_name_gets_children_of_its_own() -> None:
    async def story() -> None:
        world = World()
        await world.befall("apply", "a", 1)
        await asyncio.sleep(5.0)
        await world.befall("delete")
        await world.befall("apply", "a", 2)
        await asyncio.sleep(20.0)
        assert world.children() == world.expected()
        assert world.stories()["a"] == ("True", "Running", True)

    virtual_time.run(story())


def unfenced(server: FakeApiServer) -> list[str]:
    """Pods that came into being while their namespace had no fence, or one without its sign."""
    found, fence = [], {NETWORK_POLICIES: False, FENCES: False}
    for change in server.history:
        obj = change.after or change.before or {}
        if change.resource in fence and is_fence(obj):
            fence[change.resource] = change.after is not None
        elif change.resource == PODS and change.before is None and not all(fence.values()):
            found.append(obj["metadata"]["name"])
    return found


@given(
    st.lists(st.tuples(st.sampled_from(["apply", "delete", "wait"]), st.sampled_from("ab"), st.integers(0, 4))),
    st.integers(0, 2**32),
    st.sampled_from([0.0, 0.05]),
)
def test_no_pod_is_ever_made_without_the_fence(steps: list[tuple[str, str, int]], seed: int, rate: float) -> None:
    async def story() -> None:
        world = World(seed, rate=rate, latency=1.0)
        for step in steps:
            await world.befall(*step)
        await asyncio.sleep(60.0)
        assert unfenced(world.server) == []

    virtual_time.run(story())


@pytest.mark.parametrize("after", [1.0, 1.2, 1.4, 1.6, 1.8, 2.0])
def test_a_sandbox_that_comes_while_the_fence_goes_waits_for_a_new_one(after: float) -> None:
    async def story() -> None:
        world = await running("a")
        world.faults.latency = 0.8
        await world.befall("delete")
        await world.until(lambda: uid_of_pod(world) is None)
        await asyncio.sleep(after - 1.0)
        await world.befall("apply", "b")
        await asyncio.sleep(30.0)
        assert unfenced(world.server) == []
        assert world.stories()["b"] == ("True", "Running", True)

    virtual_time.run(story())
