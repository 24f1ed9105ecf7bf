"""Something stands in the way of a sandbox: it says what, does no harm to it, and heals when it is gone."""

import pytest

from api.operator.kubernetes_api import QUOTAS, Json
from api.operator.operator_process import OperatorProcess
from api.operator.team import Team, condition
from api.operator.waiting import eventually
from sandkeeper.controllers.cluster import SANDBOXES
from sandkeeper.runtime.resource import NETWORK_POLICIES, PODS, RUNTIME_CLASSES, SERVICES, Resource

WEB = {"name": "web", "port": 8080}
MANAGED = {"sandkeeper.dev/managed": "true", "sandkeeper.dev/sandbox": "agent"}
POD = {"containers": [{"name": "theirs", "image": "registry.example/theirs:1"}]}
SERVICE = {"ports": [{"port": 1234}], "selector": {"app": "theirs"}}
POLICY = {"podSelector": {"matchLabels": {"app": "theirs"}}}


def told(sandbox: Json) -> str:
    return str(condition(sandbox, "Ready")["message"])


@pytest.mark.usefixtures("unguarded")
@pytest.mark.parametrize(
    ("resource", "name", "spec", "labels"),
    [
        pytest.param(PODS, "sbx-agent", POD, {}, id="pod"),
        pytest.param(PODS, "sbx-agent", POD, MANAGED, id="pod-with-our-labels"),
        pytest.param(SERVICES, "agent", SERVICE, {}, id="service"),
        pytest.param(SERVICES, "agent", SERVICE, MANAGED, id="service-with-our-labels"),
        pytest.param(NETWORK_POLICIES, "sbx-agent", POLICY, {}, id="policy"),
        pytest.param(NETWORK_POLICIES, "sbx-agent", POLICY, MANAGED, id="policy-with-our-labels"),
        pytest.param(NETWORK_POLICIES, "sandkeeper-fence", POLICY, {}, id="fence"),
    ],
)
def test_what_is_not_ours_is_left_alone(
    operator: OperatorProcess, team: Team, resource: Resource, name: str, spec: Json, labels: dict[str, str]
) -> None:
    theirs = team.api.create(resource, team.namespace, {"metadata": {"name": name, "labels": labels}, "spec": spec})

    team.create(ports=[WEB])

    sandbox = team.await_reason("Conflict")
    assert f"{resource.kind} {name} is there and does not belong to this sandbox" in told(sandbox)
    assert condition(sandbox, "Stalled")["status"] == "True"
    if resource is PODS or name == "sandkeeper-fence":
        assert condition(sandbox, "Running")["status"] == "False"
    found = team.get(resource, name)
    assert found["metadata"]["uid"] == theirs["metadata"]["uid"]
    assert found["spec"] == {**theirs["spec"], **({"nodeName": "node-a"} if resource is PODS else {})}
    team.api.delete(resource, team.namespace, name)
    assert condition(team.await_reason("Running"), "Stalled") == {}


@pytest.mark.usefixtures("unguarded")
def test_no_pod_starts_where_the_fence_is_not_ours(operator: OperatorProcess, team: Team) -> None:
    team.api.create(NETWORK_POLICIES, team.namespace, {"metadata": {"name": "sandkeeper-fence"}, "spec": POLICY})

    team.create()

    team.await_reason("Conflict")
    assert team.names(PODS) == []


@pytest.mark.usefixtures("unguarded")
def test_two_sandboxes_whose_names_meet_in_a_service(operator: OperatorProcess, team: Team) -> None:
    team.create("agent", ports=[WEB])
    team.await_running()
    theirs = {"name": "other", "ownerReferences": team.get(SERVICES, "agent")["metadata"]["ownerReferences"]}
    labels = {**MANAGED, "sandkeeper.dev/sandbox": "agent"}
    team.api.create(SERVICES, team.namespace, {"metadata": {**theirs, "labels": labels}, "spec": SERVICE})

    team.create("other", ports=[WEB])

    assert "Service other" in told(team.await_reason("Conflict", "other"))


def test_a_quota_that_is_used_up(operator: OperatorProcess, team: Team) -> None:
    quota = {"metadata": {"name": "small"}, "spec": {"hard": {"pods": "0"}}}
    team.api.create(QUOTAS, team.namespace, quota)
    eventually(lambda: team.get(QUOTAS, "small").get("status", {}).get("hard"), "quota in force")

    team.create()

    sandbox = team.await_reason("QuotaExceeded")
    assert told(sandbox).startswith(
        "ResourceQuota small has no room for the Pod: asked for pods=1, used pods=0, hard pods=0"
    )
    assert eventually(lambda: team.events("QuotaExceeded"), "event")[0]["type"] == "Warning"
    team.api.delete(QUOTAS, team.namespace, "small")
    team.await_reason("Running")


def test_a_runtime_class_that_comes_later(operator: OperatorProcess, team: Team) -> None:
    name = f"runsc-{team.namespace}"[:60].rstrip("-")
    team.create(security={"runtimeClassName": name})

    assert name in told(team.await_reason("RuntimeClassNotFound"))
    team.api.create(RUNTIME_CLASSES, "", {"metadata": {"name": name}, "handler": "runsc"})
    try:
        team.await_reason("Running")
        assert team.pod()["spec"]["runtimeClassName"] == name
        assert team.pod()["spec"].get("hostUsers") is not False, "no node offers user namespaces with this handler"
    finally:
        team.api.delete(RUNTIME_CLASSES, "", name)


def test_a_pod_that_the_apiserver_finds_invalid(operator: OperatorProcess, team: Team) -> None:
    selector: Json = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": []}}}
    team.create(podTemplate={"spec": {"affinity": selector}})

    sandbox = team.await_reason("Failed")
    assert "nodeSelectorTerms" in told(sandbox)
    assert condition(sandbox, "Stalled")["status"] == "True"
    team.api.merge(SANDBOXES, team.namespace, "agent", {"spec": {"podTemplate": None}})
    team.await_reason("Running")
