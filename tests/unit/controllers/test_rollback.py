"""A whole operator that restores, rolls back and forks, killed at every write: it ends as if nothing had happened."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from sandkeeper.api.names import claim_name
from sandkeeper.api.sandbox import Sandbox
from sandkeeper.controllers.cluster import SANDBOXES
from sandkeeper.controllers.copies import SNAPSHOTS
from sandkeeper.plan.fork import snapshot_name
from sandkeeper.runtime.resource import CLAIMS, EVENTS, PODS, VOLUME_SNAPSHOTS, Json, Resource
from unit.controllers.test_snapshots import QUIESCED
from unit.controllers.world import CALM, NAMESPACE, World
from unit.fakes import virtual_time
from unit.fakes.replica import Replica
from unit.fakes.snapshotter import FakeSnapshotter

pytestmark = pytest.mark.usefixtures("no_network")

GOOD: Json = {"snapshotRef": {"name": "good"}}
FORK: Json = {"sandboxRef": {"name": "a"}}
WAS: Json = {"env": [{"name": "STAGE", "value": "good"}], "workspace": {"storageClassName": "standard"}}
MOST_WRITES = 11


class Story:
    """A world with a sandbox ``a`` that runs, a snapshot of it, and what copies volumes."""

    def __init__(self, *, waits: bool = False) -> None:
        self.world = World(waits=waits)
        self.server = self.world.server
        self.copier = FakeSnapshotter(self.server)
        self._copying = asyncio.create_task(self.copier.run())
        self.world.replica.client.guest = QUIESCED

    async def begin(self) -> None:
        self.create("a", **WAS)
        await self.world.until(lambda: self.runs("a"))
        spec = {"sandboxRef": {"name": "a"}}
        self.server.create(SNAPSHOTS, NAMESPACE, {"metadata": {"name": "good"}, "spec": spec})
        await self.world.until(lambda: "restoreSize" in self.server.get(SNAPSHOTS, NAMESPACE, "good").get("status", {}))

    def create(self, name: str, **spec: Any) -> None:
        self.server.create(SANDBOXES, NAMESPACE, {"metadata": {"name": name}, "spec": spec})

    def change(self, **spec: Any) -> None:
        self.server.patch(SANDBOXES, NAMESPACE, "a", {"spec": spec})

    def ready(self, name: str = "a") -> Json:
        conditions = self.server.get(SANDBOXES, NAMESPACE, name)["status"]["conditions"]
        return next(dict(each) for each in conditions if each["type"] == "Ready")

    def reason(self, name: str = "a") -> str:
        conditions = self.server.get(SANDBOXES, NAMESPACE, name).get("status", {}).get("conditions", ())
        return next((str(each["reason"]) for each in conditions if each["type"] == "Ready"), "")

    def runs(self, name: str = "a") -> bool:
        sandbox = self.server.get(SANDBOXES, NAMESPACE, name)
        current = sandbox["status"].get("observedGeneration") == sandbox["metadata"]["generation"]
        return bool(current and (self.ready(name)["status"], self.ready(name)["reason"]) == ("True", "Running"))

    def claims(self, name: str = "a") -> list[str]:
        found = self.server.all(CLAIMS, lambda each: each["metadata"]["labels"]["sandkeeper.dev/sandbox"] == name)
        return [str(each["metadata"]["name"]) for each in found]

    def on(self, name: str = "a") -> str:
        """Name of the claim that the pod of a sandbox is on."""
        pod = self.server.get(PODS, NAMESPACE, f"sbx-{name}")
        volumes = {each["name"]: each for each in pod["spec"]["volumes"]}
        return str(volumes["workspace"]["persistentVolumeClaim"]["claimName"])

    def taken(self) -> list[str]:
        """Names of the snapshots that were taken on the way to forks."""
        found = self.server.all(SNAPSHOTS, lambda each: "sandkeeper.dev/fork" in each["metadata"].get("labels", {}))
        return [str(each["metadata"]["name"]) for each in found]

    def forked(self) -> list[Json]:
        """Status of each of them."""
        return [self.server.get(SNAPSHOTS, NAMESPACE, name).get("status", {}) for name in self.taken()]

    def calls(self) -> list[tuple[str, str]]:
        return [call for call in self.world.replica.client.calls if call[1] not in {"leases", "events"}]

    def events(self, reason: str) -> list[Json]:
        return [each for each in self.server.all(EVENTS) if each["reason"] == reason]

    def kill_at(self, number: int, *, after: bool) -> None:
        """Kill the operator right before or after its so-manieth write, and start another one."""
        client, seen = self.world.replica.client, 0
        write = client._write

        async def dying(verb: str, resource: Resource, namespace: str, call: Callable[[], Json]) -> Json:
            nonlocal seen
            if resource.plural in {"leases", "events"}:
                return await write(verb, resource, namespace, call)
            seen += 1
            if seen == number and not after:
                client.sever()
            answer = await write(verb, resource, namespace, call)
            if seen == number:
                client.sever()
                await asyncio.Event().wait()
            return answer

        client._write = dying  # type: ignore[method-assign]

    async def revive(self) -> None:
        await asyncio.sleep(60.0)
        await self.world.replica.crash()
        self.world.replica = Replica(self.server)
        self.world.replica.client.guest = QUIESCED


def tell(story: Callable[[], Awaitable[None]]) -> None:
    async def told() -> None:
        await story()

    virtual_time.run(told())


async def assert_settled(it: Story, name: str) -> None:
    """Check that a sandbox runs on a claim of its own alone, as it was captured, with nothing held or left to do."""
    await asyncio.sleep(CALM)
    assert it.runs(name)
    assert it.claims(name) == [it.on(name)]
    pod = it.server.get(PODS, NAMESPACE, f"sbx-{name}")
    assert pod["spec"]["containers"][0]["env"] == WAS["env"]
    held = [each for each in it.server.all(SNAPSHOTS) if each["metadata"].get("finalizers")]
    assert held == []
    await it.world.replica.stop()
    it.world.replica = Replica(it.server)
    await asyncio.sleep(CALM)
    assert [call for call in it.world.replica.client.calls if call[1] != "leases"] == []


RESTORING = [
    ("create", "persistentvolumeclaims"),
    ("create", "pods"),
    ("patch", "sandboxes"),
    ("patch", "sandboxsnapshots"),
    ("patch", "sandboxsnapshots"),
]
"""What a restore writes."""
BEGINNINGS: dict[str, tuple[str, Callable[[Story], None]]] = {
    "restore": ("b", lambda it: it.create("b", source=GOOD)),
    "rollback": ("a", lambda it: it.change(source=GOOD)),
    "fork": ("b", lambda it: it.create("b", source=FORK)),
}


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("what", BEGINNINGS)
def test_killed_at_every_write_it_ends_as_if_nothing_had_happened(what: str, *, after: bool) -> None:
    name, begin = BEGINNINGS[what]

    async def story(number: int) -> None:
        it = Story()
        await it.begin()
        it.kill_at(number, after=after)
        begin(it)
        await it.revive()
        await assert_settled(it, name)
        assert it.on(name) != f"sbx-{name}"
        assert len(it.taken()) <= 1

    for number in range(1, MOST_WRITES + 1):
        virtual_time.run(story(number))


def test_a_restore_costs_so_many_writes() -> None:
    async def story() -> None:
        it = Story()
        await it.begin()
        number = len(it.calls())
        it.create("b", source=GOOD)
        await it.world.until(lambda: it.runs("b"))
        await asyncio.sleep(CALM)
        assert sorted(it.calls()[number:]) == RESTORING

    tell(story)


def test_a_rollback_tells_what_became_of_the_old_workspace_once() -> None:
    async def story() -> None:
        it = Story()
        await it.begin()
        it.change(source=GOOD)
        await asyncio.sleep(CALM)
        (event,) = it.events("RolledBack")
        assert "made from SandboxSnapshot good; sbx-a, which it was before, goes." in event["note"]
        assert not it.events("WorkspaceLost")

    tell(story)


def test_a_snapshot_that_was_begun_before_it_is_rolled_back_is_of_what_it_was() -> None:
    async def story() -> None:
        it = Story()
        await it.begin()
        it.server.create(SNAPSHOTS, NAMESPACE, {"metadata": {"name": "before"}, "spec": {"sandboxRef": {"name": "a"}}})
        await it.world.until(lambda: "startTime" in it.server.get(SNAPSHOTS, NAMESPACE, "before").get("status", {}))
        it.change(source=GOOD)
        await assert_settled(it, "a")
        copy = it.server.get(VOLUME_SNAPSHOTS, NAMESPACE, "sbx-before")
        assert copy["spec"]["source"]["persistentVolumeClaimName"] == "sbx-a"
        assert it.on() != "sbx-a"

    tell(story)


def test_a_source_that_is_taken_away_while_its_pod_does_not_start_is_gone_back_from() -> None:
    async def story() -> None:
        it = Story()
        await it.begin()
        it.change(source=GOOD)
        await it.world.until(lambda: len(it.claims()) == 2 and it.on() != "sbx-a")
        it.change(source=None)
        await assert_settled(it, "a")
        assert it.on() == "sbx-a"

    tell(story)


def test_rolled_back_again_and_again_it_goes_to_the_newest_alone() -> None:
    async def story() -> None:
        it = Story()
        await it.begin()
        for number in range(20):
            it.change(source={**GOOD, "revision": str(number)})
            await asyncio.sleep(0.3 * (number % 5))
        await assert_settled(it, "a")
        (claim,) = it.server.all(CLAIMS)
        assert '"revision":"19"' in claim["metadata"]["annotations"]["sandkeeper.dev/source"]

    tell(story)


def test_a_class_that_waits_for_its_first_consumer_makes_the_new_volume_while_the_old_pod_runs() -> None:
    async def story() -> None:
        it = Story(waits=True)
        await it.begin()
        before = it.server.get(PODS, NAMESPACE, "sbx-a")["metadata"]["uid"]
        it.change(source=GOOD)
        await it.world.until(lambda: len(it.claims()) == 2)
        assert it.server.get(PODS, NAMESPACE, "sbx-a")["metadata"]["uid"] == before
        await assert_settled(it, "a")

    tell(story)


def test_asleep_with_such_a_class_it_wakes_on_the_new_workspace_at_once() -> None:
    async def story() -> None:
        it = Story(waits=True)
        await it.begin()
        it.change(lifecycle={"state": "Sleeping"})
        await asyncio.sleep(CALM)
        it.change(source=GOOD)
        await it.world.until(lambda: len(it.claims()) == 2)
        number = len(it.calls())
        it.change(lifecycle={"state": "Running"})
        await it.world.until(it.runs)
        assert it.calls()[number:].count(("create", "pods")) == 1
        await assert_settled(it, "a")

    tell(story)


@pytest.mark.parametrize("what", ["restore", "rollback"])
def test_a_claim_of_somebody_else_with_the_new_one_s_name_is_told_and_heals(what: str) -> None:
    name, begin = BEGINNINGS[what]

    async def story() -> None:
        it = Story()
        await it.begin()
        wanted = claim_name(name, "SandboxSnapshot", "good", "")
        metadata = {"name": wanted, "labels": {"sandkeeper.dev/managed": "true", "sandkeeper.dev/sandbox": "z"}}
        spec = {"resources": {"requests": {"storage": "1Gi"}}}
        theirs = it.server.create(CLAIMS, NAMESPACE, {"metadata": metadata, "spec": spec})
        begin(it)
        await it.world.until(lambda: it.reason(name) == "Conflict")
        await asyncio.sleep(CALM)
        assert it.server.get(CLAIMS, NAMESPACE, wanted)["metadata"]["uid"] == theirs["metadata"]["uid"]

        it.server.delete(CLAIMS, NAMESPACE, wanted)
        await it.world.until(lambda: it.runs(name))

        await assert_settled(it, name)
        assert it.on(name) == wanted

    tell(story)


async def roll_back_slowly(it: Story, **spec: Any) -> None:
    """Roll back to a pod that takes so long to start that nothing but its readiness is heard of after that."""
    it.world.node.starts = False
    it.change(**spec)
    await it.world.until(lambda: it.on() != "sbx-a")
    await asyncio.sleep(60)
    it.world.node.starts = True
    await it.world.until(lambda: it.runs("a"))
    await asyncio.sleep(5)


def test_what_a_slow_rollback_kept_is_told() -> None:
    async def story() -> None:
        it = Story()
        await it.begin()
        await roll_back_slowly(it, source={**GOOD, "keepPrevious": True})

        assert it.server.get(SANDBOXES, NAMESPACE, "a")["status"]["previousClaimName"] == "sbx-a"

    tell(story)


def test_what_a_slow_rollback_of_a_retained_workspace_replaced_goes() -> None:
    async def story() -> None:
        it = Story()
        await it.begin()
        it.change(workspace={"reclaimPolicy": "Retain"})
        await it.world.until(lambda: not it.server.get(CLAIMS, NAMESPACE, "sbx-a")["metadata"]["ownerReferences"])
        await roll_back_slowly(it, source=GOOD)

        assert it.claims() == [it.on()]

    tell(story)


def test_kept_and_undone() -> None:
    async def story() -> None:
        it = Story()
        await it.begin()
        it.change(source={**GOOD, "keepPrevious": True})
        await asyncio.sleep(CALM)
        assert it.server.get(SANDBOXES, NAMESPACE, "a")["status"]["previousClaimName"] == "sbx-a"
        rolled = it.on()
        it.change(source={"snapshotRef": None, "keepPrevious": None, "claimRef": {"name": "sbx-a"}})
        await assert_settled(it, "a")
        assert it.on() not in {"sbx-a", rolled}

    tell(story)


@pytest.mark.parametrize(("apart", "most"), [(0.0, 1), (0.02, 1), (0.08, 2)])
def test_twenty_forks_at_once_cost_one_snapshot_and_two_where_they_take_longer(apart: float, most: int) -> None:
    async def story() -> None:
        it = Story()
        await it.begin()
        await asyncio.sleep(0.63)
        for number in range(20):
            it.create(f"fork-{number}", source=FORK)
            await asyncio.sleep(apart)
        await it.world.until(lambda: all(it.runs(f"fork-{number}") for number in range(20)))
        assert 1 <= len(it.taken()) <= most

    tell(story)


def test_a_fork_that_comes_once_the_copy_has_begun_is_of_a_later_one() -> None:
    async def story() -> None:
        it = Story()
        await it.begin()
        it.create("early", source=FORK)
        await it.world.until(lambda: any("startTime" in each for each in it.forked()))
        it.create("late", source=FORK)
        await it.world.until(lambda: it.runs("early") and it.runs("late"))
        first, second = sorted(it.forked(), key=lambda each: str(each["startTime"]))
        late = snapshot_name(Sandbox.model_validate(it.server.get(SANDBOXES, NAMESPACE, "late")))
        assert late in second["standsFor"]
        assert late not in first["standsFor"]

    tell(story)


def test_a_fork_s_snapshot_that_somebody_made_another_one_is_told_of_and_nobody_asks_again_and_again() -> None:
    async def story() -> None:
        it = Story()
        await it.begin()
        it.copier.stopped = True
        it.create("b", source=FORK)
        await it.world.until(it.taken)
        (name,) = it.taken()
        it.server.patch(SNAPSHOTS, NAMESPACE, name, {"metadata": {"labels": {"sandkeeper.dev/fork": None}}})
        await it.world.until(lambda: it.reason("b") == "Conflict")
        it.world.replica.client.calls.clear()
        await asyncio.sleep(300)
        assert len(it.calls()) < 10

        it.server.delete(SNAPSHOTS, NAMESPACE, name)
        it.copier.stopped = False
        await it.world.until(lambda: it.runs("b"))
        await assert_settled(it, "b")

    tell(story)


def test_a_sandbox_that_goes_while_it_is_forked_is_waited_for_no_more() -> None:
    async def story() -> None:
        it = Story()
        await it.begin()
        it.create("b", source={"sandboxRef": {"name": "later"}})
        await it.world.until(lambda: it.ready("b")["reason"] == "SandboxNotFound")
        it.create("later", **WAS)
        await it.world.until(lambda: it.runs("b"))

    tell(story)
