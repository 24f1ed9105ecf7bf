"""What a canary's pods look like, and what they try."""

import json
from dataclasses import replace
from typing import Any

import pytest

from sandkeeper.canary.attempts import Attempt, decoded
from sandkeeper.plan.canary import (
    ALLOWED,
    FORBIDDEN,
    CanarySettings,
    Surroundings,
    attempts,
    canary_pod,
    gateway_attempts,
    with_attempts,
)
from sandkeeper.plan.observed import EgressGateway

SETTINGS = CanarySettings(
    image="registry.example/operator:1",
    pull_secrets=("registry",),
    labels={"sidecar.istio.io/inject": "false"},
    annotations={"linkerd.io/inject": "disabled"},
)


def listening(address: str, *more: str) -> dict[str, Any]:
    return {"status": {"podIP": address, "hostIP": "192.0.2.1", "podIPs": [{"ip": each} for each in (address, *more)]}}


def around(**more: Any) -> Surroundings:
    return Surroundings(listening("10.1.0.2"), listening("10.1.0.3"), ("10.96.0.1", 443), **more)


def places(found: tuple[Attempt, ...]) -> set[str]:
    return {f"{each.means} {each.host} {each.port}" for each in found}


def test_everything_that_a_sandbox_must_not_reach_is_tried() -> None:
    found = attempts(around(api_endpoints=(("192.0.2.9", 6443),), node_port=30080))

    assert places(found) == {
        "listener 10.1.0.2 10007",
        "udp 10.1.0.2 10007",
        "icmp 10.1.0.2 0",
        "multicast  10007",
        "listener 10.1.0.3 10007",
        "dns-udp  53",
        "dns-tcp  53",
        "tcp 169.254.169.254 80",
        "tcp $(NODE_ADDRESS) 10250",
        "tcp 192.0.2.1 10250",
        "tcp 10.96.0.1 443",
        "tcp 192.0.2.9 6443",
        "tcp $(NODE_ADDRESS) 30080",
        "tcp 192.0.2.1 30080",
    }


def test_a_second_address_family_is_tried_too() -> None:
    both = Surroundings(listening("10.1.0.2", "fd00::2"), listening("10.1.0.3"), ("10.96.0.1", 443))

    assert "listener fd00::2 10007" in places(attempts(both))


def test_nothing_public_is_tried_unless_the_platform_team_says_so() -> None:
    extra = Attempt("the database", "tcp", "192.0.2.77", 5432)

    assert attempts(around(), [extra])[-1] == extra


@pytest.mark.parametrize(
    ("part", "fenced"), [("target", False), ("neighbour", True), ("control", False), ("fenced", True)]
)
def test_the_fence_selects_one_half_alone(part: Any, fenced: bool) -> None:
    labels = canary_pod(part, "team", "team", "0a", SETTINGS)["metadata"]["labels"]

    assert (labels.get("sandkeeper.dev/role") == "sandbox") is fenced
    assert labels["sandkeeper.dev/canary"] == "team"
    # What watches sandboxes' children must not see it.
    assert "sandkeeper.dev/managed" not in labels


def test_a_canary_has_no_rights_and_ends_by_itself() -> None:
    pod = canary_pod("control", "sandkeeper-system", "team", "0a", SETTINGS)

    spec, container = pod["spec"], pod["spec"]["containers"][0]
    assert pod["metadata"]["name"] == "sandkeeper-canary-control-0a"
    assert spec["automountServiceAccountToken"] is False
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert spec["restartPolicy"] == "Never"
    assert spec["activeDeadlineSeconds"] == 60
    assert "priorityClassName" not in spec


@pytest.mark.parametrize(("part", "names"), [("target", ["registry"]), ("fenced", [])])
def test_pull_secrets_are_named_where_they_are(part: Any, names: list[str]) -> None:
    pod = canary_pod(part, "team", "team", "0a", SETTINGS)

    assert [each["name"] for each in pod["spec"]["imagePullSecrets"]] == names


def test_the_attempts_reach_the_process_as_they_are() -> None:
    tried = attempts(around())

    container = with_attempts(canary_pod("fenced", "team", "team", "0a", SETTINGS), tried)["spec"]["containers"][0]

    command, argument = container["args"]
    assert command == "probe"
    assert tuple(decoded(argument)) == tried
    assert json.loads(argument)[0]["name"] == "a pod's address"
    assert container["env"][0]["valueFrom"] == {"fieldRef": {"fieldPath": "status.hostIP"}}


def test_the_gateway_is_asked_for_a_domain_that_is_allowed_and_for_one_that_is_not() -> None:
    tried = gateway_attempts(around(gateway="10.96.0.53"))

    assert [(each.name, each.means, each.host, each.port) for each in tried] == [
        (ALLOWED, "name", "10.96.0.53", 53),
        (FORBIDDEN, "name", "10.96.0.53", 53),
        (FORBIDDEN, "tls", "10.96.0.53", 443),
    ]
    assert [bool(each.patience) for each in tried] == [True, False, False], "what is refused is tried after it"
    assert gateway_attempts(around()) == ()


@pytest.mark.parametrize("part", ["target", "neighbour", "control", "fenced"])
def test_the_fenced_half_alone_is_granted_the_domain_that_it_asks_for(part: Any) -> None:
    with_gateway = replace(SETTINGS, gateway=EgressGateway("sandkeeper-system", {"a": "b"}))

    annotations = canary_pod(part, "team", "team", "0a", with_gateway)["metadata"]["annotations"]

    granted = json.loads(annotations.get("sandkeeper.dev/egress", "{}")).get("domains", [])
    asked = [each.domain for each in gateway_attempts(around(gateway="10.96.0.53")) if each.name == ALLOWED]
    assert granted == (asked if part == "fenced" else [])
    assert "sandkeeper.dev/egress" not in canary_pod(part, "team", "team", "0a", SETTINGS)["metadata"]["annotations"]
