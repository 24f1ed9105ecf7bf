"""NetworkPolicies on the local cluster: what they let pass, and what they do not."""

import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from api.kubectl import Kubectl
from e2e.cluster.conftest import Pods
from e2e.cluster.policy_lab import TALK, Lab, pod_selector
from localcluster.process import wait_until


@pytest.fixture(scope="module")
def lab(kubectl: Kubectl) -> Iterator[Lab]:
    """The same few pods for all tests; each test has policies of its own."""
    names = [f"policy-{which}-{uuid.uuid4().hex[:6]}" for which in ("here", "there")]
    for name in names:
        kubectl("create", "namespace", name)
    yield Lab(*(Pods(kubectl, name) for name in names))
    kubectl("delete", "namespace", *names, "--wait=false")


def test_everything_passes_where_no_policy_selects_and_nothing_where_one_allows_nothing(lab: Lab) -> None:
    attempts = [("friend",), ("neighbour",), *(("friend", "server", 8080, kind) for kind in ("UDP", "ICMP"))]
    lab.becomes(dict.fromkeys(attempts, True))

    with lab.policy(policyTypes=["Ingress"]):
        lab.becomes(dict.fromkeys(attempts, False))
        assert lab.reaches("server", "friend")


def test_whom_labels_select_may_come_in(lab: Lab) -> None:
    with lab.policy(policyTypes=["Ingress"], ingress=[{"from": [pod_selector(app="friend")]}]):
        lab.becomes({("stranger",): False, ("friend",): True, ("neighbour",): False})


def test_a_namespace_may_come_in_by_its_labels(lab: Lab) -> None:
    labels = {"kubernetes.io/metadata.name": lab.there.namespace}
    peer = {"namespaceSelector": {"matchLabels": labels}}
    with lab.policy(policyTypes=["Ingress"], ingress=[{"from": [peer]}]):
        lab.becomes({("friend",): False, ("neighbour",): True})

        lab.there("label", "namespace", lab.there.namespace, "team=there")
        lab.apply(
            policyTypes=["Ingress"], ingress=[{"from": [{"namespaceSelector": {"matchLabels": {"team": "there"}}}]}]
        )
        lab.becomes({("neighbour",): True})
        lab.there("label", "namespace", lab.there.namespace, "team-")
        lab.becomes({("neighbour",): False})


@pytest.mark.parametrize(
    ("ports", "passes"),
    [
        ([{"port": 8080}], {8080}),
        ([{"port": "other"}], {8081}),
        ([{"port": 8081, "endPort": 8090}], {8081, 8090}),
        ([{"protocol": "UDP", "port": 8080}], set()),
    ],
)
def test_only_the_ports_that_are_named_are_open(lab: Lab, ports: list[dict[str, object]], passes: set[int]) -> None:
    with lab.policy(policyTypes=["Ingress"], ingress=[{"ports": ports}]):
        lab.becomes({("friend", "server", port): port in passes for port in (8080, 8081, 8090)})
        assert lab.reaches("friend", "server", 8080, "UDP") is (not passes)


def test_a_range_of_addresses_is_open_but_for_its_exception(lab: Lab) -> None:
    block = {"cidr": "10.244.0.0/16", "except": [f"{lab.address['stranger']}/32"]}
    with lab.policy(policyTypes=["Ingress"], ingress=[{"from": [{"ipBlock": block}]}]):
        lab.becomes({("stranger",): False, ("friend",): True, ("neighbour",): True})


def test_what_goes_out_is_judged_by_the_pod_behind_a_service(lab: Lab) -> None:
    lab.here("expose", "pod", "server", "--port=80", "--target-port=8080")
    service = lab.here("get", "service", "server", "-o", "jsonpath={.spec.clusterIP}")
    wait_until(lambda: lab.ask("friend", service, 80) == "answered", "the Service", 30.0)

    friend: dict[str, Any] = {"podSelector": {"matchLabels": {"app": "friend"}}, "policyTypes": ["Egress"]}
    with lab.policy(**friend, egress=[{"to": [pod_selector(app="server")], "ports": [{"port": 8080}]}]):
        lab.becomes({("friend", "stranger"): False, ("friend", "server"): True})
        assert lab.ask("friend", service, 80) == "answered"

        lab.apply(**friend, egress=[{"to": [{"ipBlock": {"cidr": f"{service}/32"}}]}])
        lab.becomes({("friend", "server"): False})
        assert lab.ask("friend", service, 80) == "silence"


def test_policies_add_up(lab: Lab) -> None:
    with (
        lab.policy("nobody", policyTypes=["Ingress"]),
        lab.policy("friend", policyTypes=["Ingress"], ingress=[{"from": [pod_selector(app="friend")]}]),
        lab.policy("neighbour", policyTypes=["Ingress"], ingress=[{"from": [{"namespaceSelector": {}}]}]),
    ):
        lab.becomes({("friend",): True, ("neighbour",): True})
        lab.here("delete", "networkpolicy", "neighbour")
        lab.becomes({("neighbour",): False, ("friend",): True})
        lab.apply("neighbour", policyTypes=["Ingress"])


def test_a_change_of_policy_cuts_an_open_connection(lab: Lab) -> None:
    lab.here.inside("friend", "sh", "-c", f"python3 -c '{TALK}' {lab.address['server']} >/tmp/said 2>&1 &")

    def said() -> list[str]:
        return lab.here.inside("friend", "cat", "/tmp/said").split()

    wait_until(lambda: said()[-2:] == ["answered", "answered"], "the conversation", 20.0)
    with lab.policy(policyTypes=["Ingress"]):
        wait_until(lambda: said()[-1:] == ["cut"], "the end of the conversation", 20.0)


def test_a_closed_pod_is_probed_by_its_node_and_talks_to_nobody(lab: Lab) -> None:
    with lab.policy(podSelector={}, policyTypes=["Ingress", "Egress"]):
        lab.becomes({("friend",): False, ("server", "friend"): False})

        lab.here("delete", "pod", "stranger")
        lab.start("stranger")

        assert lab.ask("stranger", lab.address["neighbour"]) == "silence"
