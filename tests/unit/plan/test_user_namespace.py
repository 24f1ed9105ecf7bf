"""Root in a sandbox is an unprivileged user of the node wherever every node that may run it can do that."""

from typing import Any

import pytest

from sandkeeper.plan.observed import Settings
from sandkeeper.plan.user_namespace import NodeSupport
from sandkeeper.plan.writes import Create, Delete
from unit.fakes.objects import CAN, CAN_NOT, Json, node, plan, pod_of, sandbox, told

ABLE = node("able", labels={"zone": "a"}, handlers={"": CAN, "runsc": CAN})
UNABLE = node("unable", labels={"zone": "b"}, handlers={"": CAN_NOT, "runsc": CAN})
OLD = node("old", labels={"zone": "c"})
CLASSES = {"gvisor": "runsc", "kata": "kata-qemu"}


def made(nodes: tuple[Json, ...], settings: Settings | None = None, **spec: Any) -> Json:
    """The spec of the pod that is made where these are the nodes."""
    support = NodeSupport(nodes=nodes, handlers=CLASSES)
    (write,) = plan(sandbox(**spec), nodes=support, settings=settings or Settings()).writes
    assert isinstance(write, Create)
    return dict(write.obj["spec"])


def host_users(nodes: tuple[Json, ...], settings: Settings | None = None, **spec: Any) -> object:
    return made(nodes, settings, **spec).get("hostUsers")


def required(**security: Any) -> Json:
    return {"security": {"userNamespace": "Required", **security}}


def selecting(zone: str) -> Json:
    return {"podTemplate": {"spec": {"nodeSelector": {"zone": zone}}}}


@pytest.mark.parametrize(
    ("nodes", "spec", "isolated"),
    [
        ((ABLE,), {}, True),
        ((ABLE, UNABLE), {}, False),
        ((ABLE, OLD), {}, False),
        ((ABLE, UNABLE, OLD), selecting("a"), True),
        ((ABLE, UNABLE), selecting("b"), False),
        ((ABLE,), selecting("nowhere"), False),
        ((), {}, False),
        ((ABLE, UNABLE), {"security": {"runtimeClassName": "gvisor"}}, True),
        ((ABLE,), {"security": {"runtimeClassName": "kata"}}, False),
        ((ABLE,), {"security": {"runtimeClassName": "unheard-of"}}, False),
    ],
)
def test_every_node_that_may_run_the_pod_has_to_be_able(nodes: tuple[Json, ...], spec: Json, isolated: bool) -> None:
    assert (host_users(nodes, **spec) is False) == isolated


def test_the_installation_can_do_without() -> None:
    assert host_users((ABLE,), Settings(user_namespaces="Never")) is None


@pytest.mark.parametrize("latched", [True, False])
def test_a_pod_that_is_there_keeps_what_it_started_with(latched: bool) -> None:
    nodes = NodeSupport(nodes=(UNABLE,) if latched else (ABLE,), handlers=CLASSES)

    seen = plan(sandbox(), pod=pod_of(sandbox(), user_namespace=latched), nodes=nodes)

    assert seen.writes == ()
    assert seen.status["userNamespace"] is latched


def test_a_sandbox_can_do_without() -> None:
    assert host_users((ABLE,), security={"userNamespace": "Never"}) is None


@pytest.mark.parametrize(
    ("nodes", "spec"),
    [
        ((ABLE,), required()),
        ((UNABLE,), required(runtimeClassName="gvisor")),
        # Where no node or no such RuntimeClass is there, scheduler and API server say so.
        ((), required()),
        ((UNABLE,), required() | selecting("nowhere")),
        ((UNABLE,), required(runtimeClassName="unheard-of")),
    ],
)
def test_a_required_one_is_asked_for(nodes: tuple[Json, ...], spec: Json) -> None:
    pod = made(nodes, **spec)

    assert pod["hostUsers"] is False
    assert "affinity" not in pod


@pytest.mark.parametrize(
    ("nodes", "spec", "says"),
    [
        (
            (UNABLE, OLD),
            required(),
            "spec.security.userNamespace is Required, but the default runtime has user namespaces on no node that may "
            "run the pod: not on old, unable. Add a node that has them, choose another RuntimeClass or nodeSelector, "
            "or allow Auto or Never.",
        ),
        ((ABLE, UNABLE), required() | selecting("b"), "not on unable."),
        ((ABLE,), required(runtimeClassName="kata"), "but RuntimeClass kata (handler kata-qemu) has user namespaces"),
        (tuple(node(f"n{number}") for number in range(5)), required(), "not on n0, n1, n2 and 2 more."),
    ],
)
def test_without_a_required_one_no_pod_is_made(nodes: tuple[Json, ...], spec: Json, says: str) -> None:
    seen = plan(sandbox(**spec), nodes=NodeSupport(nodes=nodes, handlers=CLASSES))

    assert seen.writes == ()
    assert told(seen)["Ready"] == ("False", "NoUserNamespace")
    assert told(seen)["Reconciling"] == ("True", "NoUserNamespace"), "it heals when a node can"
    assert says in seen.state.message


def off(*names: str) -> Json:
    return {"key": "kubernetes.io/hostname", "operator": "NotIn", "values": list(names)}


TERM = {"matchExpressions": [{"key": "pool", "operator": "Exists"}]}
FIELD = {"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["able"]}]}


def selected(affinity: Json) -> Json:
    found: Json = affinity["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    return found


def selecting_terms(*terms: Json) -> Json:
    return {
        "nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": list(terms)}},
        "podAffinity": {"kept": True},
    }


@pytest.mark.parametrize(
    ("affinity", "terms"),
    [
        (None, [{"matchExpressions": [off("h2", "old")]}]),
        ({"podAffinity": {"kept": True}}, [{"matchExpressions": [off("h2", "old")]}]),
        (
            selecting_terms(TERM, FIELD, {}),
            [
                {"matchExpressions": [*TERM["matchExpressions"], off("h2", "old")]},
                {**FIELD, "matchExpressions": [off("h2", "old")]},
                {},
            ],
        ),
    ],
    ids=["no affinity", "of another kind", "alternatives"],
)
def test_nodes_that_lack_a_required_one_are_avoided(affinity: Json | None, terms: list[Json]) -> None:
    named = node("unable", labels={"kubernetes.io/hostname": "h2"}, handlers={"": CAN_NOT})
    template: Json = {"podTemplate": {"spec": {"affinity": affinity}}} if affinity else {}

    pod = made((named, ABLE, OLD), **required(), **template)

    assert pod["hostUsers"] is False
    assert selected(pod["affinity"]) == {"nodeSelectorTerms": terms}
    assert pod["affinity"].get("podAffinity") == (affinity or {}).get("podAffinity")


@pytest.mark.parametrize("nonsense", ["any", {"requiredDuringSchedulingIgnoredDuringExecution": {"terms": 1}}])
def test_a_malformed_affinity_is_left_for_the_api_server_to_refuse(nonsense: object) -> None:
    affinity = {"nodeAffinity": nonsense}

    assert made((ABLE, OLD), **required(), podTemplate={"spec": {"affinity": affinity}})["affinity"] == affinity


def test_what_the_nodes_allowed_is_no_part_of_what_makes_a_pod_outdated() -> None:
    owner = sandbox(**required())
    pod = pod_of(owner, user_namespace=True)

    seen = plan(owner, pod=pod, nodes=NodeSupport(nodes=(OLD,), handlers=CLASSES))

    assert seen.writes == (), "it has one already"
    assert told(seen)["UpToDate"] == ("True", "UpToDate")


def test_who_comes_to_require_one_does_not_go_on_without() -> None:
    pod = pod_of(sandbox())

    seen = plan(sandbox(**required()), pod=pod, nodes=NodeSupport(nodes=(OLD,), handlers=CLASSES))

    assert seen.writes == (Delete(pod),)


UNKNOWN = node("starting")
PENDING = {"phase": "Pending"}


@pytest.mark.parametrize(
    ("on", "isolated", "status", "spec", "leaves"),
    [
        (UNABLE, True, PENDING, {}, True),
        (UNABLE, True, PENDING, required(), True),
        (UNABLE, True, None, {}, False),
        (UNABLE, False, PENDING, {}, False),
        (UNABLE, True, PENDING, {"security": {"runtimeClassName": "gvisor"}}, False),
        (UNABLE, True, PENDING, {"security": {"runtimeClassName": "unheard-of"}}, False),
        (UNKNOWN, True, PENDING, {}, False),
        (ABLE, True, PENDING, {}, False),
        (None, True, PENDING, {}, False),
    ],
)
def test_a_pod_leaves_a_node_that_can_never_start_it(
    on: Json | None, isolated: bool, status: Json | None, spec: Json, leaves: bool
) -> None:
    owner = sandbox(**spec)
    pod = pod_of(owner, status, user_namespace=isolated)

    seen = plan(owner, pod=pod, node=on, nodes=NodeSupport(nodes=(ABLE, UNABLE), handlers=CLASSES))

    assert (seen.writes == (Delete(pod),)) == leaves
    assert ("node unable has no user namespaces for it" in seen.state.message) == leaves
