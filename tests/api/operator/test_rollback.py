"""Restore, rollback, fork and undo on a real apiserver: done once whatever befalls the operator, or not at all."""

import json
from collections.abc import Iterator
from itertools import product
from typing import Any

import pytest

from api.operator.kubernetes_api import Api, Json
from api.operator.operator_process import OperatorProcess
from api.operator.proxy import after, before
from api.operator.snapshotter import CLASS, Snapshotter
from api.operator.team import Team, condition
from api.operator.test_killed import Moment, kill_at, restart_after_kill
from api.operator.waiting import eventually
from sandkeeper.controllers.cluster import SANDBOXES
from sandkeeper.controllers.copies import SNAPSHOTS
from sandkeeper.runtime.resource import CLAIMS, PODS, VOLUME_SNAPSHOTS

WORKSPACE: Json = {"size": "1Gi", "storageClassName": CLASS}
WAS: Json = {"env": [{"name": "STAGE", "value": "one"}], "args": ["serve"], "workspace": WORKSPACE}
GOOD: Json = {"snapshotRef": {"name": "good"}}
UNDER_WAY = "sandkeeper.dev/in-use"

RESTORING = [
    "patch sandboxsnapshots",
    "create persistentvolumeclaims",
    "create pods",
    "patch sandboxsnapshots",
    "patch sandboxes/status",
]
ROLLING_BACK = [
    "patch sandboxsnapshots",
    "create persistentvolumeclaims",
    "patch sandboxes/status",
    "delete pods",
    "create pods",
    "delete persistentvolumeclaims",
]
FORKING = ["create sandboxsnapshots", *RESTORING[1:]]


def points(writes: list[str]) -> list[tuple[Moment, str, int]]:
    """Both sides of every write; one that comes twice is counted."""
    numbered = [(what, writes[: number + 1].count(what)) for number, what in enumerate(writes)]
    return [(moment, *point) for point, moment in product(numbered, (before, after))]


@pytest.fixture(scope="module", autouse=True)
def snapshotter(api: Api) -> Iterator[Snapshotter]:
    with Snapshotter(api) as snapshotter:
        yield snapshotter


@pytest.fixture
def copied(operator: OperatorProcess, team: Team) -> Team:
    """Give a namespace with a sandbox that runs, and a snapshot of it."""
    team.create(**WAS)
    team.await_running()
    take(team, "good")
    return team


def take(team: Team, name: str) -> None:
    spec = {"sandboxRef": {"name": "agent"}}
    team.api.create(SNAPSHOTS, team.namespace, {"metadata": {"name": name}, "spec": spec})
    eventually(lambda: condition(team.get(SNAPSHOTS, name), "Ready").get("status") == "True", "snapshot")


def restore(team: Team, name: str = "copy", source: Json = GOOD, **spec: Any) -> None:
    """Make a sandbox of which the spec says nothing but where it comes from, and what of it is to differ."""
    team.api.create(SANDBOXES, team.namespace, {"metadata": {"name": name}, "spec": {"source": source, **spec}})


def claims(team: Team, sandbox: str = "agent") -> list[str]:
    return team.names_with(CLAIMS, f"sandkeeper.dev/sandbox={sandbox}")


def workspace_of(team: Team, name: str = "agent") -> str:
    """Name of the claim that the pod of a sandbox is on."""
    volumes = {each["name"]: each for each in team.pod(name)["spec"]["volumes"]}
    return str(volumes["workspace"]["persistentVolumeClaim"]["claimName"])


def assert_restored(team: Team, name: str = "copy") -> None:
    """Check that a sandbox runs on a claim of its own, with what was captured, and that nothing is held any more."""
    sandbox = team.await_reason("Running", name)
    assert claims(team, name) == [workspace_of(team, name)] == [sandbox["status"]["workspaceClaimName"]]
    assert sandbox["status"]["startedFrom"] == "Snapshot"
    container = team.pod(name)["spec"]["containers"][0]
    assert (container["env"], container["args"]) == (WAS["env"], WAS["args"])
    eventually(lambda: not held(team), lambda: f"end of the hold on {held(team)}")


def held(team: Team) -> list[str]:
    """Names of the snapshots that must not go because they are being read."""
    found = team.api.list(SNAPSHOTS, team.namespace)["items"]
    return [each["metadata"]["name"] for each in found if UNDER_WAY in each["metadata"].get("finalizers", [])]


def rolled_back(team: Team, former: str) -> bool:
    """Whether the sandbox runs on another claim than before, and that is all that is left."""
    sandbox = team.get(SANDBOXES, "agent")
    if condition(sandbox, "Ready").get("status") != "True" or len(claims(team)) != 1:
        return False
    return team.find(PODS, "sbx-agent") is not None and former != workspace_of(team) == claims(team)[0]


def test_a_restore_is_so_many_writes(operator: OperatorProcess, copied: Team) -> None:
    before = len(operator.proxy.writes(copied.namespace))

    restore(copied)

    assert_restored(copied)
    assert sorted(operator.proxy.writes(copied.namespace)[before:]) == sorted(RESTORING)


@pytest.mark.parametrize(("moment", "what", "number"), points(RESTORING))
def test_killed_while_it_restores(
    operator: OperatorProcess, copied: Team, moment: Moment, what: str, number: int
) -> None:
    kill_at(operator, copied, moment, what, number)

    restore(copied)
    restart_after_kill(operator)

    assert_restored(copied)
    assert operator.proxy.writes(copied.namespace).count("create pods") == 2


@pytest.mark.parametrize(("moment", "what", "number"), points(ROLLING_BACK))
def test_killed_while_it_rolls_back(
    operator: OperatorProcess, copied: Team, moment: Moment, what: str, number: int
) -> None:
    former = copied.pod()["metadata"]["uid"]
    copied.change(env=[{"name": "STAGE", "value": "broken"}])
    copied.await_pod(other_than=former)
    copied.await_running()
    kill_at(operator, copied, moment, what, number)

    copied.change(source=GOOD, env=None)
    restart_after_kill(operator)

    eventually(lambda: rolled_back(copied, "sbx-agent"), lambda: f"rollback, but {copied.get(SANDBOXES, 'agent')}")
    assert copied.pod()["spec"]["containers"][0]["env"] == WAS["env"]


@pytest.mark.parametrize(("moment", "what", "number"), points(FORKING))
def test_killed_while_it_forks(operator: OperatorProcess, copied: Team, moment: Moment, what: str, number: int) -> None:
    kill_at(operator, copied, moment, what, number)

    restore(copied, source={"sandboxRef": {"name": "agent"}})
    restart_after_kill(operator)

    assert_restored(copied)
    assert len(copied.names_with(SNAPSHOTS, "sandkeeper.dev/fork")) == 1


def test_until_the_new_volume_is_there_the_old_pod_runs_on(copied: Team, snapshotter: Snapshotter) -> None:
    pod = copied.pod()["metadata"]["uid"]
    snapshotter.held.add(copied.namespace)

    copied.change(source=GOOD)

    copied.await_reason("RollingBack")
    assert copied.condition("Running")["status"] == "True"
    eventually(lambda: len(claims(copied)) == 2, "new claim")
    assert copied.pod()["metadata"]["uid"] == pod
    snapshotter.held.discard(copied.namespace)
    eventually(lambda: rolled_back(copied, "sbx-agent"), "rollback")
    eventually(lambda: copied.events("RolledBack"), "event")


def test_asked_again_while_one_runs_it_goes_to_the_newest_alone(copied: Team, snapshotter: Snapshotter) -> None:
    snapshotter.held.add(copied.namespace)
    copied.change(source=GOOD)
    eventually(lambda: len(claims(copied)) == 2, "new claim")
    (dropped,) = set(claims(copied)) - {"sbx-agent"}

    copied.change(source={**GOOD, "revision": "2"})

    eventually(lambda: dropped not in claims(copied) and len(claims(copied)) == 2, "newest claim alone")
    assert workspace_of(copied) == "sbx-agent"
    snapshotter.held.discard(copied.namespace)
    eventually(lambda: rolled_back(copied, "sbx-agent"), "rollback")
    noted = json.loads(copied.get(CLAIMS, workspace_of(copied))["metadata"]["annotations"]["sandkeeper.dev/source"])
    assert (noted["revision"], noted["replaces"]) == ("2", "sbx-agent")


def test_a_source_that_is_taken_away_on_the_way_leaves_all_as_it_was(copied: Team, snapshotter: Snapshotter) -> None:
    pod = copied.pod()["metadata"]["uid"]
    snapshotter.held.add(copied.namespace)
    copied.change(source=GOOD)
    eventually(lambda: len(claims(copied)) == 2, "new claim")

    copied.change(source=None)

    eventually(lambda: claims(copied) == ["sbx-agent"], "end of the new claim")
    copied.await_running()
    assert copied.pod()["metadata"]["uid"] == pod


def test_a_rollback_to_what_is_not_there_keeps_the_old_pod_and_heals(copied: Team) -> None:
    copied.change(source={"snapshotRef": {"name": "later"}})
    copied.await_reason("SnapshotNotFound")
    assert copied.condition("Running")["status"] == "True"

    take(copied, "later")

    eventually(lambda: rolled_back(copied, "sbx-agent"), "rollback")


def test_a_rollback_is_undone_from_what_was_kept(copied: Team) -> None:
    copied.change(source={**GOOD, "keepPrevious": True})
    eventually(lambda: copied.get(SANDBOXES, "agent")["status"].get("previousClaimName") == "sbx-agent", "kept claim")
    copied.await_running()
    undone = workspace_of(copied)

    copied.change(source={"snapshotRef": None, "claimRef": {"name": "sbx-agent"}, "keepPrevious": None})

    eventually(lambda: rolled_back(copied, undone), "undo")
    assert copied.get(CLAIMS, workspace_of(copied))["spec"]["dataSource"]["name"] == "sbx-agent"


def test_what_comes_back_from_a_backup_without_status_is_rolled_back_nowhere(
    operator: OperatorProcess, copied: Team
) -> None:
    copied.change(source={**GOOD, "keepPrevious": True})
    eventually(lambda: copied.get(SANDBOXES, "agent")["status"].get("previousClaimName") == "sbx-agent", "kept claim")
    sandbox, kept = copied.get(SANDBOXES, "agent"), [copied.get(CLAIMS, each) for each in claims(copied)]
    on = workspace_of(copied)
    copied.delete()
    copied.api.delete(SNAPSHOTS, copied.namespace, "good")
    eventually(lambda: not claims(copied) and copied.find(PODS, "sbx-agent") is None, "empty namespace")
    made = operator.proxy.writes(copied.namespace).count("create persistentvolumeclaims")

    for claim in kept:
        copied.api.create(CLAIMS, copied.namespace, as_backed_up(claim))
    copied.api.create(SANDBOXES, copied.namespace, as_backed_up(sandbox))

    copied.await_running()
    assert workspace_of(copied) == on
    assert sorted(claims(copied)) == sorted(each["metadata"]["name"] for each in kept)
    assert operator.proxy.writes(copied.namespace).count("create persistentvolumeclaims") == made
    assert copied.pod()["spec"]["containers"][0]["env"] == WAS["env"]


def as_backed_up(obj: Json) -> Json:
    """Give what a tool for backups creates again: nothing of status, owners, or what the cluster has added."""
    metadata = {key: obj["metadata"][key] for key in ("name", "labels", "annotations") if key in obj["metadata"]}
    mine = {key: value for key, value in metadata.get("annotations", {}).items() if "kubernetes.io" not in key}
    spec = {key: value for key, value in obj["spec"].items() if key not in {"volumeName", "dataSourceRef"}}
    return {"metadata": {**metadata, "annotations": mine}, "spec": spec}


def test_twenty_forks_at_once_cost_two_snapshots_at_most(copied: Team) -> None:
    names = [f"fork-{number}" for number in range(20)]

    for name in names:
        restore(copied, name, {"sandboxRef": {"name": "agent"}})

    copied.await_running(names)
    assert len(copied.names_with(SNAPSHOTS, "sandkeeper.dev/fork")) <= 2
    for name in names:
        assert copied.pod(name)["spec"]["containers"][0]["env"] == WAS["env"]


def test_the_longest_names_are_forked_too(copied: Team) -> None:
    longest = ["f" * 52, "g" * 52]
    for name, forked in zip(longest, ("agent", longest[0]), strict=True):
        restore(copied, name, {"sandboxRef": {"name": forked}})

        copied.await_running([name])
        assert copied.pod(name)["spec"]["containers"][0]["env"] == WAS["env"]


def test_a_sandbox_that_goes_while_it_is_forked_is_forked_all_the_same_once_it_is_copied(copied: Team) -> None:
    source: Json = {"sandboxRef": {"name": "agent"}}
    restore(copied, source=source)
    eventually(lambda: copied.names_with(VOLUME_SNAPSHOTS, "sandkeeper.dev/managed") != ["sbx-good"], "copy")

    copied.delete()

    assert_restored(copied)
    restore(copied, "late", source)
    copied.await_reason("SandboxNotFound", "late")
