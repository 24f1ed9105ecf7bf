"""Snapshots on a real apiserver: taken once whatever befalls the operator, and ended as their users ask."""

from collections.abc import Callable, Iterator
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
from sandkeeper.runtime.resource import CLAIMS, STORAGE_CLASSES, VOLUME_SNAPSHOTS

TAKING = ["patch sandboxsnapshots/status", "create volumesnapshots", "patch sandboxsnapshots/status"]
POINTS = [(what, TAKING[: number + 1].count(what)) for number, what in enumerate(TAKING)]
WORKSPACE: Json = {"size": "1Gi", "storageClassName": CLASS}


@pytest.fixture(scope="module", autouse=True)
def snapshotter(api: Api) -> Iterator[Snapshotter]:
    with Snapshotter(api) as snapshotter:
        yield snapshotter


@pytest.fixture
def begun(operator: OperatorProcess, team: Team) -> Team:
    """Give a namespace with a sandbox that runs without a guest, which nobody could ask here."""
    team.create(workspace=WORKSPACE, args=["serve"], env=[{"name": "STAGE", "value": "one"}])
    team.await_running()
    return team


def take(team: Team, name: str = "s", sandbox: str = "agent", **spec: Any) -> Json:
    whole = {"sandboxRef": {"name": sandbox}, **spec}
    return team.api.create(SNAPSHOTS, team.namespace, {"metadata": {"name": name}, "spec": whole})


def await_reason(team: Team, reason: str, name: str = "s", said: str = "") -> Json:
    def read() -> Json | None:
        found = team.find(SNAPSHOTS, name)
        ready = condition(found, "Ready") if found else {}
        return found if ready.get("reason") == reason and said in ready["message"] else None

    return eventually(read, lambda: f"reason {reason}, but {team.find(SNAPSHOTS, name)}")


def gone(team: Team, name: str = "s") -> bool:
    return team.find(SNAPSHOTS, name) is None and team.find(VOLUME_SNAPSHOTS, f"sbx-{name}") is None


def wrote(operator: OperatorProcess, team: Team) -> list[str]:
    return [each for each in operator.proxy.writes(team.namespace) if "snapshots" in each]


def test_it_is_taken_with_three_writes(operator: OperatorProcess, begun: Team) -> None:
    take(begun)
    status = await_reason(begun, "Ready")["status"]

    assert wrote(operator, begun) == TAKING
    volume = begun.get(VOLUME_SNAPSHOTS, "sbx-s")
    assert volume["spec"]["volumeSnapshotClassName"] == CLASS
    assert status["volumeSnapshotName"] == "sbx-s"
    assert status["restoreSize"] == "1Gi"
    assert status["captured"]["environment"]["env"] == [{"name": "STAGE", "value": "one"}]
    assert status["captured"]["environment"]["workspace"]["storageClassName"] == CLASS
    eventually(lambda: [each["regarding"]["name"] for each in begun.events("Ready")] == ["s"], "event")


@pytest.mark.parametrize(
    ("moment", "what", "number"), [(moment, *point) for point, moment in product(POINTS, (before, after))]
)
def test_killed_while_it_takes_one(
    operator: OperatorProcess, begun: Team, moment: Moment, what: str, number: int
) -> None:
    kill_at(operator, begun, moment, what, number)

    take(begun)
    restart_after_kill(operator)

    await_reason(begun, "Ready")
    assert wrote(operator, begun).count("create volumesnapshots") == 1


@pytest.mark.parametrize("moment", [before, after])
def test_killed_while_it_ends_one(operator: OperatorProcess, begun: Team, moment: Moment) -> None:
    kill_at(operator, begun, moment, "delete sandboxsnapshots", 1)

    take(begun, expiresAfter="2s")
    restart_after_kill(operator)

    eventually(lambda: gone(begun), "end of the snapshot and its copy")


def test_an_error_of_the_driver_is_told_and_heals(begun: Team, snapshotter: Snapshotter) -> None:
    snapshotter.errors[begun.namespace] = "the array is full"
    take(begun)
    await_reason(begun, "Failed", said="the array is full")

    del snapshotter.errors[begun.namespace]

    await_reason(begun, "Ready")
    assert begun.names(VOLUME_SNAPSHOTS) == ["sbx-s"]


def test_what_is_amiss_with_the_sandbox_or_its_class_is_told_and_heals(begun: Team, api: Api) -> None:
    take(begun, sandbox="later")
    await_reason(begun, "SandboxNotFound")
    begun.create("later", workspace={**WORKSPACE, "storageClassName": "uncopied"}, args=["serve"])
    await_reason(begun, "NoSnapshotSupport")
    api.create(STORAGE_CLASSES, "", {"metadata": {"name": "uncopied"}, "provisioner": "plain.example.com"})
    begun.api.delete(SANDBOXES, begun.namespace, "later")
    eventually(lambda: begun.find(CLAIMS, "sbx-later") is None, "end of the claim")
    begun.create("later", workspace=WORKSPACE, args=["serve"])

    await_reason(begun, "Ready")
    api.delete(STORAGE_CLASSES, "", "uncopied")


def test_an_ephemeral_workspace_can_not_be_copied(operator: OperatorProcess, team: Team) -> None:
    team.create()
    take(team)

    await_reason(team, "WorkspaceNotPersistent", said="spec.workspace.type")


def test_a_guest_that_can_not_be_asked_is_told_until_the_sandbox_sleeps(operator: OperatorProcess, team: Team) -> None:
    team.create(workspace={**WORKSPACE, "keepPackages": False})
    team.await_running()
    take(team)
    await_reason(team, "Failed", said="Unreachable")

    team.change(lifecycle={"state": "Sleeping"})

    await_reason(team, "Ready")


STATES: dict[str, tuple[str | None, str]] = {
    "copying": (None, "Copying"),
    "failed": ("no", "Failed"),
    "ready": ("", "Ready"),
}


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("policy", ["Delete", "Retain"])
def test_it_can_be_deleted_from_every_state(begun: Team, snapshotter: Snapshotter, state: str, policy: str) -> None:
    error, reason = STATES[state]
    snapshotter.errors[begun.namespace] = error
    take(begun, deletionPolicy=policy)
    await_reason(begun, reason)

    begun.api.delete(SNAPSHOTS, begun.namespace, "s")

    eventually(lambda: begun.find(SNAPSHOTS, "s") is None, "end of the snapshot")
    left = ["sbx-s"] if policy == "Retain" else []
    eventually(lambda: begun.names(VOLUME_SNAPSHOTS) == left, lambda: f"{left}")


def test_it_outlives_its_sandbox(begun: Team) -> None:
    take(begun)
    await_reason(begun, "Ready")

    begun.delete()
    eventually(lambda: begun.find(CLAIMS, "sbx-agent") is None, "end of the workspace")

    assert condition(begun.get(SNAPSHOTS, "s"), "Ready")["status"] == "True"
    assert begun.names(VOLUME_SNAPSHOTS) == ["sbx-s"]


def test_one_that_a_restore_reads_goes_after_it_and_says_so(snapshotter: Snapshotter, begun: Team) -> None:
    take(begun)
    await_reason(begun, "Ready")
    snapshotter.held.add(begun.namespace)
    begun.create("reader", workspace=WORKSPACE, source={"snapshotRef": {"name": "s"}})
    eventually(lambda: len(begun.names(CLAIMS)) == 2, "claim that is made from it")

    begun.api.delete(SNAPSHOTS, begun.namespace, "s")
    await_reason(begun, "Deleting", said="is being restored by Sandbox reader")
    assert begun.names(VOLUME_SNAPSHOTS) == ["sbx-s"]
    snapshotter.held.discard(begun.namespace)

    eventually(lambda: gone(begun), "end of the snapshot and its copy")


def from_backup(obj: Json) -> Json:
    """Give what a backup keeps of an object: neither status nor owners nor a uid."""
    metadata = {name: obj["metadata"].get(name) or {} for name in ("labels", "annotations")}
    return {"metadata": {**metadata, "name": obj["metadata"]["name"]}, "spec": obj["spec"]}


def restored(operator: OperatorProcess, team: Team, change: Callable[[Json], None] = lambda _: None) -> Json:
    """Bring a snapshot and its VolumeSnapshot back from a backup, and return the latter."""
    take(team)
    kept = [from_backup(await_reason(team, "Ready")), from_backup(team.get(VOLUME_SNAPSHOTS, "sbx-s"))]
    team.api.delete(SNAPSHOTS, team.namespace, "s")
    eventually(lambda: gone(team), "end of the snapshot and its copy")
    change(kept[1])
    volume = team.api.create(VOLUME_SNAPSHOTS, team.namespace, kept[1])
    team.api.create(SNAPSHOTS, team.namespace, kept[0])
    return volume


def test_one_from_a_backup_is_taken_over_and_not_taken_anew(operator: OperatorProcess, begun: Team) -> None:
    volume = restored(operator, begun)

    status = await_reason(begun, "Ready")["status"]

    assert status["captured"]["environment"]["env"] == [{"name": "STAGE", "value": "one"}]
    assert begun.get(VOLUME_SNAPSHOTS, "sbx-s")["metadata"]["uid"] == volume["metadata"]["uid"]
    assert wrote(operator, begun).count("create volumesnapshots") == 1
    begun.api.delete(SNAPSHOTS, begun.namespace, "s")
    eventually(lambda: gone(begun), "end of the snapshot and its copy")


def test_one_of_another_sandbox_is_not_taken_over(operator: OperatorProcess, begun: Team) -> None:
    def relabel(volume: Json) -> None:
        volume["metadata"]["labels"]["sandkeeper.dev/sandbox"] = "other"

    volume = restored(operator, begun, relabel)
    await_reason(begun, "Conflict")
    begun.api.delete(VOLUME_SNAPSHOTS, begun.namespace, "sbx-s")

    await_reason(begun, "Ready")
    assert begun.get(VOLUME_SNAPSHOTS, "sbx-s")["metadata"]["uid"] != volume["metadata"]["uid"]


def test_a_copy_that_somebody_deleted_is_not_taken_anew(operator: OperatorProcess, begun: Team) -> None:
    take(begun)
    await_reason(begun, "Ready")
    begun.api.delete(VOLUME_SNAPSHOTS, begun.namespace, "sbx-s")

    await_reason(begun, "Failed", said="is of one moment")
    assert wrote(operator, begun).count("create volumesnapshots") == 1


def test_fifty_at_once(operator: OperatorProcess, begun: Team) -> None:
    names = [f"s{number}" for number in range(50)]
    for name in names:
        take(begun, name)
    for name in names:
        await_reason(begun, "Ready", name)

    done = operator.passes
    assert len(begun.names(VOLUME_SNAPSHOTS)) == 50
    assert wrote(operator, begun).count("create volumesnapshots") == 50
    begun.change(env=[{"name": "STAGE", "value": "two"}])
    begun.await_running()
    # A change of the sandbox is no news for those that are ready.
    assert operator.passes - done < 50
