"""How a sandbox falls asleep, wakes and ends: nothing goes before it is safe, and each step is known after a crash."""

from datetime import timedelta
from typing import Any

import pytest

from sandkeeper.plan.idle import Usage
from sandkeeper.plan.packing import PackResult
from sandkeeper.plan.pod_state import written
from sandkeeper.plan.sandbox import Plan
from sandkeeper.plan.start import SLOW_AFTER
from sandkeeper.plan.writes import Create, Delete, Pack, Patch
from unit.fakes.objects import NOW, Json, claim_of, node, plan, pod_of, ports_policy_of, sandbox, service_of, told

HTTP = [{"name": "http", "port": 8080}]
SLEEPY = sandbox(workspace={"type": "Persistent"}, ports=HTTP, lifecycle={"state": "Sleeping"})
AWAKE = sandbox(workspace={"type": "Persistent"}, ports=HTTP)
RUNS = {
    "phase": "Running",
    "podIP": "10.0.0.7",
    "startTime": written(NOW - timedelta(hours=1)),
    "conditions": [{"type": "Ready", "status": "True"}],
    "containerStatuses": [
        {"name": "sandbox", "started": True, "state": {"running": {"startedAt": written(NOW - timedelta(hours=1))}}}
    ],
}
SINCE = written(NOW - timedelta(minutes=1))
ASLEEP: Json = {"asleep": {"since": SINCE, "cause": "Requested", "generation": 1}}


def keeping(**metadata: Any) -> Json:
    """A running pod whose guest keeps what changes."""
    pod = pod_of(SLEEPY, RUNS, **metadata)
    pod["metadata"]["annotations"]["sandkeeper.dev/guest"] = "keep"
    return pod


def decide(owner: Any = SLEEPY, pod: Json | None = None, status: Json | None = None, **known: Any) -> Plan:
    children = {"service": service_of(SLEEPY), "ports_policy": ports_policy_of(SLEEPY)} | known
    return plan(owner, pod=pod, status={"observedGeneration": 1, **(status or {})}, **children)


def packed(seconds: float = 1.0, **more: Any) -> PackResult:
    return PackResult("uid-child", NOW - timedelta(seconds=seconds), **more)


def test_before_it_sleeps_what_changed_is_packed_and_it_is_told_to_run_until_then() -> None:
    pod = keeping()
    found = decide(pod=pod)

    assert found.writes == (Pack(pod),)
    assert told(found)["Ready"] == ("False", "Packing")
    assert "asleep" not in found.status


def test_one_that_falls_asleep_by_itself_costs_no_word_before_it_does() -> None:
    pod = keeping()
    idle = Usage(NOW, 9.0, NOW - timedelta(hours=1), 9.0)
    told_once = decide(AWAKE, pod=pod, usage=idle).status
    found = decide(AWAKE, pod=pod, status=told_once, usage=idle)

    assert told_once["sleepsAt"] == written(NOW - timedelta(minutes=45))
    assert found.writes == (Pack(pod),)
    assert found.status == {}


def test_one_pack_at_a_time() -> None:
    assert decide(pod=keeping(), packing=True).writes == ()


def test_once_packed_the_status_says_so_before_the_pod_goes() -> None:
    found = decide(pod=keeping(), pack_result=packed(entries=3, bytes=70))

    assert found.writes == ()
    assert found.status["asleep"] == {"since": written(NOW), "cause": "Requested", "generation": 1}
    assert found.status["pack"] == {"time": SINCE[:-3] + "59Z", "entries": 3, "bytes": 70}
    assert told(found) == {"Ready": ("True", "Sleeping"), "Running": ("False", "Sleeping")}
    assert found.look_again == NOW


def test_then_the_pod_goes_and_is_not_packed_again() -> None:
    pod = keeping()

    assert decide(pod=pod, status=ASLEEP).writes == (Delete(pod),)


def test_an_old_pack_does_not_count() -> None:
    pod = keeping()

    assert decide(pod=pod, pack_result=packed(61.0, entries=3)).writes == (Pack(pod),)


def test_nothing_that_changed_leaves_no_pack() -> None:
    before = {"pack": {"time": SINCE, "entries": 1, "bytes": 1}}

    assert decide(pod=keeping(), status=before, pack_result=packed()).status["pack"] is None


def test_what_can_not_be_packed_keeps_it_awake_and_it_says_why() -> None:
    failed = packed(reason="TooLarge", message="5Gi changed, and at most 4Gi is kept: /var/lib/big 4.9Gi")
    found = decide(pod=keeping(), pack_result=failed)

    assert found.writes == ()
    assert told(found)["Ready"] == ("False", "PackFailed")
    assert told(found)["Running"] == ("True", "Running")
    assert "/var/lib/big" in found.status["conditions"][0]["message"]
    assert found.look_again == failed.again_at


def test_a_pack_that_failed_is_tried_again_after_a_pause_without_another_word() -> None:
    pod = keeping()
    first = decide(pod=pod, pack_result=packed(reason="VolumeFull", message="full"))
    later = decide(pod=pod, status=first.status, pack_result=packed(60.0, reason="VolumeFull", message="full"))

    assert later.writes == (Pack(pod),)
    assert later.status == {}


@pytest.mark.parametrize(
    "status",
    [
        {"phase": "Pending"},
        {**RUNS, "containerStatuses": [{"name": "sandbox", "state": {"waiting": {"reason": "CrashLoopBackOff"}}}]},
    ],
    ids=["not started", "crashing"],
)
def test_where_nothing_runs_there_is_nothing_to_pack(status: Json) -> None:
    pod = keeping()
    pod["status"] = status

    assert told(decide(pod=pod))["Ready"] == ("True", "Sleeping")


def test_a_container_that_ends_while_it_is_packed_is_not_taken_for_packed() -> None:
    found = decide(pod=ended(), packing=True)

    assert found.writes == ()
    assert told(found)["Ready"] == ("False", "Packing")
    assert "asleep" not in found.status


def test_what_was_lost_with_a_container_that_could_not_be_packed_is_told_for_as_long_as_it_sleeps() -> None:
    failed = packed(reason="Failed", message="The guest ended with exit code 137 and no answer that can be read.")
    found = decide(pod=ended(), pack_result=failed)
    asleep = {"observedGeneration": 1, **{name: value for name, value in found.status.items() if value is not None}}
    later = decide(status=asleep)

    assert told(found)["Ready"] == ("True", "Sleeping")
    assert found.state.message == (
        "It sleeps, as its spec asks. What changed in it since it was last packed is lost: its container ended before "
        "that could be packed. Failed: The guest ended with exit code 137 and no answer that can be read."
    )
    assert later.state.message == found.state.message
    again = {**asleep, **later.status}
    assert "lost" not in decide(AWAKE, status=again).state.message


def ended() -> Json:
    """A pod of which the container has ended, and that the kubelet is about to start again."""
    pod = keeping()
    again = {"waiting": {"reason": "CrashLoopBackOff"}}
    pod["status"] = {**RUNS, "conditions": [], "containerStatuses": [{"name": "sandbox", "image": "i", "state": again}]}
    return pod


def test_one_without_a_pod_sleeps_at_once() -> None:
    found = decide()

    assert found.writes == ()
    assert told(found)["Ready"] == ("True", "Sleeping")


def test_asleep_it_needs_nothing_more_and_its_service_stays() -> None:
    found = decide(status=ASLEEP)
    settled = decide(status={**ASLEEP, **found.status})

    assert (settled.writes, settled.status) == ((), {})


def test_a_sleeping_sandbox_whose_service_was_deleted_gets_it_again() -> None:
    (write,) = decide(status=ASLEEP, service=None).writes

    assert isinstance(write, Create)
    assert write.obj["kind"] == "Service"


def test_a_pod_that_does_not_end_on_a_lost_node_is_told_of_while_it_sleeps() -> None:
    pod = keeping(deletionTimestamp=written(NOW - timedelta(minutes=5)))

    assert told(decide(pod=pod, status=ASLEEP))["Ready"] == ("False", "NodeLost")


def test_to_wake_is_a_pod_and_a_word() -> None:
    found = decide(AWAKE, status={**ASLEEP, **decide(status=ASLEEP).status})

    (write,) = found.writes
    assert isinstance(write, Create)
    assert write.obj["kind"] == "Pod"
    assert told(found)["Ready"] == ("False", "Waking")
    assert (found.status["asleep"], found.status["startedFrom"]) == (None, "Wake")


def test_a_waking_sandbox_says_the_same_until_it_runs() -> None:
    waking = {
        "observedGeneration": 1,
        "startedFrom": "Wake",
        "startupSeconds": 1.0,
        "conditions": [
            {"type": "Ready", "status": "False", "reason": "Waking", "message": "x", "lastTransitionTime": SINCE}
        ],
    }
    pod = pod_of(AWAKE, {"phase": "Pending"})
    told_once = decide(AWAKE, pod=pod, status=waking)
    status = {**waking, **told_once.status}
    scheduled = pod_of(AWAKE, {"phase": "Pending", "conditions": [{"type": "PodScheduled", "status": "True"}]})

    assert decide(AWAKE, pod=scheduled, status=status).status == {}
    runs = decide(AWAKE, pod=pod_of(AWAKE, RUNS), status=status)
    assert told(runs)["Ready"] == ("True", "Running")
    assert "startedFrom" not in runs.status


@pytest.mark.parametrize(
    ("age", "kept", "reason"),
    [
        pytest.param(timedelta(seconds=2), True, "Waking", id="unpacks"),
        pytest.param(SLOW_AFTER, True, "Installing", id="something else was asked for meanwhile"),
        pytest.param(timedelta(seconds=2), False, "Installing", id="nothing was kept"),
    ],
)
def test_one_that_wakes_tells_of_an_installation_only_where_there_is_one(
    age: timedelta, *, kept: bool, reason: str
) -> None:
    owner = sandbox(setup="make", workspace={"type": "Persistent"})
    at_work = {"name": "sandbox", "image": "i", "restartCount": 0, "state": {"running": {}}, "started": False}
    pod = pod_of(owner, {"phase": "Running", "startTime": written(NOW - age), "containerStatuses": [at_work]})
    status = {**ASLEEP, **decide(status=ASLEEP).status}
    if kept:
        status["pack"] = {"time": SINCE, "entries": 1, "bytes": 1}

    assert told(decide(owner, pod=pod, status=status))["Ready"] == ("False", reason)


def test_the_word_that_it_wakes_names_the_pod_so_that_its_coming_costs_none() -> None:
    asleep = {**ASLEEP, **decide(status=ASLEEP).status}
    waking = decide(AWAKE, status=asleep).status
    status = {name: value for name, value in {**asleep, **waking}.items() if value is not None}

    assert waking["podName"] == "sbx-a"
    assert decide(AWAKE, pod=pod_of(AWAKE, {"phase": "Pending"}), status=status).status == {}


def test_one_that_wakes_while_its_pod_still_ends_waits_for_that() -> None:
    pod = keeping(deletionTimestamp=written(NOW + timedelta(seconds=20)))
    found = decide(AWAKE, pod=pod, status={**ASLEEP, **decide(status=ASLEEP).status})

    assert found.writes == ()
    assert told(found)["Ready"] == ("False", "Waking")


def test_one_that_is_wanted_again_before_its_pod_went_just_goes_on() -> None:
    found = decide(AWAKE, pod=keeping(), status=ASLEEP)

    assert not any(isinstance(write, Delete) for write in found.writes)
    assert found.status["asleep"] is None


EXPIRING: Json = {"lifecycle": {"ttl": "1s"}, "ports": HTTP, "workspace": {"type": "Persistent"}}


def test_an_expired_sandbox_loses_what_it_has_and_stays_to_tell() -> None:
    owner, pod, claim = sandbox(**EXPIRING), pod_of(AWAKE), claim_of(AWAKE)
    found = decide(owner, pod=pod, claim=claim)

    assert found.writes == (Delete(pod), Delete(service_of(SLEEPY)), Delete(ports_policy_of(SLEEPY)), Delete(claim))
    assert told(found) == {"Ready": ("True", "Expired"), "Running": ("False", "Expired")}
    settled = decide(owner, status=found.status, service=None, ports_policy=None, claim=None)
    assert (settled.writes, settled.status, settled.look_again) == ((), {}, None)


def test_nothing_that_is_somebody_elses_goes_with_it() -> None:
    foreign = pod_of(AWAKE, ownerReferences=[])

    assert decide(sandbox(**EXPIRING), pod=foreign, service=None, ports_policy=None, claim=None).writes == ()


def test_a_workspace_that_is_to_be_retained_stays() -> None:
    keeps: Json = EXPIRING | {"workspace": {"type": "Persistent", "reclaimPolicy": "Retain"}}
    kept = claim_of(sandbox(**keeps))

    assert decide(sandbox(**keeps), service=None, ports_policy=None, claim=kept).writes == ()


def test_one_that_is_to_be_deleted_is_deleted_and_nothing_else_is_written() -> None:
    found = decide(sandbox(**(EXPIRING | {"lifecycle": {"ttl": "1s", "expiryPolicy": "Delete"}})), pod=pod_of(AWAKE))

    (write,) = found.writes
    assert isinstance(write, Delete)
    assert (write.child["kind"], write.child["metadata"]["uid"]) == ("Sandbox", "uid-a")
    assert found.status == {}


def test_nobody_is_asked_to_pack_on_a_node_that_does_not_answer() -> None:
    pod = keeping()
    pod["status"]["conditions"] = [{"type": "Ready", "status": "False"}]
    found = decide(pod=pod, node=node(ready="Unknown"))

    assert found.writes == ()
    assert told(found)["Ready"] == ("False", "NodeLost")


def test_a_pod_whose_claim_was_deleted_does_not_take_it_along_into_sleep() -> None:
    going = claim_of(SLEEPY, deletionTimestamp=written(NOW))
    found = decide(pod=keeping(), claim=going)

    assert found.writes == ()
    assert told(found)["Ready"] == ("False", "WorkspaceDeleting")


def test_a_pod_whose_claim_is_gone_is_the_last_copy_and_stays() -> None:
    found = decide(pod=keeping(), claim=None, status={"workspaceClaimName": "sbx-a"})

    assert found.writes == ()
    assert told(found)["Ready"][0] == "False"


def test_a_sandbox_that_is_made_asleep_says_so_at_once_and_is_not_looked_at_over_and_over() -> None:
    made = plan(SLEEPY, claim=None)

    assert told(made)["Ready"] == ("True", "Sleeping")
    again = plan(
        SLEEPY, claim=None, status=made.status, service=service_of(SLEEPY), ports_policy=ports_policy_of(SLEEPY)
    )
    assert again.look_again is None


def test_the_work_of_packing_does_not_keep_it_awake() -> None:
    pod, before = keeping(), Usage(NOW, 9.0, NOW - timedelta(hours=1), 9.0)
    told_before = decide(AWAKE, pod=pod, usage=before).status
    busy = Usage(NOW, 30.0, NOW - timedelta(hours=1), 9.0, NOW, 30.0)

    assert decide(AWAKE, pod=pod, usage=busy, status=told_before, packing=True).writes == ()
    done = decide(AWAKE, pod=pod, usage=busy, status=told_before, pack_result=packed(entries=1))
    assert told(done)["Ready"] == ("True", "Sleeping")
    assert "asleep" not in decide(AWAKE, pod=pod, usage=busy, status=told_before).status


def test_the_work_of_quiescing_for_a_snapshot_does_not_keep_it_awake() -> None:
    pod, before = keeping(), Usage(NOW, 9.0, NOW - timedelta(hours=1), 9.0)
    told_before = decide(AWAKE, pod=pod, usage=before).status
    busy = Usage(NOW, 30.0, NOW - timedelta(hours=1), 9.0, NOW, 30.0)
    later = Usage(NOW, 30.0, NOW - timedelta(hours=1), 9.0, NOW + timedelta(minutes=5), 30.0)

    assert decide(AWAKE, pod=pod, usage=busy, status=told_before, quiesced_at=NOW).writes == (Pack(pod),)
    assert decide(AWAKE, pod=pod, usage=busy, status=told_before).writes == ()
    long_ago = NOW - timedelta(minutes=5)
    assert decide(AWAKE, pod=pod, usage=later, status=told_before, quiesced_at=long_ago).writes == ()


def test_a_workspace_that_is_to_be_retained_from_now_on_is_let_go_and_not_deleted() -> None:
    keeps: Json = EXPIRING | {"workspace": {"type": "Persistent", "reclaimPolicy": "Retain"}}
    found = decide(sandbox(**keeps), claim=claim_of(AWAKE), service=None, ports_policy=None)

    (write,) = found.writes
    assert isinstance(write, Patch)
    assert write.patch["metadata"]["ownerReferences"] == []
