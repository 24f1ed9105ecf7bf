"""What is written for the kernel allows exactly what Kubernetes says, whatever the policies and however they came."""

from collections.abc import Callable
from functools import partial
from itertools import product
from random import Random
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from localcluster.native.policy.desired import Desired
from localcluster.native.policy.hooks import EMPTY
from localcluster.native.policy.objects import pod_of, policy_of, slim_pod
from localcluster.native.policy.selectors import labels_of
from localcluster.native.policy.table import Table, difference, replacement
from unit.localcluster.policy.cluster import OUTSIDE, Cluster, pod, policy
from unit.localcluster.policy.packets import Connection, Nftables

Change = Callable[[], bool]
NAMESPACES = ["red", "blue"]
ADDRESSES = [f"10.244.0.{number}" for number in range(2, 8)]
labels = st.dictionaries(st.sampled_from(["app", "tier"]), st.sampled_from(["a", "b"]))
expressions = st.one_of(
    st.fixed_dictionaries(
        {
            "key": st.sampled_from(["app", "tier"]),
            "operator": st.sampled_from(["In", "NotIn"]),
            "values": st.lists(st.sampled_from(["a", "b"]), min_size=1, unique=True),
        }
    ),
    st.fixed_dictionaries(
        {"key": st.sampled_from(["app", "tier"]), "operator": st.sampled_from(["Exists", "DoesNotExist"])}
    ),
)
selectors = st.fixed_dictionaries(
    {}, optional={"matchLabels": labels, "matchExpressions": st.lists(expressions, max_size=2)}
)
blocks = st.sampled_from(
    [
        {"cidr": "0.0.0.0/0"},
        {"cidr": "10.244.0.0/24", "except": ["10.244.0.4/30"]},
        {"cidr": "10.244.0.4/30", "except": ["10.244.0.5/32", "10.244.0.6/32"]},
        {"cidr": "192.0.2.0/24"},
        {"cidr": "2001:db8::/32"},
    ]
)
peers = st.one_of(
    st.fixed_dictionaries({"podSelector": selectors}),
    st.fixed_dictionaries({"namespaceSelector": selectors}, optional={"podSelector": selectors}),
    st.fixed_dictionaries({"ipBlock": blocks}),
)
ports = st.sampled_from(
    [
        {"port": 80},
        {"port": 53, "protocol": "UDP"},
        {"port": 80, "endPort": 90, "protocol": "TCP"},
        {"port": "web"},
        {"port": "dns", "protocol": "UDP"},
        {"port": "web", "protocol": "UDP"},
        {"protocol": "SCTP"},
    ]
)


def entries(whom: str) -> st.SearchStrategy[list[dict[str, Any]]]:
    """Entries of a policy's ``ingress`` or ``egress``, sometimes without peers or ports."""
    optional = {whom: st.lists(peers, max_size=2), "ports": st.lists(ports, max_size=2)}
    return st.lists(st.fixed_dictionaries({}, optional=optional), max_size=2)


specs = st.fixed_dictionaries(
    {
        "podSelector": selectors,
        "policyTypes": st.sampled_from([["Ingress"], ["Egress"], ["Ingress", "Egress"]]),
        "ingress": entries("from"),
        "egress": entries("to"),
    }
)


@st.composite
def clusters(draw: st.DrawFn) -> Cluster:
    """Two namespaces, six pods, up to four policies."""
    pods = [
        pod(draw(st.sampled_from(NAMESPACES)), f"pod-{index}", address, draw(labels))
        for index, address in enumerate(ADDRESSES)
    ]
    policies = [
        policy(draw(st.sampled_from(NAMESPACES)), f"policy-{index}", **draw(specs))
        for index in range(draw(st.integers(0, 4)))
    ]
    return Cluster({name: draw(labels) for name in NAMESPACES}, pods, policies)


def arrivals(desired: Desired, cluster: Cluster) -> list[Change]:
    """All that a cluster has, each thing as a change that is still to be made."""
    return [
        *(partial(desired.set_namespace, name, labels_of(held)) for name, held in cluster.namespaces.items()),
        *(partial(desired.set_pod, name_of(one), pod_of(slim_pod(one))) for one in cluster.pods),
        *(partial(desired.set_policy, name_of(one), policy_of(one)) for one in cluster.policies),
    ]


def departures(desired: Desired, cluster: Cluster) -> list[Change]:
    """All that a cluster has, going away."""
    return [
        *(partial(desired.set_pod, name_of(one), None) for one in cluster.pods),
        *(partial(desired.set_policy, name_of(one), None) for one in cluster.policies),
    ]


def learn(desired: Desired, cluster: Cluster) -> None:
    """Tell all that a cluster has."""
    for change in arrivals(desired, cluster):
        change()


def name_of(obj: dict[str, Any]) -> tuple[str, str]:
    """Return namespace and name."""
    return obj["metadata"]["namespace"], obj["metadata"]["name"]


def table_of(cluster: Cluster) -> Table:
    """Return the table of a cluster that is seen for the first time."""
    desired = Desired()
    learn(desired, cluster)
    return desired.table()


@given(clusters())
def test_a_connection_passes_exactly_where_kubernetes_says_so(cluster: Cluster) -> None:
    kernel = Nftables()
    kernel.run(difference(Table({}, {}), table_of(cluster)))

    for client, server in product([*ADDRESSES, OUTSIDE], repeat=2):
        for protocol, port in (("TCP", 80), ("TCP", 85), ("TCP", 91), ("UDP", 53), ("UDP", 80), ("SCTP", 80)):
            passes = kernel.allows(Connection(client, server, protocol, port))
            if client != server:
                assert passes is cluster.allows(client, server, protocol, port), (client, server, protocol, port)


@given(clusters(), clusters(), st.randoms(use_true_random=False))
def test_changes_in_any_order_end_where_a_first_look_would(before: Cluster, after: Cluster, random: Random) -> None:
    desired, kernel, written = Desired(), Nftables(), EMPTY
    kernel.run(replacement(EMPTY, ""))
    learn(desired, before)

    changes = [*departures(desired, before), *arrivals(desired, after)]
    random.shuffle(changes)
    for change in [*changes, *arrivals(desired, after)]:
        change()
        table = desired.table()
        kernel.run(difference(written, table))
        written = table

    fresh = Nftables()
    fresh.run(replacement(table_of(after), ""))
    assert kernel == fresh
