"""A pod whose volume is not mounted in time is changed once, so that its kubelet looks again."""

from datetime import timedelta
from typing import Any

import pytest

from sandkeeper.plan.sandbox import Plan
from sandkeeper.plan.writes import Delete, Patch
from unit.fakes.objects import CREATED, RUNNING, Json, claim_of, plan, pod_of, sandbox

DUE = CREATED + timedelta(seconds=3)
OWNER = sandbox()


def starting(mounted: str = "False") -> Json:
    conditions = [{"type": "PodReadyToStartContainers", "status": mounted}]
    return {"phase": "Pending", "startTime": CREATED.isoformat(), "conditions": conditions}


def seen(now: Any = DUE, status: Json | None = None, **pod: Any) -> Plan:
    return plan(OWNER, now, pod=pod_of(OWNER, status or starting(), **pod))


def test_a_pod_that_is_not_mounted_after_three_seconds_gets_a_note() -> None:
    (write,) = seen().writes

    assert isinstance(write, Patch)
    assert write.child["kind"] == "Pod"
    assert write.patch == {"metadata": {"annotations": {"sandkeeper.dev/nudged": "2026-03-01T12:00:01Z"}}}


def test_until_then_its_kubelet_has_time_and_the_operator_comes_back_for_it() -> None:
    early = seen(CREATED + timedelta(seconds=2))

    assert (early.writes, early.look_again) == ((), DUE)


def test_once_is_enough_and_the_note_makes_no_pod_outdated() -> None:
    nudged = pod_of(OWNER, starting())
    nudged["metadata"]["annotations"] |= {"sandkeeper.dev/nudged": "2026-03-01T12:00:01Z"}
    running = {**nudged, "status": RUNNING}

    assert plan(OWNER, DUE + timedelta(seconds=9), pod=nudged).writes == ()
    done = plan(OWNER, DUE, pod=running)
    assert done.writes == ()
    assert {each["type"]: each["status"] for each in done.status["conditions"]}["UpToDate"] == "True"


NOBODY: dict[str, Json] = {
    "mounted": {"status": starting("True")},
    "ready": {"status": RUNNING},
    "a kubelet that tells nothing": {"status": {"phase": "Pending", "startTime": CREATED.isoformat()}},
    "no node yet": {"status": {"phase": "Pending"}, "node": ""},
    "ending": {"deletionTimestamp": "2026-03-01T12:00:30Z"},
}


@pytest.mark.parametrize("case", NOBODY)
def test_nobody_else_is_nudged(case: str) -> None:
    assert seen(**NOBODY[case]).writes == ()


def test_where_the_volume_itself_has_still_to_come_there_is_nothing_to_look_at() -> None:
    pending = claim_of(OWNER, {"phase": "Pending"})

    assert plan(OWNER, DUE, pod=pod_of(OWNER, starting()), claim=pending).writes == ()


def test_a_sandbox_without_a_volume_is_not_nudged() -> None:
    lost = sandbox(workspace={"type": "Ephemeral"})

    assert plan(lost, DUE, pod=pod_of(lost, starting()), claim=None).writes == ()


def test_a_pod_that_is_to_be_replaced_is_replaced_and_not_nudged() -> None:
    pod = pod_of(OWNER, starting())

    assert plan(sandbox(image="debian:12"), DUE, pod=pod).writes == (Delete(pod),)
