"""Root in a sandbox is an unprivileged user of the node wherever every node that may run it can do that."""

from typing import Any

import pytest

from sandkeeper.plan.observed import Settings
from sandkeeper.plan.user_namespace import NodeSupport
from sandkeeper.plan.writes import Create
from unit.fakes.objects import CAN, CAN_NOT, Json, node, plan, pod_of, sandbox

ABLE = node("able", labels={"zone": "a"}, handlers={"": CAN, "runsc": CAN})
UNABLE = node("unable", labels={"zone": "b"}, handlers={"": CAN_NOT, "runsc": CAN})
OLD = node("old", labels={"zone": "c"})
CLASSES = {"gvisor": "runsc", "kata": "kata-qemu"}


def host_users(nodes: tuple[Json, ...], settings: Settings | None = None, **spec: Any) -> object:
    support = NodeSupport(nodes=nodes, handlers=CLASSES)
    (write,) = plan(sandbox(**spec), nodes=support, settings=settings or Settings()).writes
    assert isinstance(write, Create)
    return write.obj["spec"].get("hostUsers")


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
