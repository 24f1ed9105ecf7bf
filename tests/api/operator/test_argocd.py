"""What Argo CD says of objects as a real operator leaves them, and what its actions do to them.

With ``CAPTURE`` in the environment, the objects are written into the folders of ``docs/argocd`` that their tests read.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from api.operator.kubelet import Kubelet
from api.operator.kubernetes_api import Api, Json
from api.operator.operator_process import OperatorProcess
from api.operator.snapshotter import CLASS, Snapshotter
from api.operator.team import IMAGE, Team, condition
from api.operator.test_diffs import ask
from api.operator.test_diffs import await_reason as await_diff
from api.operator.test_snapshots import await_reason as await_snapshot
from api.operator.test_snapshots import take
from sandkeeper.controllers.cluster import SANDBOXES
from sandkeeper.controllers.copies import SNAPSHOTS
from sandkeeper.controllers.diffs import DIFFS
from unit.gitops.argocd import act, folder_of, health, offered

COPIED: Json = {"size": "1Gi", "storageClassName": CLASS}


@pytest.fixture(scope="module", autouse=True)
def snapshotter(api: Api) -> Iterator[Snapshotter]:
    with Snapshotter(api) as snapshotter:
        yield snapshotter


def says(obj: Json, verdict: str, capture: str = "") -> str:
    """Check the health of an object, keep it where that was asked for, and return the message."""
    if capture and "CAPTURE" in os.environ:
        kept(folder_of(obj) / f"{capture}.yaml", obj)
    found = health(obj)
    assert found["status"] == verdict, found
    return str(found["message"])


def kept(file: Path, obj: Json) -> None:
    """Write an object as ``kubectl get -o yaml`` does, which leaves out who manages which field."""
    metadata = {name: value for name, value in obj["metadata"].items() if name != "managedFields"}
    file.write_text(yaml.safe_dump({**obj, "metadata": metadata}, width=1000))


def test_a_sandbox_that_starts_runs_changes_sleeps_and_ends(operator: OperatorProcess, team: Team) -> None:
    says(
        team.create(args=["serve"], ports=[{"name": "web", "port": 8080}]),
        "Progressing",
        "testdata/progressing_pending",
    )
    (running,) = team.await_running()
    assert says(running, "Healthy", "testdata/healthy_running") == "Running: Running on node node-a."
    assert offered(running) == {"sleep", "restart"}

    changed = team.change(lifecycle={"state": "Sleeping"})
    assert "changed spec" in says(changed, "Progressing", "testdata/progressing_generation")
    asleep = team.await_reason("Sleeping")
    assert says(asleep, "Healthy", "testdata/healthy_sleeping").startswith("Sleeping: ")
    assert offered(asleep) == {"wake"}

    team.change(lifecycle={"state": "Running", "ttl": "1s"})
    expired = team.await_reason("Expired")
    assert says(expired, "Healthy", "testdata/healthy_expired").startswith("Expired: ")
    assert offered(expired) == set()


def test_trouble_that_may_end_by_itself_and_trouble_that_does_not(
    operator: OperatorProcess, team: Team, kubelet: Kubelet
) -> None:
    kubelet.leave(team.namespace)
    team.create()
    pod = team.await_pod()
    message = "0/3 nodes are available: 3 Insufficient cpu."
    kubelet.report(pod, {"conditions": [{"type": "PodScheduled", "status": "False", "message": message}]})
    assert message in says(team.await_reason("Unschedulable"), "Progressing", "testdata/progressing_unschedulable")

    kubelet.bind(pod)
    kubelet.report(pod, {"conditions": [{"type": "PodScheduled", "status": "True"}]})
    kubelet.report_waiting(pod, "ErrImagePull", f'failed to pull "{IMAGE}": not found')
    assert IMAGE in says(team.await_reason("ImagePullFailed"), "Degraded", "testdata/degraded_image_pull_failed")

    kubelet.report_running(team.pod())
    team.await_running()
    team.change(egress={"domains": ["example.com"]})
    stalled = team.await_reason("EgressUnavailable")
    assert condition(stalled, "Running")["status"] == condition(stalled, "Stalled")["status"] == "True"
    says(stalled, "Degraded", "testdata/degraded_stalled")


def test_a_snapshot(operator: OperatorProcess, team: Team, snapshotter: Snapshotter) -> None:
    pending = take(team)
    says(pending, "Progressing", "testdata/progressing_pending")
    says(await_snapshot(team, "SandboxNotFound"), "Degraded", "testdata/degraded_sandbox_not_found")

    snapshotter.errors[team.namespace] = None
    team.create(workspace=COPIED, args=["serve"])
    says(await_snapshot(team, "Copying"), "Progressing", "testdata/progressing_copying")
    snapshotter.errors[team.namespace] = "the array is full"
    assert "the array is full" in says(await_snapshot(team, "Failed"), "Degraded", "testdata/degraded_failed")
    del snapshotter.errors[team.namespace]
    says(await_snapshot(team, "Ready"), "Healthy", "testdata/healthy_ready")


def test_a_diff(operator: OperatorProcess, team: Team, kubelet: Kubelet) -> None:
    fresh = {"metadata": {"name": "d"}, "spec": {"from": {"snapshotRef": {"name": "first"}}}}
    says(team.api.create(DIFFS, team.namespace, fresh), "Progressing", "testdata/progressing_pending")
    says(await_diff(team, "SnapshotNotFound"), "Degraded", "testdata/degraded_snapshot_not_found")
    kubelet.comparisons[team.namespace] = (1, "the volume can't be read")
    team.create(workspace=COPIED, args=["serve"])
    team.await_running()
    take(team, "first")
    says(await_diff(team, "Failed"), "Progressing", "testdata/progressing_tried_again")
    del kubelet.comparisons[team.namespace]
    says(await_diff(team, "Ready", seconds=60.0), "Healthy", "testdata/healthy_ready")


def test_a_diff_that_has_failed_for_good(operator: OperatorProcess, team: Team, kubelet: Kubelet) -> None:
    kubelet.comparisons[team.namespace] = (1, "the volume can't be read")
    team.create(workspace=COPIED, args=["serve"])
    team.await_running()
    take(team, "first")
    ask(team)
    failed = await_diff(team, "Failed", "3 times", seconds=90.0)
    says(failed, "Degraded", "testdata/degraded_stalled")


def test_a_diff_that_waits(operator: OperatorProcess, team: Team, snapshotter: Snapshotter) -> None:
    snapshotter.errors[team.namespace] = None
    team.create(workspace=COPIED, args=["serve"])
    team.await_running()
    take(team, "first")
    ask(team)
    says(await_diff(team, "SnapshotNotReady"), "Progressing", "testdata/progressing_snapshot_not_ready")


def run(team: Team, action: str) -> Json:
    """Do what Argo CD does with what an action makes of the sandbox, and return that."""
    operation, made = act(action, team.get(SANDBOXES, "agent"))
    if operation == "create":
        return team.api.create(SNAPSHOTS, team.namespace, made)
    changed = {"metadata": {"annotations": made["metadata"].get("annotations", {})}, "spec": made["spec"]}
    return team.api.merge(SANDBOXES, team.namespace, "agent", changed)


def test_its_actions(operator: OperatorProcess, team: Team) -> None:
    team.create(workspace=COPIED, args=["serve"])
    (running,) = team.await_running()
    says(running, "Healthy", "actions/testdata/running")
    assert offered(running) == {"sleep", "restart", "snapshot"}
    first = team.pod()["metadata"]["uid"]

    run(team, "restart")
    second = team.await_pod(other_than=first)["metadata"]["uid"]
    team.await_running()
    snapshot = run(team, "snapshot")["metadata"]
    run(team, "sleep")
    says(team.await_reason("Sleeping"), "Healthy", "actions/testdata/sleeping")
    run(team, "wake")

    assert team.await_pod(other_than=second)["metadata"]["uid"] != first
    team.await_running()
    assert snapshot["name"].startswith("agent-")
    assert "ownerReferences" not in snapshot
    await_snapshot(team, "Ready", snapshot["name"])


def test_an_action_on_one_with_the_longest_name(operator: OperatorProcess, team: Team) -> None:
    long = "a" * 52
    sandbox = team.create(long, workspace=COPIED, args=["serve"])

    _, made = act("snapshot", sandbox)
    team.api.create(SNAPSHOTS, team.namespace, made)

    await_snapshot(team, "Ready", made["metadata"]["name"])
