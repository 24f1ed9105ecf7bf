"""Whose an address is, and what happens to packets of an address that is nobody's."""

from typing import Any

from localcluster.native.policy.desired import Desired
from localcluster.native.policy.hooks import EMPTY, closed, fixed_chains
from localcluster.native.policy.objects import pod_of, policy_of, slim_pod
from localcluster.native.policy.selectors import labels_of
from localcluster.native.policy.table import difference
from unit.localcluster.policy.cluster import pod, policy


def learned(*pods: dict[str, Any]) -> Desired:
    """All that is known of a cluster with these pods."""
    desired = Desired()
    for one in pods:
        desired.set_pod((one["metadata"]["namespace"], one["metadata"]["name"]), pod_of(slim_pod(one)))
    return desired


def known(desired: Desired) -> set[str]:
    """The addresses that may speak at all."""
    return set(desired.table().collections["egress"].elements)


def test_an_address_that_two_pods_claim_is_nobodys() -> None:
    desired = learned(pod("red", "one", "10.244.0.2"), pod("blue", "two", "10.244.0.2"))
    assert known(desired) == set()

    desired.set_pod(("blue", "two"), None)

    assert known(desired) == {"10.244.0.2"}


def test_a_pod_that_is_being_deleted_gives_way_and_keeps_what_is_its_own() -> None:
    leaving = pod("red", "one", "10.244.0.2")
    leaving["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    assert known(learned(leaving)) == {"10.244.0.2"}

    desired = learned(leaving, pod("blue", "two", "10.244.0.2", {"app": "two"}))

    assert known(desired) == {"10.244.0.2"}


def test_a_pod_whose_namespace_is_not_known_yet_is_in_no_selected_namespace() -> None:
    desired = learned(pod("red", "one", "10.244.0.2"))
    anywhere = {"namespaceSelector": {"matchExpressions": [{"key": "closed", "operator": "DoesNotExist"}]}}
    made = policy("red", "one", policyTypes=["Ingress"], ingress=[{"from": [anywhere]}])
    desired.set_policy(("red", "one"), policy_of(made))

    def members() -> list[set[str]]:
        collections = desired.table().collections
        return [set(one.elements) for name, one in collections.items() if name.startswith("group_")]

    assert members() == [set()]
    desired.set_namespace("red", labels_of({"open": "yes"}))
    assert members() == [{"10.244.0.2"}]


def test_what_says_nothing_new_changes_nothing() -> None:
    one = pod("red", "one", "10.244.0.2")
    desired = learned(one)

    assert not desired.set_pod(("red", "one"), pod_of(slim_pod(one)))
    assert difference(desired.table(), desired.table()) == ""


def test_a_table_that_knows_nobody_lets_nobody_pass() -> None:
    rules = fixed_chains("10.244.0.0/22").splitlines()

    for chain in ("from_pod", "to_pod"):
        start = rules.index(f"  chain {chain} {{")
        assert rules[rules.index("  }", start) - 1].strip() == "drop"
    assert "elements" not in closed("10.244.0.0/22")
    assert all(not collection.elements for collection in EMPTY.collections.values())
