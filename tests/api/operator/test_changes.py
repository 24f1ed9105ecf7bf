"""The spec of a running sandbox changes: in place where that is possible, by a new pod where it is not."""

from typing import Any

import pytest

from api.operator.kubelet import Kubelet
from api.operator.kubernetes_api import Json
from api.operator.operator_process import OperatorProcess
from api.operator.team import Team, condition
from api.operator.waiting import eventually
from sandkeeper.controllers.cluster import SANDBOXES
from sandkeeper.runtime.resource import NETWORK_POLICIES, PODS, SERVICES

WEB = {"name": "web", "port": 8080}
DOCS = {"name": "docs", "port": 9000}


def running(team: Team, **spec: Any) -> str:
    """Create a sandbox, wait until it runs, and return its pod's uid."""
    team.create(**spec)
    team.await_running()
    return uid(team.pod())


def uid(obj: Json) -> str:
    return str(obj["metadata"]["uid"])


def limits(pod: Json) -> Json:
    return dict(pod["spec"]["containers"][0]["resources"]["limits"])


def test_labels_and_annotations_change_in_place(operator: OperatorProcess, team: Team) -> None:
    before = running(team, podTemplate={"metadata": {"labels": {"crew": "a", "shift": "day"}}})

    team.change(podTemplate={"metadata": {"labels": {"crew": "b", "shift": None}, "annotations": {"note": "new"}}})

    eventually(lambda: team.pod()["metadata"]["labels"].get("crew") == "b", "changed label")
    pod = team.pod()
    assert "shift" not in pod["metadata"]["labels"]
    assert pod["metadata"]["annotations"]["note"] == "new"
    assert pod["metadata"]["labels"]["sandkeeper.dev/sandbox"] == "agent"
    team.await_reason("Running")
    assert uid(team.pod()) == before


def test_cpu_and_memory_change_in_place(operator: OperatorProcess, team: Team) -> None:
    before = running(team, resources={"limits": {"cpu": "1", "memory": "1Gi"}})

    team.change(resources={"limits": {"cpu": "3", "memory": "2Gi"}})

    eventually(lambda: limits(team.pod())["cpu"] == "3", "changed limit")
    assert limits(team.pod())["memory"] == "2Gi"
    assert team.await_reason("Running")["status"]["effective"]["resources"]["limits"]["cpu"] == "3"
    assert uid(team.pod()) == before


def test_label_and_resources_together_change_in_place(operator: OperatorProcess, team: Team) -> None:
    before = running(team)

    team.change(podTemplate={"metadata": {"labels": {"crew": "b"}}}, resources={"limits": {"cpu": "1"}})

    eventually(lambda: limits(team.pod())["cpu"] == "1", "changed limit")
    eventually(lambda: team.pod()["metadata"]["labels"].get("crew") == "b", "changed label")
    team.await_reason("Running")
    assert uid(team.pod()) == before


def test_what_a_running_pod_cannot_take_makes_a_new_one(
    operator: OperatorProcess, team: Team, kubelet: Kubelet
) -> None:
    before = running(team, env=[{"name": "STAGE", "value": "one"}])
    kubelet.leave(team.namespace)

    team.change(env=[{"name": "STAGE", "value": "two"}])

    seen = team.await_reason("Starting")
    assert condition(seen, "Reconciling")["status"] == "True"
    assert condition(seen, "Running")["status"] == "False"
    assert "the environment changed" in eventually(lambda: team.events("Starting"), "event")[0]["note"]
    kubelet.resume(team.namespace)
    after = team.await_pod(other_than=before)
    assert after["spec"]["containers"][0]["env"] == [{"name": "STAGE", "value": "two"}]
    assert condition(team.await_reason("Running"), "Reconciling") == {}


def test_another_qos_class_makes_a_new_pod(operator: OperatorProcess, team: Team) -> None:
    before = running(team, resources={"limits": {"cpu": "1", "memory": "1Gi"}})

    equal = {"cpu": "1", "memory": "1Gi"}
    team.change(resources={"limits": equal, "requests": equal})

    assert team.await_pod(other_than=before)["status"]["qosClass"] == "Guaranteed"
    team.await_reason("Running")


def test_a_changed_disk_limit_makes_a_new_pod(operator: OperatorProcess, team: Team) -> None:
    before = running(team)

    team.change(resources={"limits": {"ephemeral-storage": "20Gi"}})

    assert limits(team.await_pod(other_than=before))["ephemeral-storage"] == "20Gi"
    team.await_reason("Running")


def test_changed_twice_before_the_old_pod_has_ended(operator: OperatorProcess, team: Team, kubelet: Kubelet) -> None:
    before = running(team)
    kubelet.leave(team.namespace)
    team.change(env=[{"name": "STAGE", "value": "two"}])
    team.await_reason("Starting")

    team.change(env=[{"name": "STAGE", "value": "three"}])
    kubelet.resume(team.namespace)

    after = team.await_pod(other_than=before)
    assert after["spec"]["containers"][0]["env"] == [{"name": "STAGE", "value": "three"}]
    team.await_reason("Running")
    assert uid(team.pod()) == uid(after)


def test_ports_come_change_and_go_without_a_new_pod(operator: OperatorProcess, team: Team) -> None:
    before = running(team)

    team.change(ports=[WEB])
    assert team.await_reason("Running")["status"]["serviceName"] == "agent"
    eventually(lambda: team.find(NETWORK_POLICIES, "sbx-agent"), "policy for the port")
    service = team.get(SERVICES, "agent")

    team.change(ports=[DOCS])
    eventually(lambda: team.get(SERVICES, "agent")["spec"]["ports"][0]["port"] == 9000, "changed port")
    policy = eventually(lambda: team.find(NETWORK_POLICIES, "sbx-agent"), "policy for the port")
    eventually(
        lambda: team.get(NETWORK_POLICIES, "sbx-agent")["spec"]["ingress"][0]["ports"][0]["port"] == 9000,
        "changed policy",
    )
    assert uid(team.get(SERVICES, "agent")) == uid(service)
    assert uid(team.get(NETWORK_POLICIES, "sbx-agent")) == uid(policy)

    team.change(ports=None)
    eventually(lambda: team.find(SERVICES, "agent") is None, "removal of the service")
    eventually(lambda: team.find(NETWORK_POLICIES, "sbx-agent") is None, "removal of the policy")
    eventually(lambda: "serviceName" not in team.get(SANDBOXES, "agent")["status"], "status without the service")
    assert uid(team.pod()) == before


@pytest.mark.usefixtures("unguarded")
def test_a_child_that_somebody_changed_is_brought_back(operator: OperatorProcess, team: Team) -> None:
    before = running(team, ports=[WEB])

    open_to_all = {"spec": {"ingress": [{}], "egress": [{}], "policyTypes": ["Ingress", "Egress"]}}
    for name in ("sbx-agent", "sandkeeper-fence"):
        team.api.merge(NETWORK_POLICIES, team.namespace, name, open_to_all)
    team.api.merge(SERVICES, team.namespace, "agent", {"spec": {"selector": {"app": "trap"}}})
    team.api.merge(PODS, team.namespace, "sbx-agent", {"metadata": {"annotations": {"unrelated": "kept"}}})

    def fence() -> Json:
        return dict(team.get(NETWORK_POLICIES, "sandkeeper-fence")["spec"])

    eventually(lambda: "egress" not in fence() and "ingress" not in fence(), lambda: f"closed fence, but {fence()}")
    eventually(lambda: team.get(NETWORK_POLICIES, "sbx-agent")["spec"]["policyTypes"] == ["Ingress"], "narrow policy")
    eventually(lambda: "app" not in team.get(SERVICES, "agent")["spec"]["selector"], "selector of the sandbox")
    assert team.get(NETWORK_POLICIES, "sbx-agent")["spec"]["ingress"][0]["ports"] == [{"port": 8080, "protocol": "TCP"}]
    assert uid(team.pod()) == before
    assert team.pod()["metadata"]["annotations"]["unrelated"] == "kept"


@pytest.mark.usefixtures("unguarded")
def test_deleted_children_come_back(operator: OperatorProcess, team: Team) -> None:
    running(team, ports=[WEB])
    gone = [(NETWORK_POLICIES, "sandkeeper-fence"), (NETWORK_POLICIES, "sbx-agent"), (SERVICES, "agent")]

    for resource, name in gone:
        team.api.delete(resource, team.namespace, name)

    back = {"pods": ["sbx-agent"], "services": ["agent"], "networkpolicies": ["sandkeeper-fence", "sbx-agent"]}
    eventually(lambda: team.children == back, lambda: f"children of their names, but {team.children}")
