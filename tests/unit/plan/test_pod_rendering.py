"""The pod as it is created: what keeps it apart, and what of the sandbox and of the installation stands in it."""

from typing import Any

from sandkeeper.api.resolve import resolve
from sandkeeper.plan.observed import Settings
from sandkeeper.plan.pod import sandbox_pod
from unit.fakes.objects import Json, sandbox


def rendered(settings: Settings | None = None, *, user_namespace: bool = False, **spec: Any) -> Json:
    owner = sandbox(**spec)
    return sandbox_pod(owner, resolve(owner.spec), settings or Settings(), user_namespace=user_namespace)


def container(**spec: Any) -> Json:
    return dict(rendered(**spec)["spec"]["containers"][0])


def test_a_pod_gets_no_way_into_the_cluster() -> None:
    spec = rendered()["spec"]

    assert spec["automountServiceAccountToken"] is False
    assert spec["enableServiceLinks"] is False
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}


def test_root_has_what_package_managers_need_and_no_raw_sockets() -> None:
    capabilities = container()["securityContext"]["capabilities"]

    assert capabilities["drop"] == ["ALL"]
    assert {"CHOWN", "SETUID", "SETGID", "DAC_OVERRIDE"} <= set(capabilities["add"])
    assert not {"NET_RAW", "MKNOD", "NET_ADMIN", "SYS_ADMIN", "SYS_PTRACE"} & set(capabilities["add"])


def test_the_pod_is_owned_by_this_incarnation_of_the_sandbox() -> None:
    (owner,) = rendered()["metadata"]["ownerReferences"]

    assert (owner["kind"], owner["name"], owner["uid"], owner["controller"]) == ("Sandbox", "a", "uid-a", True)


def test_the_labels_that_the_fence_and_the_informers_select_can_not_be_overridden() -> None:
    settings = Settings(pod_labels={"sandkeeper.dev/role": "other", "sandkeeper.dev/managed": "no", "tier": "x"})

    labels = rendered(settings)["metadata"]["labels"]

    assert labels["sandkeeper.dev/role"] == "sandbox"
    assert labels["sandkeeper.dev/managed"] == "true"
    assert labels["tier"] == "x"


def test_a_user_namespace_is_asked_for_only_where_it_can_be_had() -> None:
    assert rendered(user_namespace=True)["spec"]["hostUsers"] is False
    assert "hostUsers" not in rendered()["spec"]


def test_the_priority_class_of_the_sandbox_wins_over_that_of_the_installation() -> None:
    settings = Settings(priority_class="sandkeeper-low")
    own: Json = {"podTemplate": {"spec": {"priorityClassName": "sandkeeper-high"}}}

    assert rendered(settings)["spec"]["priorityClassName"] == "sandkeeper-low"
    assert rendered(settings, **own)["spec"]["priorityClassName"] == "sandkeeper-high"


def test_the_workspace_is_a_directory_of_the_claim_s_volume() -> None:
    pod = rendered(workspace={"path": "/data"})["spec"]

    assert pod["volumes"][0] == {"name": "workspace", "persistentVolumeClaim": {"claimName": "sbx-a"}}
    assert pod["containers"][0]["volumeMounts"][0] == {
        "name": "workspace", "mountPath": "/data", "subPath": "workspace",
    }  # fmt: skip


def test_an_ephemeral_workspace_is_on_the_node_s_disk() -> None:
    pod = rendered(workspace={"type": "Ephemeral", "size": "1Gi"})["spec"]

    assert pod["volumes"][0] == {"name": "workspace", "emptyDir": {"sizeLimit": "1Gi"}}
    assert pod["containers"][0]["volumeMounts"][0] == {"name": "workspace", "mountPath": "/workspace"}


def test_labels_resources_and_the_user_namespace_are_no_part_of_what_makes_a_pod_outdated() -> None:
    def hashes(pod: Json) -> dict[str, str]:
        annotations = pod["metadata"]["annotations"]
        return {name: annotations[f"sandkeeper.dev/{name}"] for name in ("environment", "rendering")}

    changed: Json = {
        "resources": {"limits": {"cpu": "4"}},
        "podTemplate": {"metadata": {"labels": {"a": "b"}, "annotations": {"c": "d"}}},
        "ports": [{"name": "http", "port": 80}],
    }

    assert hashes(rendered()) == hashes(rendered(user_namespace=True, **changed))
