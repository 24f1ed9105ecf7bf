"""Restore, rollback, fork and undo on real volumes: with files, packages and environment, and what fails on the way."""

import json
from typing import Any

from e2e.operator.sandboxes import PERSISTENT, SMALL, Sandboxes, eventually
from e2e.operator.test_snapshots import APPEND, LOG, lines, reaches, take

GOOD = {"snapshotRef": {"name": "good"}}
IDLE = ["sh", "-c", "sleep infinity"]
VERIFY = f"""n=0
while read -r number sum; do
  n=$((n+1))
  [ "$number $sum" = "$n $(echo entry-$n | sha256sum | cut -c1-16)" ] || exit 1
done < {LOG}
echo $n"""
"""Fails at a line that is not the next one with its checksum; else prints how many there are."""


def copy(sandboxes: Sandboxes, name: str, source: dict[str, Any], **spec: Any) -> None:
    """Make a sandbox of which the spec says nothing but where it comes from, and what of it is to differ."""
    manifest = sandboxes.manifest(name)
    manifest["spec"] = {"source": source, **spec}
    sandboxes.kubectl("apply", "-f", "-", given=json.dumps(manifest))


def begun(sandboxes: Sandboxes, name: str) -> None:
    """Make a sandbox with a file, something installed and a variable, and a snapshot of it."""
    sandboxes.apply(name, workspace=PERSISTENT, env=[{"name": "STAGE", "value": "good"}])
    sandboxes.reaches(name, "Running")
    sandboxes.sh(name, "echo good > /workspace/note; echo good > /usr/local/bin/tool")
    take(sandboxes, "good", name)
    reaches(sandboxes, "good", "Ready")


def state(sandboxes: Sandboxes, name: str) -> list[str]:
    """What is in the file, what is installed, and the variable."""
    script = "cat /workspace/note /usr/local/bin/tool 2>/dev/null || true; echo $STAGE"
    return sandboxes.sh(name, script).split()


def rolled_back(sandboxes: Sandboxes, name: str, former: str) -> dict[str, Any]:
    """Wait until a sandbox runs on another claim than before, and return its status."""

    def read() -> dict[str, Any]:
        sandbox = sandboxes.get("sandbox", name)
        status: dict[str, Any] = sandbox["status"]
        return status if status["observedGeneration"] == sandbox["metadata"]["generation"] else {}

    def is_done(status: dict[str, Any]) -> bool:
        return status.get("workspaceClaimName", former) != former and sandboxes.ready(name)["reason"] == "Running"

    return eventually(read, is_done)


def claims(sandboxes: Sandboxes) -> list[str]:
    """Names of all claims of the namespace."""
    return sandboxes.kubectl("get", "pvc", "-o", "name").split()


def test_a_log_that_is_written_all_the_time_is_whole_in_a_restored_sandbox(sandboxes: Sandboxes) -> None:
    sandboxes.apply("busy", workspace=PERSISTENT, command=["sh", "-c", APPEND])
    sandboxes.reaches("busy", "Running")
    eventually(lambda: lines(sandboxes, "busy"), lambda count: count > 50)
    before = lines(sandboxes, "busy")
    take(sandboxes, "good", "busy")
    reaches(sandboxes, "good", "Ready")

    copy(sandboxes, "whole", GOOD, command=IDLE)

    assert sandboxes.reaches("whole", "Running")["startedFrom"] == "Snapshot"
    assert int(sandboxes.sh("whole", VERIFY)) >= before


def test_a_restored_sandbox_has_files_packages_and_environment_and_outlives_its_snapshot(sandboxes: Sandboxes) -> None:
    begun(sandboxes, "origin")

    copy(sandboxes, "clone", GOOD)
    sandboxes.reaches("clone", "Running")

    assert state(sandboxes, "clone") == ["good"] * 3
    sandboxes.kubectl("delete", "sandboxsnapshot", "good", "--wait=true")
    sandboxes.kubectl("delete", "pod", "sbx-clone")
    eventually(lambda: sandboxes.pod("clone"), bool)
    sandboxes.kubectl("wait", "pod/sbx-clone", "--for=condition=Ready", "--timeout=120s")
    assert state(sandboxes, "clone") == ["good"] * 3


def test_rolled_back_and_undone(sandboxes: Sandboxes) -> None:
    begun(sandboxes, "agent")
    sandboxes.sh("agent", "echo broken > /workspace/note; echo broken > /usr/local/bin/tool")

    sandboxes.change("agent", source={**GOOD, "keepPrevious": True})
    status = rolled_back(sandboxes, "agent", "sbx-agent")

    assert state(sandboxes, "agent") == ["good"] * 3
    eventually(lambda: sandboxes.get("sandbox", "agent")["status"], lambda said: "previousClaimName" in said)
    sandboxes.change("agent", source={"snapshotRef": None, "claimRef": {"name": "sbx-agent"}, "keepPrevious": None})
    rolled_back(sandboxes, "agent", status["workspaceClaimName"])
    assert state(sandboxes, "agent") == ["broken", "broken", "good"]
    eventually(lambda: claims(sandboxes), lambda names: len(names) == 1)


def test_a_rollback_that_fails_leaves_the_old_state_running_and_can_be_given_up(sandboxes: Sandboxes) -> None:
    begun(sandboxes, "steady")
    sandboxes.sh("steady", "echo newer > /workspace/note")
    pod = sandboxes.pod("steady")["metadata"]["uid"]

    sandboxes.change("steady", source={"snapshotRef": {"name": "never"}})
    status = sandboxes.reaches("steady", "SnapshotNotFound")

    assert next(each["status"] for each in status["conditions"] if each["type"] == "Running") == "True"
    sandboxes.change("steady", source=None)
    sandboxes.reaches("steady", "Running")
    assert sandboxes.pod("steady")["metadata"]["uid"] == pod
    assert state(sandboxes, "steady") == ["newer", "good", "good"]


def test_a_sleeping_sandbox_is_rolled_back_and_wakes_as_it_was(sandboxes: Sandboxes) -> None:
    begun(sandboxes, "drowsy")
    sandboxes.sh("drowsy", "echo broken > /workspace/note")
    sandboxes.sleep("drowsy")

    sandboxes.change("drowsy", source=GOOD)
    sandboxes.wake("drowsy")

    status = rolled_back(sandboxes, "drowsy", "sbx-drowsy")
    assert status["startedFrom"] == "Snapshot"
    assert state(sandboxes, "drowsy") == ["good"] * 3
    eventually(lambda: sandboxes.get("pvc", "sbx-drowsy"), lambda claim: not claim)


def test_forks_of_a_sandbox_that_runs_and_of_one_that_sleeps(sandboxes: Sandboxes) -> None:
    sandboxes.apply("trunk", workspace=PERSISTENT, env=[{"name": "STAGE", "value": "good"}], resources=SMALL)
    sandboxes.reaches("trunk", "Running")
    sandboxes.sh("trunk", "echo good > /workspace/note; echo good > /usr/local/bin/tool")

    copy(sandboxes, "left", {"sandboxRef": {"name": "trunk"}})
    copy(sandboxes, "right", {"sandboxRef": {"name": "trunk"}})
    sandboxes.reaches("left", "Running")
    sandboxes.reaches("right", "Running")
    sandboxes.sh("left", "echo left > /workspace/note")
    sandboxes.sleep("trunk")
    copy(sandboxes, "late", {"sandboxRef": {"name": "trunk"}})
    sandboxes.reaches("late", "Running")

    assert [state(sandboxes, name)[0] for name in ("left", "right", "late")] == ["left", "good", "good"]
    assert state(sandboxes, "right") == state(sandboxes, "late") == ["good"] * 3
    taken = json.loads(sandboxes.kubectl("get", "sandboxsnapshots", "-o", "json"))["items"]
    assert all("sandkeeper.dev/fork" in each["metadata"]["labels"] for each in taken)
