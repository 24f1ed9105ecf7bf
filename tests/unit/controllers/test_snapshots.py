"""A whole operator that takes snapshots, with all that may get in the way: each is taken once, and says how it went."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime

import orjson
import pytest

from sandkeeper.controllers.cluster import SANDBOXES
from sandkeeper.controllers.copies import SNAPSHOTS
from sandkeeper.runtime.exec import ExecResult
from sandkeeper.runtime.resource import CLAIMS, EVENTS, PODS, VOLUME_SNAPSHOTS, Json, version_of
from unit.controllers.world import NAMESPACE, World
from unit.fakes import virtual_time
from unit.fakes.snapshotter import TAKEN, FakeSnapshotter

pytestmark = pytest.mark.usefixtures("no_network")

QUIESCED = ExecResult(0, b'{"entries": 3, "bytes": 1000, "pauseSeconds": 0.012}', b"")
FULL = ExecResult(1, b'{"error": {"reason": "VolumeFull", "message": "No space is left."}}', b"")
TEN_MINUTES = 600.0


class Story:
    """A world with a running sandbox ``a``, and what copies its volume."""

    def __init__(self, seed: int = 0, rate: float = 0.0, latency: float = 0.0) -> None:
        self.world = World(seed, rate=rate, latency=latency)
        self.server = self.world.server
        self.copier = FakeSnapshotter(self.server)
        self.task = asyncio.create_task(self.copier.run())
        self.answer(QUIESCED)

    def answer(self, guest: ExecResult) -> None:
        self.world.replica.client.guest = guest

    async def begin(self, **spec: object) -> None:
        whole = {"workspace": {"storageClassName": "standard"}, **spec}
        self.server.create(SANDBOXES, NAMESPACE, {"metadata": {"name": "a"}, "spec": whole})
        await self.world.until(lambda: self.world.sandboxes()[0]["status"].get("observedGeneration"))

    def take(self, name: str = "s", **spec: object) -> None:
        whole = {"sandboxRef": {"name": "a"}, **spec}
        self.server.create(SNAPSHOTS, NAMESPACE, {"metadata": {"name": name}, "spec": whole})

    def snapshot(self, name: str = "s") -> Json | None:
        return self.server.find(SNAPSHOTS, NAMESPACE, name)

    def reason(self, name: str = "s") -> str:
        found = self.snapshot(name)
        return str(found["status"]["conditions"][0]["reason"]) if found else ""

    def message(self, name: str = "s") -> str:
        found = self.snapshot(name)
        return str(found["status"]["conditions"][0]["message"]) if found else ""

    async def until(self, reason: str, name: str = "s", within: float = 120.0) -> Json:
        await self.world.until(lambda: self.reason(name) == reason, within)
        found = self.snapshot(name)
        assert found
        return found

    def volumes(self) -> list[str]:
        return [each["metadata"]["name"] for each in self.server.all(VOLUME_SNAPSHOTS)]

    def calls(self) -> list[tuple[str, str]]:
        kinds = {"sandboxsnapshots", "volumesnapshots"}
        return [call for call in self.world.replica.client.calls if call[1] in kinds]

    def measured(self, name: str, **labels: str) -> float | None:
        operator = self.world.replica._operator
        assert operator
        return operator._metrics.registry.get_sample_value(f"sandkeeper_snapshot_{name}", labels)

    def events(self) -> list[str]:
        about = [each for each in self.server.all(EVENTS) if each["regarding"]["kind"] == "SandboxSnapshot"]
        return [each["reason"] for each in sorted(about, key=version_of)]


def tell(story: Callable[[], Awaitable[None]]) -> None:
    async def told() -> None:
        await story()

    virtual_time.run(told())


def test_a_snapshot_of_a_running_sandbox_costs_three_writes() -> None:
    async def story() -> None:
        it = Story()
        await it.begin(env=[{"name": "A", "value": "1"}])
        it.take()
        status = (await it.until("Ready"))["status"]
        await asyncio.sleep(TEN_MINUTES)

        assert it.calls() == [
            ("patch", "sandboxsnapshots"),
            ("create", "volumesnapshots"),
            ("patch", "sandboxsnapshots"),
        ]
        assert it.world.replica.client.packed == ["sbx-a"]
        assert (status["volumeSnapshotName"], status["creationTime"], status["restoreSize"]) == ("sbx-s", TAKEN, "10Gi")
        assert status["pauseSeconds"] == 0.012
        assert 0 <= status["durationSeconds"] < 10
        assert datetime.fromisoformat(status["startTime"]).microsecond
        environment = status["captured"]["environment"]
        assert environment["env"] == [{"name": "A", "value": "1"}]
        assert environment["workspace"]["storageClassName"] == "standard"
        assert status["captured"]["imageDigest"] == "sha256:1"
        assert it.events() == ["Ready"]
        assert it.measured("seconds_count", result="Ready") == it.measured("pause_seconds_count") == 1

    tell(story)


def test_what_is_noted_on_the_copy_is_enough_without_a_status() -> None:
    async def story() -> None:
        it = Story()
        await it.begin()
        it.take()
        before = (await it.until("Ready"))["status"]
        volume = it.server.get(VOLUME_SNAPSHOTS, NAMESPACE, "sbx-s")
        bare = {**volume["metadata"], "ownerReferences": None}
        for each in (SNAPSHOTS, VOLUME_SNAPSHOTS):
            it.server.remove(each, it.server.get(each, NAMESPACE, "s" if each == SNAPSHOTS else "sbx-s"))
        copied = it.server.create(VOLUME_SNAPSHOTS, NAMESPACE, {**volume, "metadata": {**bare, "ownerReferences": []}})
        await asyncio.sleep(5)
        it.take()
        restored = await it.until("Ready")
        await asyncio.sleep(5)

        del before["durationSeconds"]
        assert restored["status"] == {**before, "conditions": restored["status"]["conditions"]}
        now = it.server.get(VOLUME_SNAPSHOTS, NAMESPACE, "sbx-s")["metadata"]
        assert now["uid"] == copied["metadata"]["uid"]
        assert now["ownerReferences"][0]["uid"] == restored["metadata"]["uid"]

    tell(story)


def test_a_snapshot_that_came_before_its_sandbox_heals() -> None:
    async def story() -> None:
        it = Story()
        it.take()
        await it.until("SandboxNotFound")
        await it.begin()
        await it.until("Ready")
        assert it.events() == ["SandboxNotFound", "Ready"]

    tell(story)


def test_a_sleeping_sandbox_is_copied_without_a_word_to_anybody() -> None:
    async def story() -> None:
        it = Story()
        await it.begin()
        it.server.patch(SANDBOXES, NAMESPACE, "a", {"spec": {"lifecycle": {"state": "Sleeping"}}})
        await it.world.until(lambda: it.server.find(PODS, NAMESPACE, "sbx-a") is None)
        it.world.replica.client.packed.clear()
        it.take()
        status = (await it.until("Ready"))["status"]

        assert "pauseSeconds" not in status
        assert it.world.replica.client.packed == []

    tell(story)


def test_what_can_not_be_packed_is_told_and_tried_again() -> None:
    async def story() -> None:
        it = Story()
        await it.begin()
        it.answer(FULL)
        it.take()
        await it.until("Failed")
        assert "VolumeFull: No space is left." in it.message()
        assert it.volumes() == []
        it.answer(QUIESCED)
        await it.until("Ready", within=60)
        assert it.events() == ["Failed", "Ready"]

    tell(story)


def test_an_error_of_the_driver_is_told_and_heals() -> None:
    async def story() -> None:
        it = Story()
        await it.begin()
        it.copier.error = "the array is\n\x1b[31mfull"
        it.take()
        await it.until("Failed")
        assert it.message().endswith("its driver tries again: the array is [31mfull.")
        it.copier.error = ""
        it.server.create(
            CLAIMS, NAMESPACE, {"metadata": {"name": "nudge"}, "spec": {"resources": {"requests": {"storage": "1"}}}}
        )
        await it.until("Ready")
        assert it.volumes() == ["sbx-s"]

    tell(story)


def test_what_it_waits_for_is_told_once_it_is_slow() -> None:
    async def story() -> None:
        it = Story()
        await it.begin()
        it.copier.stopped = True
        it.take()
        await asyncio.sleep(10)
        assert it.reason() == "Copying"
        await asyncio.sleep(10)
        assert "waits for the cluster's snapshot-controller" in it.message()
        it.copier.stopped = False
        it.server.patch(SANDBOXES, NAMESPACE, "a", {"metadata": {"labels": {"a": "b"}}})
        await it.until("Ready")

    tell(story)


def test_one_that_has_lived_its_life_goes_with_its_copy() -> None:
    async def story() -> None:
        it = Story()
        await it.begin()
        it.take(expiresAfter="10m")
        status = (await it.until("Ready"))["status"]
        assert status["expiresAt"].endswith("Z")
        await asyncio.sleep(TEN_MINUTES + 60)

        assert it.snapshot() is None
        assert it.volumes() == []
        assert it.events() == ["Ready", "Expired"]

    tell(story)


def test_a_copy_that_is_to_be_retained_stays() -> None:
    async def story() -> None:
        it = Story()
        await it.begin()
        it.take(deletionPolicy="Retain")
        await it.until("Ready")
        it.server.delete(SNAPSHOTS, NAMESPACE, "s")
        await asyncio.sleep(60)

        assert it.volumes() == ["sbx-s"]

    tell(story)


def test_a_copy_that_somebody_deleted_is_not_taken_anew() -> None:
    async def story() -> None:
        it = Story()
        await it.begin()
        it.take()
        await it.until("Ready")
        it.server.delete(VOLUME_SNAPSHOTS, NAMESPACE, "sbx-s")
        await it.until("Failed")
        await asyncio.sleep(TEN_MINUTES)

        assert it.volumes() == []
        assert "is of one moment" in it.message()

    tell(story)


@pytest.mark.parametrize("managed", [False, True])
def test_a_copy_of_somebody_else_is_in_the_way_until_it_is_gone(managed: bool) -> None:
    async def story() -> None:
        it = Story()
        await it.begin()
        labels = {"sandkeeper.dev/managed": "true", "sandkeeper.dev/sandbox": "b"} if managed else {}
        theirs = {
            "metadata": {"name": "sbx-s", "labels": labels},
            "spec": {"source": {"persistentVolumeClaimName": "x"}},
        }
        it.server.create(VOLUME_SNAPSHOTS, NAMESPACE, theirs)
        it.take()
        await it.until("Conflict")
        it.server.delete(VOLUME_SNAPSHOTS, NAMESPACE, "sbx-s")
        await it.until("Ready")

    tell(story)


def test_one_that_is_being_restored_from_stays_until_that_is_done() -> None:
    async def story() -> None:
        it = Story()
        await it.begin()
        it.take()
        found = await it.until("Ready")
        it.server.patch(SNAPSHOTS, NAMESPACE, "s", {"metadata": {"finalizers": ["sandkeeper.dev/in-use"]}})
        claim = {
            "metadata": {
                "name": "sbx-a-12345678",
                "labels": {"sandkeeper.dev/managed": "true", "sandkeeper.dev/sandbox": "a"},
                "annotations": {
                    "sandkeeper.dev/source": orjson.dumps({"snapshot": "s", "uid": found["metadata"]["uid"]}).decode()
                },
            },
            "spec": {"resources": {"requests": {"storage": "1Gi"}}},
            "status": {"phase": "Pending", "capacity": {"storage": "1Gi"}},
        }
        it.server.create(CLAIMS, NAMESPACE, claim)
        await asyncio.sleep(1)
        it.server.delete(SNAPSHOTS, NAMESPACE, "s")
        await it.until("Deleting")
        assert "is being restored by Sandbox a" in it.message()
        await asyncio.sleep(TEN_MINUTES)
        assert it.volumes() == ["sbx-s"]
        it.server.replace_status(
            CLAIMS,
            it.server.get(CLAIMS, NAMESPACE, "sbx-a-12345678"),
            {"phase": "Bound", "capacity": {"storage": "1Gi"}},
        )
        await asyncio.sleep(10)

        assert it.snapshot() is None
        assert it.volumes() == []

    tell(story)


def test_a_restore_that_is_given_up_without_its_volume_holds_a_deleted_one_no_longer() -> None:
    async def story() -> None:
        it = Story()
        await it.begin()
        it.take()
        await it.until("Ready")
        it.world.node.provides = False
        spec = {"source": {"snapshotRef": {"name": "s"}}, "workspace": {"reclaimPolicy": "Retain"}}
        it.server.create(SANDBOXES, NAMESPACE, {"metadata": {"name": "b"}, "spec": spec})
        await it.world.until(lambda: len(it.server.all(CLAIMS)) == 2)
        it.server.delete(SNAPSHOTS, NAMESPACE, "s")
        await it.until("Deleting")
        await asyncio.sleep(TEN_MINUTES)
        it.server.delete(SANDBOXES, NAMESPACE, "b")
        await asyncio.sleep(TEN_MINUTES)

        assert len(it.server.all(CLAIMS)) == 2
        assert it.snapshot() is None

    tell(story)


def test_fifty_at_once_are_fifty_copies_and_a_hundred_words() -> None:
    async def story() -> None:
        it = Story()
        await it.begin()
        for number in range(50):
            it.take(f"s{number}")
        await asyncio.sleep(60)

        assert {it.reason(f"s{number}") for number in range(50)} == {"Ready"}
        assert len(it.volumes()) == 50
        assert it.calls().count(("patch", "sandboxsnapshots")) == 100
        assert len(it.world.replica.client.packed) == 50

    tell(story)


MISHAPS: dict[str, Callable[[Story], Awaitable[None]]] = {
    "restart": lambda it: it.world.befall("restart"),
    "crash": lambda it: it.world.befall("crash"),
    "pod deleted": lambda it: it.world.befall("delete_pod"),
    "pod evicted": lambda it: it.world.befall("evict_pod"),
    "history compacted": lambda it: it.world.befall("compact"),
}


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("mishap", MISHAPS)
@pytest.mark.parametrize("moment", [0.0, 0.3, 1.0, 3.0])
def test_whatever_happens_it_is_taken_once_and_then_nothing_more_is_written(
    mishap: str, moment: float, seed: int
) -> None:
    async def story() -> None:
        it = Story(seed, rate=0.2 if seed else 0.0, latency=0.2 * seed)
        await it.begin()
        it.take()
        await asyncio.sleep(moment)
        await MISHAPS[mishap](it)
        await it.world.calm_down()

        assert (it.reason(), it.volumes()) == ("Ready", ["sbx-s"])
        made = [each for each in it.server.history if each.resource == VOLUME_SNAPSHOTS and each.before is None]
        assert len(made) == 1
        assert not it.world.replica.failed.is_set()
        assert await it.world.writes_of_a_new_operator() == []

    tell(story)
