"""What is decided on a snapshot: quiesced, copied once, told in words that say what to do, and never taken anew."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import orjson
import pytest

from sandkeeper.api.names import CAPTURED_ANNOTATION, IN_USE_FINALIZER, MOMENT_ANNOTATION
from sandkeeper.api.resolve import resolve
from sandkeeper.api.sandbox import Sandbox
from sandkeeper.api.snapshot import SandboxSnapshot
from sandkeeper.plan.packing import PackResult, pack_result
from sandkeeper.plan.pod_state import written
from sandkeeper.plan.slim import slim_snapshot, slim_volume_snapshot
from sandkeeper.plan.snapshot import plan_snapshot
from sandkeeper.plan.snapshot_classes import SnapshotClasses, UnsupportedError
from sandkeeper.plan.snapshot_observed import ObservedSnapshot, SnapshotPlan
from sandkeeper.plan.storage_classes import StorageClasses
from sandkeeper.plan.writes import Create, Delete, Patch, Quiesce
from unit.fakes.objects import CREATED, NOW, RUNNING, Json, claim_of, node, pod_of, sandbox

KEPT: Json = {"type": "Persistent", "storageClassName": "standard"}
OWNER = sandbox(workspace=KEPT)
RUNS = {
    **RUNNING,
    "containerStatuses": [
        {"name": "sandbox", "image": "i", "imageID": "i@sha256:5", "started": True, "state": {"running": {}}}
    ],
}
STORAGE = StorageClasses({"standard": {"default": True, "grows": True, "driver": "disks"}})
COPIES = SnapshotClasses({"copies": {"driver": "disks", "default": False}})
BEGUN: Json = {
    "observedGeneration": 1,
    "startTime": "2026-03-01T11:59:59.500000Z",
    "conditions": [
        {"type": "Ready", "status": "False", "reason": "Quiescing", "message": "As said.", "observedGeneration": 1,
         "lastTransitionTime": "2026-03-01T11:59:59Z"}
    ],
}  # fmt: skip
EXPIRED: Json = {"conditions": [{"type": "Ready", "status": "True", "reason": "Expired", "message": "It has."}]}
PENDING: Json = {"conditions": [{"type": "Ready", "status": "Unknown", "reason": "Pending", "message": "Waiting."}]}
OK = PackResult("uid-child", NOW - timedelta(seconds=1), entries=1, bytes=10, pause_seconds=0.02)


def raw(status: Json | None = None, metadata: Json | None = None, **spec: Any) -> Json:
    given: Json = {
        "name": "s", "namespace": "team", "uid": "uid-s", "generation": 1, "resourceVersion": "30",
        "creationTimestamp": written(CREATED),
    }  # fmt: skip
    whole = {"sandboxRef": {"name": "a"}, **spec}
    return slim_snapshot({"metadata": given | (metadata or {}), "spec": whole, "status": status or PENDING})


def observe(
    snapshot: Json | None = None, *, owner: Sandbox | None = OWNER, pod: Json | None = None, **known: Any
) -> ObservedSnapshot:
    """Observe a snapshot of a sleeping sandbox, or of one with a pod, whose volume can be copied."""
    found = snapshot or raw(BEGUN)
    defaults: Json = {"claim": claim_of(owner or OWNER), "classes": STORAGE, "snapshot_classes": COPIES}
    parsed = SandboxSnapshot.model_validate({"metadata": found["metadata"], "spec": found["spec"]})
    return ObservedSnapshot(parsed, found, sandbox=owner, pod=pod, **(defaults | known))


def decide(snapshot: Json | None = None, now: Any = NOW, **known: Any) -> SnapshotPlan:
    return plan_snapshot(observe(snapshot, **known), now)


def running(guest: str = "keep", status: Json | None = None, **metadata: Any) -> Json:
    pod = pod_of(OWNER, RUNS if status is None else status, **metadata)
    noted = pod["metadata"].setdefault("annotations", {})
    noted.pop("sandkeeper.dev/guest", None)
    if guest:
        noted["sandkeeper.dev/guest"] = guest
    return pod


def copy(status: Json | None = None, snapshot: Json | None = None, **metadata: Any) -> Json:
    """Make the VolumeSnapshot that is decided on for a sleeping sandbox, as the store keeps it."""
    (made,) = decide(snapshot or raw(BEGUN)).writes
    assert isinstance(made, Create)
    given = {"uid": "uid-v", "resourceVersion": "40", **metadata}
    return slim_volume_snapshot({**made.obj, "metadata": {**made.obj["metadata"], **given}, "status": status or {}})


def ready(plan: SnapshotPlan) -> tuple[str, str, str]:
    (found,) = plan.status["conditions"]
    return found["status"], found["reason"], found["message"]


READY = {"readyToUse": True, "creationTime": "2026-03-01T11:59:59Z", "restoreSize": "10Gi"}


def test_the_beginning_is_told_to_the_microsecond_before_anything_is_done() -> None:
    moment = NOW + timedelta(microseconds=1234)
    plan = decide(raw(), moment, pod=running())

    assert plan.writes == ()
    assert ready(plan)[:2] == ("False", "Quiescing")
    assert plan.status["startTime"] == "2026-03-01T12:00:00.001234Z"
    assert plan.look_again == moment


def test_then_the_guest_is_asked_and_nothing_more_is_said() -> None:
    pod = running()
    plan = decide(pod=pod)

    assert plan.writes == (Quiesce(pod),)
    assert plan.status == {}


def test_while_it_is_being_asked_it_is_not_asked_again() -> None:
    plan = decide(pod=running(), quiescing=True)

    assert (plan.writes, plan.status) == ((), {})


@pytest.mark.parametrize("result", [PackResult("uid-former", NOW), PackResult("uid-child", NOW - timedelta(minutes=2))])
def test_another_pods_answer_and_an_old_one_do_not_count(result: PackResult) -> None:
    pod = running()

    assert decide(pod=pod, quiesced=result).writes == (Quiesce(pod),)


def test_what_was_quiesced_is_copied_with_all_that_was_captured_noted_on_it() -> None:
    owner = sandbox(
        workspace={"type": "Persistent"},
        env=[{"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "openai", "key": "key"}}}],
        lifecycle={"idleTimeout": "1h"},
    )
    plan = decide(owner=owner, pod=running(), quiesced=OK)
    (made,) = plan.writes
    assert isinstance(made, Create)
    metadata, spec = made.obj["metadata"], made.obj["spec"]
    captured = orjson.loads(metadata["annotations"][CAPTURED_ANNOTATION])

    assert plan.status == {}
    assert (made.obj["kind"], metadata["name"], metadata["namespace"]) == ("VolumeSnapshot", "sbx-s", "team")
    assert metadata["labels"] == {"sandkeeper.dev/managed": "true", "sandkeeper.dev/sandbox": "a"}
    assert metadata["ownerReferences"][0]["uid"] == "uid-s"
    assert spec == {"volumeSnapshotClassName": "copies", "source": {"persistentVolumeClaimName": "sbx-a"}}
    assert captured["env"] == [{"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "openai", "key": "key"}}}]
    assert captured["workspace"]["storageClassName"] == "standard"
    assert captured["image"] == "ubuntu:22.04"
    assert "lifecycle" not in captured
    assert orjson.loads(metadata["annotations"][MOMENT_ANNOTATION]) == {
        "startTime": BEGUN["startTime"],
        "pauseSeconds": 0.02,
        "imageDigest": "sha256:5",
        "packed": True,
    }


def test_it_is_noted_that_nothing_is_packed_beside_the_workspace() -> None:
    def noted(**known: Any) -> Json:
        (made,) = decide(**known).writes
        assert isinstance(made, Create)
        found: Json = orjson.loads(made.obj["metadata"]["annotations"][MOMENT_ANNOTATION])
        return found

    assert noted(pod=running(), quiesced=replace(OK, entries=0))["packed"] is False
    assert noted(pod=None, sandbox_status={"asleep": {}, "pack": {}})["packed"] is True
    assert noted(pod=None, sandbox_status={"asleep": {}})["packed"] is False


def test_one_that_is_to_be_retained_has_no_owner() -> None:
    (made,) = decide(raw(BEGUN, deletionPolicy="Retain")).writes

    assert isinstance(made, Create)
    assert "ownerReferences" not in made.obj["metadata"]


@pytest.mark.parametrize(
    "pod",
    [
        None,
        running(guest=""),
        running(ownerReferences=[]),
        {**running(), "spec": {"containers": running()["spec"]["containers"]}},
    ],
    ids=["asleep", "no guest", "not its own", "on no node yet"],
)
def test_where_nobody_can_be_asked_and_nothing_is_written_it_is_copied_at_once(pod: Json | None) -> None:
    (made,) = decide(pod=pod).writes

    assert isinstance(made, Create)
    assert "pauseSeconds" not in orjson.loads(made.obj["metadata"]["annotations"][MOMENT_ANNOTATION])


STARTING = {"phase": "Pending", "containerStatuses": []}


@pytest.mark.parametrize(
    ("known", "says"),
    [
        ({"pod": running(status=STARTING)}, "Waiting for the pod of Sandbox a to run"),
        ({"pod": running(), "node": node(ready="Unknown")}, "Waiting for the pod of Sandbox a to run"),
        ({"pod": running(deletionTimestamp=written(NOW))}, "Waiting for the pod of Sandbox a to end."),
        ({"pod": running(), "sandbox_status": {"asleep": {"since": written(NOW)}}},
         "Waiting for the pod of Sandbox a to end."),
        ({"pod": running(), "packing": True}, "Waiting for Sandbox a to be packed."),
        ({"claim": None}, "Waiting for the workspace of Sandbox a, which is made when it first starts."),
        ({"claim": claim_of(OWNER, {"phase": "Pending"})}, "Waiting for the volume of the workspace of Sandbox a."),
        ({"claim": claim_of(OWNER, deletionTimestamp=written(NOW))}, "Waiting for a new workspace of Sandbox a"),
    ],
    ids=["starts", "node lost", "ends", "falls asleep", "packs", "no claim", "no volume", "claim goes"],
)  # fmt: skip
def test_it_waits_for_what_comes_by_itself_and_says_so_once_that_is_slow(known: Json, says: str) -> None:
    early, late = decide(raw(), **known), decide(raw(), NOW + timedelta(seconds=15), **known)

    assert (early.writes, early.status) == ((), {})
    assert early.look_again == CREATED + timedelta(seconds=15)
    assert ready(late)[:2] == ("False", "Pending")
    assert ready(late)[2].startswith(says)
    assert "startTime" not in late.status


def test_a_pod_that_goes_in_the_middle_is_waited_for_without_a_word() -> None:
    going = running(deletionTimestamp=written(NOW))
    early, late = decide(pod=going), decide(now=NOW + timedelta(seconds=15), pod=going)

    assert (early.writes, early.status) == ((), {})
    assert ready(late)[1:] == ("Pending", "Waiting for the pod of Sandbox a to end.")


@pytest.mark.parametrize(
    ("known", "reason", "says"),
    [
        ({"owner": None}, "SandboxNotFound", "spec.sandboxRef.name: Sandbox a is not there; make it"),
        ({"owner": sandbox(workspace={"type": "Ephemeral"}), "claim": None}, "WorkspaceNotPersistent",
         "The workspace of Sandbox a is Ephemeral"),
        ({"snapshot_classes": SnapshotClasses(served=False)}, "NoSnapshotSupport", "The cluster has no VolumeSnap"),
        ({"snapshot_classes": SnapshotClasses()}, "NoSnapshotSupport", "No VolumeSnapshotClass is of driver disks"),
        ({"owner": sandbox(workspace=KEPT, setup="x" * 210_000)}, "Failed", "The spec of the sandbox is 20"),
        ({"claim": None, "sandbox_status": EXPIRED}, "Failed", "spec.sandboxRef.name: Sandbox a has expired"),
    ],
    ids=["no sandbox", "ephemeral", "no kind", "no class", "too big", "expired"],
)  # fmt: skip
def test_what_is_amiss_is_told_and_looked_at_again(known: Json, reason: str, says: str) -> None:
    plan = decide(raw(), **known)

    assert plan.writes == ()
    assert ready(plan)[:2] == ("False", reason)
    assert ready(plan)[2].startswith(says)
    assert plan.state.wrong
    assert plan.look_again == NOW + timedelta(minutes=1)


TWO = {"b": {"driver": "disks", "default": False}, "a": {"driver": "disks", "default": False}}


@pytest.mark.parametrize(
    ("classes", "named", "driver", "chosen"),
    [
        ({"one": {"driver": "disks", "default": False}}, None, "disks", "one"),
        ({**TWO, "c": {"driver": "disks", "default": True}}, None, "disks", "c"),
        (TWO, "b", "disks", "b"),
        (TWO, "b", "", "b"),
    ],
)
def test_the_class_that_was_named_is_used_or_the_drivers_own(
    classes: Json, named: str | None, driver: str, chosen: str
) -> None:
    assert SnapshotClasses(classes).choose(named, driver) == chosen


@pytest.mark.parametrize(
    ("named", "driver", "says"),
    [
        ("c", "disks", "spec.volumeSnapshotClassName: c is not there; there are a, b."),
        ("a", "nfs", "spec.volumeSnapshotClassName: a is of driver disks, and the workspace of driver nfs"),
        (None, "disks", "None of the VolumeSnapshotClasses of driver disks is its default: mark one of a, b"),
        (None, "", "The StorageClass of the workspace is gone"),
    ],
)
def test_a_class_that_does_not_fit_is_told(named: str | None, driver: str, says: str) -> None:
    with pytest.raises(UnsupportedError) as caught:
        SnapshotClasses(TWO).choose(named, driver)

    assert str(caught.value).startswith(says)


def test_what_could_not_be_packed_fails_it_and_is_tried_again_later() -> None:
    full = PackResult("uid-child", NOW, reason="VolumeFull", message="No space is left.", failures=1)
    pod = running()
    first = decide(pod=pod, quiesced=full)
    told = {**BEGUN, **first.status}
    again = decide(raw(told), NOW + timedelta(seconds=30), pod=pod, quiesced=full)
    meanwhile = decide(raw(told), NOW + timedelta(seconds=31), pod=pod, quiesced=full, quiescing=True)

    assert first.writes == ()
    assert ready(first)[1] == "Failed"
    assert ready(first)[2].endswith("VolumeFull: No space is left.")
    assert first.look_again == NOW + timedelta(seconds=30)
    assert again.writes == (Quiesce(pod),)
    assert again.status == {}
    assert (meanwhile.writes, meanwhile.status) == ((), {})


def test_a_quick_copy_is_told_only_when_it_is_done() -> None:
    plan = decide(volume_snapshot=copy({"readyToUse": False}))

    assert (plan.writes, plan.status) == ((), {})
    assert plan.look_again == NOW + timedelta(seconds=4.5)


@pytest.mark.parametrize(
    ("status", "seconds", "says"),
    [
        ({}, 6, "VolumeSnapshot sbx-s is being made."),
        ({}, 16, "VolumeSnapshot sbx-s waits for the cluster's snapshot-controller, which has not begun with it"),
        ({"readyToUse": False}, 6, "VolumeSnapshot sbx-s is being made."),
        ({"readyToUse": False}, 16, "VolumeSnapshot sbx-s waits for its driver, which has not answered"),
        (
            {"readyToUse": False, "creationTime": "2026-03-01T12:00:00Z"},
            16,
            "The driver is copying the workspace into VolumeSnapshot sbx-s.",
        ),
    ],
)
def test_a_slow_copy_says_what_it_waits_for(status: Json, seconds: int, says: str) -> None:
    plan = decide(raw(BEGUN), NOW + timedelta(seconds=seconds), volume_snapshot=copy(status))

    assert ready(plan)[:2] == ("False", "Copying")
    assert ready(plan)[2].startswith(says)


def test_once_it_is_ready_the_status_has_all_that_there_is_to_know() -> None:
    (made,) = decide(pod=running(), quiesced=OK).writes
    assert isinstance(made, Create)
    volume = slim_volume_snapshot({**made.obj, "status": READY})
    plan = decide(pod=running(), volume_snapshot=volume)
    status = plan.status

    assert ready(plan) == ("True", "Ready", "The workspace of Sandbox a as it was at 2026-03-01T11:59:59Z.")
    assert (status["creationTime"], status["restoreSize"]) == ("2026-03-01T11:59:59Z", "10Gi")
    assert (status["durationSeconds"], status["pauseSeconds"]) == (0.5, 0.02)
    assert status["captured"]["imageDigest"] == "sha256:5"
    assert status["captured"]["environment"]["workspace"]["storageClassName"] == "standard"
    assert "egressHash" not in status["captured"]
    later = decide(raw({**BEGUN, **status}), NOW + timedelta(hours=1), volume_snapshot=volume)
    assert (later.writes, later.status, later.look_again) == ((), {}, None)


def test_what_could_be_reached_is_told_by_a_hash() -> None:
    owner = sandbox(workspace=KEPT, egress={"domains": ["a.example"]})
    (made,) = decide(owner=owner, pod=running(), quiesced=OK).writes
    assert isinstance(made, Create)

    plan = decide(pod=running(), volume_snapshot=slim_volume_snapshot({**made.obj, "status": READY}))

    assert plan.status["captured"]["egressHash"] == resolve(owner.spec).egress.digest()


def test_an_error_is_told_in_the_drivers_words_made_harmless() -> None:
    volume = copy({"readyToUse": False, "error": {"message": "no\nroom\x1b[31m \u202eleft."}})
    plan = decide(volume_snapshot=volume)

    assert ready(plan)[1] == "Failed"
    assert ready(plan)[2] == "VolumeSnapshot sbx-s can't be made yet; its driver tries again: no room [31m left."


def test_without_its_copy_it_says_so_and_does_not_take_it_anew() -> None:
    status = {**BEGUN, "volumeSnapshotName": "sbx-s"}
    gone, going = decide(raw(status)), decide(raw(status), volume_snapshot=copy(READY, deletionTimestamp=written(NOW)))

    assert gone.writes == going.writes == ()
    assert ready(gone) == ready(going)
    assert ready(gone)[:2] == ("False", "Failed")


def test_one_from_a_backup_is_taken_over_without_a_status_and_without_its_sandbox() -> None:
    volume = copy(READY, ownerReferences=[])
    plan = decide(raw(), owner=None, claim=None, volume_snapshot=volume)
    (patch,) = plan.writes

    assert isinstance(patch, Patch)
    assert [each["uid"] for each in patch.patch["metadata"]["ownerReferences"]] == ["uid-s"]
    assert ready(plan)[:2] == ("True", "Ready")
    assert plan.status["startTime"] == BEGUN["startTime"]
    assert plan.status["captured"]["environment"]["image"] == "ubuntu:22.04"
    assert "durationSeconds" not in plan.status
    assert decide(raw(deletionPolicy="Retain"), volume_snapshot=volume).writes == ()


def test_one_from_a_backup_without_its_copy_is_not_taken_anew_until_that_comes_too() -> None:
    labelled = {"labels": {"velero.io/restore-name": "monday"}}
    alone = decide(raw(metadata=labelled))

    assert alone.writes == ()
    assert ready(alone)[:2] == ("False", "Failed")
    assert "sbx-s has not come back from the backup" in ready(alone)[2]
    assert ready(decide(raw(metadata=labelled), volume_snapshot=copy(READY)))[:2] == ("True", "Ready")
    # What had begun when it was labelled, as Velero labels what it leaves alone, goes on.
    assert decide(raw(BEGUN, labelled)).writes


@pytest.mark.parametrize(
    "moment",
    ['{"pauseSeconds": "long"}', '{"startTime": "once"}', '{"startTime": "2026-03-01T12:00:00"}'],
    ids=["a word", "no time", "a time without a zone"],
)
def test_what_tenants_write_on_it_is_read_strictly(moment: str) -> None:
    noted = {CAPTURED_ANNOTATION: '{"image": 7}', MOMENT_ANNOTATION: moment}
    plan = decide(raw(), volume_snapshot=copy(READY, annotations=noted))

    assert ready(plan)[1] == "Ready"
    assert {"captured", "pauseSeconds", "startTime"}.isdisjoint(plan.status)


@pytest.mark.parametrize(
    "metadata",
    [
        {"labels": {}},
        {"labels": {"sandkeeper.dev/managed": "true", "sandkeeper.dev/sandbox": "b"}},
        {"ownerReferences": [{"controller": True, "kind": "Backup", "name": "s", "uid": "x", "apiVersion": "v1"}]},
    ],
    ids=["unmarked", "another sandbox's", "another owner's"],
)
def test_what_is_somebody_elses_is_left_alone(metadata: Json) -> None:
    plan = decide(raw(), volume_snapshot=copy(READY, **metadata))

    assert plan.writes == ()
    assert ready(plan)[:2] == ("False", "Conflict")


def test_the_copy_of_a_former_snapshot_of_the_name_is_waited_for() -> None:
    former = [{"controller": True, "kind": "SandboxSnapshot", "name": "s", "uid": "uid-former", "apiVersion": "v1"}]
    plan = decide(raw(), NOW + timedelta(minutes=1), volume_snapshot=copy(READY, ownerReferences=former))

    assert plan.writes == ()
    assert ready(plan)[1] == "Pending"


def test_it_is_deleted_when_it_has_lived_its_life_and_says_before_when_that_is() -> None:
    mortal = raw(BEGUN, expiresAfter="10m")
    before, after = decide(mortal, volume_snapshot=copy(READY)), decide(mortal, CREATED + timedelta(minutes=10))

    assert before.status["expiresAt"] == written(CREATED + timedelta(minutes=10))
    assert before.look_again == CREATED + timedelta(minutes=10)
    assert after.writes == (Delete(mortal),)


def held(**metadata: Any) -> Json:
    return raw(BEGUN, {"finalizers": ["example.com/other", IN_USE_FINALIZER], **metadata})


def test_nobody_holds_it_longer_than_a_restore_takes() -> None:
    plan = decide(held(), volume_snapshot=copy(READY))

    assert plan.writes == (Patch(held(), {"metadata": {"finalizers": ["example.com/other"]}}),)
    assert plan.status == {}
    assert decide(held(), volume_snapshot=copy(READY), readers=("b",)).writes == ()
    assert decide(held(), volume_snapshot=copy(READY), awaited=("b",)).writes == ()


def test_a_deleted_one_stays_while_it_is_being_restored() -> None:
    deleted = held(deletionTimestamp=written(NOW))
    reading = decide(deleted, NOW + timedelta(hours=1), volume_snapshot=copy(READY), readers=("b", "c"))
    beginning = decide(deleted, volume_snapshot=copy(READY), awaited=("b",))
    never = decide(deleted, NOW + timedelta(seconds=10), volume_snapshot=copy(READY), awaited=("b",))

    assert reading.writes == beginning.writes == ()
    assert ready(reading) == (
        "False", "Deleting", "It was deleted, is being restored by Sandbox b, c, and goes once that is done.",
    )  # fmt: skip
    assert beginning.look_again == NOW + timedelta(seconds=10)
    assert [type(each) for each in never.writes] == [Patch]


def test_a_deleted_one_that_nobody_reads_takes_no_write() -> None:
    plan = decide(raw(BEGUN, {"deletionTimestamp": written(NOW), "finalizers": ["example.com/other"]}), pod=running())

    assert (plan.writes, plan.status) == ((), {})


@pytest.mark.parametrize(
    ("answer", "pause"),
    [
        (b'{"entries": 0, "pauseSeconds": 0.004}', 0.004),
        (b'{"entries": 0, "pauseSeconds": 0}', 0.0),
        (b'{"entries": 0}', None),
    ],
)
def test_the_pause_that_a_guest_tells_is_read(answer: bytes, pause: float | None) -> None:
    assert pack_result("u", 0, answer, NOW).pause_seconds == pause


@pytest.mark.parametrize("said", ["-1", '"0.1"', "1e99", "NaN", "true"])
def test_a_pause_that_is_none_is_no_answer(said: str) -> None:
    assert pack_result("u", 0, f'{{"entries": 0, "pauseSeconds": {said}}}'.encode(), NOW).reason == "Failed"


def test_one_on_the_way_to_a_fork_is_copied_for_as_long_as_it_takes_and_then_there_to_be_read() -> None:
    labels = {"labels": {"sandkeeper.dev/fork": "sbx-b-00000000"}}
    later = CREATED + timedelta(hours=1)
    done = {"type": "Ready", "status": "True", "reason": "Ready", "message": ".", "lastTransitionTime": written(later)}
    there = {"volume_snapshot": copy(READY)}

    assert decide(raw(BEGUN, labels, expiresAfter="10m"), later, volume_snapshot=copy({})).writes == ()
    read = raw({**BEGUN, "conditions": [done]}, labels, expiresAfter="10m")
    assert decide(read, later + timedelta(minutes=9), **there).status["expiresAt"] == written(
        later + timedelta(minutes=10)
    )
    assert decide(read, later + timedelta(minutes=10), **there).writes == (Delete(read),)


@pytest.mark.parametrize(("node", "noted"), [("n1", "n1"), ("", None)], ids=["on one node", "wherever"])
def test_the_copy_says_which_node_alone_has_its_volume(node: str, noted: str | None) -> None:
    (copy,) = decide(volume_node=node).writes

    assert isinstance(copy, Create)
    assert orjson.loads(copy.obj["metadata"]["annotations"][MOMENT_ANNOTATION]).get("node") == noted
