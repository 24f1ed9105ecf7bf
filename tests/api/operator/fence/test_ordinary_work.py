"""The policies stand in nobody's way: restarts, terminals, garbage collection and the end of a namespace go on."""

import json

import pytest

from api.kubectl import Kubectl
from api.operator.conftest import StartOperator
from api.operator.fence.conftest import sentence
from api.operator.kubernetes_api import NAMESPACES
from api.operator.team import Team
from api.operator.waiting import eventually
from sandkeeper.runtime.resource import PODS

PORTS = [{"name": "web", "port": 8080}]


@pytest.mark.parametrize("how", ["delete", "evict"])
def test_a_tenant_restarts_a_sandbox_by_its_pod(besieged: Team, tenant: Kubectl, how: str) -> None:
    before = besieged.pod()["metadata"]["uid"]

    if how == "delete":
        tenant("delete", "pod", "sbx-agent")
    else:
        eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "sbx-agent"}}
        path = f"/api/v1/namespaces/{besieged.namespace}/pods/sbx-agent/eviction"
        tenant("create", "--raw", path, "-f", "-", given=json.dumps(eviction))

    pod = besieged.await_pod(other_than=before)
    assert pod["metadata"]["labels"]["sandkeeper.dev/role"] == "sandbox"
    besieged.await_running()


def test_a_tenant_may_take_over_the_terminal(besieged: Team, tenant: Kubectl) -> None:
    # No kubelet stands behind the node, so that this fails later than at admission.
    said = tenant.refused("exec", "sbx-agent", "--", "id")

    assert "ValidatingAdmissionPolicy" not in said
    assert "forbidden" not in said.lower()


def test_annotations_of_others_are_left_to_them(besieged: Team, tenant: Kubectl) -> None:
    for thing in ("pod/sbx-agent", "service/agent", "networkpolicy/sandkeeper-fence"):
        tenant("annotate", thing, "example.com/owner=leads")

        tenant("annotate", thing, "example.com/owner-")


def test_a_deployment_whose_pods_wear_our_label_gets_none(besieged: Team, tenant: Kubectl) -> None:
    labels = {"app": "worn", "sandkeeper.dev/role": "sandbox"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "main", "image": "example/worn:1"}]}}
    spec = {"replicas": 1, "selector": {"matchLabels": {"app": "worn"}}, "template": template}
    kind = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "worn"}}

    tenant("create", "-f", "-", given=json.dumps({**kind, "spec": spec}))

    def failure() -> str:
        # The controllers' client reports by core/v1, which the apiserver serves as events.k8s.io too.
        notes = [each.get("note", "") for each in besieged.events("FailedCreate")]
        return next(iter(notes), "")

    assert sentence(eventually(failure, "event of the refusal")) == (
        "metadata.labels: sandkeeper.dev/role=sandbox is given and taken by the operator of Sandkeeper alone; use a "
        "key that does not begin with sandkeeper.dev/"
    )
    tenant("delete", "deployment", "worn")
    assert [name for name in besieged.names(PODS) if name.startswith("worn")] == []


def test_garbage_collection_removes_what_a_sandbox_left_without_the_operator(
    start_operator: StartOperator, team: Team
) -> None:
    operator = start_operator(lease_seconds=3)
    team.create(ports=PORTS)
    team.await_running()
    operator.stop()

    team.delete()

    # The fence is the namespace's: the operator removes it when it is back.
    left = {"pods": [], "services": [], "networkpolicies": ["sandkeeper-fence"]}
    eventually(lambda: team.children == left, lambda: f"nothing but the fence, but {team.children}")
    operator.start()
    team.create("next")
    team.await_running(["next"])
    team.delete("next")
    team.await_nothing()


def test_a_namespace_ends_without_the_operator(start_operator: StartOperator, team: Team) -> None:
    operator = start_operator(lease_seconds=3)
    team.create(ports=PORTS)
    team.await_running()
    operator.stop()

    team.api.delete(NAMESPACES, "", team.namespace)

    eventually(lambda: team.api.find(NAMESPACES, "", team.namespace) is None, "end of the namespace")


def test_a_child_that_sandboxes_leave_behind_on_purpose_becomes_nobodys(
    start_operator: StartOperator, team: Team, kubectl: Kubectl
) -> None:
    operator = start_operator(lease_seconds=3)
    team.create(ports=PORTS)
    team.await_running()
    operator.stop()

    kubectl("delete", "sandbox", "agent", "--cascade=orphan", f"--namespace={team.namespace}")

    eventually(lambda: "ownerReferences" not in team.pod()["metadata"], "pod without an owner")
