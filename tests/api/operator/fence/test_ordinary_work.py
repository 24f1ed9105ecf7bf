"""The policies stand in nobody's way: restarts, terminals and annotations of others go on."""

import json

import pytest

from api.kubectl import Kubectl
from api.operator.fence.conftest import sentence
from api.operator.team import Team
from api.operator.waiting import eventually
from sandkeeper.runtime.resource import PODS


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
