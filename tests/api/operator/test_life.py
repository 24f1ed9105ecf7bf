"""Sandboxes sleep, wake and end as their specs say, whatever befalls the operator meanwhile."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from api.operator.conftest import StartOperator
from api.operator.kubernetes_api import Json
from api.operator.operator_process import OperatorProcess
from api.operator.proxy import dated
from api.operator.team import Team, condition
from api.operator.test_killed import Moment, each_point, kill_at, restart_after_kill
from api.operator.waiting import eventually
from sandkeeper.controllers.cluster import SANDBOXES
from sandkeeper.runtime.resource import NETWORK_POLICIES, PODS, SERVICES

PORTS = [{"name": "web", "port": 8080}]
SLEEP: Json = {"lifecycle": {"state": "Sleeping"}}
WAKE: Json = {"lifecycle": {"state": "Running"}}
END: Json = {"lifecycle": {"ttl": "1s"}}
SLEEPING = ["patch sandboxes/status", "delete pods"]
WAKING = ["create pods", "patch sandboxes/status", "patch sandboxes/status"]
ENDING = ["delete pods", "delete services", "delete networkpolicies", "patch sandboxes/status"]


def running(team: Team, **spec: Any) -> Json:
    team.create(ports=PORTS, **spec)
    (sandbox,) = team.await_running()
    return sandbox


def await_no_pod(team: Team) -> None:
    eventually(lambda: team.names(PODS) == [], lambda: f"end of the pod, but {team.names(PODS)}")


def test_it_sleeps_and_wakes_by_its_state(operator: OperatorProcess, team: Team) -> None:
    running(team)
    before = len(operator.proxy.writes(team.namespace))

    team.change(**SLEEP)
    asleep = team.await_reason("Sleeping")
    await_no_pod(team)

    assert condition(asleep, "Ready")["status"] == "True"
    assert condition(asleep, "Running")["status"] == "False"
    assert asleep["status"]["asleep"]["cause"] == "Requested"
    assert "podIP" not in asleep["status"]
    assert team.names(SERVICES) == ["agent"]

    team.change(**WAKE)
    (awake,) = team.await_running()

    assert awake["status"]["startedFrom"] == "Wake"
    assert "asleep" not in awake["status"]
    assert operator.proxy.writes(team.namespace)[before:] == [*SLEEPING, *WAKING]


def test_one_that_is_made_asleep_gets_no_pod(operator: OperatorProcess, team: Team) -> None:
    team.create(**SLEEP)
    team.await_reason("Sleeping")

    assert "create pods" not in operator.proxy.writes(team.namespace)


def test_many_states_in_a_row_end_in_the_last_one(operator: OperatorProcess, team: Team) -> None:
    running(team)
    for _ in range(5):
        team.change(**SLEEP)
        team.change(**WAKE)
    team.change(**SLEEP)

    team.await_reason("Sleeping")
    await_no_pod(team)
    team.change(**WAKE)
    team.await_running()


def test_two_hundred_fall_asleep_and_wake_at_once(operator: OperatorProcess, team: Team) -> None:
    names = [f"agent-{number}" for number in range(200)]
    for name in names:
        team.create(name)
    team.await_running(names)
    before = len(operator.proxy.writes(team.namespace))

    with ThreadPoolExecutor(4) as clients:
        list(clients.map(lambda name: team.change(name, **SLEEP), names))
        for name in names:
            team.await_reason("Sleeping", name)
        await_no_pod(team)
        list(clients.map(lambda name: team.change(name, **WAKE), names))
    awake = team.await_running(names)

    assert {each["status"]["startedFrom"] for each in awake} == {"Wake"}
    done = Counter(operator.proxy.writes(team.namespace)[before:])
    assert (done["delete pods"], done["create pods"]) == (200, 200)
    assert 400 <= done["patch sandboxes/status"] <= 600


def test_it_expires_and_tells_so_until_it_is_to_live_longer(operator: OperatorProcess, team: Team) -> None:
    created = running(team)["metadata"]["creationTimestamp"]
    team.change(**END)

    ended = team.await_reason("Expired")

    assert condition(ended, "Ready")["status"] == "True"
    expires = datetime.fromisoformat(created) + timedelta(seconds=1)
    assert datetime.fromisoformat(ended["status"]["expiresAt"]) == expires
    eventually(lambda: team.children["pods"] == team.children["services"] == [], "end of all that it had")
    assert team.names(NETWORK_POLICIES) == ["sandkeeper-fence"]

    team.change(lifecycle={"ttl": "1h"})
    team.await_running()


def test_it_expires_when_it_is_time_without_another_word(operator: OperatorProcess, team: Team) -> None:
    team.create(lifecycle={"ttl": "6s"})

    team.await_reason("Expired")

    assert operator.proxy.writes(team.namespace).count("create pods") == 1


def test_it_expires_a_while_after_it_fell_asleep(operator: OperatorProcess, team: Team) -> None:
    team.create(lifecycle={"state": "Sleeping", "deleteAfterSleep": "3s"})
    asleep = team.await_reason("Sleeping")["status"]
    ended = team.await_reason("Expired")["status"]

    since = datetime.fromisoformat(asleep["asleep"]["since"])
    assert datetime.fromisoformat(ended["expiresAt"]) == since + timedelta(seconds=3)
    assert ended["asleep"] == asleep["asleep"]


def test_one_that_is_to_be_deleted_is(operator: OperatorProcess, team: Team) -> None:
    team.create(ports=PORTS, lifecycle={"ttl": "2s", "expiryPolicy": "Delete"})

    team.await_nothing()

    assert "delete sandboxes" in operator.proxy.writes(team.namespace)


def test_a_use_that_can_not_be_read_is_told(operator: OperatorProcess, team: Team) -> None:
    running(team)
    notes = {"sandkeeper.dev/last-activity": "just now"}
    team.api.merge(SANDBOXES, team.namespace, "agent", {"metadata": {"annotations": notes}})

    (event,) = eventually(lambda: team.events("ActivityUnreadable"), "Event")
    assert '"just now" is not a time such as' in event["note"]


@each_point(SLEEPING)
def test_killed_while_it_puts_to_sleep(
    operator: OperatorProcess, team: Team, moment: Moment, what: str, number: int
) -> None:
    running(team)
    kill_at(operator, team, moment, what, number)

    team.change(**SLEEP)
    restart_after_kill(operator)

    team.await_reason("Sleeping")
    await_no_pod(team)
    assert operator.proxy.writes(team.namespace).count("create pods") == 1


@each_point(WAKING)
def test_killed_while_it_wakes(operator: OperatorProcess, team: Team, moment: Moment, what: str, number: int) -> None:
    team.create(ports=PORTS, **SLEEP)
    team.await_reason("Sleeping")
    kill_at(operator, team, moment, what, number)

    team.change(**WAKE)
    restart_after_kill(operator)

    (awake,) = team.await_running()
    assert awake["status"]["startedFrom"] == "Wake"
    assert operator.proxy.writes(team.namespace).count("create pods") == 1


@each_point(ENDING)
def test_killed_while_it_ends(operator: OperatorProcess, team: Team, moment: Moment, what: str, number: int) -> None:
    running(team)
    kill_at(operator, team, moment, what, number)

    team.change(**END)
    restart_after_kill(operator)

    team.await_reason("Expired")
    eventually(lambda: team.children["pods"] == team.children["services"] == [], "end of all that it had")


@pytest.mark.parametrize("ahead", [timedelta(hours=1), timedelta(hours=-1)], ids=["behind", "ahead"])
def test_an_operator_whose_clock_is_an_hour_off_goes_by_the_api_servers(
    start_operator: StartOperator, team: Team, ahead: timedelta
) -> None:
    operator = start_operator(begin=True)
    operator.proxy.harm(lambda _: True, dated(ahead), times=None)
    operator.start()

    team.create("short", lifecycle={"ttl": "30m"})
    reason = "Expired" if ahead > timedelta() else "Running"
    told = team.await_reason(reason, "short")

    expires = datetime.fromisoformat(told["status"]["expiresAt"])
    assert (expires < datetime.now(UTC) + ahead) is (ahead > timedelta())
