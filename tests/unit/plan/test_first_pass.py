"""A sandbox that was just made: what is written, in which order, and what is said."""

from datetime import timedelta

import pytest

from sandkeeper.plan.observed import Failure
from sandkeeper.plan.sandbox import pause_after, plan_sandbox
from sandkeeper.plan.writes import Create
from unit.fakes.objects import CREATED, NOW, observe, plan, pod_of, sandbox, told

PORTS = [{"name": "http", "port": 8080}]


def created(writes: tuple[object, ...]) -> list[str]:
    return [f"{write.obj['kind']}/{write.obj['metadata']['name']}" for write in writes if isinstance(write, Create)]


def test_a_bare_sandbox_gets_its_pod_and_nothing_else() -> None:
    assert created(plan(sandbox()).writes) == ["Pod/sbx-a"]


def test_the_fence_stands_before_the_first_pod_and_the_ports_open_after_it() -> None:
    first = plan(sandbox(ports=PORTS), fence=None, fence_sign=None)

    fence = ["Fence/sandkeeper-fence", "NetworkPolicy/sandkeeper-fence"]
    assert created(first.writes) == [*fence, "Pod/sbx-a", "Service/a", "NetworkPolicy/sbx-a"]


def test_nothing_is_said_while_a_start_goes_well_since_the_default_says_pending() -> None:
    first = plan(sandbox())

    assert first.status == {}
    assert first.look_again == CREATED + timedelta(seconds=15)


def test_the_wait_counts_from_the_moment_when_the_operator_heard_of_the_sandbox() -> None:
    heard = NOW - timedelta(milliseconds=300)

    assert plan(sandbox(), first_seen=heard).look_again == heard + timedelta(seconds=15)


def test_a_slow_start_is_told() -> None:
    late = CREATED + timedelta(seconds=15)

    slow = plan(sandbox(), late, pod=pod_of(sandbox(), {"phase": "Pending"}))

    assert told(slow) == {
        "Ready": ("False", "Starting"),
        "Running": ("False", "Starting"),
        "Reconciling": ("True", "Starting"),
    }
    assert slow.look_again is None


def test_running_is_told_at_once_with_all_that_a_client_needs() -> None:
    owner = sandbox(ports=PORTS)
    status = {
        "phase": "Running",
        "podIP": "10.0.0.7",
        "conditions": [{"type": "Ready", "status": "True"}],
        "containerStatuses": [
            {"name": "sandbox", "image": "ubuntu:22.04", "imageID": "docker.io/library/ubuntu@sha256:abc"}
        ],
    }

    running = plan(owner, pod=pod_of(owner, status, user_namespace=True), first_seen=NOW - timedelta(seconds=0.7))

    assert told(running) == {
        "Ready": ("True", "Running"),
        "Running": ("True", "Running"),
        "UpToDate": ("True", "UpToDate"),
    }
    facts = {name: value for name, value in running.status.items() if name not in {"conditions", "effective"}}
    assert facts == {
        "observedGeneration": 1,
        "podName": "sbx-a",
        "podIP": "10.0.0.7",
        "nodeName": "n1",
        "serviceName": "a",
        "workspaceClaimName": "sbx-a",
        "imageDigest": "sha256:abc",
        "userNamespace": True,
        "startedFrom": "Cold",
        "startupSeconds": 0.7,
    }
    assert running.status["effective"]["image"] == "ubuntu:22.04"


def test_a_second_pass_over_a_running_sandbox_asks_for_nothing() -> None:
    owner = sandbox()
    status = plan(owner, pod=pod_of(owner)).status

    again = plan(owner, NOW + timedelta(hours=1), pod=pod_of(owner), status=status)

    assert (again.writes, again.status, again.look_again) == ((), {}, None)


def test_a_condition_keeps_the_time_when_its_status_last_changed() -> None:
    owner = sandbox()
    before = plan(owner, pod=pod_of(owner)).status
    other = {"phase": "Running", "conditions": [{"type": "Ready", "status": "False"}]}

    later = plan(owner, NOW + timedelta(hours=1), pod=pod_of(owner, other), status=before)
    times = {each["type"]: each["lastTransitionTime"] for each in later.status["conditions"]}

    assert times["Ready"] == "2026-03-01T13:00:00Z"
    assert plan(sandbox(generation=2), pod=pod_of(owner), status=before).status["conditions"][0][
        "lastTransitionTime"
    ] == ("2026-03-01T12:00:00Z")


def test_the_first_start_stays_in_the_status_when_the_pod_is_replaced() -> None:
    owner = sandbox()
    status = plan(owner, pod=pod_of(owner), first_seen=NOW - timedelta(seconds=1)).status

    without = plan(owner, NOW + timedelta(hours=1), status=status)

    assert "startupSeconds" not in without.status, "it is neither changed nor taken away"
    assert without.status["podIP"] is None
    assert "podName" not in without.status, "the next pod has the same one"


@pytest.mark.parametrize(("failures", "seconds"), [(0, 0), (1, 0), (2, 5), (3, 10), (4, 20), (8, 300), (1000, 300)])
def test_the_pause_doubles_with_every_failure_up_to_five_minutes(failures: int, seconds: float) -> None:
    assert pause_after(failures) == timedelta(seconds=seconds)


def test_no_pod_is_made_during_the_pause_and_one_is_right_after_it() -> None:
    until = NOW + timedelta(seconds=20)
    failure = Failure("Evicted", "Pod failed (Evicted): the node ran low on memory.", until)

    during, after = plan(sandbox(), failure=failure), plan(sandbox(), until, failure=failure)

    assert (during.writes, during.look_again) == ((), until)
    assert told(during)["Ready"] == ("False", "Evicted")
    assert "12:00:20 UTC" in during.state.message
    assert created(after.writes) == ["Pod/sbx-a"]


def test_a_plan_is_a_function_of_what_was_observed() -> None:
    seen = observe(sandbox(ports=PORTS), pod=pod_of(sandbox()))

    assert plan_sandbox(seen, NOW) == plan_sandbox(seen, NOW)
