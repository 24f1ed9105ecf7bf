"""What the writes of a schedule go by, and what becomes of those that the API server does not take."""

from datetime import timedelta

import pytest

from sandkeeper.api.names import claim_name
from sandkeeper.controllers.children import OutdatedError
from sandkeeper.controllers.cluster import SANDBOXES, Cluster
from sandkeeper.controllers.copies import SNAPSHOTS
from sandkeeper.controllers.schedules import Schedules
from sandkeeper.plan.confirmation import needs_confirmation
from sandkeeper.plan.observed import Observed
from sandkeeper.plan.sandbox import Plan, plan_sandbox
from sandkeeper.runtime.errors import ApiError
from sandkeeper.runtime.resource import CLAIMS, Json, Key
from unit.fakes.apiserver import FakeApiServer
from unit.fakes.client import FakeClient
from unit.fakes.copies import volume_snapshot
from unit.fakes.objects import NOW, claim_of, observe, pod_of, sandbox
from unit.fakes.schedules import copied

MINUTE = timedelta(minutes=1)
OWNER = sandbox(workspace={"type": "Persistent"}, snapshots={"schedule": "*/10 * * * *", "keepLast": 1})
KEY = Key("team", "a")


class Refusing(FakeClient):
    """Refuses to create anything as a quota does."""

    refused = 0

    async def create(self, *_: object, **__: object) -> Json:
        self.refused += 1
        body = {"reason": "Forbidden", "message": "is forbidden: exceeded quota: none"}
        raise ApiError("create", "sandboxsnapshots", 403, body)


class Story:
    """Schedules whose stores hold only what a story puts into them."""

    def __init__(self, client: FakeClient | None = None) -> None:
        self.server = FakeApiServer()
        self.client = client or FakeClient(self.server)
        self.cluster = Cluster(self.client, lambda _: None, lambda _: None)
        self.schedules = Schedules(self.client, self.cluster)
        self.status: Json = {}

    def copy(self, age: int) -> Json:
        """Make a copy that the server has and the store knows."""
        snapshot = copied(NOW - age * MINUTE, owner=OWNER)
        made = self.server.create(SNAPSHOTS, "team", snapshot)
        made = self.server.replace_status(SNAPSHOTS, made, snapshot["status"])
        self.cluster.copies.snapshots.upsert(made)
        return made

    def name_as_source(self, snapshot: str) -> Json:
        """Make a sandbox that is to be restored from a snapshot."""
        spec = {"source": {"snapshotRef": {"name": snapshot}, "revision": "2"}}
        made = self.server.create(SANDBOXES, "team", {"metadata": {"name": "b"}, "spec": spec})
        self.cluster.sandboxes.upsert(made)
        return made

    def claim(self, snapshot: str, revision: str, phase: str) -> None:
        """Make the claim that sandbox has for a source."""
        name = claim_name("b", "SandboxSnapshot", snapshot, revision)
        claim = claim_of(sandbox("b"), {"phase": phase})
        metadata = claim["metadata"] | {"name": name, "uid": "uid-claim", "resourceVersion": "90"}
        self.cluster.store(CLAIMS).upsert({**claim, "metadata": metadata})

    def observe(self, minutes: int = 0) -> Observed:
        known = observe(OWNER, status=self.status, pod=pod_of(OWNER), claim=claim_of(OWNER))
        return self.schedules.observe(known, KEY, NOW + minutes * MINUTE)

    async def look(self, minutes: int) -> Plan:
        """Run what of a pass is the schedule's."""
        observed, now = self.observe(minutes), NOW + minutes * MINUTE
        return await self.schedules.carry_out(observed, plan_sandbox(observed, now), now)


@pytest.fixture
def story() -> Story:
    return Story()


def test_a_snapshot_that_a_new_sandbox_is_to_be_made_from_is_in_use(story: Story) -> None:
    name = story.copy(0)["metadata"]["name"]

    assert story.observe().snapshots_in_use == frozenset()
    story.name_as_source(name)
    assert story.observe().snapshots_in_use == {name}


@pytest.mark.parametrize(
    ("snapshot", "revision", "phase", "used"),
    [
        ("a-20260301-1200", "2", "Bound", False),
        ("a-20260301-1200", "2", "Pending", True),
        ("a-20260301-1200", "1", "Bound", True),
        ("another", "2", "Bound", True),
    ],
)
def test_it_is_in_use_until_the_workspace_is_made(
    story: Story, snapshot: str, revision: str, phase: str, used: bool
) -> None:
    name = story.copy(0)["metadata"]["name"]
    story.name_as_source(name)
    story.claim(snapshot, revision, phase)

    assert (name in story.observe().snapshots_in_use) == used


def test_it_is_known_of_which_workspace_the_newest_ready_copy_is(story: Story) -> None:
    assert story.observe().copied_claim == ""
    for age, claim in ((2, "sbx-a-12345678"), (1, "sbx-a")):
        volume = volume_snapshot(story.copy(age)["metadata"]["name"])
        volume["spec"]["source"] = {"persistentVolumeClaimName": claim}
        volume["metadata"]["uid"] = f"uid-{claim}"
        story.cluster.copies.volume_snapshots.upsert(volume)

        assert story.observe().copied_claim == claim

    story.copy(0)
    assert story.observe().copied_claim == ""


async def test_what_is_too_many_is_deleted(story: Story) -> None:
    story.copy(0)
    newer = story.copy(-1)

    await story.look(3)

    assert [each["metadata"]["name"] for each in story.server.all(SNAPSHOTS)] == [newer["metadata"]["name"]]
    assert story.cluster.copies.of(KEY) == (story.cluster.copies.snapshot(Key("team", newer["metadata"]["name"])),)


async def test_none_is_deleted_before_it_is_known_that_the_sandbox_still_asks_for_so_few(story: Story) -> None:
    story.copy(0)
    assert not needs_confirmation(story.observe(), plan_sandbox(story.observe(), NOW))

    story.copy(-1)

    assert needs_confirmation(story.observe(), plan_sandbox(story.observe(), NOW))


async def test_the_last_one_stays_though_nobody_told_yet_that_a_newer_one_is_gone(story: Story) -> None:
    older, newer = story.copy(0), story.copy(-1)
    story.server.remove(SNAPSHOTS, newer)

    with pytest.raises(OutdatedError):
        await story.look(3)
    await story.look(3)

    assert [each["metadata"]["name"] for each in story.server.all(SNAPSHOTS)] == [older["metadata"]["name"]]


async def test_one_that_a_restore_has_just_begun_to_read_stays(story: Story) -> None:
    older, _ = story.copy(0), story.copy(-1)
    held = {"metadata": {"finalizers": ["sandkeeper.dev/in-use"]}}
    story.server.patch(SNAPSHOTS, "team", older["metadata"]["name"], held)

    with pytest.raises(ApiError) as refused:
        await story.look(3)

    assert refused.value.conflict
    assert "deletionTimestamp" not in story.server.get(SNAPSHOTS, "team", older["metadata"]["name"])["metadata"]


async def test_a_refusal_is_not_provoked_by_every_pass() -> None:
    client = Refusing(FakeApiServer())
    story = Story(client)

    told = [await story.look(minutes) for minutes in (11, 11, 11)]
    again = await story.look(12)

    (found,) = {(each["reason"], each["status"]) for plan in told for each in plan.status["conditions"][-1:]}
    assert found == ("QuotaExceeded", "False")
    assert told[0].look_again == NOW + 12 * MINUTE
    assert client.refused == 2
    assert again.state.ready


async def test_the_name_of_a_snapshot_of_another_sandbox_is_left_to_it(story: Story) -> None:
    theirs = copied(NOW + 10 * MINUTE, owner=sandbox("other"))
    theirs["metadata"]["name"] = "a-20260301-1210"
    story.server.create(SNAPSHOTS, "team", theirs)

    # The server tells of it, and from then on it is known.
    with pytest.raises(OutdatedError):
        await story.look(11)
    told = await story.look(11)

    assert told.status["conditions"][-1]["reason"] == "Conflict"
    assert len(story.server.all(SNAPSHOTS)) == 1
