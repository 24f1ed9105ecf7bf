"""Sandboxes are deleted, one by one or with their namespace: everything goes, and nothing is tried for ever."""

from collections import Counter

from api.operator.conftest import StartOperator
from api.operator.kubelet import Kubelet
from api.operator.kubernetes_api import NAMESPACES
from api.operator.operator_process import OperatorProcess
from api.operator.team import Team
from api.operator.waiting import eventually
from sandkeeper.controllers.cluster import SANDBOXES
from sandkeeper.runtime.resource import NETWORK_POLICIES, PODS

WEB = {"name": "web", "port": 8080}
MANY = 100


def test_a_deleted_sandbox_leaves_nothing(operator: OperatorProcess, team: Team) -> None:
    team.create(ports=[WEB])
    team.await_running()

    team.delete()

    team.await_nothing()


def test_the_fence_stays_as_long_as_there_is_a_sandbox(operator: OperatorProcess, team: Team) -> None:
    for name in ("first", "second"):
        team.create(name)
    team.await_running(["first", "second"])

    team.delete("first")

    eventually(lambda: team.names(PODS) == ["sbx-second"], "end of the first pod")
    assert team.names(NETWORK_POLICIES) == ["sandkeeper-fence"]
    team.delete("second")
    team.await_nothing()


def test_a_sandbox_whose_finalizer_is_somebody_elses(operator: OperatorProcess, team: Team) -> None:
    team.create()
    team.await_running()
    team.api.merge(SANDBOXES, team.namespace, "agent", {"metadata": {"finalizers": ["example.com/audit"]}})

    team.delete()

    eventually(lambda: team.names(PODS) == [], "end of the pod")
    assert team.names(SANDBOXES) == ["agent"]
    team.api.merge(SANDBOXES, team.namespace, "agent", {"metadata": {"finalizers": None}})
    team.await_nothing()


def test_a_sandbox_that_never_ran_is_deleted(operator: OperatorProcess, team: Team, kubelet: Kubelet) -> None:
    kubelet.leave(team.namespace)
    team.create(ports=[WEB])
    team.await_pod()

    team.delete()

    team.await_nothing()


def test_made_anew_under_its_name_while_the_old_pod_ends(
    operator: OperatorProcess, team: Team, kubelet: Kubelet
) -> None:
    team.create(ports=[WEB])
    team.await_running()
    old = team.pod()["metadata"]["uid"]
    kubelet.leave(team.namespace)
    team.delete()
    eventually(lambda: "deletionTimestamp" in team.pod()["metadata"], "pod that is ending")

    anew = team.create(ports=[WEB])
    kubelet.resume(team.namespace)

    pod = team.await_pod(other_than=old)
    assert pod["metadata"]["ownerReferences"][0]["uid"] == anew["metadata"]["uid"]
    team.await_reason("Running")
    eventually(
        lambda: (
            team.children
            == {"pods": ["sbx-agent"], "services": ["agent"], "networkpolicies": ["sandkeeper-fence", "sbx-agent"]}
        ),
        lambda: f"children of the new sandbox, but {team.children}",
    )


def test_a_hundred_sandboxes_go_with_their_namespace(start_operator: StartOperator, team: Team) -> None:
    operator = start_operator(lease_seconds=3)
    names = [f"agent-{number}" for number in range(MANY)]
    for name in names:
        team.create(name, ports=[WEB])
    team.await_running(names)

    team.api.delete(NAMESPACES, "", team.namespace)

    eventually(lambda: team.api.find(NAMESPACES, "", team.namespace) is None, "end of the namespace", seconds=180)
    await_silence(operator, team.namespace)
    refused = Counter(
        call.what for call in operator.proxy.calls if call.namespace == team.namespace and call.code >= 400
    )
    # Once at most for each loss that is heard of: the pod, the Service, the policy, the fence.
    assert refused["create pods"] <= 4 * MANY
    assert refused.total() <= 6 * MANY
    assert operator.ready
    assert operator.probe("healthz")[0] == 200


def await_silence(operator: OperatorProcess, namespace: str) -> None:
    """Wait for a time in which the operator renews its Leases and asks nothing of a namespace."""

    def settled() -> bool:
        before, rounds = calls_to(operator, namespace), lease_rounds(operator)
        eventually(lambda: lease_rounds(operator) >= rounds + 4, "renewal of the leases")
        return calls_to(operator, namespace) == before

    eventually(settled, "end of calls")


def calls_to(operator: OperatorProcess, namespace: str) -> int:
    return sum(call.namespace == namespace for call in operator.proxy.calls)


def lease_rounds(operator: OperatorProcess) -> int:
    return sum(call.what == "list leases" for call in operator.proxy.calls)
