"""Sandboxes are copied by their schedules: each run once, whatever befalls the operator, and no more than is kept."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from api.operator.kubernetes_api import QUOTAS, Api, Json
from api.operator.operator_process import OperatorProcess
from api.operator.snapshotter import CLASS, Snapshotter
from api.operator.team import Team, condition
from api.operator.test_killed import Moment, await_settled, each_point, kill_at, restart_after_kill
from api.operator.test_snapshots import await_reason as await_snapshot
from api.operator.waiting import eventually
from sandkeeper.controllers.cluster import SANDBOXES
from sandkeeper.controllers.copies import SNAPSHOTS
from sandkeeper.runtime.resource import CLAIMS

YEARLY: Json = {"schedule": "@yearly"}
RUNNING_UP = ["create sandboxsnapshots", "patch sandboxes/status"]
CLEANING = ["delete sandboxsnapshots"]
LONG_AGO = "2020-01-01T00:00:00Z"


@pytest.fixture(scope="module", autouse=True)
def snapshotter(api: Api) -> Iterator[Snapshotter]:
    with Snapshotter(api) as snapshotter:
        yield snapshotter


def new_year() -> str:
    """Name of the snapshot of the last run of `YEARLY`."""
    return f"agent-{datetime.now(UTC):%Y}0101-0000"


def running(team: Team, **snapshots: Any) -> Json:
    """Start a sandbox with a schedule; by then no run of it was due."""
    team.create(workspace={"storageClassName": CLASS}, args=["serve"], snapshots={**YEARLY, **snapshots})
    (sandbox,) = team.await_running()
    return sandbox


def owe(team: Team) -> None:
    """Let the sandbox have had its schedule for years, and never a run of it."""
    owed = {"since": LONG_AGO, "lastScheduleTime": None}
    team.api.merge(SANDBOXES, team.namespace, "agent", {"status": {"snapshots": owed}}, sub="status")


def await_last(team: Team) -> Json:
    """Wait until the status tells of the last run, and return what it tells of the schedule."""

    def told() -> Json | None:
        found: Json = team.get(SANDBOXES, "agent")["status"].get("snapshots", {})
        return found if "lastScheduleTime" in found else None

    return eventually(told, "word of the last run")


def made_ready(team: Team, name: str) -> None:
    """Make a snapshot as a former run would have, and wait until it has been taken."""
    labels = {"managed": "true", "sandbox": "agent", "scheduled": "true"}
    metadata = {"name": name, "labels": {f"sandkeeper.dev/{key}": value for key, value in labels.items()}}
    team.api.create(SNAPSHOTS, team.namespace, {"metadata": metadata, "spec": {"sandboxRef": {"name": "agent"}}})
    await_snapshot(team, "Ready", name)


def await_condition(team: Team, truth: str) -> Json:
    def read() -> Json | None:
        found = team.condition("SnapshotsUpToDate")
        return found if found.get("status") == truth else None

    return eventually(read, f"condition SnapshotsUpToDate {truth}")


def test_a_new_schedule_waits_for_its_first_run(operator: OperatorProcess, team: Team) -> None:
    sandbox = running(team)

    told = sandbox["status"]["snapshots"]
    assert told["schedule"] == "@yearly UTC"
    assert told["since"] == sandbox["metadata"]["creationTimestamp"]
    assert told["nextScheduleTime"] > told["since"]
    assert team.names(SNAPSHOTS) == []


def test_a_missed_run_is_made_up_for_with_two_writes(operator: OperatorProcess, team: Team) -> None:
    running(team)
    await_settled(operator, team)
    before = len(operator.proxy.writes(team.namespace))

    owe(team)
    told = await_last(team)
    await_settled(operator, team)

    assert team.names(SNAPSHOTS) == [told["lastSnapshotName"]] == [new_year()]
    assert "ownerReferences" not in team.get(SNAPSHOTS, new_year())["metadata"]
    written = operator.proxy.writes(team.namespace)[before:]
    assert [each for each in written if each in RUNNING_UP] == RUNNING_UP


def test_a_run_is_made_once_however_often_its_record_is_lost(operator: OperatorProcess, team: Team) -> None:
    running(team)
    owe(team)
    await_last(team)
    uid = team.get(SNAPSHOTS, new_year())["metadata"]["uid"]

    operator.stop()
    owe(team)
    operator.start()
    await_last(team)

    assert [team.get(SNAPSHOTS, name)["metadata"]["uid"] for name in team.names(SNAPSHOTS)] == [uid]
    assert operator.proxy.writes(team.namespace).count("create sandboxsnapshots") == 1


@each_point(RUNNING_UP)
def test_killed_while_it_makes_a_copy(
    operator: OperatorProcess, team: Team, moment: Moment, what: str, number: int
) -> None:
    running(team)
    await_settled(operator, team)
    kill_at(operator, team, moment, what, number)

    owe(team)
    restart_after_kill(operator)

    assert await_last(team)["lastSnapshotName"] == new_year()
    assert team.names(SNAPSHOTS) == [new_year()]
    assert operator.proxy.writes(team.namespace).count("create sandboxsnapshots") == 1


@each_point(CLEANING)
def test_killed_while_it_deletes_a_copy(
    operator: OperatorProcess, team: Team, moment: Moment, what: str, number: int
) -> None:
    running(team)
    for name in ("agent-1", "agent-2", "agent-3"):
        made_ready(team, name)
    kill_at(operator, team, moment, what, number)

    team.change(snapshots={"keepLast": 1})
    restart_after_kill(operator)

    eventually(lambda: team.names(SNAPSHOTS) == ["agent-3"], lambda: f"one copy, but {team.names(SNAPSHOTS)}")
    await_settled(operator, team)
    assert team.names(SNAPSHOTS) == ["agent-3"]


def test_a_copy_that_a_restore_reads_is_not_deleted(
    operator: OperatorProcess, team: Team, snapshotter: Snapshotter
) -> None:
    running(team)
    for name in ("agent-1", "agent-2", "agent-3"):
        made_ready(team, name)
    snapshotter.held.add(team.namespace)
    team.create("reader", workspace={"storageClassName": CLASS}, source={"snapshotRef": {"name": "agent-1"}})
    eventually(lambda: len(team.names(CLAIMS)) == 2, "claim that is made from it")

    team.change(snapshots={"keepLast": 1})

    eventually(lambda: "agent-2" not in team.names(SNAPSHOTS), "end of a copy that is not kept")
    assert "deletionTimestamp" not in team.get(SNAPSHOTS, "agent-1")["metadata"]

    snapshotter.held.discard(team.namespace)
    eventually(lambda: team.names(SNAPSHOTS) == ["agent-3"], "end of a copy that is read no more")


def test_a_quota_for_snapshots_is_told_and_harms_nothing(operator: OperatorProcess, team: Team) -> None:
    hard = {"count/sandboxsnapshots.sandkeeper.dev": "0"}
    team.api.create(QUOTAS, team.namespace, {"metadata": {"name": "none"}, "spec": {"hard": hard}})
    eventually(lambda: "hard" in team.get(QUOTAS, "none").get("status", {}), "quota in force")
    running(team)

    owe(team)
    told = await_condition(team, "False")

    assert told["reason"] == "QuotaExceeded"
    assert "ResourceQuota none has no room for the SandboxSnapshot" in told["message"]
    assert condition(team.get(SANDBOXES, "agent"), "Ready")["status"] == "True"
    assert eventually(lambda: team.events("QuotaExceeded"), "Event")[0]["type"] == "Warning"


@pytest.mark.slow
def test_a_schedule_goes_on_once_the_quota_has_room(operator: OperatorProcess, team: Team) -> None:
    hard = {"count/sandboxsnapshots.sandkeeper.dev": "0"}
    team.api.create(QUOTAS, team.namespace, {"metadata": {"name": "none"}, "spec": {"hard": hard}})
    eventually(lambda: "hard" in team.get(QUOTAS, "none").get("status", {}), "quota in force")
    running(team)
    owe(team)
    await_condition(team, "False")

    team.api.delete(QUOTAS, team.namespace, "none")

    # It tries again after a minute.
    eventually(lambda: team.names(SNAPSHOTS) == [new_year()], "copy", seconds=90)
    await_condition(team, "True")


def test_a_name_that_is_taken_is_told_and_left_alone(operator: OperatorProcess, team: Team) -> None:
    theirs = {"metadata": {"name": new_year()}, "spec": {"sandboxRef": {"name": "other"}}}
    uid = team.api.create(SNAPSHOTS, team.namespace, theirs)["metadata"]["uid"]
    running(team)

    owe(team)

    told = await_condition(team, "False")
    assert told["reason"] == "Conflict"
    assert f"SandboxSnapshot {new_year()} is there and does not belong to this sandbox" in told["message"]
    assert team.get(SNAPSHOTS, new_year())["metadata"]["uid"] == uid


def test_what_admission_can_not_see_is_told(operator: OperatorProcess, team: Team) -> None:
    running(team)

    team.change(snapshots={"schedule": "0 0 30 2 *"})

    told = await_condition(team, "False")
    assert told["reason"] == "InvalidSchedule"
    assert told["message"].startswith('spec.snapshots.schedule: "0 0 30 2 *" names no moment that ever comes')
    team.change(snapshots=YEARLY)
    await_condition(team, "True")


def test_copies_outlive_their_sandbox(operator: OperatorProcess, team: Team) -> None:
    running(team)
    owe(team)
    await_last(team)

    team.delete()
    team.await_nothing()

    assert team.names(SNAPSHOTS) == [new_year()]
