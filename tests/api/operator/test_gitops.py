"""What a GitOps controller owns stays as it wrote it, and what it asks of an object it is told.

Specs are applied as kubectl, Helm and Argo CD do it, while the operator works on what they describe.
"""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from api.kubectl import Kubectl
from api.operator.kubernetes_api import Json
from api.operator.operator_process import OperatorProcess
from api.operator.team import Team, condition
from api.operator.waiting import eventually
from localcluster.controlplane import ControlPlane
from sandkeeper.controllers.cluster import SANDBOXES

STORY = """
apiVersion: sandkeeper.dev/v1alpha1
kind: Sandbox
metadata: {name: agent, labels: {team: leads}, annotations: {example.com/owner: leads}}
spec:
  image: registry.example/agent:1
  args: [serve]
  env: [{name: STAGE, value: prototyping}]
  ports: [{name: web, port: 8080}]
  resources: {limits: {cpu: 2000m, memory: 4096Mi}}
  workspace: {type: Ephemeral}
  lifecycle: {ttl: 240h}
  podTemplate: {metadata: {labels: {team: leads}}}
"""
MINIMAL = """
apiVersion: sandkeeper.dev/v1alpha1
kind: Sandbox
metadata: {name: agent}
spec: {workspace: {type: Ephemeral}}
"""
OTHERS = ["--server-side", "--field-manager=argocd-controller"]
WAYS = pytest.mark.parametrize("way", [[], OTHERS], ids=["client-side", "server-side"])
STORIES = pytest.mark.parametrize("story", [STORY, MINIMAL], ids=["agent", "minimal"])


@pytest.fixture
def kubectl(apiserver: ControlPlane, team: Team, tmp_path: Path) -> Kubectl:
    """kubectl as the cluster's administrator, in the team's namespace."""
    return Kubectl(apiserver.kubeconfig, tmp_path, f"--namespace={team.namespace}")


def managed_by(sandbox: Json) -> dict[str, set[str]]:
    """Top-level fields that each manager has written."""
    managers: dict[str, set[str]] = {}
    for each in sandbox["metadata"]["managedFields"]:
        managers.setdefault(each["manager"], set()).update(each["fieldsV1"])
    return managers


def drift(kubectl: Kubectl, manifest: str, way: list[str]) -> str:
    """What applying a manifest would change; empty for nothing."""
    return kubectl("diff", *way, "-f", "-", given=manifest)


@WAYS
@STORIES
def test_what_was_applied_is_never_found_changed(
    operator: OperatorProcess, team: Team, kubectl: Kubectl, way: list[str], story: str
) -> None:
    kubectl("apply", *way, "-f", "-", given=story)
    assert drift(kubectl, story, way) == ""
    (running,) = team.await_running()
    assert drift(kubectl, story, way) == ""

    team.change(lifecycle={"state": "Sleeping"})
    team.await_reason("Sleeping")

    assert drift(kubectl, story, way) == ""
    assert running["spec"] == yaml.safe_load(story)["spec"]
    # Applying once more is no change, and wakes nobody.
    kubectl("apply", *way, "-f", "-", given=story)
    assert team.get(SANDBOXES, "agent")["metadata"]["generation"] == 2
    assert condition(team.await_reason("Sleeping"), "Ready")["status"] == "True"


@WAYS
def test_the_operator_owns_the_status_and_nothing_else(
    operator: OperatorProcess, team: Team, kubectl: Kubectl, way: list[str]
) -> None:
    kubectl("apply", *way, "-f", "-", given=STORY)
    team.await_running()
    for state in ("Sleeping", "Running"):
        kubectl(
            "patch", "sandbox", "agent", "--type=merge", "-p", json.dumps({"spec": {"lifecycle": {"state": state}}})
        )
        team.await_reason(state)

    fields = managed_by(team.get(SANDBOXES, "agent"))

    writers = {manager for manager, written in fields.items() if "f:status" in written}
    assert len(writers) == 1
    assert fields[writers.pop()] == {"f:status"}


def test_two_who_apply_are_told_of_each_other_and_not_of_the_operator(
    operator: OperatorProcess, team: Team, kubectl: Kubectl
) -> None:
    kubectl("apply", *OTHERS, "-f", "-", given=STORY)
    team.await_running()

    same = kubectl("apply", "--server-side", "--field-manager=flux", "-f", "-", given=STORY)
    other = kubectl.refused(
        "apply", "--server-side", "--field-manager=flux", "-f", "-", given=STORY.replace("agent:1", "agent:2")
    )

    assert "serverside-applied" in same
    assert 'conflict with "argocd-controller": .spec.image' in other


def test_a_state_that_git_names_comes_back_with_the_next_sync(
    operator: OperatorProcess, team: Team, kubectl: Kubectl
) -> None:
    named = STORY.replace("ttl: 240h", "ttl: 240h, state: Running")
    kubectl("apply", "-f", "-", given=named)
    team.await_running()

    team.change(lifecycle={"state": "Sleeping"})
    team.await_reason("Sleeping")
    kubectl("apply", "-f", "-", given=named)

    team.await_reason("Running")


def test_another_word_in_its_annotation_restarts_it(operator: OperatorProcess, team: Team, kubectl: Kubectl) -> None:
    kubectl("apply", "-f", "-", given=STORY)
    team.await_running()
    first = team.pod()["metadata"]["uid"]

    kubectl("annotate", "sandbox", "agent", "sandkeeper.dev/restart=one")
    second = team.await_pod(other_than=first)
    team.await_running()
    assert drift(kubectl, STORY, []) == ""
    kubectl("annotate", "sandbox", "agent", "sandkeeper.dev/restart-")
    kubectl("annotate", "sandbox", "agent", "example.com/other=word")
    team.change(podTemplate={"metadata": {"labels": {"seen": "yes"}}})

    eventually(lambda: team.pod()["metadata"]["labels"].get("seen") == "yes", "label of a pod that stays")
    assert team.pod()["metadata"]["uid"] == second["metadata"]["uid"]


def progress(obj: Json) -> str:
    """Verdict of kstatus' generic rules, by which Helm 4, Flux and kpt wait (cli-utils, pkg/kstatus/status)."""
    status: Json = obj.get("status", {})
    conditions: dict[str, Any] = {each["type"]: each["status"] for each in status.get("conditions", ())}
    if "deletionTimestamp" in obj["metadata"]:
        return "Terminating"
    if status.get("observedGeneration", obj["metadata"]["generation"]) != obj["metadata"]["generation"]:
        return "InProgress"
    if conditions.get("Reconciling") == "True":
        return "InProgress"
    if conditions.get("Stalled") == "True":
        return "Failed"
    return "InProgress" if conditions.get("Ready", "True") in {"False", "Unknown"} else "Current"


def test_whoever_waits_by_kstatus_waits_as_long_as_needed(operator: OperatorProcess, team: Team) -> None:
    fresh = team.create(args=["serve"])
    (running,) = team.await_running()
    changed = team.change(lifecycle={"state": "Sleeping"})
    asleep = team.await_reason("Sleeping")
    team.change(lifecycle={"state": "Running"}, egress={"domains": ["example.com"]})
    without_gateway = team.await_reason("EgressUnavailable")

    assert [progress(each) for each in (fresh, running, changed, asleep, without_gateway)] == [
        "InProgress",
        "Current",
        "InProgress",
        "Current",
        "Failed",
    ]
