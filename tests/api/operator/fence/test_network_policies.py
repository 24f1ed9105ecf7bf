"""Network policies beside the fence: those that may select a sandbox are refused, unless somebody may and says so."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from api.kubectl import Kubectl
from api.operator.fence.conftest import WIDENER, As, may_edit, sentence
from api.operator.kubernetes_api import NAMESPACES, Api
from api.operator.team import Team
from sandkeeper.runtime.resource import NETWORK_POLICIES

ROLE = "sandkeeper.dev/role"
MARK = "sandkeeper.dev/widens-sandboxes"
NO_SANDBOX = {"matchExpressions": [{"key": ROLE, "operator": "DoesNotExist"}]}


def policy(selector: dict[str, Any], name: str = "open", **metadata: Any) -> str:
    """Return a policy that lets out whatever it selects."""
    spec = {"podSelector": selector, "policyTypes": ["Egress"], "egress": [{}]}
    kind = {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy"}
    return json.dumps({**kind, "metadata": {"name": name, **metadata}, "spec": spec})


def one(key: str, operator: str, *values: str) -> dict[str, Any]:
    return {"matchExpressions": [{"key": key, "operator": operator, **({"values": values} if values else {})}]}


def told(selected: str) -> str:
    return (
        f"spec.podSelector: {selected} may include sandboxes, which no other network policy opens; exclude them by "
        f"matchExpressions: [{{key: {ROLE}, operator: DoesNotExist}}]"
    )


OPENING = [
    ({}, "all pods"),
    ({"matchLabels": {"app": "web"}}, "app=web"),
    ({"matchLabels": {ROLE: "sandbox"}}, f"{ROLE}=sandbox"),
    ({"matchLabels": {"sandkeeper.dev/sandbox": "agent"}}, "sandkeeper.dev/sandbox=agent"),
    (one(ROLE, "Exists"), f"{ROLE} Exists"),
    (one(ROLE, "In", "gateway", "sandbox"), f"{ROLE} In (gateway, sandbox)"),
    (one(ROLE, "NotIn", "gateway"), f"{ROLE} NotIn (gateway)"),
    (one("app", "DoesNotExist"), "app DoesNotExist"),
    (one("app", "NotIn", "web"), "app NotIn (web)"),
]
CLOSED = [
    NO_SANDBOX,
    {"matchLabels": {ROLE: "gateway"}},
    one(ROLE, "NotIn", "sandbox", "other"),
    one(ROLE, "In", "gateway"),
    {"matchLabels": {"app": "web"}, **NO_SANDBOX},
]


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize(("selector", "text"), OPENING, ids=[text for _, text in OPENING])
def test_one_that_may_select_a_sandbox_is_refused(tenant: Kubectl, selector: dict[str, Any], text: str) -> None:
    assert sentence(tenant.refused("create", "-f", "-", given=policy(selector))) == told(text)


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize(("selector", "text"), OPENING, ids=[text for _, text in OPENING])
def test_and_so_is_one_that_is_changed_to(tenant: Kubectl, selector: dict[str, Any], text: str) -> None:
    change = json.dumps([{"op": "replace", "path": "/spec/podSelector", "value": selector}])

    assert sentence(tenant.refused("patch", "networkpolicy", "theirs", "--type=json", "-p", change)) == told(text)


@pytest.mark.parametrize("selector", CLOSED, ids=[json.dumps(each) for each in CLOSED])
def test_one_that_selects_none_is_the_tenants_own_affair(tenant: Kubectl, selector: dict[str, Any]) -> None:
    tenant("create", "-f", "-", given=policy(selector))

    tenant("delete", "networkpolicy", "open")


def test_one_that_only_closes_may_select_sandboxes(tenant: Kubectl) -> None:
    spec = {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    tenant("create", "-f", "-", given=json.dumps({**json.loads(policy({}, "closed")), "spec": spec}))

    said = sentence(
        tenant.refused("patch", "networkpolicy", "closed", "--type=merge", "-p", '{"spec": {"egress": [{}]}}')
    )

    assert said == told("all pods")
    tenant("delete", "networkpolicy", "closed")


@pytest.mark.usefixtures("untouched")
def test_nobody_marks_one_as_widening_who_may_not_widen(tenant: Kubectl) -> None:
    said = sentence(tenant.refused("annotate", "networkpolicy", "theirs", f"{MARK}=true"))

    assert said.startswith(f"metadata.annotations: {MARK} is given and taken only by who has the verb widen on")
    both = sentence(tenant.refused("create", "-f", "-", given=policy({}, annotations={MARK: "true"})))
    assert both in {said, told("all pods")}


@pytest.mark.usefixtures("untouched")
def test_an_administrator_who_may_widen_is_told_how(administrator: Kubectl) -> None:
    assert sentence(administrator.refused("create", "-f", "-", given=policy({}))) == (
        f'{told("all pods")}, or widen what they reach by the annotation {MARK}: "true"'
    )


@pytest.fixture
def widened(administrator: Kubectl) -> Iterator[None]:
    """Let an administrator open all pods of the namespace, on purpose."""
    administrator("create", "-f", "-", given=policy({}, "widened", annotations={MARK: "true"}))
    yield
    administrator("delete", "networkpolicy", "widened")


@pytest.mark.usefixtures("widened", "untouched")
def test_what_an_administrator_opened_is_no_door_for_tenants(besieged: Team, tenant: Kubectl) -> None:
    wider = tenant.refused("patch", "networkpolicy", "widened", "--type=merge", "-p", '{"spec": {"ingress": [{}]}}')

    assert sentence(wider) == told("all pods")
    assert "ValidatingAdmissionPolicy" in tenant.refused("annotate", "networkpolicy", "widened", f"{MARK}-")
    assert besieged.get(NETWORK_POLICIES, "widened")["metadata"]["annotations"][MARK] == "true"


@pytest.fixture
def quiet(api: Api, kubectl: Kubectl) -> Iterator[str]:
    """Give the tenants a namespace that has no sandbox and so no fence."""
    name = str(api.create(NAMESPACES, "", {"metadata": {"generateName": "quiet-"}})["metadata"]["name"])
    may_edit(kubectl, name)
    yield name
    api.delete(NAMESPACES, "", name)


def test_whoever_is_granted_the_verb_widens_in_that_namespace_alone(acting: As, quiet: str) -> None:
    widener, widening = acting(WIDENER), policy({}, "granted", annotations={MARK: "true"})

    widener("create", "-f", "-", given=widening)

    widener("delete", "networkpolicy", "granted")
    said = sentence(widener.refused("create", "-f", "-", f"--namespace={quiet}", given=widening))
    assert said.startswith(f"metadata.annotations: {MARK} is given and taken only by who has the verb widen on")


def test_a_namespace_without_sandboxes_is_not_disturbed(tenant: Kubectl, quiet: str) -> None:
    tenant("create", "-f", "-", f"--namespace={quiet}", given=policy({}))


def test_but_nobody_makes_a_fence_there(tenant: Kubectl, quiet: str) -> None:
    said = sentence(tenant.refused("create", "-f", "-", f"--namespace={quiet}", given=policy({}, "sandkeeper-fence")))

    assert said == (
        'metadata.name: "sandkeeper-fence" is for the operator of Sandkeeper alone, as is every name of a '
        "NetworkPolicy that begins with sandkeeper-fence; use another name"
    )


def test_what_stood_before_the_first_sandbox_can_be_changed_but_not_opened_further(
    besieged: Team, tenant: Kubectl, quiet: str, api: Api
) -> None:
    there = Team(api, quiet)
    tenant("create", "-f", "-", f"--namespace={quiet}", given=policy({"matchLabels": {"app": "web"}}))
    there.create()
    there.await_running()

    tenant("label", "networkpolicy", "open", "team=leads", f"--namespace={quiet}")

    wider = '{"spec": {"ingress": [{}]}}'
    said = tenant.refused("patch", "networkpolicy", "open", "--type=merge", "-p", wider, f"--namespace={quiet}")
    assert sentence(said) == told("app=web")
