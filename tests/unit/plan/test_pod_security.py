"""As whom a sandbox runs, and what of its root file system it may write."""

from typing import Any

import pytest

from unit.fakes.objects import Json
from unit.plan.test_pod_rendering import container, rendered

PRIVILEGED = {"hostPID", "hostIPC", "hostNetwork", "shareProcessNamespace"}


def home(**spec: Any) -> list[Json]:
    return [variable for variable in container(**spec).get("env", []) if variable["name"] == "HOME"]


def volumes(**spec: Any) -> dict[str, Json | None]:
    """What is mounted of the node's disk and memory, by path."""
    pod = rendered(**spec)["spec"]
    kinds = {volume["name"]: volume.get("emptyDir") for volume in pod["volumes"] if volume["name"] != "guest"}
    mounts = [
        mount
        for mount in pod["containers"][0]["volumeMounts"]
        if mount["name"] != "guest" and mount["mountPath"] != "/.sandkeeper/system"
    ]
    assert sorted(kinds) == sorted(mount["name"] for mount in mounts)
    return {mount["mountPath"]: kinds[mount["name"]] for mount in mounts}


def test_a_pod_shares_nothing_with_its_node_or_among_its_containers() -> None:
    spec = rendered()["spec"]

    assert not PRIVILEGED & spec.keys()
    assert "privileged" not in spec["containers"][0]["securityContext"]


def test_without_root_nothing_is_left_of_root() -> None:
    pod = rendered(security={"root": False})["spec"]

    assert pod["securityContext"] == {
        "seccompProfile": {"type": "RuntimeDefault"},
        "runAsNonRoot": True,
        "runAsUser": 1000,
        "runAsGroup": 1000,
        "fsGroup": 1000,
        "fsGroupChangePolicy": "OnRootMismatch",
    }
    assert pod["containers"][0]["securityContext"] == {
        "capabilities": {"drop": ["ALL"]},
        "allowPrivilegeEscalation": False,
    }


def test_with_root_programs_may_change_their_user() -> None:
    pod = rendered(security={"root": True}, workspace={"type": "Ephemeral"})["spec"]

    assert pod["securityContext"] == {"seccompProfile": {"type": "RuntimeDefault"}}
    assert "allowPrivilegeEscalation" not in pod["containers"][0]["securityContext"]


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({}, []),
        ({"security": {"root": False}}, [{"name": "HOME", "value": "/workspace"}]),
        ({"security": {"writablePaths": []}}, [{"name": "HOME", "value": "/workspace"}]),
        ({"security": {"root": False}, "workspace": {"path": "/work"}}, [{"name": "HOME", "value": "/work"}]),
        (
            {"security": {"root": False}, "env": [{"name": "HOME", "value": "/home/node"}]},
            [{"name": "HOME", "value": "/home/node"}],
        ),
    ],
)
def test_home_is_a_place_that_can_be_written(spec: Json, expected: list[Json]) -> None:
    assert home(**spec) == expected


def test_variables_can_refer_to_the_home_that_is_set() -> None:
    variables = container(security={"root": False}, env=[{"name": "CACHE", "value": "$(HOME)/.cache"}])["env"]

    assert [variable["name"] for variable in variables] == ["HOME", "CACHE"]


def test_a_volume_can_be_written_by_whatever_user_an_image_has() -> None:
    context = rendered()["spec"]["securityContext"]

    assert (context["fsGroup"], context["fsGroupChangePolicy"]) == (1000, "OnRootMismatch")


def test_all_is_writable_unless_paths_are_given() -> None:
    assert "readOnlyRootFilesystem" not in container()["securityContext"]
    assert container(security={"writablePaths": []})["securityContext"]["readOnlyRootFilesystem"] is True


@pytest.mark.parametrize(
    ("paths", "workspace", "mounted"),
    [
        ([], "/workspace", []),
        (["/workspace", "/workspace/cache", "/dev/shm"], "/workspace", []),
        (["/srv", "/opt/a"], "/workspace", ["/opt/a", "/srv"]),
        (["/workspaces"], "/workspace", ["/workspaces"]),
        (["/home/agent"], "/home/agent/work", ["/home/agent"]),
    ],
)
def test_each_writable_path_outside_of_the_workspace_is_a_volume(
    paths: list[str], workspace: str, mounted: list[str]
) -> None:
    found = volumes(security={"writablePaths": paths}, workspace={"path": workspace})

    assert list(found) == [workspace, "/dev/shm", *mounted]
    assert [found[path] for path in mounted] == [{}] * len(mounted), "held to the limit of ephemeral storage"


@pytest.mark.parametrize(
    ("memory", "size"), [("4Gi", "2Gi"), ("1.5Gi", "768Mi"), ("128Mi", "64Mi"), ("1G", "500M"), ("7", "3")]
)
def test_shared_memory_is_half_of_the_memory_at_most(memory: str, size: str) -> None:
    found = volumes(resources={"limits": {"memory": memory}})

    assert found["/dev/shm"] == {"medium": "Memory", "sizeLimit": size}


def test_more_memory_does_not_make_a_pod_outdated() -> None:
    hashes = [
        rendered(resources={"limits": {"memory": memory}})["metadata"]["annotations"]["sandkeeper.dev/rendering"]
        for memory in ("1Gi", "8Gi")
    ]

    assert hashes[0] == hashes[1]
