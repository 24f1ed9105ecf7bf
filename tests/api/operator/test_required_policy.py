"""Where each namespace is to have a policy, the operator holds to that too: one may go after its sandboxes came."""

from threading import Event

import pytest

from api.operator.conftest import StartOperator
from api.operator.operator_process import OperatorProcess
from api.operator.policies import rule
from api.operator.proxy import held
from api.operator.team import Team, condition
from sandkeeper.controllers.policies import POLICIES
from sandkeeper.runtime.resource import PODS


@pytest.fixture
def requiring(start_operator: StartOperator) -> OperatorProcess:
    """An operator of an installation that requires policies."""
    return start_operator(require_policy=True)


def test_no_sandbox_starts_without_a_policy_where_one_is_required_and_all_heal_with_it(
    requiring: OperatorProcess, team: Team
) -> None:
    team.create()

    told = condition(team.await_reason("PolicyDenied"), "Ready")["message"]

    assert told.startswith(f"metadata.namespace: {team.namespace} has no SandboxPolicy named default, ")
    assert team.names(PODS) == []
    rule(team)
    team.await_running()
    first = team.pod()["metadata"]["uid"]
    team.api.delete(POLICIES, team.namespace, "default")
    denied = team.await_reason("PolicyDenied")
    assert condition(denied, "Running")["status"] == "True"
    assert team.pod()["metadata"]["uid"] == first


def test_a_policy_that_comes_with_its_sandboxes_is_never_found_missing(requiring: OperatorProcess, team: Team) -> None:
    blind = Event()
    requiring.proxy.harm(lambda call: call.what == "watch sandboxpolicies", held(blind), times=None)
    requiring.proxy.cut_watches()
    team.api.create(POLICIES, team.namespace, {"metadata": {"name": "default"}, "spec": {}})
    team.create()

    team.await_running()

    assert team.events("PolicyDenied") == []
    blind.set()
