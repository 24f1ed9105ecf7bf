"""The apiserver is slow, busy, forgetful or away: nothing is lost, doubled, or asked for again and again."""

from threading import Event

import pytest

from api.operator.operator_process import OperatorProcess
from api.operator.proxy import Call, answer_lost, answered, broken, expired, held
from api.operator.team import Team
from api.operator.waiting import eventually
from localcluster.controlplane import ControlPlane
from sandkeeper.runtime.resource import PODS

WEB = {"name": "web", "port": 8080}
ALL = {"pods": ["sbx-agent"], "services": ["agent"], "networkpolicies": ["sandkeeper-fence", "sbx-agent"]}
WRITES = [
    "create fences",
    "create networkpolicies",
    "create pods",
    "create services",
    "create networkpolicies",
    "patch sandboxes/status",
]


@pytest.fixture(autouse=True)
def healed(operator: OperatorProcess) -> None:
    operator.proxy.heal()


def watch_of_sandboxes(call: Call) -> bool:
    return call.verb == "watch" and call.resource == "sandboxes"


@pytest.mark.parametrize(
    ("status", "reason"),
    [(409, "Conflict"), (429, "TooManyRequests"), (500, "InternalError"), (503, "ServiceUnavailable")],
)
def test_every_write_is_refused_once(operator: OperatorProcess, team: Team, status: int, reason: str) -> None:
    refused: set[str] = set()

    def the_first_of_its_kind(call: Call) -> bool:
        first = call.is_write and f"{call.what} {call.name}" not in refused
        if first:
            refused.add(f"{call.what} {call.name}")
        return first

    operator.proxy.harm(the_first_of_its_kind, answered(status, reason), times=None)

    team.create(ports=[WEB])

    team.await_reason("Running")
    assert team.children == ALL
    assert operator.proxy.writes(team.namespace) == WRITES
    assert len(refused) >= len(set(WRITES))


def test_every_answer_is_lost_once(operator: OperatorProcess, team: Team) -> None:
    lost: set[str] = set()

    def the_first_of_its_kind(call: Call) -> bool:
        first = call.is_write and call.what not in lost
        if first:
            lost.add(call.what)
        return first

    operator.proxy.harm(the_first_of_its_kind, answer_lost, times=None)

    team.create(ports=[WEB])

    team.await_reason("Running")
    eventually(lambda: team.children == ALL, lambda: f"one of each, but {team.children}")
    assert operator.proxy.writes(team.namespace).count("create pods") == 1


def test_somebody_writes_between_reading_and_writing(operator: OperatorProcess, team: Team) -> None:
    team.create(podTemplate={"metadata": {"labels": {"crew": "a"}}})
    team.await_running()
    go = Event()
    rule = operator.proxy.harm(lambda call: call.what == "patch pods", held(go))
    team.change(podTemplate={"metadata": {"labels": {"crew": "b"}}})
    eventually(lambda: rule.befallen, "patch of the pod")

    team.api.merge(PODS, team.namespace, "sbx-agent", {"metadata": {"annotations": {"theirs": "kept"}}})
    go.set()

    eventually(lambda: team.pod()["metadata"]["labels"]["crew"] == "b", "changed label")
    assert rule.befallen[0].code == 409
    assert team.pod()["metadata"]["annotations"]["theirs"] == "kept"


def test_retry_after_is_honoured(operator: OperatorProcess, team: Team) -> None:
    # With the fence there already, no news of it asks for another pass before the time.
    team.create("first")
    team.await_running(["first"])

    def of_the_pod(call: Call) -> bool:
        return call.what == "create pods" and call.namespace == team.namespace

    operator.proxy.harm(of_the_pod, answered(429, "TooManyRequests", retry_after=3))

    team.create()

    team.await_reason("Running")
    _, refused, granted = filter(of_the_pod, operator.proxy.calls)
    assert granted.at - refused.at >= 3


def test_watches_are_cut_and_a_sandbox_is_deleted_meanwhile(operator: OperatorProcess, team: Team) -> None:
    team.create("kept")
    team.create("doomed", ports=[WEB])
    team.await_running(["kept", "doomed"])
    operator.proxy.harm(lambda call: call.verb == "watch", broken, times=None)
    operator.proxy.cut_watches()

    team.delete("doomed")
    team.create("late")
    operator.proxy.heal()

    team.await_running(["kept", "late"])
    eventually(lambda: team.names(PODS) == ["sbx-kept", "sbx-late"], lambda: f"two pods, but {team.children}")


@pytest.mark.parametrize("resource", ["sandboxes", "pods", "services", "networkpolicies"])
def test_a_watch_expires(operator: OperatorProcess, team: Team, resource: str) -> None:
    team.create(ports=[WEB])
    team.await_running()
    rule = operator.proxy.harm(lambda call: call.verb == "watch" and call.resource == resource, expired, times=2)

    operator.proxy.cut_watches()
    eventually(lambda: rule.spent, "watches that are told to start anew")
    team.create("late")
    team.api.delete(PODS, team.namespace, "sbx-agent")

    team.await_running(["agent", "late"])
    # The old pod's end may not be in the status yet.
    eventually(lambda: team.names(PODS) == ["sbx-agent", "sbx-late"], lambda: f"two pods, but {team.children}")


def test_a_deletion_that_no_watch_tells(operator: OperatorProcess, team: Team) -> None:
    team.create(ports=[WEB])
    team.await_running()
    mute = operator.proxy.harm(watch_of_sandboxes, broken, times=None)
    operator.proxy.cut_watches()
    eventually(lambda: mute.befallen, "attempt to watch again")

    team.delete()
    operator.proxy.heal()
    operator.proxy.harm(watch_of_sandboxes, expired)

    team.await_nothing()


def test_the_apiserver_restarts_in_the_middle_of_a_burst(
    operator: OperatorProcess, team: Team, apiserver: ControlPlane
) -> None:
    names = [f"agent-{number}" for number in range(20)]
    for name in names[:10]:
        team.create(name, ports=[WEB])

    apiserver.restart("kube-apiserver")

    for name in names[10:]:
        team.create(name, ports=[WEB])
    team.await_running(names)
    assert team.children == {
        "pods": sorted(f"sbx-{name}" for name in names),
        "services": sorted(names),
        "networkpolicies": sorted(["sandkeeper-fence", *(f"sbx-{name}" for name in names)]),
    }
    for name in names:
        team.delete(name)
    team.await_nothing()
