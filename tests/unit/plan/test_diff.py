"""What becomes of a SandboxDiff: given these objects and this time, exactly these writes and this answer."""

from typing import Any

import orjson
import pytest

from sandkeeper.api.names import IN_USE_FINALIZER
from sandkeeper.plan.diff import DiffPlan, plan_diff
from sandkeeper.plan.diff_observed import ObservedDiff
from sandkeeper.plan.diff_pod import NEW, OLD
from sandkeeper.plan.storage_classes import StorageClasses
from sandkeeper.plan.writes import Create, Delete, Patch
from unit.fakes.merge import apply_merge_patch
from unit.fakes.objects import NOW, Json
from unit.plan.diff_cases import (
    AFTER,
    OF_NOW,
    SUMMARY,
    copied,
    copy_of,
    diff_of,
    ended,
    later,
    observed,
    pod_of,
    side,
    snapshot,
    taken_of,
    volume_snapshot,
)

SAID = orjson.dumps(SUMMARY).decode()
PENDING: Json = {"phase": "Pending"}
FORMER = [{"apiVersion": "sandkeeper.dev/v1alpha1", "kind": "SandboxDiff", "name": "d", "uid": "x", "controller": True}]
GOING = "2026-03-01T11:59:00Z"


def writes(plan: DiffPlan) -> list[str]:
    """Return what a plan writes, in words."""
    words = []
    for write in plan.writes:
        child = write.obj if isinstance(write, Create) else write.child
        words.append(f"{type(write).__name__} {child['kind']}/{child['metadata']['name']}")
    return words


def status_after(seen: ObservedDiff, plan: DiffPlan) -> Json:
    """Return the status that a plan leaves."""
    return dict(apply_merge_patch(seen.status, plan.status))


def test_both_snapshots_are_held_copied_and_read_by_a_pod_in_one_pass() -> None:
    plan = plan_diff(observed(), NOW)

    assert writes(plan) == [
        "Patch SandboxSnapshot/before",
        "Patch SandboxSnapshot/after",
        "Create PersistentVolumeClaim/sandkeeper-diff-d-old",
        "Create PersistentVolumeClaim/sandkeeper-diff-d-new",
        "Create Pod/sandkeeper-diff-d",
    ]
    assert [each.patch for each in plan.writes if isinstance(each, Patch)] == [
        {"metadata": {"finalizers": [IN_USE_FINALIZER]}}
    ] * 2


def test_a_snapshot_is_held_once_even_where_it_is_both_sides_and_others_finalizers_stay() -> None:
    same = snapshot("before", finalizers=["example.com/audit"])
    twice = diff_of(to={"snapshotRef": {"name": "before"}})
    plan = plan_diff(
        observed(twice, old=side(OLD, "before", snapshot=same), new=side(NEW, "before", snapshot=same)), NOW
    )

    (patch,) = (each for each in plan.writes if isinstance(each, Patch))
    assert patch.patch == {"metadata": {"finalizers": ["example.com/audit", IN_USE_FINALIZER]}}


def test_as_it_is_now_is_a_snapshot_that_goes_by_itself() -> None:
    plan = plan_diff(observed(OF_NOW, new=side(NEW, "now", snapshot=None, volume_snapshot=None)), NOW)

    (create,) = plan.writes
    assert isinstance(create, Create)
    assert create.obj["spec"] == {"sandboxRef": {"name": "a"}, "expiresAfter": "1h"}
    assert create.obj["metadata"]["labels"]["sandkeeper.dev/diff"] == "d"
    assert create.obj["metadata"]["ownerReferences"][0]["uid"] == "uid-d"
    assert (plan.state.reason, plan.status["to"]) == ("Preparing", "a (now)")


def test_no_snapshot_is_taken_for_what_can_t_be_compared() -> None:
    gone = side(OLD, "before", snapshot=None, volume_snapshot=None)

    plan = plan_diff(
        observed(OF_NOW, old=gone, new=side(NEW, "now", snapshot=None, volume_snapshot=None), sandbox=""), NOW
    )

    assert (plan.state.reason, plan.writes) == ("SnapshotNotFound", ())


NOT_READY: Json = {
    "conditions": [{"type": "Ready", "status": "False", "reason": "Copying", "message": "It is copied."}]
}


@pytest.mark.parametrize(
    ("parts", "reason", "told"),
    [
        (
            {"old": side(OLD, "before", snapshot=None, volume_snapshot=None)},
            "SnapshotNotFound",
            "SandboxSnapshot before is not there.",
        ),
        (
            {"new": side(NEW, "after", snapshot=snapshot("after", deletionTimestamp=GOING))},
            "SnapshotNotFound",
            "SandboxSnapshot after is being deleted.",
        ),
        (
            {"old": side(OLD, "before", snapshot=snapshot("before", NOT_READY))},
            "SnapshotNotReady",
            "SandboxSnapshot before is not ready (Copying): It is copied.",
        ),
        (
            {"new": side(NEW, "after", volume_snapshot=None)},
            "SnapshotNotReady",
            "The VolumeSnapshot of SandboxSnapshot after is not there.",
        ),
        (
            {"new": side(NEW, "after", volume_snapshot=volume_snapshot("after", readyToUse=False))},
            "SnapshotNotReady",
            "The VolumeSnapshot of SandboxSnapshot after is not there.",
        ),
        (
            {"classes": StorageClasses()},
            "StorageClassNotFound",
            "StorageClass fast, of which the snapshot is, is not there, so the snapshot can't be copied.",
        ),
        (
            {
                "diff": OF_NOW,
                "new": side(NEW, "now", snapshot=None, volume_snapshot=None),
                "has_sandbox": False,
            },
            "SandboxNotFound",
            "Sandbox a is not there, so there is nothing to compare with.",
        ),
        (
            {"old": side(OLD, "before", claim=copy_of(AFTER, OLD, "before", ownerReferences=[]))},
            "Conflict",
            "PersistentVolumeClaim sandkeeper-diff-d-old is there and is not the diff's; delete it, or make another "
            "diff.",
        ),
        (
            {"pod": pod_of(AFTER, PENDING, ownerReferences=FORMER)},
            "Preparing",
            "Pod sandkeeper-diff-d of a deleted SandboxDiff of this name is being removed.",
        ),
        (
            {"new": side(NEW, "after", claim=copy_of(AFTER, NEW, "after", deletionTimestamp=GOING))},
            "Preparing",
            "Waiting for PersistentVolumeClaim sandkeeper-diff-d-new, which was deleted, to be gone.",
        ),
    ],
    ids=[
        "no snapshot", "snapshot going", "not ready", "no volume snapshot", "volume snapshot not ready", "no class",
        "no sandbox", "in the way", "former", "claim going",
    ],
)  # fmt: skip
def test_what_it_waits_for_is_said_and_nothing_is_made(parts: dict[str, Any], reason: str, told: str) -> None:
    seen = observed(**parts)
    plan = plan_diff(seen, NOW)

    assert (plan.state.reason, plan.state.message, plan.writes, plan.over) == (reason, told, (), False)
    assert [each["type"] for each in status_after(seen, plan)["conditions"]] == ["Ready", "Reconciling"]
    assert plan.look_again is not None


def test_the_snapshot_on_the_way_is_waited_for_until_it_can_t_be_taken() -> None:
    copying = side(NEW, "now", snapshot=taken_of(OF_NOW, **NOT_READY), volume_snapshot=None)
    amiss = {"conditions": [NOT_READY["conditions"][0] | {"reason": "NoSnapshotSupport"}]}
    failed = side(NEW, "now", snapshot=taken_of(OF_NOW, **amiss), volume_snapshot=None)

    assert plan_diff(observed(OF_NOW, new=copying), NOW).state.reason == "Preparing"
    assert plan_diff(observed(OF_NOW, new=failed), NOW).state.reason == "SnapshotNotReady"


def test_a_copy_that_has_no_volume_yet_is_what_the_pod_waits_for() -> None:
    message = "pod has unbound immediate PersistentVolumeClaims. preemption: not eligible."
    scheduling = [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}]
    pod = pod_of(AFTER, {"phase": "Pending", "conditions": scheduling}, node="")

    plan = plan_diff(observed(**copied(phase="Pending"), pod=pod), NOW)

    assert plan.state.reason == "Preparing"
    assert plan.state.message == ("The snapshots are being copied for the pod that compares them: " + message)
    assert writes(plan) == ["Patch SandboxSnapshot/before", "Patch SandboxSnapshot/after"]


def test_a_pod_that_no_node_takes_for_another_reason_says_so() -> None:
    scheduling = [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "No room."}]
    pod = pod_of(AFTER, {"phase": "Pending", "conditions": scheduling}, node="")

    plan = plan_diff(observed(**copied(), pod=pod), NOW)

    assert (plan.state.reason, plan.state.message, plan.writes) == ("Unschedulable", "No room.", ())


@pytest.mark.parametrize(
    "status",
    [{"phase": "Pending"}, {"phase": "Running"}, ended("", phase="Running")],
    ids=["starting", "running", "ended, of which the pod does not tell yet"],
)
def test_a_pod_on_its_node_compares(status: Json) -> None:
    plan = plan_diff(observed(**copied(), pod=pod_of(AFTER, status)), NOW)

    assert (plan.state.reason, plan.writes) == ("Comparing", ())
    assert "kubectl logs -n team sandkeeper-diff-d -f" in plan.state.message


def test_its_summary_is_the_answer() -> None:
    seen = observed(**copied(), pod=pod_of(AFTER, ended(SAID)))

    plan = plan_diff(seen, NOW)
    status = status_after(seen, plan)

    assert plan.over
    assert plan.writes == ()
    assert plan.state.message == (
        "3 added, 1 changed and 2 deleted in the workspace; kubectl logs -n team sandkeeper-diff-d lists them all."
    )
    assert status["summary"] == {**SUMMARY, "packages": {"apt": {"added": {"count": 1, "names": ["jq=1.7"]}}}}
    assert [(each["type"], each["status"]) for each in status["conditions"]] == [("Ready", "True")]
    assert (status["completionTime"], status["durationSeconds"]) == ("2026-03-01T12:00:00Z", 2.0)
    assert status["expiresAt"] == "2026-03-01T13:00:00Z"


def answered(diff: Any = AFTER, **parts: Any) -> ObservedDiff:
    """Return what is there after the answer was written."""
    seen = observed(diff, **{**copied(diff), "pod": pod_of(diff, ended(SAID)), **parts})
    return observed(diff, status_after(seen, plan_diff(seen, NOW)), **{**copied(diff), **parts})


def test_what_was_read_goes_once_the_answer_is_written_and_the_pod_stays() -> None:
    plan = plan_diff(answered(), later(1))

    assert writes(plan) == [
        "Delete PersistentVolumeClaim/sandkeeper-diff-d-old",
        "Delete PersistentVolumeClaim/sandkeeper-diff-d-new",
    ]
    assert plan.status == {}


def test_the_snapshot_on_the_way_goes_too_but_never_one_that_somebody_asked_for() -> None:
    new = side(NEW, "now", snapshot=taken_of(OF_NOW), claim=None)
    old = side(OLD, "before", claim=None)

    of_now = plan_diff(answered(OF_NOW, new=new, old=old), later(1))

    assert [each.split("/")[0] for each in writes(of_now)] == ["Delete SandboxSnapshot"]
    assert writes(plan_diff(answered(new=side(NEW, "after", claim=None), old=old), later(1))) == []


def test_what_goes_already_or_is_nobody_s_is_not_deleted() -> None:
    going = side(OLD, "before", claim=copy_of(AFTER, OLD, "before", deletionTimestamp=GOING))
    others = side(NEW, "after", claim=copy_of(AFTER, NEW, "after", ownerReferences=FORMER))

    assert plan_diff(answered(old=going, new=others), later(1)).writes == ()


@pytest.mark.parametrize(
    ("status", "why"),
    [
        (ended("no space\x1b[2J left", phase="Failed", code=1), "ended with exit code 1: no space [2J left"),
        (ended("", phase="Failed", code=137, reason="OOMKilled"), "ran out of memory"),
        (ended("{}"), "ended without a summary that can be read"),
        (
            {"phase": "Failed", "reason": "Evicted", "message": "The node was low on memory.", "startTime": GOING},
            "ended (Evicted): The node was low on memory",
        ),
    ],
    ids=["exit code", "memory", "no summary", "evicted"],
)
def test_a_pod_that_fails_is_told_and_kept_for_its_log_until_another_is_due(status: Json, why: str) -> None:
    seen = observed(**copied(), pod=pod_of(AFTER, status))

    plan = plan_diff(seen, NOW)

    assert plan.state.message == f"Pod sandkeeper-diff-d {why}; it is tried again, 2 of 3."
    assert (plan.state.reason, plan.writes, plan.status["failures"]) == ("Failed", (), 1)


def test_a_failed_pod_goes_only_once_it_was_counted_and_the_next_is_another_attempt() -> None:
    pod = pod_of(AFTER, ended("", phase="Failed", code=1))
    seen = observed(**copied(), pod=pod)
    counted = status_after(seen, plan_diff(seen, NOW))

    assert plan_diff(observed(**copied(), pod=pod), later(60)).writes == ()
    assert plan_diff(observed(status=counted, **copied(), pod=pod), later(5)).writes == ()
    assert plan_diff(observed(status=counted, **copied(), pod=pod), later(60)).writes == (Delete(pod),)
    (create,) = plan_diff(observed(status=counted, **copied()), later(61)).writes
    assert isinstance(create, Create)
    assert create.obj["metadata"]["annotations"] == {"sandkeeper.dev/attempt": "2"}


def test_the_third_failure_is_the_last() -> None:
    pod = pod_of(AFTER, ended("", phase="Failed", code=1), attempt=3)
    seen = observed(status={"failures": 2}, **copied(), pod=pod)

    plan = plan_diff(seen, NOW)
    status = status_after(seen, plan)

    assert plan.over
    assert [each["type"] for each in status["conditions"]] == ["Ready", "Stalled"]
    assert status["conditions"][0]["message"] == "Pod sandkeeper-diff-d ended with exit code 1; it was tried 3 times."
    assert writes(plan_diff(observed(status=status, **copied(), pod=pod), later(9))) == [
        "Delete PersistentVolumeClaim/sandkeeper-diff-d-old",
        "Delete PersistentVolumeClaim/sandkeeper-diff-d-new",
    ]


def test_a_pod_that_somebody_deleted_is_made_again_and_costs_no_attempt() -> None:
    (create,) = plan_diff(observed(**copied()), NOW).writes

    assert isinstance(create, Create)
    assert create.obj["metadata"]["annotations"] == {"sandkeeper.dev/attempt": "1"}


def test_it_expires_an_hour_after_its_answer_unless_it_says_otherwise() -> None:
    assert not plan_diff(answered(), later(3599)).expired
    assert plan_diff(answered(), later(3600)).expired
    assert not plan_diff(
        answered(diff_of(to={"snapshotRef": {"name": "after"}}, expiresAfter="2h")), later(7199)
    ).expired
    assert plan_diff(answered(diff_of(expiresAfter="5m")), later(300)).expired


def test_one_that_comes_to_no_end_expires_too() -> None:
    nothing = observed(old=side(OLD, "before", snapshot=None))

    assert not plan_diff(nothing, later(3597)).expired
    assert plan_diff(nothing, later(3598)).expired


def test_a_later_expiry_is_told() -> None:
    longer = diff_of(to={"snapshotRef": {"name": "after"}}, expiresAfter="24h")
    plan = plan_diff(observed(longer, answered().status), later(1))

    assert plan.status == {"expiresAt": "2026-03-02T12:00:00Z"}
