"""Snapshots on real volumes: of sandboxes that run and write, of those that sleep, and of what gets in the way."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import pytest

from e2e.conftest import hack_cluster
from e2e.operator.sandboxes import PERSISTENT, Sandboxes, eventually

PLAIN = {**PERSISTENT, "storageClassName": "sandkeeper-plain"}
LOG = "/workspace/log"
APPEND = f"""n=$(wc -l < {LOG} 2>/dev/null || echo 0)
while true; do n=$((n+1)); line="$n $(echo entry-$n | sha256sum | cut -c1-16)"; echo "$line" >> {LOG}; done"""
"""Writes all the time, a line and its checksum each; it goes on where it was."""


def take(sandboxes: Sandboxes, name: str, of: str, **spec: Any) -> None:
    manifest = {
        "apiVersion": "sandkeeper.dev/v1alpha1",
        "kind": "SandboxSnapshot",
        "metadata": {"name": name},
        "spec": {"sandboxRef": {"name": of}, **spec},
    }
    sandboxes.kubectl("apply", "-f", "-", given=json.dumps(manifest))


def ready(snapshot: dict[str, Any]) -> dict[str, str]:
    conditions = snapshot.get("status", {}).get("conditions", [])
    return next((each for each in conditions if each["type"] == "Ready"), {})


def reaches(sandboxes: Sandboxes, name: str, reason: str, said: str = "") -> dict[str, Any]:
    """Wait until a snapshot is Ready, or not, for a reason, and return its status."""

    def is_so(snapshot: dict[str, Any]) -> bool:
        found = ready(snapshot)
        return found.get("reason") == reason and said in found["message"]

    status: dict[str, Any] = eventually(lambda: sandboxes.get("sandboxsnapshot", name), is_so)["status"]
    return status


def volume(sandboxes: Sandboxes, name: str) -> dict[str, Any]:
    return sandboxes.get("volumesnapshot", f"sbx-{name}")


def lines(sandboxes: Sandboxes, name: str) -> int:
    return int(sandboxes.sh(name, f"wc -l < {LOG}"))


def test_a_sandbox_that_writes_all_the_time_is_copied_and_goes_on(sandboxes: Sandboxes) -> None:
    sandboxes.apply("busy", workspace=PERSISTENT, command=["sh", "-c", APPEND])
    sandboxes.reaches("busy", "Running")
    sandboxes.sh("busy", "echo changed > /etc/changed")
    pod = sandboxes.pod("busy")["metadata"]["uid"]

    take(sandboxes, "first", "busy")
    status = reaches(sandboxes, "first", "Ready")

    copied = volume(sandboxes, "first")
    assert copied["status"]["readyToUse"]
    assert status["volumeSnapshotName"] == "sbx-first"
    assert status["restoreSize"] == copied["status"]["restoreSize"]
    assert datetime.fromisoformat(status["creationTime"]) == datetime.fromisoformat(copied["status"]["creationTime"])
    assert 0 < status["pauseSeconds"] < status["durationSeconds"]
    assert status["captured"]["environment"]["command"] == ["sh", "-c", APPEND]
    assert status["captured"]["environment"]["workspace"]["storageClassName"] == "sandkeeper-snapshots"
    assert status["captured"]["imageDigest"].startswith("sha256:")
    now = sandboxes.pod("busy")
    assert now["metadata"]["uid"] == pod
    assert now["status"]["containerStatuses"][0]["restartCount"] == 0
    written = lines(sandboxes, "busy")
    eventually(lambda: lines(sandboxes, "busy"), lambda count: count > written)


def test_two_at_once_and_one_that_ends_by_itself(sandboxes: Sandboxes) -> None:
    sandboxes.apply("twice", workspace=PERSISTENT)
    sandboxes.reaches("twice", "Running")

    take(sandboxes, "one", "twice")
    take(sandboxes, "two", "twice", expiresAfter="5s")

    reaches(sandboxes, "one", "Ready")
    eventually(lambda: sandboxes.get("sandboxsnapshot", "two"), lambda found: not found)
    eventually(lambda: volume(sandboxes, "two"), lambda found: not found)
    assert volume(sandboxes, "one")["status"]["readyToUse"]


def test_a_sleeping_sandbox_is_copied_and_the_copy_outlives_it(sandboxes: Sandboxes) -> None:
    sandboxes.apply("resting", workspace=PERSISTENT)
    sandboxes.reaches("resting", "Running")
    sandboxes.sh("resting", "echo mine > /workspace/note")
    sandboxes.sleep("resting")

    take(sandboxes, "asleep", "resting")
    status = reaches(sandboxes, "asleep", "Ready")
    assert "pauseSeconds" not in status
    assert not sandboxes.pod("resting")

    sandboxes.kubectl("delete", "sandbox", "resting")
    eventually(lambda: sandboxes.get("pvc", "sbx-resting"), lambda claim: not claim)
    assert ready(sandboxes.get("sandboxsnapshot", "asleep"))["status"] == "True"
    assert volume(sandboxes, "asleep")["status"]["readyToUse"]


def test_a_class_without_snapshots_is_told(sandboxes: Sandboxes) -> None:
    sandboxes.apply("plain", workspace=PLAIN)
    sandboxes.reaches("plain", "Running")

    take(sandboxes, "never", "plain")

    reaches(sandboxes, "never", "NoSnapshotSupport", "No VolumeSnapshotClass is of driver plain.sandkeeper.dev")
    assert not volume(sandboxes, "never")


@pytest.mark.slow
def test_a_full_disk_is_told_and_it_is_taken_once_there_is_room(sandboxes: Sandboxes) -> None:
    sandboxes.apply("full", workspace=PERSISTENT)
    sandboxes.reaches("full", "Running")
    sandboxes.sh("full", "head -c 20M /dev/urandom > /opt/work")
    # The last write finds no room, and cat ends with that.
    sandboxes.sh("full", "cat /dev/urandom > /workspace/filling 2> /dev/null || true; sync")

    take(sandboxes, "squeezed", "full")
    reaches(sandboxes, "squeezed", "Failed", "VolumeFull")
    assert not volume(sandboxes, "squeezed")
    assert sandboxes.ready("full")["reason"] == "Running"
    sandboxes.sh("full", "rm /workspace/filling; sync")

    reaches(sandboxes, "squeezed", "Ready")


@contextmanager
def without(program: str) -> Iterator[None]:
    """Stop a program of the node."""
    hack_cluster("stop", program)
    try:
        yield
    finally:
        hack_cluster("start", program)


def test_while_the_snapshot_controller_is_down_it_says_so_and_then_goes_on(sandboxes: Sandboxes) -> None:
    sandboxes.apply("patient", workspace=PERSISTENT)
    sandboxes.reaches("patient", "Running")

    with without("snapshot-controller"):
        take(sandboxes, "delayed", "patient")
        reaches(sandboxes, "delayed", "Copying", "waits for the cluster's snapshot-controller")

    reaches(sandboxes, "delayed", "Ready")


def test_one_asked_for_while_a_sandbox_falls_asleep_has_all_that_it_did(sandboxes: Sandboxes) -> None:
    sandboxes.apply("drowsy", workspace=PERSISTENT)
    sandboxes.reaches("drowsy", "Running")
    sandboxes.sh("drowsy", "head -c 20M /dev/urandom > /opt/work")

    sandboxes.change("drowsy", lifecycle={"state": "Sleeping"})
    take(sandboxes, "dusk", "drowsy")

    reaches(sandboxes, "dusk", "Ready")
    assert sandboxes.reaches("drowsy", "Sleeping")["pack"]["entries"] > 0
