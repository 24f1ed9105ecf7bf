"""What is read from pods and policies, and what is not taken for a pod's address."""

from typing import Any

import pytest

from localcluster.native.policy.networks import ranges_of
from localcluster.native.policy.objects import pod_of, policy_of, slim_pod
from unit.localcluster.policy.cluster import pod, policy


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"status": {"phase": "Succeeded", "podIP": "10.244.0.2"}}, "its address may be another's by now"),
        ({"status": {"phase": "Failed", "podIP": "10.244.0.2"}}, "its address may be another's by now"),
        ({"status": {"phase": "Pending"}}, "it has no address yet"),
        ({"status": {"phase": "Running", "podIP": "2001:db8::1"}}, "only IPv4 passes at all"),
        ({"spec": {"hostNetwork": True, "containers": []}}, "its address is the node's"),
    ],
)
def test_a_pod_without_an_address_of_its_own_is_none(change: dict[str, Any], why: str) -> None:
    assert pod_of(slim_pod({**pod("red", "one", "10.244.0.2"), **change})) is None, why


def test_a_pod_is_known_by_its_ipv4_address_and_the_names_of_its_ports() -> None:
    found = pod_of(slim_pod(pod("red", "one", "2001:db8::1", podIPs=[{"ip": "2001:db8::1"}, {"ip": "10.244.0.2"}])))

    assert found is not None
    assert found.address == "10.244.0.2"
    assert found.named_ports == {("web", "TCP", 80), ("dns", "UDP", 53)}


def test_a_sidecars_ports_have_names_too_and_an_init_containers_have_not() -> None:
    port = {"ports": [{"name": "side", "containerPort": 1}]}
    content = pod("red", "one", "10.244.0.2")
    content["spec"]["initContainers"] = [{**port, "restartPolicy": "Always"}, {"ports": [{"name": "gone"}]}]

    found = pod_of(slim_pod(content))

    assert found is not None
    assert {name for name, _, _ in found.named_ports} == {"web", "dns", "side"}


@pytest.mark.parametrize(
    ("spec", "directions"),
    [
        ({}, (True, False)),
        ({"egress": [{}]}, (True, True)),
        ({"policyTypes": ["Egress"]}, (False, True)),
        ({"policyTypes": ["Ingress"], "egress": [{}]}, (True, False)),
    ],
)
def test_a_policy_speaks_of_the_directions_that_kubernetes_says(
    spec: dict[str, Any], directions: tuple[bool, bool]
) -> None:
    found = policy_of(policy("red", "one", **spec))

    assert (found.ingress is not None, found.egress is not None) == directions
    assert (found.generation, found.version) == (3, "7")


@pytest.mark.parametrize(
    ("blocks", "ranges"),
    [
        ([{"cidr": "10.0.0.0/30"}], ["10.0.0.0/30"]),
        ([{"cidr": "10.0.0.0/30", "except": ["10.0.0.0/31"]}], ["10.0.0.2/31"]),
        ([{"cidr": "10.0.0.0/30", "except": ["10.0.0.1/32", "10.0.0.2/32"]}], ["10.0.0.0/32", "10.0.0.3/32"]),
        ([{"cidr": "10.0.0.0/30", "except": ["10.0.0.0/24"]}], []),
        ([{"cidr": "10.0.0.0/30", "except": ["192.0.2.0/24"]}], ["10.0.0.0/30"]),
        ([{"cidr": "10.0.0.0/31", "except": ["10.0.0.0/32"]}, {"cidr": "10.0.0.0/32"}], ["10.0.0.0/31"]),
        ([{"cidr": "2001:db8::/32"}], []),
    ],
)
def test_what_ranges_cover_is_cut_by_their_own_exceptions_alone(
    blocks: list[dict[str, Any]], ranges: list[str]
) -> None:
    assert [str(one) for one in ranges_of(blocks)] == ranges
