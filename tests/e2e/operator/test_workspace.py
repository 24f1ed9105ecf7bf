"""A workspace on a volume of its own: what is in it outlives pods, and what becomes of it is what the spec says."""

import json
from typing import Any

import pytest

from e2e.operator.sandboxes import Sandboxes, eventually

SIZE = "64Mi"
NO_ROOT: dict[str, Any] = {"root": False}


def volume(**more: Any) -> dict[str, Any]:
    return {"type": "Persistent", "size": SIZE, **more}


def class_that_grows(sandboxes: Sandboxes, grows: bool) -> str:
    """Name of a StorageClass of the cluster whose volumes can, or can not, be made bigger."""
    found = json.loads(sandboxes.kubectl("get", "storageclasses", "-o", "json"))["items"]
    return str(next(each["metadata"]["name"] for each in found if each.get("allowVolumeExpansion", False) == grows))


def claim(sandboxes: Sandboxes, name: str) -> dict[str, Any]:
    return sandboxes.get("persistentvolumeclaim", f"sbx-{name}")


def write(sandboxes: Sandboxes, name: str, text: str) -> None:
    sandboxes.exec(name, "sh", "-c", f"echo {text} > /workspace/note && sync")


def note(sandboxes: Sandboxes, name: str) -> str:
    return sandboxes.exec(name, "cat", "/workspace/note").strip()


def await_another_pod(sandboxes: Sandboxes, name: str, before: str) -> None:
    """Wait until a sandbox runs in another pod than that of a uid."""
    eventually(lambda: sandboxes.pod(name).get("metadata", {}).get("uid"), lambda seen: seen not in {None, before})
    sandboxes.wait(name, "Running")


def uid(sandboxes: Sandboxes, name: str) -> str:
    found: str = sandboxes.pod(name)["metadata"]["uid"]
    return found


def test_files_outlive_the_pod_and_a_change_of_the_spec(sandboxes: Sandboxes) -> None:
    sandboxes.apply("lasting", workspace=volume())
    sandboxes.wait("lasting")
    write(sandboxes, "lasting", "kept")

    first = uid(sandboxes, "lasting")
    sandboxes.kubectl("delete", "pod", "sbx-lasting")
    await_another_pod(sandboxes, "lasting", first)
    assert note(sandboxes, "lasting") == "kept"

    second = uid(sandboxes, "lasting")
    sandboxes.apply("lasting", workspace=volume(), env=[{"name": "STAGE", "value": "two"}])
    await_another_pod(sandboxes, "lasting", second)
    assert note(sandboxes, "lasting") == "kept"


@pytest.mark.parametrize("namespaces", ["Required", "Never"])
@pytest.mark.parametrize("root", [True, False])
def test_a_fresh_volume_can_be_written(sandboxes: Sandboxes, root: bool, namespaces: str) -> None:
    name = f"writer-{'root' if root else 'user'}-{namespaces.lower()}"
    sandboxes.apply(name, workspace=volume(), security={"root": root, "userNamespace": namespaces})
    sandboxes.wait(name)

    sandboxes.exec(
        name, "sh", "-ec", "mkdir /workspace/src && echo hello > /workspace/src/file && cat /workspace/src/file"
    )

    assert sandboxes.exec(name, "ls", "-A", "/workspace").split() == ["src"], "no lost+found, nothing of the operator's"
    assert sandboxes.exec(name, "stat", "-c", "%u", "/workspace/src/file").strip() == ("0" if root else "1000")


def test_the_workspace_of_a_user_is_written_after_a_restart_too(sandboxes: Sandboxes) -> None:
    sandboxes.apply("plain-user", workspace=volume(), security=NO_ROOT)
    sandboxes.wait("plain-user")
    write(sandboxes, "plain-user", "one")

    first = uid(sandboxes, "plain-user")
    sandboxes.kubectl("delete", "pod", "sbx-plain-user")
    await_another_pod(sandboxes, "plain-user", first)

    write(sandboxes, "plain-user", "two")
    assert note(sandboxes, "plain-user") == "two"


def test_nothing_is_left_of_a_deleted_sandbox(sandboxes: Sandboxes) -> None:
    sandboxes.apply("passing", workspace=volume())
    sandboxes.wait("passing")
    disk = claim(sandboxes, "passing")["spec"]["volumeName"]

    sandboxes.kubectl("delete", "sandbox", "passing")

    eventually(lambda: claim(sandboxes, "passing"), lambda seen: not seen)
    eventually(lambda: sandboxes.get("persistentvolume", disk), lambda seen: not seen)


def test_a_retained_workspace_waits_for_the_next_sandbox_of_its_name(sandboxes: Sandboxes) -> None:
    sandboxes.apply("heirloom", workspace=volume(reclaimPolicy="Retain"))
    sandboxes.wait("heirloom")
    write(sandboxes, "heirloom", "inherited")
    sandboxes.kubectl("delete", "sandbox", "heirloom")
    eventually(lambda: sandboxes.pod("heirloom"), lambda seen: not seen)
    assert claim(sandboxes, "heirloom")["metadata"]["labels"]["sandkeeper.dev/retained"] == "true"

    sandboxes.apply("heirloom", workspace=volume())

    sandboxes.wait("heirloom")
    assert note(sandboxes, "heirloom") == "inherited"
    sandboxes.kubectl("delete", "sandbox", "heirloom")
    eventually(lambda: claim(sandboxes, "heirloom"), lambda seen: not seen)


def test_a_workspace_grows_under_the_running_sandbox(sandboxes: Sandboxes) -> None:
    disk = volume(storageClassName=class_that_grows(sandboxes, True))
    sandboxes.apply("growing", workspace=disk)
    sandboxes.wait("growing")
    first = uid(sandboxes, "growing")

    sandboxes.apply("growing", workspace={**disk, "size": "128Mi"})

    eventually(lambda: claim(sandboxes, "growing")["status"]["capacity"]["storage"], lambda seen: seen == "128Mi")
    eventually(lambda: up_to_date(sandboxes, "growing"), lambda seen: seen == ("True", "UpToDate"))
    assert uid(sandboxes, "growing") == first
    fill = "head -c 90000000 /dev/zero > /workspace/big && wc -c < /workspace/big"
    assert sandboxes.exec("growing", "sh", "-ec", fill).strip() == "90000000"


def test_a_workspace_whose_class_lets_nothing_grow_says_so(sandboxes: Sandboxes) -> None:
    disk = volume(storageClassName=class_that_grows(sandboxes, False))
    sandboxes.apply("stuck", workspace=disk)
    sandboxes.wait("stuck")

    sandboxes.apply("stuck", workspace={**disk, "size": "128Mi"})

    eventually(lambda: up_to_date(sandboxes, "stuck"), lambda seen: seen == ("False", "WorkspaceNotExpandable"))
    assert sandboxes.ready("stuck")["status"] == "True"


def up_to_date(sandboxes: Sandboxes, name: str) -> tuple[str, str]:
    conditions = sandboxes.get("sandbox", name).get("status", {}).get("conditions", [])
    return next(((each["status"], each["reason"]) for each in conditions if each["type"] == "UpToDate"), ("", ""))


def test_a_class_that_is_not_there_heals_when_it_comes(sandboxes: Sandboxes) -> None:
    name = f"late-{sandboxes.namespace}"
    sandboxes.apply("early", workspace=volume(storageClassName=name))
    told = eventually(lambda: sandboxes.ready("early"), lambda seen: seen.get("reason") == "StorageClassNotFound")
    known = class_that_grows(sandboxes, True)
    assert known in told["message"]

    late = sandboxes.get("storageclass", known)
    late["metadata"] = {"name": name}
    sandboxes.kubectl("create", "-f", "-", given=json.dumps(late))

    sandboxes.wait("early")
    sandboxes.kubectl("delete", "storageclass", name)


def test_a_volume_that_no_one_provides_is_told(sandboxes: Sandboxes) -> None:
    name = f"nobody-{sandboxes.namespace}"
    none = {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {"name": name},
        "provisioner": "nobody.example.com",
        "volumeBindingMode": "Immediate",
    }
    sandboxes.kubectl("create", "-f", "-", given=json.dumps(none))
    sandboxes.apply("waiting", workspace=volume(storageClassName=name))

    told = eventually(lambda: sandboxes.ready("waiting"), lambda seen: seen.get("reason") == "VolumePending")

    assert "nobody.example.com" in told["message"]
    sandboxes.kubectl("delete", "sandbox", "waiting")
    eventually(lambda: claim(sandboxes, "waiting"), lambda seen: not seen)
    sandboxes.kubectl("delete", "storageclass", name)


def test_a_claim_deleted_by_hand_is_told_while_its_files_can_be_saved(sandboxes: Sandboxes) -> None:
    sandboxes.apply("careless", workspace=volume(reclaimPolicy="Retain"))
    sandboxes.wait("careless")
    write(sandboxes, "careless", "precious")

    sandboxes.kubectl("delete", "pvc", "sbx-careless", "--wait=false")

    eventually(lambda: sandboxes.ready("careless"), lambda seen: seen.get("reason") == "WorkspaceDeleting")
    assert note(sandboxes, "careless") == "precious"
    first = uid(sandboxes, "careless")
    sandboxes.kubectl("delete", "pod", "sbx-careless")
    await_another_pod(sandboxes, "careless", first)
    assert sandboxes.exec("careless", "ls", "-A", "/workspace").strip() == ""
    assert "WorkspaceLost" in sandboxes.kubectl("events", "--for", "sandbox/careless")
