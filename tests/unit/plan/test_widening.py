"""Which policies of a namespace open a pod that the fence closes."""

import pytest

from sandkeeper.plan.fence import allows, fence_policy, is_foreign, widening
from unit.fakes.objects import Json, ports_policy_of, sandbox, stored

LABELS = {"app": "agent", "sandkeeper.dev/role": "sandbox", "sandkeeper.dev/sandbox": "a"}
ROLE = "sandkeeper.dev/role"
WITH_PORTS = sandbox(ports=[{"name": "web", "port": 8080}])


def policy(spec: Json, name: str = "theirs", **annotations: str) -> Json:
    return {"kind": "NetworkPolicy", "metadata": {"name": name, "annotations": annotations}, "spec": spec}


def expression(operator: str, key: str = "app", *values: str) -> Json:
    found: Json = {"key": key, "operator": operator}
    return {"matchExpressions": [{**found, "values": list(values)} if values else found]}


@pytest.mark.parametrize(
    ("selector", "selects"),
    [
        ({}, True),
        (None, True),
        ({"matchLabels": {"app": "agent"}}, True),
        ({"matchLabels": {"app": "other"}}, False),
        ({"matchLabels": {"app": "agent", "tier": "x"}}, False),
        ({"matchLabels": {ROLE: "sandbox"}}, True),
        (expression("In", "app", "agent", "other"), True),
        (expression("In", "app", "other"), False),
        (expression("In", "tier", "x"), False),
        (expression("NotIn", "app", "other"), True),
        (expression("NotIn", "app", "agent"), False),
        (expression("NotIn", "tier", "x"), True),
        (expression("Exists"), True),
        (expression("Exists", "tier"), False),
        (expression("DoesNotExist", ROLE), False),
        (expression("DoesNotExist", "tier"), True),
        ({"matchLabels": {"app": "agent"}, **expression("DoesNotExist", ROLE)}, False),
    ],
)
def test_a_policy_opens_whom_it_selects(selector: Json | None, selects: bool) -> None:
    found = policy({"podSelector": selector, "policyTypes": ["Egress"], "egress": [{}]})

    assert widening([found], LABELS) == ((), ("theirs",) if selects else ())


@pytest.mark.parametrize(
    ("spec", "opens"),
    [
        ({"policyTypes": ["Ingress", "Egress"]}, False),
        ({"policyTypes": ["Ingress"], "ingress": []}, False),
        ({"policyTypes": ["Ingress"], "ingress": [{}]}, True),
        ({"policyTypes": ["Egress"], "egress": [{"ports": [{"port": 53}]}]}, True),
        # Rules of a direction that the policy does not speak of are void.
        ({"policyTypes": ["Ingress"], "egress": [{}]}, False),
        ({"ingress": [{}]}, True),
        ({}, False),
    ],
)
def test_a_policy_that_allows_nothing_opens_nothing(spec: Json, opens: bool) -> None:
    assert allows(policy(spec)) is opens
    assert widening([policy(spec)], LABELS) == ((), ("theirs",) if opens else ())


@pytest.mark.parametrize(("value", "meant"), [("true", True), ("false", False), ("", False)])
def test_what_is_meant_is_told_from_what_is_not(value: str, meant: bool) -> None:
    spec: Json = {"policyTypes": ["Egress"], "egress": [{}]}

    found = widening([policy(spec, **{"sandkeeper.dev/widens-sandboxes": value})], LABELS)

    assert found == ((("theirs",), ()) if meant else ((), ("theirs",)))


def test_the_operators_own_policies_are_not_foreign() -> None:
    assert not is_foreign(stored(fence_policy("team", None)))
    assert not is_foreign(ports_policy_of(WITH_PORTS))


@pytest.mark.parametrize(
    "change",
    [
        {"labels": {}},
        {"ownerReferences": []},
        {"name": "sbx-b"},
        {"name": "mine"},
    ],
)
def test_a_policy_in_the_operators_clothes_is_foreign(change: Json) -> None:
    found = ports_policy_of(WITH_PORTS)

    assert is_foreign({**found, "metadata": found["metadata"] | change})
