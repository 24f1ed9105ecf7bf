"""Service and policies follow the ports; and nothing that is somebody else's is ever touched."""

import copy
from typing import Any

import pytest

from sandkeeper.plan.observed import Settings
from sandkeeper.plan.writes import Create, Delete, Patch, Write
from unit.fakes.objects import (
    Json,
    fence,
    plan,
    pod_of,
    ports_policy_of,
    sandbox,
    service_of,
    told,
)

HTTP = [{"name": "http", "port": 8080}]
BOTH = [*HTTP, {"name": "vnc", "port": 5900}]
WITH = sandbox(ports=HTTP)


def running(owner: Any = WITH, **known: Any) -> tuple[Write, ...]:
    children = {"pod": pod_of(WITH), "service": service_of(WITH), "ports_policy": ports_policy_of(WITH)}
    return plan(owner, **(children | known)).writes


def test_children_that_are_as_they_should_be_are_left_alone() -> None:
    assert running() == ()


def test_what_is_missing_is_made_again() -> None:
    again = running(service=None, ports_policy=None)

    assert [(type(write), write.obj["kind"]) for write in again if isinstance(write, Create)] == [
        (Create, "Service"),
        (Create, "NetworkPolicy"),
    ]


def test_another_port_is_patched_into_service_and_policy() -> None:
    service, policy = running(sandbox(ports=BOTH))

    assert isinstance(service, Patch)
    assert [port["port"] for port in service.patch["spec"]["ports"]] == [8080, 5900]
    assert isinstance(policy, Patch)
    assert policy.patch["spec"]["ingress"][0]["ports"] == [
        {"port": 8080, "protocol": "TCP"},
        {"port": 5900, "protocol": "TCP"},
    ]


def test_without_ports_service_and_policy_go() -> None:
    assert running(sandbox()) == (Delete(service_of(WITH)), Delete(ports_policy_of(WITH)))


def test_a_child_that_is_on_its_way_out_is_waited_for() -> None:
    going = service_of(WITH)
    going["metadata"]["deletionTimestamp"] = "2026-03-01T12:00:00Z"

    assert running(service=going) == ()


def test_a_service_that_somebody_turned_is_turned_back() -> None:
    turned = service_of(WITH)
    turned["spec"] |= {"type": "NodePort", "selector": {"app": "else"}}

    (patch,) = running(service=turned)

    assert isinstance(patch, Patch)
    assert patch.patch["spec"]["type"] == "ClusterIP"
    assert patch.patch["spec"]["selector"]["app"] is None


WIDENED: list[tuple[str, Json]] = [
    ("ingress", {"ingress": [{}]}),
    ("egress", {"egress": [{"to": [{"ipBlock": {"cidr": "0.0.0.0/0"}}]}]}),
    ("types", {"policyTypes": ["Ingress"]}),
    ("selector", {"podSelector": {"matchLabels": {"app": "else"}}}),
    ("expressions", {"podSelector": {**fence()["spec"]["podSelector"], "matchExpressions": [{"key": "x"}]}}),
]


@pytest.mark.parametrize("change", [row[1] for row in WIDENED], ids=[row[0] for row in WIDENED])
def test_a_fence_that_somebody_widened_is_closed_again(change: Json) -> None:
    widened = copy.deepcopy(fence())
    widened["spec"] |= change

    (patch,) = running(fence=widened)

    assert isinstance(patch, Patch)
    after = {name: value for name, value in (widened["spec"] | patch.patch["spec"]).items() if value is not None}
    for name, value in patch.patch["spec"].items():
        if isinstance(value, dict) and isinstance(widened["spec"].get(name), dict):
            merged = widened["spec"][name] | value
            after[name] = {k: v for k, v in merged.items() if v is not None}
            if "matchLabels" in value:
                labels = widened["spec"][name]["matchLabels"] | value["matchLabels"]
                after[name]["matchLabels"] = {k: v for k, v in labels.items() if v is not None}
    assert after == fence()["spec"]


@pytest.mark.parametrize("missing", ["pod", "nothing"])
def test_a_missing_fence_comes_before_anything_else(missing: str) -> None:
    first, *_ = running(fence=None, **({"pod": None} if missing == "pod" else {}))

    assert isinstance(first, Create)
    assert first.obj["metadata"]["name"] == "sandkeeper-fence"


@pytest.mark.parametrize("known", [{}, {"fence": None}], ids=["fence of an older release", "nothing"])
def test_a_missing_sign_comes_before_even_the_fence(known: dict[str, None]) -> None:
    first, *_ = running(fence_sign=None, **known)

    assert isinstance(first, Create)
    assert (first.obj["kind"], first.obj["metadata"]["name"]) == ("Fence", "sandkeeper-fence")


FOREIGN: list[tuple[str, Json]] = [
    ("unowned", {"ownerReferences": []}),
    (
        "of a Deployment",
        {"ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "a", "uid": "x"}]},
    ),
    (
        "of another sandbox",
        {
            "ownerReferences": [
                {
                    "apiVersion": "sandkeeper.dev/v1alpha1",
                    "kind": "Sandbox",
                    "name": "b",
                    "uid": "uid-a",
                    "controller": True,
                }
            ]
        },
    ),
]


@pytest.mark.parametrize("kind", ["pod", "service", "ports_policy"])
@pytest.mark.parametrize("metadata", [row[1] for row in FOREIGN], ids=[row[0] for row in FOREIGN])
def test_an_object_that_is_not_ours_is_a_conflict_and_stays_as_it_is(kind: str, metadata: Json) -> None:
    child: Json = {"pod": pod_of, "service": service_of, "ports_policy": ports_policy_of}[kind](WITH)
    child["metadata"] |= metadata

    known: Json = {kind: child}

    seen = plan(WITH, **known)

    assert seen.writes == ()
    assert told(seen) == {
        "Ready": ("False", "Conflict"),
        "Running": ("False", "Conflict"),
        "Stalled": ("True", "Conflict"),
    }
    assert f"{child['kind']} {child['metadata']['name']} is there and does not belong" in seen.state.message


def test_a_pod_that_is_ready_runs_whatever_is_in_the_way_beside_it() -> None:
    service = service_of(WITH)
    service["metadata"] |= {"ownerReferences": []}

    seen = plan(WITH, pod=pod_of(WITH), service=service)

    assert told(seen) == {
        "Ready": ("False", "Conflict"),
        "Running": ("True", "Running"),
        "Stalled": ("True", "Conflict"),
    }
    assert seen.status["podIP"] == pod_of(WITH)["status"]["podIP"]


def test_a_fence_that_is_not_ours_is_a_conflict_too() -> None:
    foreign = fence()
    foreign["metadata"]["labels"] = {}

    seen = plan(WITH, fence=foreign)

    assert (seen.writes, seen.state.reason) == ((), "Conflict")


def test_a_conflict_over_one_name_does_not_leave_the_namespace_without_its_fence() -> None:
    foreign = service_of(WITH)
    foreign["metadata"]["ownerReferences"] = []

    seen = plan(WITH, pod=pod_of(WITH), service=foreign, fence=None)

    assert [write.obj["metadata"]["name"] for write in seen.writes if isinstance(write, Create)] == ["sandkeeper-fence"]
    assert seen.state.reason == "Conflict"


def test_children_of_a_former_sandbox_of_this_name_are_removed_and_replaced_once_gone() -> None:
    new = sandbox(uid="uid-new", ports=HTTP)

    seen = plan(new, pod=pod_of(WITH), service=service_of(WITH), ports_policy=ports_policy_of(WITH))

    assert seen.writes == (Delete(pod_of(WITH)), Delete(service_of(WITH)), Delete(ports_policy_of(WITH)))
    assert "deleted sandbox of this name" in seen.state.message


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        ("labels", Settings(pod_labels={"mesh": "off"})),
        ("annotations", Settings(pod_annotations={"mesh": "off"})),
    ],
)
def test_a_sandbox_can_not_take_back_what_the_installation_has_settled(kind: str, settings: Settings) -> None:
    asking = sandbox(podTemplate={"metadata": {kind: {"mesh": "on"}}})

    seen = plan(asking, settings=settings)

    assert seen.writes == ()
    assert told(seen)["Stalled"] == ("True", "PolicyDenied")
    assert f"spec.podTemplate.metadata.{kind}: mesh is set to 'off'" in seen.state.message


def test_a_sandbox_may_ask_for_what_is_settled_anyway() -> None:
    asking = sandbox(podTemplate={"metadata": {"labels": {"mesh": "off"}}})

    assert plan(asking, settings=Settings(pod_labels={"mesh": "off"})).state.reason == "Starting"


def test_a_user_namespace_can_not_be_required_where_the_installation_has_none() -> None:
    asking = sandbox(security={"userNamespace": "Required"})

    seen = plan(asking, settings=Settings(user_namespaces="Never"))

    assert seen.writes == ()
    assert told(seen)["Stalled"] == ("True", "PolicyDenied")
    assert seen.state.message == (
        "spec.security.userNamespace: user namespaces are turned off for all sandboxes of this installation "
        "(sandboxPods.userNamespaces is Never), so it can't be Required; Auto and Never are allowed."
    )
