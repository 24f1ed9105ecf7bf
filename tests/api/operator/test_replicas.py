"""Several operators at once: every namespace is one's, and whoever goes is replaced."""

import signal
from functools import partial

from api.operator.conftest import StartOperator
from api.operator.kubernetes_api import NAMESPACES, Api
from api.operator.operator_process import SYSTEM, OperatorProcess
from api.operator.team import Team
from api.operator.waiting import eventually
from sandkeeper.controllers.cluster import SANDBOXES
from sandkeeper.runtime.resource import LEASES, PODS

SHARDS = 8
SETTINGS = {"shards": SHARDS, "lease_seconds": 4}


def holders(api: Api) -> dict[str, str]:
    """Who holds each shard."""
    leases = api.list(LEASES, SYSTEM, "?labelSelector=sandkeeper.dev/lease%3Dshard")["items"]
    return {each["metadata"]["name"]: each["spec"].get("holderIdentity") or "" for each in leases}


def await_holders(api: Api, *operators: OperatorProcess) -> None:
    """Wait until every shard is held, and each operator holds some."""
    identities = {each.identity for each in operators}
    eventually(
        lambda: len(holders(api)) == SHARDS and set(holders(api).values()) == identities,
        lambda: f"share of {SHARDS} shards for each of {identities}, but {holders(api)}",
    )


def creations(team: Team, *operators: OperatorProcess) -> list[str]:
    """Names of the pods that operators made in a namespace, as often as they were made."""
    calls = [call for operator in operators for call in operator.proxy.calls]
    made = [call for call in calls if call.what == "create pods" and call.namespace == team.namespace]
    return sorted(call.body["metadata"]["name"] for call in made if call.code == 201)


def teams(api: Api, team: Team, count: int) -> list[Team]:
    """Make namespaces enough for every shard to have some."""
    names = [f"{team.namespace}-{number}" for number in range(count)]
    for name in names:
        api.create(NAMESPACES, "", {"metadata": {"name": name}})
    return [Team(api, name) for name in names]


def test_two_share_the_work_and_do_nothing_twice(start_operator: StartOperator, api: Api, team: Team) -> None:
    one, other = start_operator("operator-a", **SETTINGS), start_operator("operator-b", **SETTINGS)
    await_holders(api, one, other)
    several = teams(api, team, 12)

    for each in several:
        each.create("first")
        each.create("second")

    for each in several:
        each.await_running(["first", "second"])
        assert creations(each, one, other) == ["sbx-first", "sbx-second"]
        assert each.names(PODS) == ["sbx-first", "sbx-second"]
    served = [set(filter(operator.proxy.writes, (each.namespace for each in several))) for operator in (one, other)]
    assert all(served)
    assert not served[0] & served[1]
    for each in several:
        api.delete(NAMESPACES, "", each.namespace)


def only_the_late_pod(team: Team) -> bool:
    return team.names(PODS) == ["sbx-late"]


def test_the_work_of_a_killed_one_is_taken_over(start_operator: StartOperator, api: Api, team: Team) -> None:
    one, other = start_operator("operator-a", **SETTINGS), start_operator("operator-b", **SETTINGS)
    await_holders(api, one, other)
    several = teams(api, team, 6)
    for each in several:
        each.create("early")
        each.await_reason("Running", "early")

    one.kill()
    for each in several:
        each.create("late")
        each.delete("early")

    for each in several:
        each.await_reason("Running", "late")
        eventually(partial(only_the_late_pod, each), "end of the early pod")
    await_holders(api, other)
    for each in several:
        api.delete(NAMESPACES, "", each.namespace)


def test_a_graceful_stop_hands_over_without_waiting_for_leases(
    start_operator: StartOperator, api: Api, team: Team
) -> None:
    long = {**SETTINGS, "lease_seconds": 600}
    one = start_operator("operator-a", **long)
    await_holders(api, one)
    assert one.stop() == 0

    start_operator("operator-b", **long)

    team.create()
    team.await_running()


def test_a_frozen_one_that_wakes_up_does_no_harm(start_operator: StartOperator, api: Api, team: Team) -> None:
    one = start_operator("operator-a", **SETTINGS)
    team.create()
    team.await_running()
    before = team.pod()["metadata"]["uid"]
    one.signal(signal.SIGSTOP)
    other = start_operator("operator-b", **SETTINGS)
    team.change(env=[{"name": "STAGE", "value": "two"}])
    await_holders(api, other)
    pod = team.await_pod(other_than=before)
    team.await_running()

    one.signal(signal.SIGCONT)

    await_holders(api, one, other)
    more = [one.passes + 1, other.passes + 1]
    team.api.merge(PODS, team.namespace, "sbx-agent", {"metadata": {"annotations": {"touched": "1"}}})
    for operator, count in zip((one, other), more, strict=True):
        operator.await_passes(count)
    assert team.pod()["metadata"]["uid"] == pod["metadata"]["uid"]
    assert team.names(SANDBOXES) == ["agent"]
    assert creations(team, one, other) == ["sbx-agent", "sbx-agent"]
