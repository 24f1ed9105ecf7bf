"""What a start costs in words: one when it begins, one when it ends, and more only where it is slow or goes wrong."""

from datetime import timedelta
from typing import Any

import pytest

from sandkeeper.api.sandbox import Sandbox
from sandkeeper.plan.pod_state import written
from sandkeeper.plan.start import SLOW_AFTER
from unit.fakes.merge import apply_merge_patch
from unit.fakes.objects import NOW, Json, plan, pod_of, sandbox, waiting

KEPT: Json = {"workspace": {"type": "Persistent"}}
BEFORE = sandbox(**KEPT)
OWNER = sandbox(generation=2, env=[{"name": "A", "value": "1"}], **KEPT)
ON_NODE = {"phase": "Pending", "startTime": written(NOW)}
AT_WORK: Json = {"name": "sandbox", "image": "i", "restartCount": 0, "state": {"running": {}}, "started": False}
UNPACKS = {"phase": "Running", "startTime": written(NOW), "containerStatuses": [AT_WORK]}
RUNS = plan(BEFORE, pod=pod_of(BEFORE)).status
SLEEPS = plan(sandbox(lifecycle={"state": "Sleeping"}, **KEPT)).status | {"startupSeconds": 1.0}
ENDING: Json = {"deletionTimestamp": written(NOW + timedelta(seconds=30))}


class Story:
    """A sandbox that is looked at time and again, as its pod goes on."""

    def __init__(self, owner: Sandbox, status: Json) -> None:
        self._owner, self.status = owner, status
        self.told: list[tuple[str, str]] = []
        """Reason and message of Ready at each write of the status."""

    def sees(self, pod: Json | None, after: timedelta = timedelta(), **known: Any) -> timedelta | None:
        """Look at it once, write what is to be written, and tell how long to wait until the next look."""
        found = plan(self._owner, NOW + after, pod=pod, status=self.status, **known)
        if found.status:
            self.status = apply_merge_patch(self.status, found.status)
            self.told.append((found.state.reason, found.state.message))
        return found.look_again - NOW if found.look_again else None


def steps(owner: Sandbox) -> list[Json]:
    """A pod on its way: without a node, with one, with a container, and at work in it."""
    statuses: list[Json] = [{"phase": "Pending"}, ON_NODE, {**ON_NODE, **waiting("ContainerCreating")}, UNPACKS]
    return [pod_of(owner, status, node="n1" if number else "") for number, status in enumerate(statuses)]


def test_a_replacement_is_told_once_when_it_begins_and_once_when_it_is_over() -> None:
    story = Story(OWNER, RUNS)
    for pod in (pod_of(BEFORE), pod_of(BEFORE, **ENDING), None, *steps(OWNER), pod_of(OWNER)):
        story.sees(pod)

    assert story.told == [
        ("Starting", "The pod is being replaced: the environment changed."),
        ("Running", "Running on node n1."),
    ]


def test_a_wake_is_told_once_when_it_begins_and_once_when_it_is_over() -> None:
    story = Story(BEFORE, SLEEPS)
    for pod in (None, *steps(BEFORE), pod_of(BEFORE)):
        story.sees(pod)

    assert story.told == [("Waking", "Its pod is being started again."), ("Running", "Running on node n1.")]


def test_a_first_start_is_told_once_when_it_is_over() -> None:
    story = Story(BEFORE, {})
    for pod in (None, *steps(BEFORE), pod_of(BEFORE)):
        story.sees(pod)

    assert story.told == [("Running", "Running on node n1.")]


@pytest.mark.parametrize(("status", "reason"), [(RUNS, "Starting"), (SLEEPS, "Waking")], ids=["replaced", "woken"])
@pytest.mark.parametrize(
    ("step", "message"),
    [
        pytest.param(1, "Starting on node n1: getting image ubuntu:22.04", id="image"),
        pytest.param(3, "Unpacking what was changed and installed before;", id="unpacking"),
    ],
)
def test_a_step_that_takes_long_is_told_without_anything_else_happening(
    status: Json, reason: str, step: int, message: str
) -> None:
    story, pod = Story(BEFORE, status), steps(BEFORE)[step]
    story.sees(None)

    assert story.sees(pod) == SLOW_AFTER
    story.sees(pod, SLOW_AFTER - timedelta(seconds=1))
    assert len(story.told) == 1
    story.sees(pod, SLOW_AFTER)

    assert story.told[1][0] == reason
    assert story.told[1][1].startswith(message)
    assert len(story.told) == 2


def test_what_is_quick_counts_from_the_step_rather_than_from_a_pack_that_took_long() -> None:
    story, late = Story(OWNER, RUNS), timedelta(minutes=2)
    story.sees(pod_of(BEFORE))
    ends: Json = {"deletionTimestamp": written(NOW + late + timedelta(seconds=30))}
    made = pod_of(OWNER, {"phase": "Pending"}, node="", creationTimestamp=written(NOW + late))
    for pod in (pod_of(BEFORE, **ends), None, made):
        story.sees(pod, late)

    assert story.told == [("Starting", "The pod is being replaced: the environment changed.")]


def test_a_pod_that_waited_for_a_node_starts_when_the_node_takes_it() -> None:
    story, made = Story(BEFORE, RUNS), written(NOW - timedelta(hours=1))
    unschedulable = {
        "phase": "Pending",
        "conditions": [{"type": "PodScheduled", "status": "False", "message": "Full."}],
    }
    story.sees(pod_of(BEFORE, unschedulable, node="", creationTimestamp=made))
    for pod in (steps(BEFORE)[1], steps(BEFORE)[3], pod_of(BEFORE)):
        pod["metadata"]["creationTimestamp"] = made
        story.sees(pod)

    assert [reason for reason, _ in story.told] == ["Unschedulable", "Starting", "Running"]


def test_a_pod_that_is_long_in_going_is_told() -> None:
    story = Story(OWNER, RUNS)
    story.sees(pod_of(BEFORE))
    overdue = timedelta(seconds=30) + SLOW_AFTER
    assert story.sees(pod_of(BEFORE, **ENDING)) == overdue
    story.sees(pod_of(BEFORE, **ENDING), overdue)

    assert story.told[1:] == [("Starting", "Waiting for pod sbx-a to end before a new one is made.")]


def test_trouble_is_told_at_once() -> None:
    story = Story(OWNER, RUNS)
    story.sees(None)
    story.sees(pod_of(OWNER, ON_NODE | waiting("ErrImagePull", "not found")))

    assert [reason for reason, _ in story.told] == ["Starting", "ImagePullFailed"]


def test_a_newer_spec_is_acknowledged_at_once_in_the_same_words() -> None:
    story = Story(BEFORE, RUNS)
    story.sees(None)
    newer = Story(OWNER, story.status)
    newer.sees(steps(OWNER)[1])

    assert newer.told == story.told
    assert newer.status["observedGeneration"] == 2


def test_a_pod_that_starts_has_its_name_in_the_status_from_the_first_word() -> None:
    story = Story(BEFORE, SLEEPS)
    story.sees(None)

    assert story.status["podName"] == "sbx-a"
