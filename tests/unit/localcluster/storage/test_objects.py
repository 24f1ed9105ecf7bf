"""What the cluster is told of volumes, and who may do what."""

from pathlib import Path

import pytest
import yaml

from localcluster.native.plan import NodePlan
from localcluster.native.storage import objects, programs


@pytest.fixture
def shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A build whose files say what the programs' own say."""
    for program in programs.USERS:
        kinds = ("ServiceAccount", "ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding")
        documents = [{"kind": kind, "metadata": {"name": f"{program}-runner"}} for kind in kinds]
        (tmp_path / f"{program}.yaml").write_text(yaml.safe_dump_all(documents))
    monkeypatch.setattr(objects, "built", lambda _module: tmp_path)
    monkeypatch.setattr(programs, "tool", lambda name: Path("/bin") / name)
    return tmp_path


def test_each_program_has_the_rights_that_come_with_it_and_no_others(shipped: Path) -> None:
    found = objects.rights()

    assert {entry["kind"] for entry in found} == {"ClusterRole", "ClusterRoleBinding"}
    bound = {
        entry["subjects"][0]["name"]: entry["roleRef"]["name"]
        for entry in found
        if entry["kind"] == "ClusterRoleBinding"
    }
    assert bound == {user: f"{program}-runner" for program, user in programs.USERS.items()}


def test_one_class_is_the_default_and_the_only_one_with_snapshots() -> None:
    classes = [entry for entry in objects.classes() if entry["kind"] == "StorageClass"]
    defaults = [
        entry
        for entry in classes
        if entry["metadata"]["annotations"]["storageclass.kubernetes.io/is-default-class"] == "true"
    ]

    assert len(classes) == 2
    assert [entry["provisioner"] for entry in defaults] == [objects.snapshot_class()["driver"]]
    assert [entry["allowVolumeExpansion"] for entry in classes] == [True, False]
    assert {entry["volumeBindingMode"] for entry in classes} == {"WaitForFirstConsumer"}


def test_every_driver_is_known_to_the_cluster_and_served_by_a_provisioner(shipped: Path) -> None:
    plan = NodePlan("01234567", shipped, "10.231.0.0/30", "release")
    drivers = [entry["metadata"]["name"] for entry in objects.classes() if entry["kind"] == "CSIDriver"]

    provisioners = [
        words for words in programs.commands(plan, shipped).values() if words[0] == Path("/bin/csi-provisioner")
    ]

    assert sorted(str(words[-1]).split("/")[-2] for words in provisioners) == sorted(drivers)
