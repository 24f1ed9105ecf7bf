"""A whole operator where volumes are on one node each: copies are made there, before their pods."""

import asyncio
from typing import Any

import orjson
import pytest

from sandkeeper.controllers.cluster import SANDBOXES
from sandkeeper.controllers.copies import SNAPSHOTS
from sandkeeper.runtime.errors import ApiError
from sandkeeper.runtime.resource import CLAIMS, CORE_EVENTS, NODES, PODS, VOLUME_SNAPSHOTS, VOLUMES, Json, Resource
from unit.controllers.test_rollback import FORK, GOOD, MOST_WRITES, RESTORING, Story, assert_settled, tell
from unit.controllers.world import CALM, NAMESPACE
from unit.fakes import virtual_time
from unit.fakes.node import NODE, ready

CHOSEN = "volume.kubernetes.io/selected-node"
pytestmark = pytest.mark.usefixtures("no_network")


class Local(Story):
    """A world whose volumes are on its node alone, with a sandbox ``a`` that runs and a snapshot of it."""

    def __init__(self) -> None:
        super().__init__(waits=True)

    def claim(self, name: str = "b") -> Json:
        """The only claim of a sandbox."""
        (found,) = self.claims(name)
        return self.server.get(CLAIMS, NAMESPACE, found)

    def chosen(self, name: str = "b") -> str | None:
        """Node that the volume of a sandbox is to be made for."""
        node = self.claim(name)["metadata"]["annotations"].get(CHOSEN)
        return None if node is None else str(node)

    def pod(self, name: str = "b") -> Json | None:
        return self.server.find(PODS, NAMESPACE, f"sbx-{name}")

    def noted(self, name: str = "good") -> str | None:
        """Node that stands on a VolumeSnapshot."""
        annotations = self.server.get(VOLUME_SNAPSHOTS, NAMESPACE, f"sbx-{name}")["metadata"]["annotations"]
        node = orjson.loads(annotations["sandkeeper.dev/moment"]).get("node")
        return None if node is None else str(node)

    async def hold(self, **spec: Any) -> None:
        """Restore a sandbox ``b`` whose volume does not come yet."""
        self.world.node.held = True
        self.create("b", source=GOOD, **spec)
        await self.world.until(lambda: self.claims("b"))

    def release(self) -> None:
        self.world.node.held = False
        # It looks again at whatever changes.
        self.server.patch(NODES, "", NODE, {"metadata": {"labels": {"heard": "of"}}})


def test_a_restore_costs_no_more_writes_and_its_pod_comes_once_the_volume_is_there() -> None:
    async def story() -> None:
        it = Local()
        await it.begin()
        number = len(it.calls())
        await it.hold()
        await asyncio.sleep(5.0)
        assert (it.noted(), it.chosen(), it.pod()) == (NODE, NODE, None)
        it.release()
        await it.world.until(lambda: it.runs("b"))
        await asyncio.sleep(CALM)
        assert sorted(it.calls()[number:]) == RESTORING

    tell(story)


def test_a_fork_of_a_fork_is_made_on_the_node_that_has_both() -> None:
    async def story() -> None:
        it = Local()
        await it.begin()
        it.create("b", source=FORK)
        await it.world.until(lambda: it.runs("b"))
        it.create("c", source={"sandboxRef": {"name": "b"}})
        await it.world.until(lambda: it.runs("c"))
        assert (it.chosen("b"), it.chosen("c")) == (NODE, NODE)
        await assert_settled(it, "c")

    tell(story)


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("source", [GOOD, FORK], ids=["restore", "fork"])
def test_killed_at_every_write_it_ends_as_if_nothing_had_happened(source: Json, *, after: bool) -> None:
    async def story(number: int) -> None:
        it = Local()
        await it.begin()
        it.kill_at(number, after=after)
        it.create("b", source=source)
        await it.revive()
        await assert_settled(it, "b")

    for number in range(1, MOST_WRITES + 1):
        virtual_time.run(story(number))


def test_an_operator_that_comes_when_the_claim_is_there_and_no_pod_waits_for_the_volume_as_well() -> None:
    async def story() -> None:
        it = Local()
        await it.begin()
        await it.hold()
        await it.revive()
        await asyncio.sleep(60.0)
        assert it.pod() is None
        it.release()
        await it.world.until(lambda: it.runs("b"))
        assert it.calls().count(("create", "pods")) == 1
        await assert_settled(it, "b")

    tell(story)


def test_a_volume_that_comes_while_no_operator_is_there_is_found_by_the_next_one() -> None:
    async def story() -> None:
        it = Local()
        await it.begin()
        await it.hold()
        await it.world.replica.crash()
        it.release()
        await it.world.until(lambda: it.claim()["status"]["phase"] == "Bound")
        await it.revive()
        await it.world.until(lambda: it.runs("b"))
        await assert_settled(it, "b")

    tell(story)


def test_what_the_provisioner_gives_up_gets_its_pod_and_goes_where_the_scheduler_says() -> None:
    async def story() -> None:
        it = Local()
        await it.begin()
        it.world.node.gives_up = True
        it.create("b", source=GOOD)
        await it.world.until(lambda: it.runs("b"))
        assert it.chosen() is None
        await assert_settled(it, "b")

    tell(story)


def test_a_volume_that_is_long_in_coming_is_told_with_what_its_provisioner_says_and_then_heals() -> None:
    async def story() -> None:
        it = Local()
        await it.begin()
        await it.hold()
        said = {"type": "Warning", "reason": "ProvisioningFailed", "message": "the pool is away"}
        event = {"metadata": {"name": "e"}, "involvedObject": {"uid": it.claim()["metadata"]["uid"]}, **said}
        it.server.create(CORE_EVENTS, NAMESPACE, event)
        await it.world.until(lambda: it.ready("b")["reason"] == "VolumePending")
        assert it.ready("b")["message"].endswith("has no volume yet: the pool is away.")
        assert it.pod() is None
        it.release()
        await it.world.until(lambda: it.runs("b"))
        await assert_settled(it, "b")

    tell(story)


def test_a_node_that_is_not_ready_when_the_restore_comes_is_left_to_the_scheduler() -> None:
    async def story() -> None:
        it = Local()
        await it.begin()
        there = it.server.get(NODES, "", NODE)
        it.server.replace_status(NODES, there, {**there["status"], "conditions": ready("Unknown")})
        await asyncio.sleep(5.0)
        it.create("b", source=GOOD)
        await it.world.until(lambda: it.claims("b") and it.pod())
        assert it.chosen() is None

    tell(story)


def test_a_node_that_a_tenant_wrote_onto_a_copy_is_none() -> None:
    async def story() -> None:
        it = Local()
        await it.begin()
        invented = {"metadata": {"annotations": {"sandkeeper.dev/moment": '{"node": "control-plane-9"}'}}}
        it.server.patch(VOLUME_SNAPSHOTS, NAMESPACE, "sbx-good", invented)
        await asyncio.sleep(5.0)
        it.create("b", source=GOOD)
        await it.world.until(lambda: it.runs("b"))
        assert it.chosen() is None

    tell(story)


@pytest.mark.parametrize("status", [403, 404])
def test_a_volume_that_can_not_be_read_is_copied_all_the_same_and_restored_as_ever(
    monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    async def story() -> None:
        it = Local()
        client = it.world.replica.client
        read = client.get

        async def refusing(resource: Resource, namespace: str, name: str) -> Json:
            if resource == VOLUMES:
                raise ApiError("get", f"persistentvolumes/{name}", status, {})
            return await read(resource, namespace, name)

        monkeypatch.setattr(client, "get", refusing)
        await it.begin()
        assert it.noted() is None
        it.create("b", source=GOOD)
        await it.world.until(lambda: it.runs("b"))
        assert it.chosen() is None
        await assert_settled(it, "b")

    tell(story)


def test_put_to_sleep_before_it_had_a_volume_it_gets_one_and_wakes_on_it() -> None:
    async def story() -> None:
        it = Local()
        await it.begin()
        await it.hold()
        it.server.patch(SANDBOXES, NAMESPACE, "b", {"spec": {"lifecycle": {"state": "Sleeping"}}})
        await it.world.until(lambda: it.ready("b")["reason"] == "Sleeping")
        it.release()
        await asyncio.sleep(60.0)
        assert (it.pod(), it.claim()["status"]["phase"]) == (None, "Bound")
        it.server.patch(SANDBOXES, NAMESPACE, "b", {"spec": {"lifecycle": {"state": "Running"}}})
        await it.world.until(lambda: it.runs("b"))
        await assert_settled(it, "b")

    tell(story)


def test_deleted_before_it_had_a_volume_it_leaves_nothing_and_holds_nothing() -> None:
    async def story() -> None:
        it = Local()
        await it.begin()
        await it.hold()
        it.server.delete(SANDBOXES, NAMESPACE, "b")
        await asyncio.sleep(CALM)
        assert (it.claims("b"), it.pod()) == ([], None)
        assert it.server.get(SNAPSHOTS, NAMESPACE, "good")["metadata"].get("finalizers", []) == []

    tell(story)


def test_given_another_source_before_it_had_a_volume_it_runs_on_that_one_alone() -> None:
    async def story() -> None:
        it = Local()
        await it.begin()
        await it.hold()
        first = it.claims("b")
        it.server.patch(SANDBOXES, NAMESPACE, "b", {"spec": {"source": {"revision": "2"}}})
        await it.world.until(lambda: len(it.claims("b")) == 2)
        it.release()
        await it.world.until(lambda: it.runs("b"))
        await assert_settled(it, "b")
        assert it.claims("b") != first

    tell(story)


def test_a_snapshot_that_is_deleted_while_it_is_restored_without_a_pod_goes_after_that() -> None:
    async def story() -> None:
        it = Local()
        await it.begin()
        await it.hold()
        it.server.delete(SNAPSHOTS, NAMESPACE, "good")
        await asyncio.sleep(60.0)
        assert it.server.find(SNAPSHOTS, NAMESPACE, "good") is not None
        it.release()
        await it.world.until(lambda: it.runs("b"))
        await it.world.until(lambda: it.server.find(SNAPSHOTS, NAMESPACE, "good") is None)

    tell(story)
