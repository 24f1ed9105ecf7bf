"""A whole operator that compares, with all that may get in the way: one answer, and nothing left of the way to it."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sandkeeper.controllers.cluster import SANDBOXES
from sandkeeper.controllers.copies import SNAPSHOTS
from sandkeeper.controllers.diffs import DIFFS
from sandkeeper.runtime.resource import CLAIMS, EVENTS, PODS, VOLUME_SNAPSHOTS, Json
from unit.controllers.world import CALM, NAMESPACE, World
from unit.fakes import virtual_time
from unit.fakes.snapshotter import FakeSnapshotter

pytestmark = pytest.mark.usefixtures("no_network")

POD = "sandkeeper-diff-d"


class Story:
    """A world with a sandbox ``a`` that sleeps, two snapshots of it, and one that runs."""

    def __init__(self, seed: int = 0, latency: float = 0.0) -> None:
        self.world = World(seed, latency=latency)
        self.server = self.world.server
        self.task = asyncio.create_task(FakeSnapshotter(self.server).run())

    async def begin(self) -> None:
        spec: Json = {"workspace": {"storageClassName": "standard"}}
        self.server.create(SANDBOXES, NAMESPACE, {"metadata": {"name": "a"}, "spec": spec})
        runs: Json = {"workspace": {"type": "Ephemeral"}}
        self.server.create(SANDBOXES, NAMESPACE, {"metadata": {"name": "b"}, "spec": runs})
        await self.world.until(lambda: len(self.server.all(PODS)) == 2, 600)
        self.server.patch(SANDBOXES, NAMESPACE, "a", {"spec": {"lifecycle": {"state": "Sleeping"}}})
        await self.world.until(lambda: not self.server.find(PODS, NAMESPACE, "sbx-a"), 600)
        for name in ("first", "second"):
            spec = {"sandboxRef": {"name": "a"}}
            self.server.create(SNAPSHOTS, NAMESPACE, {"metadata": {"name": name}, "spec": spec})
        for name in ("first", "second"):
            await self.world.until(lambda name=name: self.ready(SNAPSHOTS, name) == "Ready", 600)  # type: ignore[misc]

    def ask(self, **spec: object) -> None:
        whole = {"from": {"snapshotRef": {"name": "first"}}, **spec}
        self.server.create(DIFFS, NAMESPACE, {"metadata": {"name": "d"}, "spec": whole})

    def ready(self, resource: object = DIFFS, name: str = "d") -> str:
        found = self.server.find(resource, NAMESPACE, name)  # type: ignore[arg-type]
        return str(found["status"]["conditions"][0]["reason"]) if found else ""

    async def until(self, reason: str, within: float = 120.0) -> Json:
        await self.world.until(lambda: self.ready() == reason, within)
        return self.server.get(DIFFS, NAMESPACE, "d")

    def writes(self, resource: str) -> list[str]:
        return [verb for verb, what in self.world.replica.client.calls if what == resource]

    def left(self) -> dict[str, list[str]]:
        kinds = (CLAIMS, SNAPSHOTS, VOLUME_SNAPSHOTS, PODS)
        return {kind.plural: [each["metadata"]["name"] for each in self.server.all(kind)] for kind in kinds}

    def held(self) -> list[str]:
        return [each["metadata"]["name"] for each in self.server.all(SNAPSHOTS) if each["metadata"].get("finalizers")]


ANSWERED = {
    "persistentvolumeclaims": ["sbx-a"],
    "sandboxsnapshots": ["first", "second"],
    "volumesnapshots": ["sbx-first", "sbx-second"],
    "pods": [POD, "sbx-b"],
}
BOTH: Json = {"to": {"snapshotRef": {"name": "second"}}}


def tell(story: Callable[[], Awaitable[None]]) -> None:
    async def told() -> None:
        await story()

    virtual_time.run(told())


@pytest.mark.parametrize("to", [BOTH, {}], ids=["another snapshot", "now"])
def test_an_answer_leaves_its_pod_alone_and_then_nothing_is_written(to: Json) -> None:
    async def story() -> None:
        it = Story()
        await it.begin()
        it.ask(**to)
        await it.until("Ready")
        await asyncio.sleep(600)

        assert it.left() == ANSWERED
        assert it.held() == []
        before = len(it.world.replica.client.calls)
        await asyncio.sleep(600)
        assert [call for call in it.world.replica.client.calls[before:] if call[1] != "leases"] == []
        about = [each for each in it.server.all(EVENTS) if each["regarding"]["kind"] == "SandboxDiff"]
        assert [(each["type"], each["reason"]) for each in about] == [("Normal", "Ready")]

    tell(story)


def test_it_goes_an_hour_after_its_answer_with_its_pod() -> None:
    async def story() -> None:
        it = Story()
        await it.begin()
        it.ask(**BOTH)
        await it.until("Ready")
        await asyncio.sleep(3500)
        assert it.ready() == "Ready"
        await asyncio.sleep(200)

        assert it.ready() == ""
        assert it.left() == ANSWERED | {"pods": ["sbx-b"]}

    tell(story)


def test_three_pods_fail_and_no_fourth_is_made() -> None:
    async def story() -> None:
        it = Story()
        await it.begin()
        it.world.node.compared = (1, "guest: /old: input/output error")
        it.ask(**BOTH)
        await it.until("Failed")
        await asyncio.sleep(600)

        status = it.server.get(DIFFS, NAMESPACE, "d")["status"]
        assert (status["failures"], [each["type"] for each in status["conditions"]]) == (3, ["Ready", "Stalled"])
        assert it.writes("pods").count("create") - 2 == 3, "beside those of the sandboxes"
        assert it.left() == ANSWERED, "the last pod stays for its log"

    tell(story)


def test_a_pod_that_is_lost_on_the_way_is_made_again() -> None:
    async def story() -> None:
        it = Story()
        await it.begin()
        it.world.node.compared = None
        it.ask(**BOTH)
        await it.until("Comparing")
        it.server.delete(PODS, NAMESPACE, POD, grace=0)
        it.world.node.compared = (0, it_said)
        status = (await it.until("Ready"))["status"]

        assert "failures" not in status

    it_said = '{"workspace": {"added": 1, "changed": 0, "deleted": 0, "bytesAdded": 5, "bytesDeleted": 0}, "unread": 0}'
    tell(story)


@pytest.mark.timeout(1200)
@given(
    st.lists(
        st.tuples(st.floats(0, 8), st.sampled_from(["crash", "restart", "lose_pod", "fail", "compact"])), max_size=6
    ),
    st.booleans(),
    st.integers(0, 2**32),
    st.sampled_from([0.0, 0.05, 0.3]),
    st.sampled_from([0.0, 0.1, 2.0]),
)
@settings(max_examples=max(1, settings().max_examples // 4))
def test_any_mishaps_end_in_one_answer(
    mishaps: list[tuple[float, str]], now: bool, seed: int, rate: float, latency: float
) -> None:
    async def story() -> None:
        it = Story(seed, latency=latency)
        await it.begin()
        # Only now: to put a sandbox to sleep among faults takes pauses of minutes.
        it.world.faults.rate = rate
        it.ask(**({} if now else BOTH), expiresAfter="5h")
        for pause, what in mishaps:
            await asyncio.sleep(pause)
            await befall(it, what)
        await it.world.calm_down()

        diff = it.server.get(DIFFS, NAMESPACE, "d")
        assert it.ready() == "Ready" or diff["status"].get("failures") == 3
        assert it.left() in (ANSWERED, ANSWERED | {"pods": ["sbx-b"]})
        assert it.held() == []
        assert await it.world.writes_of_a_new_operator() == []
        it.server.delete(DIFFS, NAMESPACE, "d")
        await asyncio.sleep(CALM)
        assert it.left() == ANSWERED | {"pods": ["sbx-b"]}

    virtual_time.run(story())


async def befall(it: Story, what: str) -> None:
    if what in {"crash", "restart", "compact"}:
        await it.world.befall(what)
        return
    pod = it.server.find(PODS, NAMESPACE, POD)
    if pod is None:
        return
    if what == "lose_pod":
        it.server.delete(PODS, NAMESPACE, POD, grace=0)
    elif pod["status"]["phase"] == "Pending":
        it.server.replace_status(PODS, pod, {"phase": "Failed", "reason": "Evicted", "message": "The node is short."})
