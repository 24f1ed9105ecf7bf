"""The operator is killed right before, or right after, each of its writes in turn, and started again.

Whatever it was doing ends as if nothing had happened: the same children, each made once, none left behind.
"""

from collections.abc import Callable
from itertools import product
from typing import Any

import pytest

from api.operator.kubernetes_api import Json
from api.operator.operator_process import OperatorProcess
from api.operator.proxy import Call, Fault, after, before
from api.operator.team import Team, condition
from api.operator.waiting import eventually
from sandkeeper.controllers.cluster import SANDBOXES
from sandkeeper.runtime.resource import NETWORK_POLICIES, PODS, SERVICES

Moment = Callable[[Callable[[], None]], Fault]

FIRST: dict[str, Any] = {"ports": [{"name": "web", "port": 8080}], "env": [{"name": "STAGE", "value": "one"}]}
CREATING = [
    "create fences",
    "create networkpolicies",
    "create pods",
    "create services",
    "create networkpolicies",
    "patch sandboxes/status",
]
CHANGED: dict[str, Any] = {"ports": [{"name": "docs", "port": 9000}], "env": [{"name": "STAGE", "value": "two"}]}
CHANGING = [
    "delete pods",
    "patch services",
    "patch networkpolicies",
    "patch sandboxes/status",
    "create pods",
    "patch sandboxes/status",
]
ENDING = ["delete pods"]
LEAVING = ["delete networkpolicies", "delete fences"]
ALL = {
    "pods": ["sbx-agent"],
    "services": ["agent"],
    "networkpolicies": ["sandkeeper-fence", "sbx-agent"],
}


def each_point(writes: list[str]) -> pytest.MarkDecorator:
    """Parametrize over both sides of every write; a write that comes twice is counted."""
    points = [(what, writes[: number + 1].count(what)) for number, what in enumerate(writes)]
    cases = [
        pytest.param(moment, what, number, id=f"{moment.__name__}-{what}-{number}".replace(" ", "-"))
        for (what, number), moment in product(points, (before, after))
    ]
    return pytest.mark.parametrize(("moment", "what", "number"), cases)


def kill_at(operator: OperatorProcess, team: Team, moment: Moment, what: str, number: int) -> None:
    """Kill the operator at its next so-manieth write of a sort in the team's namespace."""
    seen: list[Call] = []

    def is_the_one(call: Call) -> bool:
        if call.namespace == team.namespace and call.what == what:
            seen.append(call)
        return len(seen) == number and seen[-1] is call

    operator.proxy.harm(is_the_one, moment(operator.kill))


def restart_after_kill(operator: OperatorProcess) -> None:
    """Start it as the kubelet restarts a container: same name, same settings."""
    eventually(lambda: not operator.running, "end of the operator: the write never came")
    operator.start()


def assert_as_specified(team: Team, spec: dict[str, Any], sandbox: Json) -> None:
    """Check that a sandbox runs with one child of each kind, as its spec says."""
    pod = team.pod()
    assert team.children == ALL
    assert pod["spec"]["containers"][0]["env"] == spec["env"]
    port = spec["ports"][0]
    assert [each["port"] for each in team.get(SERVICES, "agent")["spec"]["ports"]] == [port["port"]]
    policy = team.get(NETWORK_POLICIES, "sbx-agent")["spec"]
    assert policy["ingress"][0]["ports"] == [{"port": port["port"], "protocol": "TCP"}]
    assert sandbox["status"]["podIP"] == pod["status"]["podIP"]
    assert condition(sandbox, "Reconciling") == condition(sandbox, "Stalled") == {}


def await_settled(operator: OperatorProcess, team: Team) -> Json:
    """Wait until the sandbox runs as specified and its last pass wrote nothing, and return it."""

    def settled() -> Json | None:
        sandbox, writes = team.await_reason("Running"), operator.proxy.writes(team.namespace)
        more = operator.passes + 1
        team.api.merge(PODS, team.namespace, "sbx-agent", {"metadata": {"annotations": {"touched": str(more)}}})
        operator.await_passes(more)
        return sandbox if operator.proxy.writes(team.namespace) == writes else None

    return eventually(settled, "pass that writes nothing")


def test_the_points_are_all_there_are(operator: OperatorProcess, team: Team) -> None:
    writes = operator.proxy.writes
    team.create(**FIRST)
    await_settled(operator, team)
    created = writes(team.namespace)
    team.change(**CHANGED)
    await_settled(operator, team)
    changed = writes(team.namespace)
    team.delete()
    team.await_nothing()
    deleted = writes(team.namespace)

    assert created == CREATING
    assert changed[len(created) :] == CHANGING
    assert set(deleted[len(changed) :]) <= {*ENDING, *LEAVING}


@each_point(CREATING)
def test_killed_while_it_creates(operator: OperatorProcess, team: Team, moment: Moment, what: str, number: int) -> None:
    kill_at(operator, team, moment, what, number)

    team.create(**FIRST)
    restart_after_kill(operator)

    assert_as_specified(team, FIRST, await_settled(operator, team))
    assert operator.proxy.writes(team.namespace).count("create pods") == 1


@each_point(CHANGING)
def test_killed_while_it_changes(operator: OperatorProcess, team: Team, moment: Moment, what: str, number: int) -> None:
    team.create(**FIRST)
    team.await_running()
    kill_at(operator, team, moment, what, number)

    team.change(**CHANGED)
    restart_after_kill(operator)

    assert_as_specified(team, CHANGED, await_settled(operator, team))
    assert operator.proxy.writes(team.namespace).count("create pods") == 2


@each_point(ENDING)
def test_killed_while_it_ends_the_pod(
    operator: OperatorProcess, team: Team, moment: Moment, what: str, number: int
) -> None:
    team.create(**FIRST)
    team.await_running()
    # As long as the sandbox is there, garbage collection leaves the pod to the operator.
    team.api.merge(SANDBOXES, team.namespace, "agent", {"metadata": {"finalizers": ["example.com/audit"]}})
    kill_at(operator, team, moment, what, number)

    team.delete()
    restart_after_kill(operator)

    eventually(lambda: team.names(PODS) == [], "end of the pod")
    team.api.merge(SANDBOXES, team.namespace, "agent", {"metadata": {"finalizers": None}})
    team.await_nothing()


@each_point(LEAVING)
def test_killed_while_it_leaves_the_namespace(
    operator: OperatorProcess, team: Team, moment: Moment, what: str, number: int
) -> None:
    team.create(**FIRST)
    team.await_running()
    kill_at(operator, team, moment, what, number)

    team.delete()
    restart_after_kill(operator)

    team.await_nothing()
