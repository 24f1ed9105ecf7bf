"""A schedule on a real volume: its runs become copies, and a sandbox that sleeps is not copied again and again."""

from typing import Any

import pytest

from e2e.operator.sandboxes import PERSISTENT, Sandboxes, eventually

EVERY_MINUTE = {"schedule": "* * * * *", "keepLast": 2}


def copies(sandboxes: Sandboxes) -> list[dict[str, str]]:
    """Name and readiness of all snapshots, the newest first."""
    path = '{range .items[*]}{.metadata.name} {.status.conditions[?(@.type=="Ready")].status}{"\\n"}{end}'
    said = sandboxes.kubectl("get", "sandboxsnapshots", "-o", f"jsonpath={path}")
    found = [line.split() for line in said.splitlines() if line]
    return [{"name": name, "ready": "".join(rest)} for name, *rest in sorted(found, reverse=True)]


def told(sandboxes: Sandboxes, name: str) -> dict[str, Any]:
    """What the status says of the schedule."""
    found: dict[str, Any] = sandboxes.get("sandbox", name)["status"].get("snapshots", {})
    return found


@pytest.mark.slow
def test_a_sandbox_is_copied_every_minute_until_it_sleeps(sandboxes: Sandboxes) -> None:
    sandboxes.apply("diary", workspace=PERSISTENT, snapshots=EVERY_MINUTE)
    sandboxes.reaches("diary", "Running")

    first = eventually(
        lambda: [each["name"] for each in copies(sandboxes) if each["ready"] == "True"], bool, seconds=150
    )
    assert sandboxes.get("volumesnapshot", f"sbx-{first[0]}")["status"]["readyToUse"]
    assert told(sandboxes, "diary")["lastSnapshotName"] == first[0]

    sandboxes.sleep("diary")
    last = eventually(lambda: told(sandboxes, "diary"), lambda found: "skipped" in found, seconds=240)
    kept = [each["name"] for each in copies(sandboxes)]

    assert last["skipped"] == f"Nothing ran in it since SandboxSnapshot {kept[0]} was made."
    assert 1 <= len(kept) <= 2
