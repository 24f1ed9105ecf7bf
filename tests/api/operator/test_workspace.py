"""The claim of a workspace: whose it is, what becomes of it after its sandbox, how it grows, and what keeps it away."""

from collections.abc import Iterator
from typing import Any

import pytest

from api.operator.kubelet import Kubelet
from api.operator.kubernetes_api import Api, Json, RefusedError
from api.operator.operator_process import OperatorProcess
from api.operator.team import Team, condition
from api.operator.waiting import eventually
from sandkeeper.controllers.cluster import SANDBOXES
from sandkeeper.runtime.resource import CLAIMS, CORE_EVENTS, PODS, STORAGE_CLASSES, VOLUMES

RETAIN: Json = {"reclaimPolicy": "Retain"}


def a_class(api: Api, name: str, *, grows: bool = True) -> None:
    """Add a StorageClass of which a test itself is the provisioner."""
    spec = {"provisioner": "disks.example.com", "allowVolumeExpansion": grows, "metadata": {"name": name}}
    api.create(STORAGE_CLASSES, "", spec)


@pytest.fixture(scope="module", autouse=True)
def storage_classes(api: Api) -> Iterator[None]:
    """Two StorageClasses, of which none is the default and one lets volumes grow."""
    a_class(api, "growing")
    a_class(api, "fixed", grows=False)
    yield
    for name in ("growing", "fixed"):
        api.delete(STORAGE_CLASSES, "", name)


def workspace(size: str = "1Gi", name: str = "growing", **more: Any) -> Json:
    return {"size": size, "storageClassName": name, **more}


def claim(team: Team) -> Json:
    """Claim of the sandbox, once it is there."""
    return eventually(lambda: team.find(CLAIMS, "sbx-agent"), "claim")


def bound(team: Team) -> Json:
    """Give the claim a volume, as its provisioner would, and return it."""
    found = claim(team)
    name, size = f"pv-{found['metadata']['uid']}", found["spec"]["resources"]["requests"]["storage"]
    volume = {
        "metadata": {"name": name},
        "spec": {
            "capacity": {"storage": size},
            "accessModes": ["ReadWriteOnce"],
            "storageClassName": found["spec"]["storageClassName"],
            "persistentVolumeReclaimPolicy": "Retain",
            "csi": {"driver": "disks.example.com", "volumeHandle": name},
            "claimRef": {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "namespace": team.namespace,
                         "name": "sbx-agent", "uid": found["metadata"]["uid"]},
        },
    }  # fmt: skip
    team.api.create(VOLUMES, "", volume)
    return eventually(lambda: in_phase(team, "Bound"), "bound claim")


def in_phase(team: Team, phase: str) -> Json | None:
    found = claim(team)
    return found if found["status"].get("phase") == phase else None


def running(team: Team, **asked: Any) -> Json:
    """Create a sandbox with a volume, wait until it runs, and return its claim."""
    team.create(workspace=workspace(**asked))
    found = bound(team)
    team.await_running()
    return found


def gone(team: Team) -> bool:
    return team.find(SANDBOXES, "agent") is None and team.find(PODS, "sbx-agent") is None


def test_a_claim_belongs_to_its_sandbox_and_goes_with_it(operator: OperatorProcess, team: Team) -> None:
    found = running(team)

    sandbox = team.get(SANDBOXES, "agent")
    assert [each["uid"] for each in found["metadata"]["ownerReferences"]] == [sandbox["metadata"]["uid"]]
    assert sandbox["status"]["workspaceClaimName"] == "sbx-agent"
    assert team.pod()["spec"]["volumes"][0]["persistentVolumeClaim"] == {"claimName": "sbx-agent"}

    team.delete()

    eventually(lambda: gone(team) and team.find(CLAIMS, "sbx-agent") is None, "end of sandbox, pod and claim")


def test_a_retained_claim_stays_and_the_next_sandbox_of_the_name_has_it(operator: OperatorProcess, team: Team) -> None:
    before = running(team, **RETAIN)
    team.delete()
    eventually(lambda: gone(team), "end of sandbox and pod")
    left = team.names_with(CLAIMS, "sandkeeper.dev/retained=true")
    assert left == ["sbx-agent"]

    team.create(workspace=workspace())
    team.await_running()

    after = eventually(lambda: owned(team), "claim with an owner")
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    assert "sandkeeper.dev/retained" not in after["metadata"]["labels"]
    team.delete()
    eventually(lambda: team.find(CLAIMS, "sbx-agent") is None, "end of the claim")


def owned(team: Team) -> Json | None:
    found = claim(team)
    return found if found["metadata"].get("ownerReferences") else None


def test_a_change_of_mind_reaches_the_claim_of_a_running_sandbox(operator: OperatorProcess, team: Team) -> None:
    running(team)

    team.change(workspace=RETAIN)

    eventually(lambda: not owned(team), "claim without an owner")
    team.change(workspace={"reclaimPolicy": "Delete"})
    eventually(lambda: owned(team), "claim with an owner")


def test_a_claim_of_somebody_else_is_a_conflict_until_it_goes(operator: OperatorProcess, team: Team) -> None:
    theirs = {
        "metadata": {"name": "sbx-agent"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
    }
    team.api.create(CLAIMS, team.namespace, theirs)
    team.create(workspace=workspace())

    told = condition(team.await_reason("Conflict"), "Ready")["message"]

    assert "PersistentVolumeClaim sbx-agent is there and does not belong to this sandbox" in told
    team.api.delete(CLAIMS, team.namespace, "sbx-agent")
    eventually(lambda: owned(team), "claim of the sandbox's own")


def test_a_claim_that_a_backup_brings_back_is_the_sandbox_s(operator: OperatorProcess, team: Team) -> None:
    restored = {
        "metadata": {"name": "sbx-agent",
                     "labels": {"sandkeeper.dev/managed": "true", "sandkeeper.dev/sandbox": "agent"}},
        "spec": {"accessModes": ["ReadWriteOnce"], "storageClassName": "growing",
                 "resources": {"requests": {"storage": "1Gi"}}},
    }  # fmt: skip
    before = team.api.create(CLAIMS, team.namespace, restored)
    bound(team)

    team.create(workspace=workspace())

    team.await_running()
    after = eventually(lambda: owned(team), "claim with an owner")
    assert after["metadata"]["uid"] == before["metadata"]["uid"]


def test_a_class_that_is_missing_is_told_and_heals_when_it_comes(operator: OperatorProcess, team: Team) -> None:
    team.create(workspace=workspace(name="late"))
    told = condition(team.await_reason("StorageClassNotFound"), "Ready")["message"]
    assert told == "spec.workspace.storageClassName: late is not there; there are fixed, growing."
    assert team.names(PODS) == []

    a_class(team.api, "late")

    bound(team)
    team.await_running()
    team.api.delete(STORAGE_CLASSES, "", "late")


def test_without_a_default_class_it_says_what_to_write(operator: OperatorProcess, team: Team) -> None:
    team.create(workspace={})

    told = condition(team.await_reason("NoStorageClass"), "Ready")["message"]

    assert told == (
        "The cluster has no default StorageClass: write spec.workspace.storageClassName (there are fixed, growing), or "
        "spec.workspace.type: Ephemeral."
    )


def test_a_claim_that_gets_no_volume_says_what_its_provisioner_says(
    operator: OperatorProcess, team: Team, kubelet: Kubelet
) -> None:
    kubelet.leave(team.namespace)
    team.create(workspace=workspace())
    about = claim(team)["metadata"]
    event = {
        "metadata": {"name": "disks.1"},
        "involvedObject": {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "namespace": team.namespace,
                           "name": about["name"], "uid": about["uid"]},
        "type": "Warning",
        "reason": "ProvisioningFailed",
        "message": "failed to provision volume: the pool is full",
        "lastTimestamp": about["creationTimestamp"],
    }  # fmt: skip
    team.api.create(CORE_EVENTS, team.namespace, event)

    told = condition(team.await_reason("VolumePending"), "Ready")["message"]

    assert told == "PersistentVolumeClaim sbx-agent has no volume yet: failed to provision volume: the pool is full."
    bound(team)
    kubelet.resume(team.namespace)
    team.await_running()


def test_a_bigger_size_reaches_the_claim_and_the_pod_runs_on(operator: OperatorProcess, team: Team) -> None:
    running(team)
    before = team.pod()["metadata"]["uid"]

    team.change(workspace={"size": "2Gi"})

    eventually(lambda: claim(team)["spec"]["resources"]["requests"]["storage"] == "2Gi", "bigger claim")
    eventually(lambda: up_to_date(team) == ("False", "VolumeResizing"), "word of it")
    grown = {"status": {"capacity": {"storage": "2Gi"}}}
    team.api.merge(CLAIMS, team.namespace, "sbx-agent", grown, sub="status")
    eventually(lambda: up_to_date(team) == ("True", "UpToDate"), "word that it has grown")
    assert team.pod()["metadata"]["uid"] == before


def up_to_date(team: Team) -> tuple[str, str]:
    found = team.condition("UpToDate")
    return found.get("status", ""), found.get("reason", "")


def test_a_class_that_lets_nothing_grow_says_so_until_it_does(operator: OperatorProcess, team: Team) -> None:
    running(team, name="fixed")

    team.change(workspace={"size": "2Gi"})

    eventually(lambda: up_to_date(team) == ("False", "WorkspaceNotExpandable"), "word of it")
    assert "StorageClass fixed does not allow it to grow" in team.condition("UpToDate")["message"]
    assert team.condition("Ready")["status"] == "True"
    team.api.merge(STORAGE_CLASSES, "", "fixed", {"allowVolumeExpansion": True})
    eventually(lambda: claim(team)["spec"]["resources"]["requests"]["storage"] == "2Gi", "bigger claim")
    team.api.merge(STORAGE_CLASSES, "", "fixed", {"allowVolumeExpansion": False})


def test_a_claim_deleted_by_hand_is_told_while_its_data_can_still_be_saved(
    operator: OperatorProcess, team: Team
) -> None:
    before = running(team, **RETAIN)
    pod = team.pod()["metadata"]["uid"]

    team.api.delete(CLAIMS, team.namespace, "sbx-agent")

    team.await_reason("WorkspaceDeleting")
    assert team.condition("Running")["status"] == "True"
    team.change(env=[{"name": "STAGE", "value": "two"}])
    team.await_reason("WorkspaceDeleting")
    assert team.pod()["metadata"]["uid"] == pod, "its end would lose the workspace"

    team.api.delete(PODS, team.namespace, "sbx-agent")

    eventually(lambda: claim_other_than(team, before), "new claim")
    bound(team)
    team.await_running()
    assert team.events("WorkspaceLost")


def claim_other_than(team: Team, before: Json) -> bool:
    found = team.find(CLAIMS, "sbx-agent")
    return found is not None and found["metadata"]["uid"] != before["metadata"]["uid"]


def test_a_sandbox_whose_claim_never_gets_a_volume_can_be_deleted(
    operator: OperatorProcess, team: Team, kubelet: Kubelet
) -> None:
    kubelet.leave(team.namespace)
    team.create(workspace=workspace())
    claim(team)
    team.await_pod()

    team.delete()

    eventually(lambda: gone(team) and team.find(CLAIMS, "sbx-agent") is None, "end of sandbox, pod and claim")


def test_a_claim_with_an_owner_is_deleted_with_it_alone(operator: OperatorProcess, team: Team) -> None:
    running(team)

    with pytest.raises(RefusedError) as refusal:
        team.api.delete(CLAIMS, team.namespace, "sbx-agent")

    assert str(refusal.value).endswith(
        "PersistentVolumeClaim sbx-agent holds the workspace of Sandbox agent and goes with it; delete that, or set "
        "its spec.workspace.reclaimPolicy to Retain first"
    )


OURS = {"sandkeeper.dev/sandbox": "other"}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (
            {"spec": {"resources": {"requests": {"storage": "2Gi"}}}},
            "spec.resources of PersistentVolumeClaim sbx-agent is changed by the operator of Sandkeeper alone; "
            "change spec of Sandbox agent instead",
        ),
        (
            {"metadata": {"ownerReferences": None}},
            "metadata.ownerReferences of PersistentVolumeClaim sbx-agent is changed by the operator of Sandkeeper "
            "alone; change spec of Sandbox agent instead",
        ),
        (
            {"metadata": {"labels": OURS}},
            "metadata.labels: sandkeeper.dev/sandbox=other is given and taken by the operator of Sandkeeper alone; use "
            "a key that does not begin with sandkeeper.dev/",
        ),
    ],
    ids=["size", "owner", "label"],
)
def test_what_is_the_operator_s_of_a_claim_is_changed_by_nobody_else(
    operator: OperatorProcess, team: Team, change: Json, told: str
) -> None:
    running(team)

    with pytest.raises(RefusedError) as refusal:
        team.api.merge(CLAIMS, team.namespace, "sbx-agent", change)

    assert str(refusal.value).endswith(told)


def test_provisioners_snapshotters_and_backups_do_their_work_on_a_claim(operator: OperatorProcess, team: Team) -> None:
    found = running(team)
    finalizers = [*found["metadata"]["finalizers"], "snapshot.storage.kubernetes.io/pvc-as-source-protection"]

    for metadata in (
        {"annotations": {"volume.kubernetes.io/selected-node": "node-a"}},
        {"finalizers": finalizers},
        {"labels": {"backup.example.com/schedule": "daily"}},
        {"finalizers": found["metadata"]["finalizers"]},
    ):
        team.api.merge(CLAIMS, team.namespace, "sbx-agent", {"metadata": metadata})
    conditions = [{"type": "Resizing", "status": "True"}]
    team.api.merge(CLAIMS, team.namespace, "sbx-agent", {"status": {"conditions": conditions}}, sub="status")

    assert claim(team)["metadata"]["labels"]["backup.example.com/schedule"] == "daily"


def test_a_pod_that_is_not_mounted_is_changed_once_so_that_its_kubelet_looks_again(
    operator: OperatorProcess, team: Team, kubelet: Kubelet
) -> None:
    kubelet.leave(team.namespace)
    team.create(workspace=workspace())
    bound(team)
    pod = team.await_pod()
    kubelet.bind(pod)
    mounting = {"type": "PodReadyToStartContainers", "status": "False"}
    began = pod["metadata"]["creationTimestamp"]
    kubelet.report(pod, {"phase": "Pending", "startTime": began, "conditions": [mounting]})

    note = eventually(lambda: nudge(team), "note for the kubelet")

    kubelet.resume(team.namespace)
    team.await_running()
    assert nudge(team) == note
    assert operator.proxy.writes(team.namespace).count("patch pods") == 1


def nudge(team: Team) -> str | None:
    annotations: dict[str, str] = team.pod()["metadata"]["annotations"]
    return annotations.get("sandkeeper.dev/nudged")
