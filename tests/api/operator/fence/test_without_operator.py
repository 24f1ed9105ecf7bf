"""What Kubernetes itself removes while no operator runs is not held up by the policies."""

from api.kubectl import Kubectl
from api.operator.conftest import StartOperator
from api.operator.kubernetes_api import NAMESPACES
from api.operator.team import Team
from api.operator.waiting import eventually
from sandkeeper.runtime.resource import NETWORK_POLICIES, PODS, SERVICES, Resource

PORTS = [{"name": "web", "port": 8080}]


def test_garbage_collection_removes_what_a_sandbox_left_without_the_operator(
    start_operator: StartOperator, team: Team
) -> None:
    operator = start_operator(lease_seconds=3)
    team.create(ports=PORTS)
    team.await_running()
    operator.stop()

    team.delete()

    # The fence is the namespace's: the operator removes it when it is back.
    left = {"pods": [], "services": [], "networkpolicies": ["sandkeeper-fence"]}
    eventually(lambda: team.children == left, lambda: f"nothing but the fence, but {team.children}")
    operator.start()
    team.create("next")
    team.await_running(["next"])
    team.delete("next")
    team.await_nothing()


def test_a_namespace_ends_without_the_operator(start_operator: StartOperator, team: Team) -> None:
    operator = start_operator(lease_seconds=3)
    team.create(ports=PORTS)
    team.await_running()
    operator.stop()

    team.api.delete(NAMESPACES, "", team.namespace)

    eventually(lambda: team.api.find(NAMESPACES, "", team.namespace) is None, "end of the namespace")


def test_a_child_that_sandboxes_leave_behind_on_purpose_becomes_nobodys(
    start_operator: StartOperator, team: Team, kubectl: Kubectl
) -> None:
    operator = start_operator(lease_seconds=3)
    team.create(ports=PORTS)
    team.await_running()
    operator.stop()

    kubectl("delete", "sandbox", "agent", "--cascade=orphan", f"--namespace={team.namespace}")

    for resource, name in ((PODS, "sbx-agent"), (SERVICES, "agent"), (NETWORK_POLICIES, "sbx-agent")):
        await_end_of_ownership(team, resource, name)
        kubectl("delete", resource.plural, name, f"--namespace={team.namespace}")


def await_end_of_ownership(team: Team, resource: Resource, name: str) -> None:
    eventually(lambda: "ownerReferences" not in team.get(resource, name)["metadata"], f"{name} without an owner")
