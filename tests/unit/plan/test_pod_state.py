"""Why a sandbox is not Ready: each state of its pod, and the reason that a person reads in the first column."""

from datetime import timedelta
from typing import Any

import pytest

from sandkeeper.plan.writes import Delete
from unit.fakes.objects import NOW, Json, node, plan, pod_of, sandbox, terminated, told, waiting

OWNER = sandbox()
PULL = 'failed to pull and unpack image "docker.io/library/ubuntu:22.04": not found'
NO_KEY = "couldn't find key API_KEY in Secret team/openai"
NO_SETTING = "couldn't find key A in ConfigMap team/settings"
SLOW = "failed to sync secret cache: timed out"
CRASHED = {"reason": "Error", "exitCode": 3}
OOM = {"reason": "OOMKilled", "exitCode": 137}


def unscheduled(message: str) -> Json:
    return {"phase": "Pending", "conditions": [{"type": "PodScheduled", "status": "False", "message": message}]}


TABLE: list[tuple[str, Json, str, str]] = [
    ("pull fails", waiting("ErrImagePull", PULL), "ImagePullFailed", "Image ubuntu:22.04 can't be pulled: failed to"),
    ("bad name", waiting("InvalidImageName"), "ImagePullFailed", "can't be pulled: InvalidImageName."),
    ("never pulled", waiting("ErrImageNeverPull"), "ImagePullFailed", "ErrImageNeverPull"),
    ("no node", unscheduled("0/1 nodes: insufficient cpu"), "Unschedulable", "0/1 nodes: insufficient cpu."),
    ("no Secret", waiting("CreateContainerConfigError", 'secret "k" not found'), "SecretMissing", "Secret k is not th"),
    ("no key", waiting("CreateContainerConfigError", NO_KEY), "SecretMissing", "Secret openai has no key API_KEY;"),
    ("cache", waiting("CreateContainerConfigError", SLOW), "SecretMissing", "failed to sync secret cache: timed out."),
    ("no key of a ConfigMap", waiting("CreateContainerConfigError", NO_SETTING), "ConfigMissing", "couldn't find key"),
    ("no ConfigMap", waiting("CreateContainerConfigError", 'configmap "c" not found'), "ConfigMissing", "configmap"),
    ("no start", waiting("CreateContainerError", "no such device"), "Failed", "can't be started: no such device."),
    ("back-off", waiting("CrashLoopBackOff", restarts=4, last=CRASHED), "CrashLooping", "exit code 3; restarted 4 tim"),
    ("just ended", terminated("Error", 3), "CrashLooping", "exit code 3; it is about to be restarted."),
    ("once", waiting("CrashLoopBackOff", restarts=1, last=CRASHED), "CrashLooping", "exit code 3; restarted once so"),
    ("ended well", terminated("Completed", 0), "CrashLooping", "The command ended with exit code 0"),
    ("memory", waiting("CrashLoopBackOff", restarts=1, last=OOM), "OOMKilled", "ran out of its memory limit"),
    ("memory just now", terminated("OOMKilled", 137), "OOMKilled", "ran out of its memory limit"),
    ("no such program", terminated("StartError", 128, message="exec: no such file"), "Failed", "exec: no such file."),
]


@pytest.mark.parametrize(("status", "reason", "says"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
def test_what_is_wrong_is_told_at_once(status: Json, reason: str, says: str) -> None:
    seen = plan(OWNER, pod=pod_of(OWNER, status))

    assert told(seen) == {
        "Ready": ("False", reason),
        "Running": ("False", reason),
        "Reconciling": ("True", reason),
    }
    assert says in seen.state.message
    assert seen.writes == (), "the kubelet tries again by itself"


STARTING: list[tuple[str, Json, str, str]] = [
    ("fresh", {"phase": "Pending"}, "", "Waiting for a node."),
    ("on its node", {"phase": "Pending"}, "n1", "getting image ubuntu:22.04"),
    ("creating", waiting("ContainerCreating"), "n1", "Starting on node n1"),
]


@pytest.mark.parametrize(("status", "on", "says"), [row[1:] for row in STARTING], ids=[row[0] for row in STARTING])
def test_what_goes_well_is_no_news(status: Json, on: str, says: str) -> None:
    seen = plan(OWNER, pod=pod_of(OWNER, status, node=on))

    assert (seen.state.reason, seen.status, seen.writes) == ("Starting", {}, ())
    assert says in seen.state.message


def test_a_failing_pull_is_one_steady_sentence_while_the_kubelet_tries_and_backs_off() -> None:
    trying = pod_of(OWNER, waiting("ErrImagePull", PULL))
    backing_off = pod_of(
        OWNER, waiting("ImagePullBackOff", f'Back-off pulling image "ubuntu:22.04": ErrImagePull: {PULL}')
    )
    status = plan(OWNER, pod=trying).status

    for later, pod in enumerate((backing_off, trying, backing_off)):
        seen = plan(OWNER, NOW + timedelta(minutes=later), pod=pod, status=status)
        assert seen.status == {}


@pytest.mark.parametrize(
    ("phase", "why", "reason", "says"),
    [
        (
            "Failed",
            {"reason": "Evicted", "message": "The node was low on memory"},
            "Evicted",
            "The node was low on mem",
        ),
        (
            "Failed",
            {"reason": "NodeShutdown", "message": "Pod was terminated."},
            "Failed",
            "(NodeShutdown): Pod was te",
        ),
        ("Failed", {}, "Failed", "the pod ended"),
        ("Succeeded", {}, "Failed", "the node ended it, as it does beyond a disk limit"),
    ],
)
def test_a_pod_that_ended_for_good_is_replaced(phase: str, why: Json, reason: str, says: str) -> None:
    pod = pod_of(OWNER, {"phase": phase, **why})

    seen = plan(OWNER, pod=pod)

    assert seen.writes == (Delete(pod),)
    assert told(seen)["Ready"] == ("False", reason)
    assert says in seen.state.message


def test_a_pod_that_ends_is_waited_for() -> None:
    pod = pod_of(OWNER, deletionTimestamp="2026-03-01T12:00:30Z")

    seen = plan(OWNER, pod=pod)

    assert (seen.state.reason, seen.writes) == ("Starting", ())
    assert seen.state.look_again == NOW + timedelta(seconds=60)


@pytest.mark.parametrize(("on", "reason"), [("n1", "NodeLost"), ("", "Starting")])
def test_a_pod_that_outlives_its_deadline_is_lost_with_its_node_and_never_deleted_by_force(
    on: str, reason: str
) -> None:
    pod = pod_of(OWNER, node=on, deletionTimestamp="2026-03-01T11:59:30Z")

    seen = plan(OWNER, pod=pod)

    assert (seen.state.reason, seen.writes) == (reason, ())
    assert ("out-of-service" in seen.state.message) == (reason == "NodeLost")


@pytest.mark.parametrize(("ready", "reason"), [("False", "NodeLost"), ("Unknown", "NodeLost"), ("True", "Starting")])
def test_a_pod_whose_node_is_not_ready_is_lost_too(ready: str, reason: str) -> None:
    status = {"phase": "Running", "conditions": [{"type": "Ready", "status": "False"}]}

    assert plan(OWNER, pod=pod_of(OWNER, status), node=node(ready=ready)).state.reason == reason


def test_a_pod_that_is_ready_runs_whatever_its_node_says() -> None:
    assert plan(OWNER, pod=pod_of(OWNER), node=node(ready="Unknown")).state.running


def test_a_pod_that_was_restarted_and_is_ready_again_runs() -> None:
    status: Any = waiting("", restarts=3, last=CRASHED)
    status["conditions"] = [{"type": "Ready", "status": "True"}]

    assert plan(OWNER, pod=pod_of(OWNER, status)).state.running


def test_a_message_is_one_line_of_bounded_length() -> None:
    seen = plan(OWNER, pod=pod_of(OWNER, unscheduled("no\n\tnode " * 500)))

    assert "\n" not in seen.state.message
    assert len(seen.state.message) <= 501
