"""All objects come back from a backup without status and with other uids, as Velero restores them: so does what was.

Copies stay in the storage meanwhile. A volume does so too, or comes back from a copy that the tool took of it.
"""

import json
from typing import Any

import pytest

from e2e.operator.copies import claims_of, contents, fill, listed, names, sums
from e2e.operator.sandboxes import Sandboxes, eventually
from e2e.operator.test_copies_killed import started
from e2e.operator.test_rollback import GOOD, copy, rolled_back
from e2e.operator.test_snapshots import reaches, ready, take
from e2e.operator.test_snapshots import volume as copy_of

Json = dict[str, Any]

LABEL = {"velero.io/restore-name": "monday"}
TAKEN_OF = {"apiVersion": "snapshot.storage.k8s.io/v1", "kind": "VolumeSnapshot"}
TAKEN = {"apiGroup": "snapshot.storage.k8s.io", "kind": "VolumeSnapshot", "name": "velero-agent"}
"""The tool's own copy of a volume."""
DROPPED = ("pv.kubernetes.io/", "volume.", "snapshot.storage.kubernetes.io/", "kubectl.")
"""Annotations by which the cluster remembers what it did, and tools for backups leave out."""


def as_restored(obj: Json, **spec: Any) -> Json:
    """Write an object as a backup brings it back: no status, owner, uid, finalizer or mark of a binder."""
    notes = obj["metadata"].get("annotations", {})
    metadata = {
        "name": obj["metadata"]["name"],
        "labels": {**obj["metadata"].get("labels", {}), **LABEL},
        "annotations": {key: value for key, value in notes.items() if not key.startswith(DROPPED)},
    }
    return {
        "apiVersion": obj["apiVersion"],
        "kind": obj["kind"],
        "metadata": metadata,
        "spec": {key: value for key, value in {**obj["spec"], **spec}.items() if value is not None},
    }


def create(sandboxes: Sandboxes, *objects: Json) -> None:
    for each in objects:
        sandboxes.kubectl("create", "-f", "-", given=json.dumps(each))


class Backup:
    """What there is of a sandbox, and of one snapshot of it, with the volumes behind both.

    Parameters
    ----------
    claim
        Name of the sandbox's claim.
    """

    def __init__(self, sandboxes: Sandboxes, sandbox: str, claim: str, snapshot: str) -> None:
        self._sandboxes = sandboxes
        copied = copy_of(sandboxes, snapshot)
        content = sandboxes.get("volumesnapshotcontent", copied["status"]["boundVolumeSnapshotContentName"])
        claimed = sandboxes.get("pvc", claim)
        held = sandboxes.get("pv", claimed["spec"]["volumeName"])
        self._names = {each["kind"]: each["metadata"]["name"] for each in (content, held)}
        reference = {key: content["spec"]["volumeSnapshotRef"][key] for key in ("kind", "name", "namespace")}
        handle = {"snapshotHandle": content["status"]["snapshotHandle"]}
        bound = {"volumeSnapshotContentName": content["metadata"]["name"]}
        holder = {key: held["spec"]["claimRef"][key] for key in ("apiVersion", "kind", "name", "namespace")}
        self.snapshot = as_restored(sandboxes.get("sandboxsnapshot", snapshot))
        self.copies = (
            as_restored(content, source=handle, volumeSnapshotRef=reference),
            as_restored(copied, source=bound),
        )
        anew = as_restored(claimed, volumeName=None, dataSourceRef=None, dataSource=TAKEN)
        again = as_restored(claimed, dataSource=None, dataSourceRef=None)
        self.volumes = {"left in place": (as_restored(held, claimRef=holder), again), "copied": (anew,)}
        self.sandbox = as_restored(sandboxes.get("sandbox", sandbox))

    def lose_all(self) -> None:
        """Delete all of it, but what the driver holds."""
        retained = {"PersistentVolume": "persistentVolumeReclaimPolicy", "VolumeSnapshotContent": "deletionPolicy"}
        for kind, field in retained.items():
            patch = json.dumps({"spec": {field: "Retain"}})
            self._sandboxes.kubectl("patch", kind, self._names[kind], "--type=merge", "-p", patch)
        self._sandboxes.kubectl("delete", "sandboxes,sandboxsnapshots", "--all", "--timeout=120s")
        eventually(lambda: names(self._sandboxes, "pvc,volumesnapshots,pods"), lambda found: not found)
        for kind, name in self._names.items():
            self._sandboxes.kubectl("delete", kind, name, "--timeout=60s")


@pytest.mark.parametrize("volume", ["left in place", pytest.param("copied", marks=pytest.mark.slow)])
def test_what_comes_back_from_a_backup_is_as_it_was_and_rolled_back_nowhere(sandboxes: Sandboxes, volume: str) -> None:
    good = started(sandboxes, "agent")
    take(sandboxes, "good", "agent")
    reaches(sandboxes, "good", "Ready")
    sandboxes.change("agent", source=GOOD)
    claim = rolled_back(sandboxes, "agent", "sbx-agent")["workspaceClaimName"]
    newer = fill(sandboxes, "agent")
    sandboxes.sleep("agent")
    eventually(lambda: claims_of(sandboxes, "agent"), lambda found: [*found] == [claim])

    source = {"persistentVolumeClaimName": claim}
    create(sandboxes, {**TAKEN_OF, "metadata": {"name": TAKEN["name"]}, "spec": {"source": source}})
    wait = ("--for=jsonpath={.status.readyToUse}=true", "--timeout=60s")
    sandboxes.kubectl("wait", "volumesnapshot", TAKEN["name"], *wait)

    backup = Backup(sandboxes, "agent", claim, "good")
    backup.lose_all()
    create(sandboxes, *backup.volumes[volume], backup.snapshot, backup.sandbox)
    reaches(sandboxes, "good", "Failed", "VolumeSnapshot sbx-good has not come back from the backup")
    create(sandboxes, *backup.copies)

    status = reaches(sandboxes, "good", "Ready")
    assert status["captured"]["environment"]["workspace"]["size"] == "64Mi"
    sandboxes.wake("agent")
    assert sums(sandboxes, "agent") == newer
    assert claims_of(sandboxes, "agent") == {claim: "Bound"}
    copy(sandboxes, "clone", GOOD)
    sandboxes.reaches("clone", "Running")
    assert sums(sandboxes, "clone") == good
    assert names(sandboxes, "volumesnapshots") == ["sbx-good"]


def test_a_copy_that_was_retained_is_taken_over_as_it_is_and_says_of_when(sandboxes: Sandboxes) -> None:
    good = started(sandboxes, "agent")
    take(sandboxes, "kept", "agent", deletionPolicy="Retain")
    former = reaches(sandboxes, "kept", "Ready")
    sandboxes.kubectl("delete", "sandboxsnapshot", "kept")
    fill(sandboxes, "agent")

    take(sandboxes, "kept", "agent")
    status = reaches(sandboxes, "kept", "Ready")

    taken = ("creationTime", "startTime", "captured")
    assert {key: status[key] for key in taken} == {key: former[key] for key in taken}
    assert former["creationTime"] in ready(sandboxes.get("sandboxsnapshot", "kept"))["message"]
    copy(sandboxes, "clone", {"snapshotRef": {"name": "kept"}})
    sandboxes.reaches("clone", "Running")
    assert sums(sandboxes, "clone") == good
    # The new one's policy holds.
    sandboxes.kubectl("delete", "sandboxsnapshot", "kept")
    eventually(lambda: contents(sandboxes), lambda found: not found)
    assert not listed(sandboxes, "volumesnapshots")
