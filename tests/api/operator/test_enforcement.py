"""A canary tries the fence: until it has held no pod starts, and whatever becomes of a run, nothing of it stays."""

import math
from collections.abc import Iterator
from typing import Any

import pytest

from api.operator.conftest import StartOperator
from api.operator.kubelet import Kubelet
from api.operator.kubernetes_api import Api, Json
from api.operator.operator_process import SYSTEM, OperatorProcess
from api.operator.team import Team, condition
from api.operator.waiting import eventually
from sandkeeper.controllers.cluster import SANDBOXES
from sandkeeper.plan.canary import API, DNS, NEIGHBOUR, POD
from sandkeeper.runtime.resource import CONFIG_MAPS, LEASES, NETWORK_POLICIES, PODS

SETTINGS: dict[str, Any] = {"require_enforcement": True, "canary_image": "registry.example/operator:1", "shards": 4}
HEALTHY = [POD, *DNS, API]
SELECTOR = "?labelSelector=sandkeeper.dev/canary"


@pytest.fixture
def answers(api: Api, kubelet: Kubelet) -> Iterator[dict[str, list[str] | None]]:
    """What canaries reach: on a cluster that enforces policies, until a test says otherwise."""
    api.delete(CONFIG_MAPS, SYSTEM, "sandkeeper-enforcement")
    kubelet.answers = {"control": list(HEALTHY), "fenced": []}
    yield kubelet.answers
    kubelet.answers = {}
    for pod in canaries(api, SYSTEM):
        api.delete(PODS, SYSTEM, pod, grace=0)


def canaries(api: Api, namespace: str) -> list[str]:
    """Names of the canary pods of a namespace."""
    return [each["metadata"]["name"] for each in api.list(PODS, namespace, SELECTOR)["items"]]


def await_no_canaries(api: Api, *namespaces: str) -> None:
    eventually(
        lambda: not any(canaries(api, each) for each in namespaces),
        lambda: f"end of canaries, but {[canaries(api, each) for each in namespaces]}",
    )


def record(api: Api) -> dict[str, str]:
    """What is written down of the last runs."""
    return dict((api.find(CONFIG_MAPS, SYSTEM, "sandkeeper-enforcement") or {}).get("data", {}))


def await_result(api: Api, result: str) -> None:
    eventually(lambda: record(api).get("result") == result, lambda: f"result {result}, but {record(api)}")


def await_egress(team: Team, reason: str) -> Json:
    """Wait until a sandbox says this of its fence, and return the condition."""
    eventually(
        lambda: team.condition("EgressEnforced").get("reason") == reason,
        lambda: f"EgressEnforced {reason}, but {team.get(SANDBOXES, 'agent')['status']}",
    )
    return team.condition("EgressEnforced")


def enforced(operator: OperatorProcess) -> float:
    return operator.metrics()["sandkeeper_egress_enforced"][0][1]


def made(operator: OperatorProcess, namespace: str) -> list[str]:
    """Parts of the canaries that an operator made in a namespace."""
    calls = [each for each in operator.proxy.calls if each.what == "create pods" and each.namespace == namespace]
    names = [each.body["metadata"]["name"] for each in calls if each.code == 201]
    return sorted(name.split("-")[2] for name in names if name.startswith("sandkeeper-canary-"))


def ask(team: Team, value: str) -> None:
    """Ask for a canary in the namespace."""
    note = {"metadata": {"annotations": {"sandkeeper.dev/check-fence": value}}}
    team.api.merge(SANDBOXES, team.namespace, "agent", note)


def open_up(team: Team, **annotations: str) -> None:
    """Make a policy that lets every pod of the namespace out."""
    spec = {"podSelector": {}, "policyTypes": ["Egress"], "egress": [{}]}
    metadata = {"name": "allow-all", "annotations": annotations}
    team.api.create(NETWORK_POLICIES, team.namespace, {"metadata": metadata, "spec": spec})


Answers = dict[str, list[str] | None]


def test_a_sandbox_that_comes_first_starts_when_the_fence_has_held(
    start_operator: StartOperator, api: Api, team: Team, answers: Answers
) -> None:
    team.create()

    operator = start_operator(**SETTINGS)

    team.await_running()
    assert team.condition("EgressEnforced")["status"] == "True"
    assert operator.proxy.writes(team.namespace).count("create pods") == 1
    assert operator.proxy.writes(team.namespace).count("patch sandboxes/status") == 1
    assert enforced(operator) == 1.0
    await_no_canaries(api, SYSTEM)
    eventually(lambda: not api.list(NETWORK_POLICIES, SYSTEM)["items"], "end of the canary's fence")


def test_no_pod_starts_on_a_cluster_that_does_not_enforce_and_it_heals_by_itself(
    start_operator: StartOperator, api: Api, team: Team, answers: Answers
) -> None:
    answers["fenced"] = [POD, "a kubelet"]
    team.create()

    operator = start_operator(**SETTINGS)

    said = condition(team.await_reason("NotEnforced"), "Ready")
    assert said["status"] == "False"
    assert "it reached a pod's address and a kubelet" in said["message"]
    assert "Cilium or Calico" in said["message"]
    assert "requireEnforcement: false" in said["message"]
    assert team.condition("EgressEnforced")["status"] == "False"
    assert team.names(PODS) == []
    assert enforced(operator) == 0.0
    answers["fenced"] = []
    team.await_running()
    assert await_egress(team, "Verified")["status"] == "True"


def test_where_it_is_not_required_the_sandbox_runs_and_says_so(
    start_operator: StartOperator, team: Team, answers: Answers
) -> None:
    answers["fenced"] = [POD]
    start_operator(**SETTINGS | {"require_enforcement": False})

    team.create()

    team.await_running()
    assert await_egress(team, "NotEnforced")["status"] == "False"


def test_a_sandbox_that_can_be_reached_from_outside_is_not_fenced(
    start_operator: StartOperator, api: Api, team: Team, answers: Answers
) -> None:
    answers["control"] = [*HEALTHY, NEIGHBOUR]
    team.create()

    start_operator(**SETTINGS)

    assert "a sandbox from outside" in condition(team.await_reason("NotEnforced"), "Ready")["message"]


def test_a_canary_that_reaches_nothing_at_all_proves_nothing(
    start_operator: StartOperator, api: Api, team: Team, answers: Answers
) -> None:
    answers["control"] = []
    team.create()

    operator = start_operator(**SETTINGS)

    said = condition(team.await_reason("CanaryBroken"), "Ready")
    assert "could not reach a pod's address" in said["message"]
    assert team.condition("EgressEnforced")["status"] == "Unknown"
    assert team.names(PODS) == []
    assert math.isnan(enforced(operator))


def trying(api: Api, namespace: str = SYSTEM) -> bool:
    return any("fenced" in name for name in canaries(api, namespace))


def test_what_a_killed_operator_left_is_removed_by_the_next_run(
    start_operator: StartOperator, api: Api, team: Team, answers: Answers
) -> None:
    answers["fenced"] = None
    operator = start_operator(**SETTINGS)
    eventually(lambda: trying(api), "canary that tries")
    operator.kill()
    eventually(lambda: not operator.running, "end of the operator")
    left = set(canaries(api, SYSTEM))
    assert left

    answers["fenced"] = []
    operator.start()

    await_result(api, "Verified")
    await_no_canaries(api, SYSTEM)


def test_an_operator_that_is_told_to_end_cleans_up_first(
    start_operator: StartOperator, api: Api, answers: Answers
) -> None:
    answers["fenced"] = None
    operator = start_operator(**SETTINGS)
    eventually(lambda: trying(api), "canary that tries")

    operator.stop()

    await_no_canaries(api, SYSTEM)


def holders(api: Api) -> set[str]:
    """Replicas that hold some shard, once all are held."""
    leases = api.list(LEASES, SYSTEM, "?labelSelector=sandkeeper.dev/lease%3Dshard")["items"]
    found = [each["spec"].get("holderIdentity") or "" for each in leases]
    return set(found) if len(found) == SETTINGS["shards"] else set()


def test_two_replicas_run_it_once_and_both_know_the_result(
    start_operator: StartOperator, api: Api, answers: Answers
) -> None:
    answers["fenced"] = [POD]
    one, other = (start_operator(f"operator-{each}", **SETTINGS, lease_seconds=4) for each in "ab")
    eventually(lambda: holders(api) == {"operator-a", "operator-b"}, "shards for both")
    await_result(api, "NotEnforced")
    await_no_canaries(api, SYSTEM)
    before = len(made(one, SYSTEM)), len(made(other, SYSTEM))

    answers["fenced"] = []

    await_result(api, "Verified")
    eventually(lambda: enforced(one) == enforced(other) == 1.0, "knowledge of both")
    assert sorted([len(made(one, SYSTEM)) - before[0], len(made(other, SYSTEM)) - before[1]]) == [0, 4]


def test_a_result_outlives_the_operator(start_operator: StartOperator, api: Api, team: Team, answers: Answers) -> None:
    start_operator(**SETTINGS).stop()
    first = start_operator("operator-1", **SETTINGS)
    await_result(api, "Verified")
    await_no_canaries(api, SYSTEM)
    first.stop()
    answers["fenced"] = None

    second = start_operator("operator-2", **SETTINGS)
    team.create()

    team.await_running()
    assert made(second, SYSTEM) == []


def test_a_result_that_somebody_deleted_is_found_anew(
    start_operator: StartOperator, api: Api, answers: Answers
) -> None:
    start_operator(**SETTINGS)
    await_result(api, "Verified")
    answers["fenced"] = [POD]

    api.delete(CONFIG_MAPS, SYSTEM, "sandkeeper-enforcement")

    await_result(api, "NotEnforced")


def test_another_image_runs_it_anew(start_operator: StartOperator, api: Api, answers: Answers) -> None:
    first = start_operator(**SETTINGS)
    await_result(api, "Verified")
    first.stop()

    second = start_operator("operator-1", **SETTINGS | {"canary_image": "registry.example/operator:2"})

    eventually(lambda: record(api).get("image") == "registry.example/operator:2", "result of the new image")
    assert made(second, SYSTEM) == ["control", "fenced", "neighbour", "target"]


def test_a_broken_run_does_not_overturn_a_proof(
    start_operator: StartOperator, api: Api, team: Team, answers: Answers
) -> None:
    first = start_operator(**SETTINGS)
    await_result(api, "Verified")
    first.stop()
    answers["control"] = []

    start_operator("operator-1", **SETTINGS | {"canary_image": "registry.example/operator:2"})

    eventually(lambda: record(api).get("lastResult") == "CanaryBroken", "note of the broken run")
    assert record(api)["result"] == "Verified"
    team.create()
    team.await_running()


def fence_check(team: Team) -> Json:
    return dict(team.get(SANDBOXES, "agent")["status"].get("fenceCheck", {}))


def test_a_sandbox_may_ask_for_a_canary_in_its_namespace(
    start_operator: StartOperator, api: Api, team: Team, answers: Answers
) -> None:
    operator = start_operator(**SETTINGS)
    team.create()
    team.await_running()

    ask(team, "first")

    eventually(lambda: fence_check(team).get("request") == "first", "answer")
    assert fence_check(team)["result"] == "Verified"
    assert made(operator, team.namespace) == ["fenced", "neighbour"]
    await_no_canaries(api, SYSTEM, team.namespace)
    answers["fenced"] = [API]
    ask(team, "second")
    said = await_egress(team, "NotEnforced")
    assert said["message"].startswith("In this namespace: ")
    assert fence_check(team)["request"] == "second"
    assert team.condition("Ready")["status"] == "True", "what runs is left alone"
    answers["fenced"] = []
    await_egress(team, "Verified")
    await_no_canaries(api, SYSTEM, team.namespace)


def test_a_policy_that_opens_sandboxes_keeps_them_from_starting(
    start_operator: StartOperator, team: Team, answers: Answers
) -> None:
    start_operator(**SETTINGS)
    open_up(team)

    team.create()

    said = condition(team.await_reason("Widened"), "Ready")["message"]
    assert "NetworkPolicy allow-all" in said
    assert "{key: sandkeeper.dev/role, operator: DoesNotExist}" in said
    assert team.names(PODS) == []
    team.api.delete(NETWORK_POLICIES, team.namespace, "allow-all")
    team.await_running()
    assert await_egress(team, "Verified")["status"] == "True"


def test_a_policy_that_opens_sandboxes_on_purpose_is_named(
    start_operator: StartOperator, team: Team, answers: Answers
) -> None:
    start_operator(**SETTINGS)
    open_up(team, **{"sandkeeper.dev/widens-sandboxes": "true"})

    team.create()

    team.await_running()
    assert "allow-all" in await_egress(team, "Widened")["message"]


@pytest.mark.usefixtures("unguarded")
def test_a_policy_that_comes_later_is_announced_and_forgotten_when_it_goes(
    start_operator: StartOperator, team: Team, answers: Answers
) -> None:
    start_operator(**SETTINGS)
    team.create()
    team.await_running()
    before = team.pod()["metadata"]["uid"]

    open_up(team)

    assert await_egress(team, "Widened")["status"] == "False"
    assert eventually(lambda: team.events("Widened"), "event")[0]["type"] == "Warning"
    team.api.delete(NETWORK_POLICIES, team.namespace, "allow-all")
    await_egress(team, "Verified")
    assert team.pod()["metadata"]["uid"] == before


@pytest.mark.usefixtures("unguarded")
@pytest.mark.parametrize("edit", [{"egress": [{}]}, {"podSelector": {"matchLabels": {"app": "none"}}}])
def test_a_fence_that_somebody_edited_is_mended(operator: OperatorProcess, team: Team, edit: Json) -> None:
    team.create()
    team.await_running()
    before = team.get(NETWORK_POLICIES, "sandkeeper-fence")["spec"]

    team.api.merge(NETWORK_POLICIES, team.namespace, "sandkeeper-fence", {"spec": edit})

    eventually(lambda: team.get(NETWORK_POLICIES, "sandkeeper-fence")["spec"] == before, "mended fence")
