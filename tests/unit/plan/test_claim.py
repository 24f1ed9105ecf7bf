"""The claim of a workspace: made before the pod, handed on where it is retained, and never deleted."""

import copy
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandkeeper.api.resolve import resolve
from sandkeeper.plan.announcement import lost_workspace
from sandkeeper.plan.claim import workspace_claim
from sandkeeper.plan.confirmation import needs_confirmation
from sandkeeper.plan.sandbox import Plan
from sandkeeper.plan.storage_classes import StorageClasses
from sandkeeper.plan.writes import Create, Delete, Patch
from unit.fakes.merge import apply_merge_patch
from unit.fakes.objects import NOW, Json, claim_of, classes, observe, plan, pod_of, sandbox, stored, told

RETAIN: Json = {"reclaimPolicy": "Retain"}
KEEPING = sandbox(workspace=RETAIN)
GOING = "2026-03-01T11:59:00Z"


def created(found: Plan) -> list[str]:
    return [
        f"{write.obj['kind']}/{write.obj['metadata']['name']}" for write in found.writes if isinstance(write, Create)
    ]


def patched(found: Plan) -> Json:
    (patch,) = (write for write in found.writes if isinstance(write, Patch))
    assert patch.child["kind"] == "PersistentVolumeClaim"
    return patch.patch


def test_the_claim_is_made_in_the_same_pass_as_the_pod_and_before_it() -> None:
    assert created(plan(sandbox(), claim=None)) == ["PersistentVolumeClaim/sbx-a", "Pod/sbx-a"]


def test_a_sandbox_without_a_volume_asks_for_none_and_minds_nobody_s() -> None:
    ephemeral = sandbox(workspace={"type": "Ephemeral"})
    foreign = claim_of(ephemeral, labels={})

    assert created(plan(ephemeral, claim=None, classes=StorageClasses())) == ["Pod/sbx-a"]
    assert created(plan(ephemeral, claim=foreign)) == ["Pod/sbx-a"]


def test_a_claim_asks_for_what_is_written_and_for_no_class_where_none_is() -> None:
    plain = workspace_claim(sandbox(), resolve(sandbox().spec))
    fast = sandbox(workspace={"size": "20Gi", "storageClassName": "fast"})

    assert plain["spec"] == {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "10Gi"}}}
    assert workspace_claim(fast, resolve(fast.spec))["spec"]["storageClassName"] == "fast"
    assert workspace_claim(fast, resolve(fast.spec))["spec"]["resources"] == {"requests": {"storage": "20Gi"}}


def test_a_claim_goes_with_its_sandbox_unless_it_is_to_be_retained() -> None:
    going, staying = (workspace_claim(each, resolve(each.spec))["metadata"] for each in (sandbox(), KEEPING))

    assert [owner["uid"] for owner in going["ownerReferences"]] == ["uid-a"]
    assert "sandkeeper.dev/retained" not in going["labels"]
    assert "ownerReferences" not in staying
    assert staying["labels"]["sandkeeper.dev/retained"] == "true"
    assert staying["labels"]["sandkeeper.dev/sandbox"] == "a"


@pytest.mark.parametrize(("before", "after"), [({}, RETAIN), (RETAIN, {})])
def test_another_reclaim_policy_is_patched_into_the_claim_of_a_running_sandbox(before: Json, after: Json) -> None:
    was, now = sandbox(workspace=before), sandbox(workspace=after)
    claim = claim_of(was)

    seen = plan(now, pod=pod_of(was), claim=claim)

    result = apply_merge_patch(claim, patched(seen))
    wanted = claim_of(now)["metadata"]
    assert result["metadata"].get("ownerReferences", []) == wanted.get("ownerReferences", [])
    assert result["metadata"]["labels"] == wanted["labels"]
    assert plan(now, pod=pod_of(was), claim=result).writes == ()


def test_owners_that_others_have_added_are_left_alone() -> None:
    theirs = {"apiVersion": "v1", "kind": "ConfigMap", "name": "backup", "uid": "uid-backup"}
    claim = claim_of(KEEPING, ownerReferences=[theirs])

    assert plan(KEEPING, pod=pod_of(KEEPING), claim=claim).writes == ()
    owners = patched(plan(sandbox(), pod=pod_of(sandbox()), claim=claim))["metadata"]["ownerReferences"]
    assert [owner["uid"] for owner in owners] == ["uid-backup", "uid-a"]


def test_a_retained_claim_is_taken_over_by_the_next_sandbox_of_the_name() -> None:
    heir = sandbox(uid="uid-heir", workspace=RETAIN)

    assert created(plan(heir, claim=claim_of(KEEPING))) == ["Pod/sbx-a"]


def test_taking_it_over_for_good_is_done_only_for_a_sandbox_that_is_surely_there() -> None:
    heir = sandbox(uid="uid-heir")

    seen = plan(heir, claim=claim_of(KEEPING))

    assert [owner["uid"] for owner in patched(seen)["metadata"]["ownerReferences"]] == ["uid-heir"]
    assert needs_confirmation(observe(heir), seen)
    assert not needs_confirmation(observe(heir), plan(heir, claim=None))


def test_the_claim_of_a_deleted_sandbox_is_waited_for_and_never_used_again() -> None:
    heir = sandbox(uid="uid-heir")

    seen = plan(heir, claim=claim_of(sandbox()))

    assert (seen.writes, seen.state.reason) == ((), "Starting")
    assert "deleted sandbox of this name" in seen.state.message


FOREIGN: list[tuple[str, Json]] = [
    ("unmarked", {"labels": {}}),
    ("of another sandbox", {"labels": {"sandkeeper.dev/managed": "true", "sandkeeper.dev/sandbox": "b"}}),
    (
        "of a StatefulSet",
        {
            "ownerReferences": [
                {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "a", "uid": "x", "controller": True}
            ]
        },
    ),
]


@pytest.mark.parametrize("metadata", [row[1] for row in FOREIGN], ids=[row[0] for row in FOREIGN])
def test_a_claim_that_is_not_ours_is_a_conflict_and_stays_as_it_is(metadata: Json) -> None:
    claim = claim_of(KEEPING, **metadata)

    seen = plan(KEEPING, claim=claim)

    assert seen.writes == ()
    assert told(seen)["Stalled"] == ("True", "Conflict")
    assert "PersistentVolumeClaim sbx-a is there and does not belong" in seen.state.message


@pytest.mark.parametrize(
    ("spec", "why"),
    [
        ({"volumeMode": "Block"}, "its volumeMode is Block and has to be Filesystem"),
        ({"accessModes": ["ReadOnlyMany"]}, "its accessModes are ReadOnlyMany and have to let a pod write"),
    ],
)
def test_a_retained_claim_that_can_hold_no_workspace_is_not_taken_over(spec: Json, why: str) -> None:
    heir, claim = sandbox(uid="uid-heir"), claim_of(KEEPING)
    claim["spec"] |= spec

    seen = plan(heir, claim=claim)

    assert seen.writes == ()
    assert told(seen)["Stalled"] == ("True", "Conflict")
    assert seen.state.message.startswith(f"PersistentVolumeClaim sbx-a can't hold a workspace: {why}")


@pytest.mark.parametrize("mode", ["ReadWriteOnce", "ReadWriteMany", "ReadWriteOncePod"])
def test_a_retained_claim_that_can_be_written_is_taken_over(mode: str) -> None:
    claim = claim_of(KEEPING)
    claim["spec"]["accessModes"] = ["ReadOnlyMany", mode]

    assert created(plan(KEEPING, claim=claim)) == ["Pod/sbx-a"]


@pytest.mark.parametrize(
    ("asked", "found", "reason", "message"),
    [
        (
            {},
            classes(default="", more=("slow", "fast")),
            "NoStorageClass",
            "The cluster has no default StorageClass: write spec.workspace.storageClassName (there are fast, slow), or "
            "spec.workspace.type: Ephemeral.",
        ),
        (
            {},
            StorageClasses(),
            "NoStorageClass",
            "The cluster has no default StorageClass: write spec.workspace.storageClassName (there is none at all), or "
            "spec.workspace.type: Ephemeral.",
        ),
        (
            {"storageClassName": "quick"},
            classes(),
            "StorageClassNotFound",
            "spec.workspace.storageClassName: quick is not there; there are fast, standard.",
        ),
    ],
)
def test_a_class_that_is_missing_is_told_and_nothing_is_made(
    asked: Json, found: StorageClasses, reason: str, message: str
) -> None:
    seen = plan(sandbox(workspace=asked), claim=None, classes=found)

    assert (seen.writes, seen.state.message) == ((), message)
    assert told(seen)["Ready"] == ("False", reason)


def test_many_classes_are_not_all_listed() -> None:
    many = StorageClasses({f"class-{number:02}": {"default": False} for number in range(12)})

    assert plan(sandbox(), claim=None, classes=many).state.message.count("class-") == 10
    assert "and 2 more" in plan(sandbox(), claim=None, classes=many).state.message


def test_a_class_matters_no_more_once_there_is_a_claim() -> None:
    assert created(plan(sandbox(), classes=StorageClasses())) == ["Pod/sbx-a"]


def test_a_pod_that_no_node_has_taken_gets_the_claim_back_that_it_lost() -> None:
    pod = pod_of(sandbox(), {"phase": "Pending"}, node="")

    assert created(plan(sandbox(), pod=pod, claim=None)) == ["PersistentVolumeClaim/sbx-a"]


def test_a_workspace_that_was_deleted_while_no_pod_was_there_is_made_anew_and_told() -> None:
    (claim, _) = plan(sandbox(), claim=None).writes

    assert lost_workspace(observe(sandbox(), claim=None), claim) == ""
    assert lost_workspace(observe(sandbox(), claim=None, status={"workspaceClaimName": "sbx-a"}), claim) == (
        "PersistentVolumeClaim sbx-a was deleted by somebody, and what was in the workspace with it; the sandbox goes "
        "on with a new, empty one."
    )


def test_the_status_names_the_claim_until_another_is_there() -> None:
    running = plan(sandbox(), pod=pod_of(sandbox())).status

    assert running["workspaceClaimName"] == "sbx-a"
    assert "workspaceClaimName" not in plan(sandbox(), claim=None, status=running, classes=StorageClasses()).status


def test_no_pod_is_made_on_a_claim_that_is_going() -> None:
    seen = plan(sandbox(), claim=claim_of(sandbox(), deletionTimestamp=GOING))

    assert (seen.writes, seen.state.reason) == ((), "WorkspaceDeleting")


SIZES = st.sampled_from(["1Gi", "10Gi", "20Gi"])


@given(
    st.fixed_dictionaries({"size": SIZES, "reclaimPolicy": st.sampled_from(["Delete", "Retain"])}),
    st.none()
    | st.fixed_dictionaries(
        {
            "size": SIZES,
            "reclaimPolicy": st.sampled_from(["Delete", "Retain"]),
            "uid": st.sampled_from(["uid-a", "uid-before"]),
            "phase": st.sampled_from(["Pending", "Bound", "Lost"]),
            "going": st.booleans(),
            "labels": st.sampled_from([None, {}]),
        }
    ),
    st.booleans(),
    st.booleans(),
    st.sampled_from([None, "Pending", "Running", "Failed"]),
)
def test_whatever_is_found_a_plan_changes_the_claim_once_and_never_deletes_it(
    workspace: Json, found: Json | None, grows: bool, default: bool, phase: str | None
) -> None:
    owner = sandbox(workspace=workspace)
    known: dict[str, Any] = {
        "claim": found and _found(found),
        "classes": classes(grows=grows, default="standard" if default else ""),
        "pod": pod_of(owner, {"phase": phase}) if phase else None,
    }
    for _ in range(3):
        seen = plan(owner, NOW + timedelta(minutes=1), **known)
        deleted = [write.child["kind"] for write in seen.writes if isinstance(write, Delete)]
        assert "PersistentVolumeClaim" not in deleted
        known = _applied(seen, known)
    again = plan(owner, NOW + timedelta(minutes=1), **known)
    assert [write for write in again.writes if _of_claim(write)] == []


def _found(row: Json) -> Json:
    made_by = sandbox(uid=row["uid"], workspace={"size": row["size"], "reclaimPolicy": row["reclaimPolicy"]})
    metadata: Json = {"deletionTimestamp": GOING} if row["going"] else {}
    metadata |= {} if row["labels"] is None else {"labels": row["labels"]}
    return claim_of(made_by, {"phase": row["phase"]}, **metadata)


def _applied(seen: Plan, known: Json) -> Json:
    after = copy.deepcopy(known)
    for write in seen.writes:
        if isinstance(write, Patch) and _of_claim(write):
            after["claim"] = apply_merge_patch(after["claim"], write.patch)
        elif isinstance(write, Create) and _of_claim(write):
            after["claim"] = stored(write.obj) | {"status": {"phase": "Bound"}}
        elif isinstance(write, Create) and write.obj["kind"] == "Pod":
            after["pod"] = stored(write.obj) | {"status": {"phase": "Running"}}
        elif isinstance(write, Delete) and write.child["kind"] == "Pod":
            after["pod"] = None
    return after


def _of_claim(write: object) -> bool:
    obj = write.obj if isinstance(write, Create) else write.child if isinstance(write, Patch | Delete) else {}
    return obj.get("kind") == "PersistentVolumeClaim"
