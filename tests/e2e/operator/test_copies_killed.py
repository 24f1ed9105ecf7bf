"""Operators killed in the middle of snapshots, restores, rollbacks and forks lose nothing and make nothing twice."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from e2e.operator.copies import claims_of, fill, kill_operators, names, sums
from e2e.operator.sandboxes import PERSISTENT, SMALL, Sandboxes, eventually
from e2e.operator.test_life_faults import processes
from e2e.operator.test_rollback import GOOD, copy, rolled_back
from e2e.operator.test_snapshots import reaches, take, volume, without

pytestmark = pytest.mark.slow
"""A replica is missed after a Lease's fifteen seconds. The API ring kills at every single write."""
MADE = "pods,pvc,volumesnapshots,sandboxsnapshots"
LATER = {"secrets": [{"name": "later"}]}
"""A pod that waits for a Secret is there, and starts when a test wants it to."""


def started(sandboxes: Sandboxes, name: str) -> str:
    """Start a sandbox with files, and return their checksums."""
    sandboxes.apply(name, workspace=PERSISTENT, resources=SMALL)
    sandboxes.reaches(name, "Running")
    return fill(sandboxes, name)


@contextmanager
def quiescing(sandboxes: Sandboxes, name: str, snapshot: str) -> Iterator[str]:
    """Take a snapshot of a sandbox, and hold it while the guest packs; gives the uid of its pod."""
    pod_uid = sandboxes.pod(name)["metadata"]["uid"]
    (first,) = processes(pod_uid, "run")
    first.send_signal(signal.SIGSTOP)
    try:
        take(sandboxes, snapshot, name)
        eventually(lambda: processes(pod_uid, "quiesce"), bool)
        yield pod_uid
    finally:
        first.send_signal(signal.SIGCONT)


def test_killed_while_a_sandbox_is_quiesced(sandboxes: Sandboxes) -> None:
    written = started(sandboxes, "agent")

    with quiescing(sandboxes, "agent", "good") as pod_uid:
        asked = {process.pid for process in processes(pod_uid, "quiesce")}
        kill_operators(sandboxes)
        # The next operator asks again.
        eventually(lambda: {process.pid for process in processes(pod_uid, "quiesce")} - asked, bool)
        assert not volume(sandboxes, "good")

    reaches(sandboxes, "good", "Ready")
    assert sandboxes.pod("agent")["metadata"]["uid"] == pod_uid
    assert names(sandboxes, "volumesnapshots") == ["sbx-good"]
    copy(sandboxes, "restored", GOOD)
    sandboxes.reaches("restored", "Running")
    assert sums(sandboxes, "restored") == written


def test_killed_while_the_storage_has_still_to_copy_and_to_provide(sandboxes: Sandboxes) -> None:
    good, trunk = started(sandboxes, "agent"), started(sandboxes, "trunk")
    take(sandboxes, "good", "agent")
    reaches(sandboxes, "good", "Ready")
    newer, pod_uid = fill(sandboxes, "agent"), sandboxes.pod("agent")["metadata"]["uid"]

    with without("snapshot-controller"), without("csi-provisioner"):
        take(sandboxes, "late", "trunk")
        copy(sandboxes, "fork", {"sandboxRef": {"name": "trunk"}})
        copy(sandboxes, "restored", GOOD)
        sandboxes.change("agent", source=GOOD)
        eventually(lambda: names(sandboxes, "volumesnapshots"), lambda found: len(found) == 3)
        eventually(lambda: claims_of(sandboxes, "restored"), lambda found: list(found.values()) == ["Pending"])
        eventually(lambda: claims_of(sandboxes, "agent"), lambda found: sorted(found.values()) == ["Bound", "Pending"])
        kill_operators(sandboxes)
        assert sandboxes.pod("agent")["metadata"]["uid"] == pod_uid
        assert sums(sandboxes, "agent") == newer

    reaches(sandboxes, "late", "Ready")
    for name in ("fork", "restored"):
        assert sandboxes.reaches(name, "Running")["startedFrom"] == "Snapshot"
    rolled_back(sandboxes, "agent", "sbx-agent")
    assert [sums(sandboxes, name) for name in ("agent", "restored", "trunk", "fork")] == [good, good, trunk, trunk]
    made_once(sandboxes, ["agent", "fork", "restored", "trunk"], snapshots=3)


def made_once(sandboxes: Sandboxes, those: list[str], snapshots: int) -> None:
    """Check that there is one pod and, in the end, one claim of each sandbox, and so many copies."""
    assert names(sandboxes, "pods") == [f"sbx-{name}" for name in those]
    eventually(
        lambda: [[*claims_of(sandboxes, name).values()] for name in those],
        lambda found: found == [["Bound"]] * len(those),
    )
    assert len(names(sandboxes, "volumesnapshots")) == snapshots


def test_killed_while_the_new_pod_of_a_rollback_starts(sandboxes: Sandboxes) -> None:
    good = started(sandboxes, "agent")
    take(sandboxes, "good", "agent")
    reaches(sandboxes, "good", "Ready")
    fill(sandboxes, "agent")
    former = sandboxes.pod("agent")["metadata"]["uid"]

    sandboxes.change("agent", source=GOOD, **LATER)
    waits_for_secret(sandboxes, former)
    kill_operators(sandboxes)
    # Until the new pod was ready, the old claim is what the sandbox can go back to.
    assert sorted(claims_of(sandboxes, "agent").values()) == ["Bound", "Bound"]
    sandboxes.kubectl("create", "secret", "generic", "later", "--from-literal=KEY=value")

    rolled_back(sandboxes, "agent", "sbx-agent")
    assert sums(sandboxes, "agent") == good
    assert sandboxes.sh("agent", "echo $KEY") == "value\n"
    made_once(sandboxes, ["agent"], snapshots=1)


def waits_for_secret(sandboxes: Sandboxes, former: str) -> None:
    """Wait until another pod than the former one is there and waits for its Secret."""

    def waiting() -> str:
        pod = sandboxes.pod("agent")
        mine = pod and pod["metadata"]["uid"] != former
        states = [each["state"] for each in pod["status"].get("containerStatuses", [])] if mine else []
        return " ".join(state.get("waiting", {}).get("reason", "") for state in states)

    eventually(waiting, lambda reason: "CreateContainerConfigError" in reason)


def has_gone_on(sandboxes: Sandboxes, before: list[str]) -> None:
    """Wait until more, or less, is there than before."""
    eventually(lambda: names(sandboxes, MADE), lambda found: found != before)


def test_killed_again_and_again_while_all_of_it_is_done(sandboxes: Sandboxes) -> None:
    good, trunk = started(sandboxes, "agent"), started(sandboxes, "trunk")
    take(sandboxes, "good", "agent")
    reaches(sandboxes, "good", "Ready")
    newer = fill(sandboxes, "agent")

    sandboxes.change("agent", source={**GOOD, "keepPrevious": True})
    copy(sandboxes, "restored", GOOD)
    for number in range(4):
        before = names(sandboxes, MADE)
        take(sandboxes, f"late-{number}", "trunk")
        copy(sandboxes, f"fork-{number}", {"sandboxRef": {"name": "trunk"}})
        # Whoever has just done something has more to do.
        has_gone_on(sandboxes, before)
        kill_operators(sandboxes)

    forks = [f"fork-{number}" for number in range(4)]
    for name in (*forks, "restored"):
        sandboxes.reaches(name, "Running")
    status = rolled_back(sandboxes, "agent", "sbx-agent")
    for number in range(4):
        reaches(sandboxes, f"late-{number}", "Ready")
    assert [sums(sandboxes, name) for name in forks] == [trunk] * 4
    assert [sums(sandboxes, name) for name in ("restored", "agent")] == [good, good]
    eventually(lambda: sandboxes.get("sandbox", "agent")["status"], lambda said: "previousClaimName" in said)
    undo = {"snapshotRef": None, "claimRef": {"name": "sbx-agent"}, "keepPrevious": None}
    sandboxes.change("agent", source=undo)
    rolled_back(sandboxes, "agent", status["workspaceClaimName"])
    assert sums(sandboxes, "agent") == newer
    taken = len(names(sandboxes, "sandboxsnapshots"))
    assert 1 <= taken <= 4
    made_once(sandboxes, ["agent", *forks, "restored", "trunk"], snapshots=5 + taken)
