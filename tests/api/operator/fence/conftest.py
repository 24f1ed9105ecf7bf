"""A namespace with a sandbox in it, and who works there: a tenant with the stock role edit, and an administrator."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from api.kubectl import Kubectl
from api.operator.kubernetes_api import NAMESPACES, Api, Json
from api.operator.operator_process import OperatorProcess
from api.operator.team import Team
from api.operator.waiting import eventually
from localcluster.controlplane import ControlPlane
from sandkeeper.runtime.resource import NETWORK_POLICIES, PODS, SERVICES

THEIRS = Path(__file__).parent / "theirs.yaml"
TENANT = "tenant"
WIDENER = "widener"
"""A tenant who was granted the right to open sandboxes."""
ADMINISTRATOR = "administrator"

As = Callable[[str], Kubectl]


@pytest.fixture(scope="module")
def besieged(operator: OperatorProcess, api: Api, kubectl: Kubectl) -> Iterator[Team]:
    """Give a namespace in which a sandbox with a port runs beside objects of the tenant's own."""
    namespace = api.create(NAMESPACES, "", {"metadata": {"generateName": "besieged-"}})["metadata"]["name"]
    team = Team(api, namespace)
    may_edit(kubectl, namespace)
    grant = f"--namespace={namespace}"
    kubectl("create", "role", WIDENER, "--verb=widen", "--resource=sandboxes.sandkeeper.dev", grant)
    kubectl("create", "rolebinding", WIDENER, f"--role={WIDENER}", f"--user={WIDENER}", grant)
    team.create(ports=[{"name": "web", "port": 8080}])
    team.await_running()
    children = {"pods": ["sbx-agent"], "services": ["agent"], "networkpolicies": ["sandkeeper-fence", "sbx-agent"]}
    eventually(lambda: team.children == children, lambda: f"children of the sandbox, but {team.children}")
    kubectl("apply", "-f", str(THEIRS), f"--namespace={namespace}")
    yield team
    api.delete(NAMESPACES, "", namespace)


def may_edit(kubectl: Kubectl, namespace: str) -> None:
    """Give tenants the stock role in a namespace."""
    users = (f"--user={TENANT}", f"--user={WIDENER}")
    kubectl("create", "rolebinding", "tenants", "--clusterrole=edit", *users, f"--namespace={namespace}")


@pytest.fixture(scope="module")
def acting(apiserver: ControlPlane, besieged: Team, tmp_path_factory: pytest.TempPathFactory) -> As:
    """Return kubectl in the hands of one of them."""
    option = f"--namespace={besieged.namespace}"
    credentials = {user: apiserver.credentials(user) for user in (TENANT, WIDENER)}
    hands = {
        name: Kubectl(kubeconfig, tmp_path_factory.mktemp(name), option)
        for name, kubeconfig in {**credentials, ADMINISTRATOR: apiserver.kubeconfig}.items()
    }
    return hands.__getitem__


@pytest.fixture
def tenant(acting: As) -> Kubectl:
    """Return kubectl in the hands of a tenant."""
    return acting(TENANT)


@pytest.fixture
def administrator(acting: As) -> Kubectl:
    """Return kubectl in the hands of the cluster's administrator."""
    return acting(ADMINISTRATOR)


@pytest.fixture
def untouched(besieged: Team) -> Iterator[None]:
    """See to it that nothing was made, changed or removed."""
    before = standing(besieged)
    yield
    assert standing(besieged) == before


def standing(team: Team) -> dict[tuple[str, str], Json]:
    """Return what there is of pods, services and network policies, without what kubelets report."""
    return {
        (resource.plural, each["metadata"]["name"]): {
            "spec": each["spec"],
            **{field: each["metadata"].get(field) for field in ("uid", "labels", "annotations", "ownerReferences")},
        }
        for resource in (PODS, SERVICES, NETWORK_POLICIES)
        for each in team.api.list(resource, team.namespace)["items"]
    }


def sentence(said: str) -> str:
    """Return what a policy says of what it refused, without the names of policy and binding; else all that was said."""
    return said.rsplit("denied request: ", 1)[-1]
