"""The pod and the claims of a diff: what they read, and how little else they can do."""

from typing import Any

import orjson
import pytest

from sandkeeper.plan.diff import plan_diff
from sandkeeper.plan.diff_pod import NEW, OLD, diff_claim, diff_pod
from sandkeeper.plan.observed import GuestSettings, Settings
from sandkeeper.plan.user_namespace import NodeSupport
from sandkeeper.plan.writes import Create
from unit.fakes.objects import CAN, CAN_NOT, NOW, Json
from unit.plan.diff_cases import AFTER, observed, side, snapshot, volume_snapshot


def made(**parts: Any) -> Json:
    """Return the pod that is made from what is there."""
    writes = plan_diff(observed(**parts), NOW).writes
    return next(each.obj for each in writes if isinstance(each, Create) and each.obj["kind"] == "Pod")


def test_a_claim_is_a_copy_of_its_snapshot_in_the_class_of_the_workspace() -> None:
    claim = diff_claim(AFTER, OLD, snapshot("before"), volume_snapshot("before"))

    assert claim["spec"] == {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": "20Gi"}},
        "dataSource": {"apiGroup": "snapshot.storage.k8s.io", "kind": "VolumeSnapshot", "name": "sbx-before"},
        "storageClassName": "fast",
    }
    assert orjson.loads(claim["metadata"]["annotations"]["sandkeeper.dev/source"]) == {
        "snapshot": "before",
        "uid": "uid-before",
    }


@pytest.mark.parametrize("said", ["0", None], ids=["nothing", "absent"])
def test_where_the_driver_knows_no_size_that_of_the_workspace_is_asked_for(said: str | None) -> None:
    claim = diff_claim(AFTER, OLD, snapshot("before"), volume_snapshot("before", restoreSize=said))

    assert claim["spec"]["resources"] == {"requests": {"storage": "10Gi"}}


def test_a_snapshot_of_no_named_class_is_copied_in_the_default_one() -> None:
    claim = diff_claim(AFTER, OLD, snapshot("before"), volume_snapshot("before", {"image": "ubuntu"}))

    assert "storageClassName" not in claim["spec"]


def test_the_pod_reads_both_copies_and_can_write_to_neither() -> None:
    pod = made()

    volumes = {each["name"]: each["persistentVolumeClaim"] for each in pod["spec"]["volumes"]}
    assert volumes == {
        "old": {"claimName": "sandkeeper-diff-d-old", "readOnly": True},
        "new": {"claimName": "sandkeeper-diff-d-new", "readOnly": True},
    }
    (container,) = pod["spec"]["containers"]
    assert container["command"] == ["/guest", "diff", "--summary-file", "/dev/termination-log", "/old", "/new"]
    assert all(each["readOnly"] for each in container["volumeMounts"])
    assert container["securityContext"]["readOnlyRootFilesystem"]
    assert "fsGroup" not in pod["spec"]["securityContext"]


def test_the_pod_is_fenced_has_no_token_and_is_no_sandbox_s() -> None:
    metadata, spec = made()["metadata"], made()["spec"]

    assert metadata["labels"] == {
        "sandkeeper.dev/managed": "true",
        "sandkeeper.dev/diff": "d",
        "sandkeeper.dev/role": "sandbox",
    }
    assert spec["automountServiceAccountToken"] is False
    assert (spec["restartPolicy"], spec["securityContext"]["seccompProfile"]["type"]) == ("Never", "RuntimeDefault")


def test_it_is_root_over_files_of_every_owner_and_over_nothing_else() -> None:
    spec = made()["spec"]

    assert spec["securityContext"]["runAsUser"] == 0
    assert spec["containers"][0]["securityContext"]["capabilities"] == {"drop": ["ALL"], "add": ["DAC_OVERRIDE"]}


def test_what_sandboxes_without_root_wrote_is_read_without_root() -> None:
    rootless = {"security": {"root": False}}
    both = {
        "old": side(OLD, "before", volume_snapshot=volume_snapshot("before", rootless)),
        "new": side(NEW, "after", volume_snapshot=volume_snapshot("after", rootless)),
    }

    spec = made(**both)["spec"]

    assert (spec["securityContext"]["runAsUser"], spec["securityContext"]["runAsNonRoot"]) == (1000, True)
    assert spec["containers"][0]["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert made(old=both["old"])["spec"]["securityContext"]["runAsUser"] == 0


def nodes(*runtimes: Json) -> NodeSupport:
    return NodeSupport(
        tuple(
            {"metadata": {"name": f"n{number}", "labels": {}}, "status": {"runtimeHandlers": [{"name": "", **each}]}}
            for number, each in enumerate(runtimes)
        )
    )


@pytest.mark.parametrize(
    ("support", "settings", "host_users"),
    [
        (nodes(CAN), Settings(), False),
        (nodes(CAN, CAN_NOT), Settings(), None),
        (nodes(), Settings(), None),
        (nodes(CAN), Settings(user_namespaces="Never"), None),
    ],
    ids=["all can", "some can", "none known", "switched off"],
)
def test_its_root_is_nobody_on_the_node_where_nodes_can(
    support: NodeSupport, settings: Settings, host_users: bool | None
) -> None:
    assert made(nodes=support, settings=settings)["spec"].get("hostUsers") is host_users


def test_it_has_what_the_platform_team_puts_on_sandboxes_but_never_in_place_of_its_own() -> None:
    guest = GuestSettings(image="registry.example/guest:1", pull_policy="Always", pull_secrets=("pull",))
    labels = {"mesh": "off", "sandkeeper.dev/role": "other"}
    settings = Settings(priority_class="agents", pod_labels=labels, pod_annotations={"note": "x"}, guest=guest)

    pod = diff_pod(AFTER, settings, attempt=2, root=True, user_namespace=False)

    assert (pod["metadata"]["labels"]["mesh"], pod["metadata"]["labels"]["sandkeeper.dev/role"]) == ("off", "sandbox")
    assert pod["metadata"]["annotations"] == {"note": "x", "sandkeeper.dev/attempt": "2"}
    assert (pod["spec"]["priorityClassName"], pod["spec"]["imagePullSecrets"]) == ("agents", [{"name": "pull"}])
    (container,) = pod["spec"]["containers"]
    assert (container["image"], container["imagePullPolicy"]) == ("registry.example/guest:1", "Always")
