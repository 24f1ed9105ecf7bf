"""Diffs on a real apiserver: answered once whatever befalls the operator, and nothing left of the way to the answer."""

import json
from collections.abc import Iterator
from itertools import product
from typing import Any

import pytest

from api.operator.kubelet import Kubelet
from api.operator.kubernetes_api import QUOTAS, Api, Json
from api.operator.operator_process import OperatorProcess
from api.operator.proxy import after, before
from api.operator.snapshotter import CLASS, Snapshotter
from api.operator.team import Team, condition
from api.operator.test_killed import Moment, kill_at, restart_after_kill
from api.operator.test_snapshots import await_reason as await_snapshot
from api.operator.test_snapshots import take
from api.operator.waiting import eventually
from sandkeeper.api.names import IN_USE_FINALIZER
from sandkeeper.controllers.cluster import FENCES, SANDBOXES
from sandkeeper.controllers.copies import SNAPSHOTS
from sandkeeper.controllers.diffs import DIFFS
from sandkeeper.runtime.resource import CLAIMS, NETWORK_POLICIES, PODS, VOLUME_SNAPSHOTS

POD = "sandkeeper-diff-d"
COPIES = [f"{POD}-new", f"{POD}-old"]
WRITES = [
    ("patch sandboxsnapshots", 1),
    ("patch sandboxsnapshots", 2),
    ("create persistentvolumeclaims", 1),
    ("create persistentvolumeclaims", 2),
    ("create pods", 1),
    ("patch sandboxdiffs/status", 1),
    ("patch sandboxdiffs/status", 2),
    ("delete persistentvolumeclaims", 1),
    ("delete persistentvolumeclaims", 2),
]
WRITES_OF_NOW = [("create sandboxsnapshots", 1), ("delete sandboxsnapshots", 1)]


@pytest.fixture(scope="module", autouse=True)
def snapshotter(api: Api) -> Iterator[Snapshotter]:
    with Snapshotter(api) as snapshotter:
        yield snapshotter


@pytest.fixture
def copied(operator: OperatorProcess, team: Team) -> Team:
    """Give a namespace with a sandbox that runs and two snapshots of it."""
    team.create(workspace={"size": "1Gi", "storageClassName": CLASS}, args=["serve"])
    team.await_running()
    for name in ("first", "second"):
        take(team, name)
        await_snapshot(team, "Ready", name)
    return team


def ask(team: Team, name: str = "d", **spec: Any) -> None:
    whole = {"from": {"snapshotRef": {"name": "first"}}, **spec}
    team.api.create(DIFFS, team.namespace, {"metadata": {"name": name}, "spec": whole})


def ask_for_both(team: Team, **spec: Any) -> None:
    ask(team, to={"snapshotRef": {"name": "second"}}, **spec)


def await_reason(team: Team, reason: str, said: str = "", seconds: float = 30.0) -> Json:
    def read() -> Json | None:
        ready = condition(team.get(DIFFS, "d"), "Ready")
        return team.get(DIFFS, "d") if ready["reason"] == reason and said in ready["message"] else None

    return eventually(read, lambda: f"reason {reason}, but {team.find(DIFFS, 'd')}", seconds)


def held(team: Team) -> list[str]:
    """Name the snapshots that are held for being read."""
    found = team.api.list(SNAPSHOTS, team.namespace)["items"]
    return [each["metadata"]["name"] for each in found if IN_USE_FINALIZER in each["metadata"].get("finalizers", ())]


def staying(team: Team) -> list[str]:
    """Name the claims that nobody deleted: the protection of claims keeps those of a pod until that is gone."""
    claims = team.api.list(CLAIMS, team.namespace)["items"]
    return [each["metadata"]["name"] for each in claims if "deletionTimestamp" not in each["metadata"]]


def await_tidy(team: Team) -> None:
    """Wait until nothing but a pod is left of the way, nothing without it, and what users made is as it was."""
    eventually(lambda: staying(team) == ["sbx-agent"], lambda: f"end of copies, but {staying(team)}")
    team.api.delete(PODS, team.namespace, POD)
    eventually(lambda: team.names(CLAIMS) == ["sbx-agent"], lambda: f"end of copies, but {team.names(CLAIMS)}")
    eventually(lambda: team.names(SNAPSHOTS) == ["first", "second"], lambda: f"{team.names(SNAPSHOTS)}")
    eventually(lambda: team.names(VOLUME_SNAPSHOTS) == ["sbx-first", "sbx-second"], "end of the copy on the way")
    eventually(lambda: held(team) == [], "release of the snapshots")


def test_two_snapshots_are_compared_and_the_pod_alone_stays(operator: OperatorProcess, copied: Team) -> None:
    earlier = len(operator.proxy.writes(copied.namespace))

    ask_for_both(copied)

    status = await_reason(copied, "Ready")["status"]
    assert status["summary"]["workspace"]["added"] == 0
    assert (status["to"], status["podName"]) == ("second", POD)
    assert copied.names(PODS) == [POD, "sbx-agent"]
    await_tidy(copied)
    written = operator.proxy.writes(copied.namespace)[earlier:]
    assert [each for each in written if each.startswith("create")] == [
        "create persistentvolumeclaims", "create persistentvolumeclaims", "create pods",
    ]  # fmt: skip
    assert set(written) == {what for what, _ in WRITES} | {"create pods"}
    eventually(lambda: [each["regarding"]["name"] for each in copied.events("Ready") if each["regarding"]["kind"] ==
                        "SandboxDiff"] == ["d"], "event")  # fmt: skip


def test_against_now_a_snapshot_is_taken_and_goes(operator: OperatorProcess, copied: Team) -> None:
    ask(copied)

    assert await_reason(copied, "Ready")["status"]["to"] == "agent (now)"
    await_tidy(copied)


@pytest.mark.parametrize(
    ("moment", "what", "number"), [(each, *point) for point, each in product(WRITES, (before, after))]
)
def test_killed_while_it_compares(
    operator: OperatorProcess, copied: Team, moment: Moment, what: str, number: int
) -> None:
    earlier = len(operator.proxy.writes(copied.namespace))
    kill_at(operator, copied, moment, what, number)

    ask_for_both(copied)
    restart_after_kill(operator)

    assert await_reason(copied, "Ready")["status"].get("failures") is None
    await_tidy(copied)
    assert operator.proxy.writes(copied.namespace)[earlier:].count("create pods") == 1


@pytest.mark.parametrize(
    ("moment", "what", "number"), [(each, *point) for point, each in product(WRITES_OF_NOW, (before, after))]
)
def test_killed_while_it_takes_or_ends_the_snapshot_of_now(
    operator: OperatorProcess, copied: Team, moment: Moment, what: str, number: int
) -> None:
    kill_at(operator, copied, moment, what, number)

    ask(copied)
    restart_after_kill(operator)

    await_reason(copied, "Ready")
    await_tidy(copied)


def test_a_pod_that_fails_is_told_and_another_one_answers(copied: Team, kubelet: Kubelet) -> None:
    kubelet.comparisons[copied.namespace] = (1, "guest: /old: input/output error")
    ask_for_both(copied)
    await_reason(copied, "Failed", said="exit code 1: guest: /old: input/output error; it is tried again, 2 of 3.")

    del kubelet.comparisons[copied.namespace]

    assert await_reason(copied, "Ready")["status"]["failures"] == 1
    await_tidy(copied)


def test_what_a_pod_says_is_not_believed_without_looking(copied: Team, kubelet: Kubelet) -> None:
    kubelet.comparisons[copied.namespace] = (0, json.dumps({"workspace": {"added": "\x1b[31m"}}))

    ask_for_both(copied)

    await_reason(copied, "Failed", said="ended without a summary that can be read")


def test_it_expires_with_its_pod(copied: Team) -> None:
    ask_for_both(copied, expiresAfter="2s")

    eventually(lambda: copied.find(DIFFS, "d") is None, "end of the diff")
    eventually(lambda: copied.names(PODS) == ["sbx-agent"], "end of its pod")
    await_tidy(copied)


def test_a_deleted_one_leaves_nothing_wherever_it_was(copied: Team, kubelet: Kubelet, snapshotter: Snapshotter) -> None:
    kubelet.leave(copied.namespace)
    snapshotter.held.add(copied.namespace)
    ask(copied)
    eventually(lambda: set(COPIES) <= set(copied.names(CLAIMS)), "copies")

    copied.api.delete(DIFFS, copied.namespace, "d")

    eventually(lambda: copied.names(PODS) == ["sbx-agent"], "end of its pod")
    await_tidy(copied)


def test_a_snapshot_that_is_deleted_while_it_is_read_goes_after_it(
    copied: Team, kubelet: Kubelet, snapshotter: Snapshotter
) -> None:
    kubelet.leave(copied.namespace)
    snapshotter.held.add(copied.namespace)
    ask_for_both(copied)
    eventually(lambda: set(COPIES) <= set(copied.names(CLAIMS)), "copies")
    copied.api.delete(SNAPSHOTS, copied.namespace, "first")
    await_snapshot(copied, "Deleting", "first", said="is being copied for SandboxDiff d")

    snapshotter.held.discard(copied.namespace)

    eventually(lambda: copied.names(SNAPSHOTS) == ["second"], "end of the snapshot")
    kubelet.resume(copied.namespace)
    await_reason(copied, "Ready")


def test_what_it_waits_for_is_told_and_heals(copied: Team) -> None:
    ask(copied, to={"snapshotRef": {"name": "third"}})
    await_reason(copied, "SnapshotNotFound", said="SandboxSnapshot third is not there.")

    take(copied, "third")

    await_reason(copied, "Ready")


def test_a_sandbox_that_is_not_there_is_told_and_heals(copied: Team) -> None:
    ask(copied, to={"sandboxRef": {"name": "other"}})
    await_reason(copied, "SandboxNotFound", said="Sandbox other is not there")

    copied.create("other", workspace={"size": "1Gi", "storageClassName": CLASS}, args=["serve"])

    await_reason(copied, "Ready")


def test_what_is_in_the_way_is_told_and_heals(copied: Team) -> None:
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    copied.api.create(CLAIMS, copied.namespace, {"metadata": {"name": COPIES[1]}, "spec": spec})
    ask_for_both(copied)
    await_reason(copied, "Conflict", said=f"PersistentVolumeClaim {COPIES[1]} is in the way")

    copied.api.delete(CLAIMS, copied.namespace, COPIES[1])

    await_reason(copied, "Ready")


def test_a_refusal_of_the_api_server_is_told_and_heals(copied: Team) -> None:
    quota = {"metadata": {"name": "one"}, "spec": {"hard": {"pods": "1"}}}
    copied.api.create(QUOTAS, copied.namespace, quota)
    eventually(lambda: copied.get(QUOTAS, "one").get("status", {}).get("used"), "counted pods")
    ask_for_both(copied)
    await_reason(copied, "QuotaExceeded")

    copied.api.delete(QUOTAS, copied.namespace, "one")

    await_reason(copied, "Ready")


def test_its_pod_is_fenced_where_no_sandbox_is_left(copied: Team) -> None:
    copied.delete()
    eventually(lambda: copied.names(FENCES) == copied.names(PODS) == [], "end of sandbox and fence")

    ask_for_both(copied)

    await_reason(copied, "Ready")
    assert copied.names(FENCES) == copied.names(NETWORK_POLICIES) == ["sandkeeper-fence"]
    copied.api.delete(DIFFS, copied.namespace, "d")
    eventually(lambda: copied.names(FENCES) == copied.names(NETWORK_POLICIES) == [], "end of the fence")
    assert copied.names(SANDBOXES) == []
