"""What befalls copies on real volumes beside killed operators: all is whole, or says why it is not, and then heals."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from e2e.operator.copies import claims_of, contents, fill, listed, names, nothing_is_left, sums
from e2e.operator.sandboxes import SMALL, Sandboxes, eventually
from e2e.operator.test_copies_killed import LATER, started, waits_for_secret
from e2e.operator.test_rollback import GOOD, copy, rolled_back
from e2e.operator.test_snapshots import reaches, ready, take, without

DRIVER = "volumes.sandkeeper.dev"
TRUNK = {"sandboxRef": {"name": "trunk"}}
CHOSEN = "volume.kubernetes.io/selected-node"
SECRET = "csi.storage.k8s.io/snapshotter-secret"


@contextmanager
def snapshot_class(sandboxes: Sandboxes, name: str, driver: str) -> Iterator[None]:
    """Make a VolumeSnapshotClass whose driver is to be given a Secret of the namespace."""
    manifest = {
        "apiVersion": "snapshot.storage.k8s.io/v1",
        "kind": "VolumeSnapshotClass",
        "metadata": {"name": name},
        "driver": driver,
        "deletionPolicy": "Delete",
        "parameters": {f"{SECRET}-name": "key", f"{SECRET}-namespace": sandboxes.namespace},
    }
    sandboxes.kubectl("create", "-f", "-", given=json.dumps(manifest))
    try:
        yield
    finally:
        sandboxes.kubectl("delete", "volumesnapshotclass", name)


def test_a_class_and_a_copy_that_fail_are_told_and_heal(sandboxes: Sandboxes) -> None:
    written, name = started(sandboxes, "agent"), f"keyed-{sandboxes.namespace}"
    sandboxes.kubectl("create", "role", "keys", "--verb=get", "--resource=secrets")
    sandboxes.kubectl("create", "rolebinding", "keys", "--role=keys", "--user=sandkeeper:csi-snapshotter")

    take(sandboxes, "good", "agent", volumeSnapshotClassName=name)
    reaches(sandboxes, "good", "NoSnapshotSupport", name)
    with snapshot_class(sandboxes, name, "other.example.com"):
        reaches(sandboxes, "good", "NoSnapshotSupport", "other.example.com")
    with snapshot_class(sandboxes, name, DRIVER):
        reaches(sandboxes, "good", "Failed", "cannot get credentials")
        assert sandboxes.ready("agent")["reason"] == "Running"
        sandboxes.kubectl("create", "secret", "generic", "key", "--from-literal=key=value")
        reaches(sandboxes, "good", "Ready")

    assert names(sandboxes, "volumesnapshots") == ["sbx-good"]
    copy(sandboxes, "restored", GOOD)
    sandboxes.reaches("restored", "Running")
    assert sums(sandboxes, "restored") == written


def test_a_restore_is_made_on_the_node_that_has_the_copy_and_has_no_pod_before(sandboxes: Sandboxes) -> None:
    written = started(sandboxes, "agent")
    take(sandboxes, "good", "agent")
    reaches(sandboxes, "good", "Ready")

    with without("storage"):
        copy(sandboxes, "restored", GOOD)
        sandboxes.reaches("restored", "VolumePending")
        (claim,) = listed(sandboxes, "pvc", "-l", "sandkeeper.dev/sandbox=restored")
        assert claim["metadata"]["annotations"][CHOSEN] == sandboxes.pod("agent")["spec"]["nodeName"]
        assert not sandboxes.pod("restored")

    sandboxes.reaches("restored", "Running")
    assert sums(sandboxes, "restored") == written


@pytest.mark.slow
def test_a_driver_that_is_away_is_told_and_all_goes_on_once_it_is_back(sandboxes: Sandboxes) -> None:
    good, trunk = started(sandboxes, "agent"), started(sandboxes, "trunk")
    take(sandboxes, "good", "agent")
    reaches(sandboxes, "good", "Ready")
    newer = fill(sandboxes, "agent")

    with without("storage"):
        take(sandboxes, "late", "trunk")
        sandboxes.change("agent", source=GOOD)
        copy(sandboxes, "restored", GOOD)
        reaches(sandboxes, "late", "Copying", "waits for its driver, which has not answered")
        sandboxes.reaches("restored", "VolumePending")
        sandboxes.reaches("agent", "VolumePending")
        assert sums(sandboxes, "agent") == newer

    reaches(sandboxes, "late", "Ready")
    sandboxes.reaches("restored", "Running")
    rolled_back(sandboxes, "agent", "sbx-agent")
    copy(sandboxes, "clone", {"snapshotRef": {"name": "late"}})
    sandboxes.reaches("clone", "Running")
    assert [sums(sandboxes, name) for name in ("agent", "restored", "clone")] == [good, good, trunk]


@pytest.mark.slow
def test_a_fork_whose_source_is_deleted_once_the_driver_is_asked_is_whole(sandboxes: Sandboxes) -> None:
    written = started(sandboxes, "trunk")

    with without("csi-snapshotter"):
        copy(sandboxes, "fork", TRUNK)
        eventually(lambda: contents(sandboxes), bool)
        eventually(lambda: sandboxes.ready("fork")["message"], lambda said: "its driver, which has not" in said)
        sandboxes.kubectl("delete", "sandbox", "trunk")
        eventually(lambda: sandboxes.pod("trunk"), lambda pod: not pod)
        # The cluster keeps the volume until it is copied.
        assert claims_of(sandboxes, "trunk")

    sandboxes.reaches("fork", "Running")
    assert sums(sandboxes, "fork") == written
    eventually(lambda: claims_of(sandboxes, "trunk"), lambda found: not found)
    nothing_is_left(sandboxes)


def test_a_fork_whose_source_goes_before_the_cluster_can_copy_it_says_so(sandboxes: Sandboxes) -> None:
    started(sandboxes, "trunk")

    with without("snapshot-controller"):
        copy(sandboxes, "fork", TRUNK)
        eventually(lambda: names(sandboxes, "volumesnapshots"), bool)
        sandboxes.kubectl("delete", "sandbox", "trunk")
        eventually(lambda: claims_of(sandboxes, "trunk"), lambda found: not found)

    sandboxes.reaches("fork", "SnapshotNotReady")
    said = sandboxes.ready("fork")["message"]
    assert "cannot get claim from snapshot" in said
    assert "Sandbox trunk itself is gone" in said
    nothing_is_left(sandboxes)


@pytest.mark.slow
def test_a_rollback_asked_again_while_one_is_under_way_ends_with_the_last(sandboxes: Sandboxes) -> None:
    good = started(sandboxes, "agent")
    take(sandboxes, "good", "agent")
    reaches(sandboxes, "good", "Ready")
    newer = fill(sandboxes, "agent")
    take(sandboxes, "better", "agent")
    reaches(sandboxes, "better", "Ready")
    newest = fill(sandboxes, "agent")

    with without("csi-provisioner"):
        sandboxes.change("agent", source={**GOOD, "keepPrevious": True})
        (first,) = eventually(lambda: {*claims_of(sandboxes, "agent")} - {"sbx-agent"}, bool)
        sandboxes.change("agent", source={"snapshotRef": {"name": "better"}, "revision": "2"})
        eventually(lambda: {*claims_of(sandboxes, "agent")} - {"sbx-agent", first}, bool)
        assert sums(sandboxes, "agent") == newest

    rolled_back(sandboxes, "agent", "sbx-agent")
    assert sums(sandboxes, "agent") == newer != good
    undone(sandboxes, newest)


def undone(sandboxes: Sandboxes, written: str) -> None:
    """Undo a rollback that kept what was before it, and check that this is all there."""
    now = eventually(lambda: sandboxes.get("sandbox", "agent")["status"], lambda said: "previousClaimName" in said)
    assert (now["previousClaimName"], len(claims_of(sandboxes, "agent"))) == ("sbx-agent", 2)
    undo = {"snapshotRef": None, "claimRef": {"name": "sbx-agent"}, "revision": None, "keepPrevious": None}
    sandboxes.change("agent", source=undo)
    rolled_back(sandboxes, "agent", now["workspaceClaimName"])
    assert sums(sandboxes, "agent") == written
    eventually(lambda: claims_of(sandboxes, "agent"), lambda found: len(found) == 1)


@pytest.mark.slow
def test_a_rollback_asked_again_while_its_new_pod_starts_keeps_what_ran_before(sandboxes: Sandboxes) -> None:
    good = started(sandboxes, "agent")
    take(sandboxes, "good", "agent")
    reaches(sandboxes, "good", "Ready")
    newest, former = fill(sandboxes, "agent"), sandboxes.pod("agent")["metadata"]["uid"]

    sandboxes.change("agent", source={**GOOD, "keepPrevious": True}, **LATER)
    waits_for_secret(sandboxes, former)
    (first,) = {*claims_of(sandboxes, "agent")} - {"sbx-agent"}
    sandboxes.change("agent", source={**GOOD, "keepPrevious": True, "revision": "2"}, secrets=None)

    status = rolled_back(sandboxes, "agent", "sbx-agent")
    assert status["workspaceClaimName"] != first
    assert sums(sandboxes, "agent") == good
    undone(sandboxes, newest)


@pytest.mark.slow
def test_fifty_snapshots_at_once_are_all_taken_and_leave_nothing(sandboxes: Sandboxes) -> None:
    written = started(sandboxes, "agent")
    fifty = [f"s{number}" for number in range(50)]

    for name in fifty:
        take(sandboxes, name, "agent")

    found = eventually(lambda: listed(sandboxes, "sandboxsnapshots"), all_ready)
    assert sorted(each["metadata"]["name"] for each in found) == sorted(fifty)
    assert sorted(names(sandboxes, "volumesnapshots")) == sorted(f"sbx-{name}" for name in fifty)
    assert len(contents(sandboxes)) == 50
    copy(sandboxes, "restored", {"snapshotRef": {"name": "s49"}})
    sandboxes.reaches("restored", "Running")
    assert sums(sandboxes, "restored") == written
    nothing_is_left(sandboxes)


def all_ready(snapshots: list[dict[str, Any]]) -> bool:
    return all(ready(each).get("status") == "True" for each in snapshots)


@pytest.mark.slow
def test_twenty_forks_at_once_cost_two_snapshots_and_have_all_of_it(sandboxes: Sandboxes) -> None:
    written, forks = started(sandboxes, "trunk"), [f"fork-{number}" for number in range(20)]
    manifests = [{**sandboxes.manifest(name), "spec": {"source": TRUNK, "resources": SMALL}} for name in forks]

    sandboxes.kubectl("apply", "-f", "-", given="\n---\n".join(map(json.dumps, manifests)))

    for name in forks:
        sandboxes.reaches(name, "Running")
        assert sums(sandboxes, name) == written
    assert len(listed(sandboxes, "sandboxsnapshots")) <= 2
    assert len(contents(sandboxes)) <= 2
    nothing_is_left(sandboxes)
