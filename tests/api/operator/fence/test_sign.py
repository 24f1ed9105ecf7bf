"""The sign of a fence, by which admission knows it: every fence has one, and every installation looks for them."""

from collections.abc import Callable, Iterator

import pytest

from api.kubectl import Kubectl
from api.operator.conftest import StartOperator
from api.operator.fence.conftest import ADMINISTRATOR, As, may_edit
from api.operator.fence.test_network_policies import policy
from api.operator.kubernetes_api import NAMESPACES, Api
from api.operator.operator_process import OperatorProcess
from api.operator.team import Team
from api.operator.waiting import eventually
from sandkeeper.controllers.cluster import FENCES
from sandkeeper.runtime.resource import NETWORK_POLICIES, Resource

REGISTRATION = "admissionregistration.k8s.io"
GUARD = [
    Resource(REGISTRATION, "v1", f"validatingadmission{plural}", f"ValidatingAdmission{kind}", namespaced=False)
    for plural, kind in (("policies", "Policy"), ("policybindings", "PolicyBinding"))
]
NAME = "sandkeeper-network-policies"


@pytest.mark.usefixtures("operator")
def test_it_comes_and_goes_with_the_fence(team: Team) -> None:
    team.create()
    team.await_running()

    assert team.names(FENCES) == team.names(NETWORK_POLICIES) == ["sandkeeper-fence"]

    team.delete()
    team.await_nothing()


@pytest.mark.usefixtures("operator", "unguarded")
def test_one_that_somebody_deleted_comes_back(team: Team) -> None:
    team.create()
    team.await_running()
    before = team.get(FENCES, "sandkeeper-fence")["metadata"]["uid"]

    team.api.delete(FENCES, team.namespace, "sandkeeper-fence", uid=before)

    eventually(lambda: team.names(FENCES) == ["sandkeeper-fence"], "another sign of the fence")
    assert team.get(FENCES, "sandkeeper-fence")["metadata"]["uid"] != before


@pytest.mark.usefixtures("unguarded")
def test_a_fence_from_before_there_were_signs_gets_one_and_no_pod_is_made_anew(
    start_operator: StartOperator, team: Team
) -> None:
    operator = start_operator(lease_seconds=3)
    team.create()
    team.await_running()
    pod, fence = team.pod(), team.get(NETWORK_POLICIES, "sandkeeper-fence")
    operator.stop()
    team.api.delete(FENCES, team.namespace, "sandkeeper-fence")

    operator.start()

    eventually(lambda: team.names(FENCES) == ["sandkeeper-fence"], "sign of the fence")
    assert team.pod()["metadata"]["uid"] == pod["metadata"]["uid"]
    assert team.get(NETWORK_POLICIES, "sandkeeper-fence")["metadata"]["uid"] == fence["metadata"]["uid"]


@pytest.mark.parametrize("verb", ["get", "list", "create", "patch", "update", "delete", "deletecollection"])
def test_tenants_have_no_right_to_it(tenant: Kubectl, verb: str) -> None:
    assert tenant.refused("auth", "can-i", verb, "fences.sandkeeper.dev", "--quiet") == ""


@pytest.fixture
def installed_again(api: Api, besieged: Team, acting: As) -> Iterator[None]:
    """Take the guard away for so long that the apiserver stops looking for fences, and put it back."""
    administrator = acting(ADMINISTRATOR)
    before = [api.get(resource, "", NAME) for resource in GUARD]
    for resource in GUARD:
        api.delete(resource, "", NAME)
    eventually(lambda: not refuses(administrator, besieged.namespace), "end of the guard")
    for resource, each in zip(GUARD, before, strict=True):
        kept = {field: each["metadata"][field] for field in ("name", "labels")}
        api.create(resource, "", {"metadata": kept, "spec": each["spec"]})
    eventually(lambda: refuses(administrator, besieged.namespace), "guard that is back")
    yield
    assert refuses(administrator, besieged.namespace)


@pytest.fixture
def new_namespace(api: Api, kubectl: Kubectl) -> Iterator[Callable[[], Team]]:
    """Give the tenants namespaces that are made when they are asked for."""
    made: list[str] = []

    def make() -> Team:
        made.append(api.create(NAMESPACES, "", {"metadata": {"generateName": "new-"}})["metadata"]["name"])
        may_edit(kubectl, made[-1])
        return Team(api, made[-1])

    yield make
    for name in made:
        api.delete(NAMESPACES, "", name)


@pytest.mark.usefixtures("installed_again")
def test_a_fence_that_is_made_after_the_guard_was_gone_and_came_back_is_guarded(
    operator: OperatorProcess, new_namespace: Callable[[], Team], tenant: Kubectl
) -> None:
    team = new_namespace()
    team.create()
    team.await_running()

    assert refuses(tenant, team.namespace)


def refuses(kubectl: Kubectl, namespace: str) -> bool:
    """Whether somebody is kept from opening a namespace's sandboxes, in a dry run."""
    options = ("--dry-run=server", f"--namespace={namespace}")
    try:
        kubectl("create", "-f", "-", *options, given=policy({}))
    except AssertionError as refused:
        return "may include sandboxes" in str(refused)
    return False
