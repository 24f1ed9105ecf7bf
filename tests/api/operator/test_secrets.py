"""A changed Secret restarts who asks for it, and the operator is never sent what a Secret holds."""

import base64
from collections.abc import Iterator

import pytest
from aiohttp import web

from api.operator.conftest import StartOperator
from api.operator.kubernetes_api import Api, Json
from api.operator.operator_process import OperatorProcess
from api.operator.proxy import Call, Forward
from api.operator.team import Team
from sandkeeper.controllers.cluster import SANDBOXES
from sandkeeper.runtime.resource import EVENTS, PODS, SECRETS, Resource
from unit.chart.rendering import Helm, objects

CLUSTER_ROLES = Resource("rbac.authorization.k8s.io", "v1", "clusterroles", "ClusterRole", namespaced=False)
ROLE = "sandkeeper-operator"
VALUE = "v4lue-that-is-nowhere"
RESTARTED = [{"name": "openai", "onChange": "Restart"}]


@pytest.fixture
def granted(api: Api, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The rights that the chart gives with the switch."""
    before = api.get(CLUSTER_ROLES, "", ROLE)["rules"]
    rendered = Helm(tmp_path_factory.mktemp("helm")).rendered({"secrets": {"restartOnChange": True}})
    (role,) = (each for each in objects(rendered, "ClusterRole") if each["metadata"]["name"] == ROLE)
    api.merge(CLUSTER_ROLES, "", ROLE, {"rules": role["rules"]})
    yield
    api.merge(CLUSTER_ROLES, "", ROLE, {"rules": before})


@pytest.fixture
def watching(start_operator: StartOperator, granted: None) -> OperatorProcess:
    """An operator that may see Secrets change."""
    return start_operator(restart_on_secret_change=True)


def put(team: Team, value: str, name: str = "openai") -> None:
    """Create a Secret, or write another value to it."""
    data = {"data": {"KEY": base64.b64encode(value.encode()).decode()}}
    if team.find(SECRETS, name):
        team.api.merge(SECRETS, team.namespace, name, data)
    else:
        team.api.create(SECRETS, team.namespace, {"metadata": {"name": name}, **data})


def uid(team: Team, name: str = "agent") -> str:
    return str(team.pod(name)["metadata"]["uid"])


def test_a_changed_secret_restarts_who_asks_for_it_and_nobody_else(team: Team, watching: OperatorProcess) -> None:
    secrets = {
        "asks": RESTARTED,
        "does-not": [{"name": "openai"}],
        "other": [{"name": "smtp", "onChange": "Restart"}],
    }
    put(team, "one")
    put(team, "one", "smtp")
    for name, asked in secrets.items():
        team.create(name, secrets=asked)
    team.await_running(secrets)
    before = {name: uid(team, name) for name in secrets}

    put(team, "two")

    team.await_pod("asks", other_than=before["asks"])
    team.await_reason("Running", "asks")
    assert (uid(team, "does-not"), uid(team, "other")) == (before["does-not"], before["other"])


def test_the_operator_is_never_sent_what_a_secret_holds(
    team: Team, start_operator: StartOperator, granted: None
) -> None:
    asked: list[str] = []
    operator = start_operator(begin=True, restart_on_secret_change=True)

    async def note(request: web.Request, call: Call, forward: Forward) -> web.StreamResponse:
        asked.append(f"{call.verb} {request.headers['Accept']}")
        return await forward()

    operator.proxy.harm(lambda call: call.resource == "secrets", note, times=None)
    operator.start()
    put(team, VALUE)
    team.create(secrets=RESTARTED)
    team.await_running()
    first = uid(team)
    put(team, f"{VALUE}-2")
    team.await_pod(other_than=first)
    team.await_reason("Running")

    kinds = {verb: kind for verb, _, kind in (each.partition(" ") for each in asked)}
    assert kinds == {
        "list": "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1",
        "watch": "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1",
    }
    told = [team.api.list(resource, team.namespace) for resource in (SANDBOXES, PODS, EVENTS)]
    for text in (str(told), str(operator.log), str(operator.metrics())):
        assert VALUE not in text
        assert base64.b64encode(VALUE.encode()).decode() not in text


def test_without_the_right_it_is_not_started_and_says_what_is_missing(team: Team, operator: OperatorProcess) -> None:
    team.create(secrets=RESTARTED)

    denied = team.await_reason("PolicyDenied")

    assert "secrets.restartOnChange of its chart is false" in _ready(denied)["message"]
    team.change(secrets=[{"name": "openai"}])
    team.await_reason("Running")


def _ready(sandbox: Json) -> Json:
    return next(each for each in sandbox["status"]["conditions"] if each["type"] == "Ready")
