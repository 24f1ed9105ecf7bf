"""Sandboxes of a template: a change is taken as they ask, and only they hear of it."""

from collections.abc import Callable
from typing import Any

import pytest

from api.operator.kubernetes_api import Json
from api.operator.operator_process import OperatorProcess
from api.operator.proxy import Fault, after, before
from api.operator.team import Team, condition
from api.operator.waiting import eventually
from sandkeeper.controllers.cluster import SANDBOXES
from sandkeeper.controllers.templates import TEMPLATES
from sandkeeper.runtime.resource import PODS, SERVICES

Moment = Callable[[Callable[[], None]], Fault]
OLD, NEW = "registry.example/agent:1", "registry.example/agent:2"


def share(team: Team, name: str = "python", **spec: Any) -> None:
    """Create a template, or give it other fields."""
    if team.find(TEMPLATES, name):
        team.api.merge(TEMPLATES, team.namespace, name, {"spec": spec})
    else:
        team.api.create(TEMPLATES, team.namespace, {"metadata": {"name": name}, "spec": spec})


def of_template(team: Team, name: str = "agent", *, rollout: str = "OnRestart", template: str = "python") -> None:
    """Create a sandbox that has nothing of its own."""
    reference = {"name": template, "rollout": rollout}
    spec = {"templateRef": reference, "workspace": {"type": "Ephemeral"}}
    team.api.create(SANDBOXES, team.namespace, {"metadata": {"name": name}, "spec": spec})


def image(pod: Json) -> str:
    return str(pod["spec"]["containers"][0]["image"])


def uid(pod: Json) -> str:
    return str(pod["metadata"]["uid"])


def test_template_and_sandbox_that_come_together_start_at_once(operator: OperatorProcess, team: Team) -> None:
    share(team, image=OLD, ports=[{"name": "web", "port": 8080}])
    of_template(team)

    (agent,) = team.await_running()

    assert image(team.pod()) == OLD
    assert team.names(SERVICES) == ["agent"]
    assert agent["status"]["template"] == {"name": "python", "generation": 1}
    assert team.events("TemplateNotFound") == []


def test_a_change_is_taken_at_once_or_at_the_next_start_as_each_sandbox_asks(
    operator: OperatorProcess, team: Team
) -> None:
    share(team, image=OLD)
    of_template(team, "waits")
    of_template(team, "now", rollout="Immediate")
    team.await_running(["waits", "now"])
    waits, now = (uid(team.pod(name)) for name in ("waits", "now"))

    share(team, image=NEW)

    assert image(team.await_pod("now", other_than=now)) == NEW
    eventually(lambda: team.condition("UpToDate", "waits").get("reason") == "TemplateChanged", "told what waits")
    assert team.condition("UpToDate", "waits")["message"].startswith("SandboxTemplate python changed in image: ")
    assert uid(team.pod("waits")) == waits
    team.api.delete(PODS, team.namespace, "sbx-waits")
    assert image(team.await_pod("waits", other_than=waits)) == NEW
    eventually(lambda: team.condition("UpToDate", "waits").get("status") == "True", "up to date")


def test_a_template_that_is_missing_is_waited_for_and_only_those_are_woken_who_name_it(
    operator: OperatorProcess, team: Team
) -> None:
    of_template(team)
    of_template(team, "other", template="node")
    team.await_reason("TemplateNotFound")
    team.await_reason("TemplateNotFound", "other")

    share(team, image=OLD)

    team.await_running()
    assert team.names(PODS) == ["sbx-agent"]
    assert team.condition("Ready", "other")["reason"] == "TemplateNotFound"


def test_what_runs_goes_on_without_its_template_through_a_restart_of_the_operator(
    operator: OperatorProcess, team: Team
) -> None:
    share(team, image=OLD, ports=[{"name": "web", "port": 8080}])
    of_template(team)
    team.await_running()
    before_it, service = uid(team.pod()), uid(team.get(SERVICES, "agent"))

    team.api.delete(TEMPLATES, team.namespace, "python")
    eventually(lambda: team.condition("UpToDate").get("reason") == "TemplateNotFound", "told that it is gone")
    operator.stop()
    operator.start()
    team.change(podTemplate={"metadata": {"labels": {"touched": "yes"}}})
    eventually(lambda: team.pod()["metadata"]["labels"].get("touched") == "yes", "a change of its own")

    assert uid(team.pod()) == before_it
    assert uid(team.get(SERVICES, "agent")) == service
    assert condition(team.await_reason("Running"), "Ready")["status"] == "True"


@pytest.mark.parametrize("moment", [before, after])
@pytest.mark.parametrize("what", ["delete pods", "create pods"])
def test_an_operator_killed_in_the_middle_of_a_rollout_goes_on_with_it(
    operator: OperatorProcess, team: Team, moment: Moment, what: str
) -> None:
    share(team, image=OLD)
    of_template(team, rollout="Immediate")
    team.await_running()
    first = uid(team.pod())
    operator.proxy.harm(lambda call: call.namespace == team.namespace and call.what == what, moment(operator.kill))

    share(team, image=NEW)
    eventually(lambda: not operator.running, "killed operator")
    operator.start()

    assert image(team.await_pod(other_than=first)) == NEW
    # Until then the status is the one that was written before the operator was killed.
    newer = {"name": "python", "generation": 2}
    eventually(lambda: team.get(SANDBOXES, "agent")["status"]["template"] == newer, "told of the newer template")
    team.await_running()
