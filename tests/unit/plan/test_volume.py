"""What a person is told of a volume that does not come, does not grow, or is about to be lost."""

from datetime import timedelta
from typing import Any

import pytest

from sandkeeper.controllers.volume_news import last_word
from sandkeeper.plan.announcement import newly_full
from sandkeeper.plan.sandbox import Plan
from sandkeeper.plan.storage_classes import StorageClasses
from sandkeeper.plan.volume import worth_asking
from sandkeeper.plan.volume_usage import VolumeUsage
from sandkeeper.plan.writes import Delete, Patch
from unit.fakes.objects import CREATED, NOW, RUNNING, Json, claim_of, classes, observe, plan, pod_of, sandbox, told

GOING = "2026-03-01T11:59:00Z"
PENDING: Json = {"phase": "Pending"}
UNBOUND = "0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims. not found."
LATER = CREATED + timedelta(seconds=10)


def unscheduled(message: str) -> Json:
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}
    return {"phase": "Pending", "conditions": [condition]}


def awaiting(message: str = UNBOUND, now: Any = LATER, status: Json = PENDING, **known: Any) -> Plan:
    pod = pod_of(sandbox(), unscheduled(message), node="")
    return plan(sandbox(), now, pod=pod, claim=claim_of(sandbox(), status), **known)


def test_a_volume_that_comes_within_seconds_is_not_worth_a_word() -> None:
    soon = awaiting(now=NOW)

    assert (soon.state.reason, soon.status) == ("Starting", {})
    assert soon.look_again == LATER


def test_a_volume_that_does_not_come_is_told_with_what_its_provisioner_says() -> None:
    late = awaiting(volume_news="failed to provision volume: no space left in pool a")

    assert told(late)["Ready"] == ("False", "VolumePending")
    assert late.state.message == (
        "PersistentVolumeClaim sbx-a has no volume yet: failed to provision volume: no space left in pool a."
    )
    assert late.look_again == LATER + timedelta(seconds=30)


@pytest.mark.parametrize(
    ("message", "said"),
    [(UNBOUND, "unbound immediate PersistentVolumeClaims"), ("", "its provisioner has said nothing")],
)
def test_without_news_of_the_provisioner_the_scheduler_is_quoted(message: str, said: str) -> None:
    assert said in awaiting(message).state.message


def test_a_scheduler_that_has_other_reasons_is_quoted_at_once() -> None:
    short = awaiting("0/1 nodes are available: 1 Insufficient cpu.", NOW)

    assert told(short)["Ready"] == ("False", "Unschedulable")


def test_a_scheduler_that_has_not_heard_of_the_volume_yet_is_not_quoted() -> None:
    bound = awaiting(status={"phase": "Bound"})

    assert bound.state.reason == "Starting"


def test_a_volume_of_another_zone_is_the_scheduler_s_to_tell() -> None:
    bound = awaiting("0/1 nodes are available: 1 node(s) had volume node affinity conflict.", status={"phase": "Bound"})

    assert told(bound)["Ready"] == ("False", "Unschedulable")
    assert "volume node affinity conflict" in bound.state.message


def test_a_claim_whose_class_was_deleted_before_it_had_a_volume_says_so() -> None:
    assert told(awaiting(classes=StorageClasses()))["Ready"] == ("False", "StorageClassNotFound")


def mounting(seconds: float, **known: Any) -> Plan:
    now = CREATED + timedelta(seconds=seconds)
    status = {
        "phase": "Pending",
        "startTime": CREATED.isoformat(),
        "conditions": [{"type": "PodReadyToStartContainers", "status": "False"}],
    }
    return plan(sandbox(), now, pod=pod_of(sandbox(), status), **known)


def test_a_volume_that_can_not_be_mounted_is_told_with_what_the_kubelet_says() -> None:
    late = mounting(20, volume_news="AttachVolume.Attach failed: volume is attached to node n2")

    assert told(late)["Ready"] == ("False", "VolumeMountFailed")
    assert late.state.message == (
        "The volume is not mounted on node n1: AttachVolume.Attach failed: volume is attached to node n2."
    )


def test_what_comes_before_the_containers_may_take_its_time() -> None:
    assert (mounting(5).state.reason, mounting(5).status) == ("Starting", {})
    assert mounting(30).state.reason == "Starting", "nobody complains"


def test_events_are_asked_for_only_where_a_volume_is_late() -> None:
    owner = sandbox()
    pending, bound = claim_of(owner, PENDING), claim_of(owner)
    waiting = pod_of(owner, unscheduled(UNBOUND), node="")

    assert worth_asking(observe(owner, pod=waiting, claim=pending), NOW) is None
    assert worth_asking(observe(owner, pod=waiting, claim=pending), LATER) == pending
    assert worth_asking(observe(owner, pod=pod_of(owner), claim=bound), LATER) is None
    assert worth_asking(observe(owner, claim=pending), LATER) is None


def test_the_last_warning_is_told_and_of_a_pod_only_what_concerns_its_volumes() -> None:
    events = [
        {
            "type": "Warning",
            "reason": "FailedMount",
            "message": "mount failed",
            "lastTimestamp": "2026-03-01T12:00:00Z",
        },
        {"type": "Warning", "reason": "FailedMount", "message": "it\nfails", "eventTime": "2026-03-01T12:00:05.1Z"},
        {"type": "Normal", "reason": "Pulling", "message": "pulling", "lastTimestamp": "2026-03-01T12:00:09Z"},
        {"type": "Warning", "reason": "BackOff", "message": "no image", "lastTimestamp": "2026-03-01T12:00:09Z"},
    ]

    assert last_word(events, of_pod=True) == "it fails"
    assert last_word(events, of_pod=False) == "no image"
    assert last_word(events[2:3], of_pod=False) == "pulling"
    assert last_word([], of_pod=True) == ""


def test_what_says_why_a_volume_is_late_is_told_rather_than_a_later_summary() -> None:
    summary = {
        "type": "Warning",
        "reason": "FailedMount",
        "message": "Unable to attach or mount volumes: unmounted volumes=[secret-0]",
        "lastTimestamp": "2026-03-01T12:02:00Z",
    }
    why = {**summary, "message": 'secret "k" not found', "lastTimestamp": "2026-03-01T12:01:00Z"}

    assert last_word([why, summary], of_pod=True) == 'secret "k" not found'
    assert last_word([summary], of_pod=True).startswith("Unable to attach")


def test_the_pod_of_a_claim_that_somebody_deleted_runs_on_and_says_what_is_about_to_be_lost() -> None:
    owner = sandbox()
    claim = claim_of(owner, deletionTimestamp=GOING)

    seen = plan(owner, pod=pod_of(owner), claim=claim)

    assert seen.writes == ()
    assert told(seen)["Ready"] == ("False", "WorkspaceDeleting")
    assert told(seen)["Running"] == ("True", "Running")
    assert "goes as soon as the pod ends: copy what you need" in seen.state.message


def test_a_pod_is_not_replaced_where_the_workspace_would_be_lost_with_it() -> None:
    before, after = sandbox(), sandbox(image="debian:12")
    claim = claim_of(before, deletionTimestamp=GOING)

    assert plan(after, pod=pod_of(before), claim=claim).writes == ()
    assert plan(after, pod=pod_of(before)).writes == (Delete(pod_of(before)),)


def test_a_claim_that_is_gone_under_a_running_pod_is_not_made_anew_yet() -> None:
    seen = plan(sandbox(), pod=pod_of(sandbox()), claim=None)

    assert seen.writes == ()
    assert told(seen)["Ready"] == ("False", "WorkspaceLost")
    assert told(seen)["Running"] == ("True", "Running")


def test_a_claim_whose_volume_is_gone_says_so() -> None:
    seen = plan(sandbox(), pod=pod_of(sandbox(), PENDING), claim=claim_of(sandbox(), {"phase": "Lost"}))

    assert told(seen)["Ready"] == ("False", "VolumeLost")


SMALL, BIG = sandbox(), sandbox(workspace={"size": "20Gi"}, generation=2)
BIGGER_CLAIM = {"capacity": {"storage": "10Gi"}}


def test_a_bigger_workspace_is_asked_of_the_claim_in_place() -> None:
    seen = plan(BIG, pod=pod_of(SMALL), claim=claim_of(SMALL))

    (patch,) = seen.writes
    assert isinstance(patch, Patch)
    assert patch.patch == {"spec": {"resources": {"requests": {"storage": "20Gi"}}}}
    assert told(seen)["UpToDate"] == ("False", "VolumeResizing")


GROWING: list[tuple[str, Json, Json, str, str]] = [
    (
        "under way",
        {"status": BIGGER_CLAIM},
        {},
        "VolumeResizing",
        "The volume is growing from 10Gi to 20Gi.",
    ),
    (
        "failed in the storage system",
        {"status": BIGGER_CLAIM | {"allocatedResourceStatuses": {"storage": "ControllerResizeInfeasible"}}},
        {},
        "VolumeResizeFailed",
        "The volume can't grow from 10Gi to 20Gi: the storage system refuses that size.",
    ),
    (
        "failed, and told",
        {"status": BIGGER_CLAIM | {"conditions": [
            {"type": "NodeResizeError", "status": "True", "message": "resize2fs:\n no space"},
        ]}},
        {},
        "VolumeResizeFailed",
        "The volume can't grow from 10Gi to 20Gi: resize2fs: no space.",
    ),
]  # fmt: skip


@pytest.mark.parametrize(
    ("claim", "known", "reason", "message"), [row[1:] for row in GROWING], ids=[r[0] for r in GROWING]
)
def test_how_a_volume_grows_is_told_beside_a_sandbox_that_runs(
    claim: Json, known: Json, reason: str, message: str
) -> None:
    seen = plan(BIG, pod=pod_of(SMALL), claim=claim_of(BIG, claim["status"]), **known)

    assert told(seen)["Ready"] == ("True", "Running")
    assert told(seen)["UpToDate"] == ("False", reason)
    assert next(each["message"] for each in seen.status["conditions"] if each["type"] == "UpToDate") == message


@pytest.mark.parametrize(
    ("owner", "found", "reason"),
    [
        (BIG, classes(grows=False), "WorkspaceNotExpandable"),
        (BIG, StorageClasses(), "WorkspaceNotExpandable"),
        (sandbox(workspace={"size": "1Gi"}), classes(), "WorkspaceLarger"),
    ],
)
def test_a_volume_that_stays_as_it_is_says_why(owner: Any, found: StorageClasses, reason: str) -> None:
    seen = plan(owner, pod=pod_of(SMALL), claim=claim_of(SMALL), classes=found)

    assert seen.writes == ()
    assert told(seen)["Ready"] == ("True", "Running")
    assert told(seen)["UpToDate"] == ("False", reason)


def test_a_claim_without_a_volume_is_not_asked_to_grow() -> None:
    assert plan(BIG, pod=pod_of(SMALL, PENDING, node=""), claim=claim_of(SMALL, PENDING)).writes == ()


def test_a_volume_of_more_than_was_asked_for_is_up_to_date() -> None:
    rounded = claim_of(SMALL, {"capacity": {"storage": "11Gi"}})

    assert told(plan(SMALL, pod=pod_of(SMALL, RUNNING), claim=rounded))["UpToDate"] == ("True", "UpToDate")


def test_a_full_workspace_is_told_beside_what_the_sandbox_does_and_once() -> None:
    pod = pod_of(sandbox(), RUNNING)
    full = plan(sandbox(), pod=pod, volume=VolumeUsage(10 * 2**30, 0))
    roomy = plan(sandbox(), pod=pod, volume=VolumeUsage(10 * 2**30, 2**30), status=full.status)

    assert told(full)["Ready"] == ("True", "Running")
    assert told(full)["WorkspaceFull"] == ("True", "VolumeFull")
    assert newly_full({}, full.status).startswith("Nothing more fits on the volume of 10Gi")
    assert newly_full(full.status, full.status) == newly_full(full.status, {}) == ""
    assert "WorkspaceFull" not in told(roomy)
