"""Sandboxes that find no room in the quota of their namespace say so, wait, and start as soon as there is some."""

import threading
import time
from itertools import pairwise
from typing import Any

import pytest

from api.operator.conftest import StartOperator
from api.operator.kubernetes_api import QUOTAS, Api, Json, RefusedError
from api.operator.operator_process import OperatorProcess
from api.operator.policies import ready, rule
from api.operator.proxy import Call, after, answered, before
from api.operator.team import Team, condition
from api.operator.waiting import eventually
from sandkeeper.controllers.policies import POLICIES
from sandkeeper.runtime.resource import PODS, Resource

PRIORITY_CLASSES = Resource("scheduling.k8s.io", "v1", "priorityclasses", "PriorityClass", namespaced=False)
CLASS = "sandkeeper-sandbox"


@pytest.fixture
def counting(api: Api, start_operator: StartOperator) -> OperatorProcess:
    """An operator whose sandboxes can be told from other pods by their PriorityClass."""
    if api.find(PRIORITY_CLASSES, "", CLASS) is None:
        api.create(PRIORITY_CLASSES, "", {"metadata": {"name": CLASS}, "value": 0})
    return start_operator(priority_class=CLASS)


def bound(team: Team, **quota: Any) -> None:
    """Bound what the sandboxes of a namespace have together, and wait until that is in force."""
    rule(team, quota=quota)
    eventually(lambda: ready(team)["reason"] == "InForce", lambda: f"quota in force, but {ready(team)}")


def told(team: Team, name: str) -> str:
    return str(condition(team.await_reason("QuotaExceeded", name), "Ready")["message"])


def hard(team: Team) -> Json:
    """All that is bounded."""
    listed = team.api.list(QUOTAS, team.namespace)["items"]
    return {name: amount for each in listed for name, amount in each["spec"]["hard"].items()}


def limits(team: Team) -> Json:
    """Limits of the pod that runs."""
    return dict(team.pod()["spec"]["containers"][0]["resources"]["limits"])


def next_second() -> None:
    """Wait until what is created is younger than what was, for ages are whole seconds."""
    now = int(time.time())
    eventually(lambda: int(time.time()) > now, "next second")


def test_who_finds_no_room_says_what_is_asked_used_and_allowed_and_starts_when_there_is(
    counting: OperatorProcess, team: Team
) -> None:
    bound(team, running=1)
    team.create("first")
    team.await_running(["first"])
    team.create("second")

    assert told(team, "second") == (
        "ResourceQuota sandkeeper-pods has no room for the Pod: asked for pods=1, used pods=1, hard pods=1; it goes on "
        "as soon as there is."
    )
    team.delete("first")
    team.await_running(["second"])


def test_the_oldest_that_waits_starts_first(counting: OperatorProcess, team: Team) -> None:
    bound(team, running=1)
    names = ["first", "oldest", "middle", "a-young-one"]
    for name in names:
        team.create(name)
        next_second()
    team.await_running(names[:1])
    for name in names[1:]:
        told(team, name)

    for gone, started in pairwise(names):
        team.delete(gone)
        team.await_running([started])
        assert team.names(PODS) == [f"sbx-{started}"]


def test_limits_are_counted_however_little_is_requested(counting: OperatorProcess, team: Team) -> None:
    bound(team, cpu="1500m", memory="3Gi")
    tiny = {"requests": {"cpu": "1m", "memory": "1Mi"}}
    team.create("first", resources={"limits": {"cpu": "1", "memory": "1Gi"}, **tiny})
    team.await_running(["first"])

    team.create("second", resources={"limits": {"cpu": "0.6", "memory": "1024Mi"}, **tiny})

    assert "asked for limits.cpu=600m, used limits.cpu=1, hard limits.cpu=1500m" in told(team, "second")
    team.change("second", resources={"limits": {"cpu": "500m"}})
    team.await_running(["second"])


def test_who_begins_small_and_grows_is_counted_too(counting: OperatorProcess, team: Team) -> None:
    bound(team, cpu="2")
    team.create(resources={"limits": {"cpu": "1"}})
    team.await_running()
    first = team.pod()["metadata"]["uid"]

    team.change(resources={"limits": {"cpu": "3"}})

    assert "asked for limits.cpu=2, used limits.cpu=1, hard limits.cpu=2" in told(team, "agent")
    assert team.condition("Running")["status"] == "True"
    rule(team, quota={"cpu": "3"})
    eventually(lambda: limits(team)["cpu"] == "3", "growth once there is room")
    assert team.pod()["metadata"]["uid"] == first


def test_one_that_does_not_fit_keeps_nobody_else_waiting(counting: OperatorProcess, team: Team) -> None:
    bound(team, cpu="2")
    team.create("first", resources={"limits": {"cpu": "2"}})
    team.await_running(["first"])
    team.create("big", resources={"limits": {"cpu": "4"}})
    told(team, "big")
    next_second()
    team.create("small", resources={"limits": {"cpu": "1"}})
    told(team, "small")

    team.delete("first")

    team.await_running(["small"])
    assert "hard limits.cpu=2" in told(team, "big")


@pytest.mark.usefixtures("counting")
def test_a_bound_of_thousands_is_in_force_too(team: Team) -> None:
    bound(team, cpu="4000", running=2000, sandboxes=1000)

    assert hard(team) == {"limits.cpu": "4k", "pods": "2k", "count/sandboxes.sandkeeper.dev": "1k"}


@pytest.mark.usefixtures("counting")
@pytest.mark.parametrize(
    ("cpu", "size", "counted"),
    [
        (0, "0Gi", ["0", "0"]),
        ("500m", "1.5Gi", ["500m", "1536Mi"]),
        ("1e-7", "1e3", ["1e-3", "1e3"]),
        ("1E", 1024, ["1E", "1024"]),
    ],
)
def test_a_bound_in_whatever_unit_is_in_force(team: Team, cpu: str | int, size: str | int, counted: list[str]) -> None:
    bound(team, cpu=cpu, memory=size, storage={"fast": size})

    amounts = hard(team)
    assert [amounts["limits.cpu"], amounts["limits.memory"]] == counted
    assert amounts["fast.storageclass.storage.k8s.io/requests.storage"] == counted[1]


def test_what_is_bounded_to_nothing_is_not_to_be_had(counting: OperatorProcess, team: Team) -> None:
    bound(team, cpu=0)
    team.create()

    assert "asked for limits.cpu=2, used limits.cpu=0, hard limits.cpu=0" in told(team, "agent")


def test_more_quota_lets_those_go_on_who_wait(counting: OperatorProcess, team: Team) -> None:
    bound(team, running=0)
    team.create()
    told(team, "agent")

    rule(team, quota={"running": 1})

    team.await_running()


def test_how_much_is_used_is_told_in_the_words_of_the_policy(counting: OperatorProcess, team: Team) -> None:
    bound(team, cpu="4", running=3, sandboxes=10, snapshots=5, storage={"fast": "1Ti"})
    assert hard(team) == {
        "limits.cpu": "4",
        "pods": "3",
        "count/sandboxes.sandkeeper.dev": "10",
        "count/sandboxsnapshots.sandkeeper.dev": "5",
        "fast.storageclass.storage.k8s.io/requests.storage": "1Ti",
    }
    team.create(resources={"limits": {"cpu": "1"}})
    team.await_running()

    eventually(
        lambda: "cpu 1/4, running 1/3" in team.get(POLICIES, "default")["status"].get("usage", ""),
        lambda: f"told use, but {team.get(POLICIES, 'default')['status']}",
    )
    told = {each["resource"]: (each["used"], each["hard"]) for each in team.get(POLICIES, "default")["status"]["quota"]}
    assert told["cpu"] == ("1", "4")
    assert told["storage/fast"] == ("0", "1Ti")


def test_more_sandboxes_than_there_may_be_are_refused(counting: OperatorProcess, team: Team) -> None:
    bound(team, sandboxes=1)
    team.create("first")

    def refused() -> str:
        try:
            team.create("second")
        except RefusedError as error:
            return str(error)
        team.delete("second")
        return ""

    said = eventually(refused, "refusal of one more")

    assert "exceeded quota: sandkeeper-objects, requested: count/sandboxes.sandkeeper.dev=1" in said


@pytest.mark.usefixtures("unguarded")
def test_quotas_follow_their_policy_and_end_with_it(counting: OperatorProcess, team: Team) -> None:
    bound(team, running=1, sandboxes=5)
    assert team.names(QUOTAS) == ["sandkeeper-objects", "sandkeeper-pods"]

    team.api.merge(QUOTAS, team.namespace, "sandkeeper-pods", {"spec": {"hard": {"pods": "99"}}})
    eventually(lambda: hard(team)["pods"] == "1", "bound put right")
    team.api.delete(QUOTAS, team.namespace, "sandkeeper-pods")
    eventually(lambda: "sandkeeper-pods" in team.names(QUOTAS), "quota made again")
    rule(team, quota={"running": None, "sandboxes": 6})
    eventually(lambda: hard(team) == {"count/sandboxes.sandkeeper.dev": "6"}, lambda: f"what is left, but {hard(team)}")
    team.api.delete(POLICIES, team.namespace, "default")
    eventually(lambda: team.names(QUOTAS) == [], "end of the quotas")


def test_a_quota_that_is_refused_is_told_and_keeps_no_other_one_from_being_made(
    counting: OperatorProcess, team: Team
) -> None:
    refusing = threading.Event()
    refusing.set()

    def of_objects(call: Call) -> bool:
        its = (call.namespace, call.what) == (team.namespace, "create resourcequotas")
        return its and refusing.is_set() and bool(call.body["metadata"]["name"] == "sandkeeper-objects")

    counting.proxy.harm(of_objects, answered(403, "Forbidden", "quotas are not for you"), times=None)
    rule(team, quota={"running": 0, "sandboxes": 5})

    assert (ready(team)["status"], ready(team)["reason"]) == ("False", "QuotaRefused")
    assert ready(team)["message"] == (
        "The API server refused the ResourceQuota sandkeeper-objects: quotas are not for you. What that would bound "
        "is not bounded."
    )
    eventually(lambda: hard(team) == {"pods": "0"}, "the other quota")
    passes = counting.metrics()["sandkeeper_pass_seconds_count"]
    assert [value > 0 for labels, value in passes if labels == {"kind": "SandboxPolicy", "result": "error"}] == [True]
    refusing.clear()
    eventually(lambda: ready(team)["reason"] == "InForce", lambda: f"quota in force, but {ready(team)}")


@pytest.mark.usefixtures("counting")
def test_a_quota_of_somebody_else_in_the_way_is_told(team: Team) -> None:
    theirs = {"metadata": {"name": "sandkeeper-objects"}, "spec": {"hard": {"configmaps": "9"}}}
    team.api.create(QUOTAS, team.namespace, theirs)
    rule(team, quota={"running": 0, "sandboxes": 5})

    assert ready(team)["message"].startswith(
        "ResourceQuota sandkeeper-objects is there and not of the operator's making"
    )
    eventually(lambda: hard(team) == {"pods": "0", "configmaps": "9"}, "the other quota")
    team.api.delete(QUOTAS, team.namespace, "sandkeeper-objects")
    eventually(lambda: ready(team)["reason"] == "InForce", lambda: f"quota in force, but {ready(team)}")


@pytest.mark.parametrize("moment", [before, after])
def test_an_operator_killed_while_it_makes_quotas_makes_them_all_the_same(
    counting: OperatorProcess, team: Team, moment: Any
) -> None:
    counting.proxy.harm(
        lambda call: call.namespace == team.namespace and call.what == "create resourcequotas", moment(counting.kill)
    )
    team.api.create(
        POLICIES, team.namespace, {"metadata": {"name": "default"}, "spec": {"quota": {"running": 0, "sandboxes": 3}}}
    )
    eventually(lambda: not counting.running, "killed operator")

    counting.start()

    eventually(lambda: ready(team).get("reason") == "InForce", lambda: f"quota in force, but {ready(team)}")
    team.create()
    assert "hard pods=0" in told(team, "agent")
