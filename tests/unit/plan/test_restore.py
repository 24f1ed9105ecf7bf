"""A new sandbox is made from a snapshot: its claim, the environment below its spec, and what it waits for."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from sandkeeper.plan.observed import Settings, SourceFacts
from sandkeeper.plan.start import SLOW_AFTER
from sandkeeper.plan.storage_classes import StorageClasses
from sandkeeper.plan.volume import worth_asking
from sandkeeper.plan.writes import Create, Patch
from unit.fakes.copies import COPYING, captured, made_claim, plain_claim, pod_on, snapshot, source, volume_snapshot
from unit.fakes.objects import CREATED, NOW, classes, node, observe, plan, pod_of, sandbox, told

Json = dict[str, Any]

FROM = {"snapshotRef": {"name": "good"}}
LATER = NOW.replace(minute=5)


def restored(**spec: Any) -> Any:
    return sandbox("b", uid="uid-b", source=FROM, **spec)


def created(writes: tuple[Any, ...], kind: str) -> Json:
    (found,) = (each.obj for each in writes if isinstance(each, Create) and each.obj["kind"] == kind)
    return dict(found)


def test_the_snapshot_is_held_then_the_claim_made_then_the_pod() -> None:
    hold, claim, pod = plan(restored(), claims=(), source=source()).writes

    assert isinstance(hold, Patch)
    assert (hold.child["kind"], hold.patch) == (
        "SandboxSnapshot",
        {"metadata": {"finalizers": ["sandkeeper.dev/in-use"]}},
    )
    assert isinstance(claim, Create)
    assert claim.obj["spec"]["dataSource"] == {
        "apiGroup": "snapshot.storage.k8s.io", "kind": "VolumeSnapshot", "name": "sbx-good",
    }  # fmt: skip
    annotations = claim.obj["metadata"]["annotations"]
    assert json.loads(annotations["sandkeeper.dev/source"]) == {"snapshot": "good", "uid": "uid-good"}
    assert json.loads(annotations["sandkeeper.dev/captured"])["image"] == "debian:12"
    assert isinstance(pod, Create)
    assert pod.obj["metadata"]["annotations"]["sandkeeper.dev/claim"] == claim.obj["metadata"]["name"]
    (volume,) = (each for each in pod.obj["spec"]["volumes"] if each["name"] == "workspace")
    assert volume["persistentVolumeClaim"]["claimName"] == claim.obj["metadata"]["name"]


def test_a_snapshot_that_is_held_already_is_left_as_it_is() -> None:
    held = replace(source(), snapshot=snapshot(finalizers=["sandkeeper.dev/in-use"]))

    assert [type(each) for each in plan(restored(), claims=(), source=held).writes] == [Create, Create]


def test_a_snapshot_that_was_deleted_while_it_is_held_is_restored_before_it_goes() -> None:
    metadata: Json = {"deletionTimestamp": "2026-03-01T12:00:00Z", "finalizers": ["sandkeeper.dev/in-use"]}

    going = plan(restored(), claims=(), source=replace(source(), snapshot=snapshot(**metadata)))

    assert [type(each) for each in going.writes] == [Create, Create]


def test_what_the_spec_leaves_out_comes_from_the_snapshot_before_and_after_the_claim_is_there() -> None:
    text = captured(image="debian:12", env=[{"name": "A", "value": "old"}, {"name": "B", "value": "b"}])
    owner = restored(env=[{"name": "A", "value": "new"}])
    claim = made_claim(owner, source(text=text))

    first = created(plan(owner, claims=(), source=source(text=text)).writes, "Pod")
    again = created(plan(owner, claims=(claim,)).writes, "Pod")

    assert first == again
    container = first["spec"]["containers"][0]
    assert container["image"] == "debian:12"
    assert {each["name"]: each["value"] for each in container["env"]} == {"A": "new", "B": "b"}


def test_the_pod_waits_for_what_is_unpacked() -> None:
    pod = created(plan(restored(), claims=(), source=source()).writes, "Pod")

    assert pod["spec"]["containers"][0]["startupProbe"]["exec"]["command"][1] == "ready"


def test_nobody_waits_for_what_was_not_packed() -> None:
    empty = volume_snapshot()
    empty["metadata"]["annotations"]["sandkeeper.dev/moment"] = '{"packed": false}'
    facts = replace(source(), volume_snapshots={"good": empty})
    claim = made_claim(restored(), facts)

    first = created(plan(restored(), claims=(), source=facts).writes, "Pod")
    again = created(plan(restored(), claims=(claim,)).writes, "Pod")

    for pod in (first, again):
        container = pod["spec"]["containers"][0]
        assert "startupProbe" not in container
        # The guest is waited for all the same, should there be a pack after all.
        assert container["lifecycle"]["postStart"]["exec"]["command"][1] == "await"


def test_packages_that_are_not_trusted_are_left_out_by_a_mark_that_stays_the_same() -> None:
    owner = sandbox("b", uid="uid-b", source={**FROM, "packages": "Reinstall"})
    moved = sandbox("b", uid="uid-after-a-backup", source={**FROM, "packages": "Reinstall"})
    claim = made_claim(owner)

    marks = [
        json.loads(created(seen.writes, "Pod")["spec"]["containers"][0]["command"][3]).get("reinstall")
        for seen in (
            plan(owner, claims=(), source=source()),
            plan(owner, claims=(claim,)),
            plan(moved, claims=({**claim, "metadata": {**claim["metadata"], "ownerReferences": []}},)),
        )
    ]

    assert len(marks[0]) == 16
    assert set(marks) == {marks[0]}
    trusting = created(plan(restored(), claims=(), source=source()).writes, "Pod")
    assert "reinstall" not in trusting["spec"]["containers"][0]["command"][3]


def test_it_is_restoring_until_it_runs_and_then_it_was_started_from_a_snapshot() -> None:
    owner = restored()
    claim = made_claim(owner)
    starting = pod_on(owner, claim, {"phase": "Pending", "startTime": CREATED.isoformat()})

    slow = plan(owner, claims=(claim,), pod=starting, now=LATER)
    runs = plan(owner, claims=(claim,), pod=pod_on(owner, claim))

    assert told(slow)["Ready"] == ("False", "Restoring")
    assert told(runs)["Ready"] == ("True", "Running")
    assert runs.status["startedFrom"] == "Snapshot"
    assert runs.status["workspaceClaimName"] == claim["metadata"]["name"]


def test_once_the_claim_is_there_nothing_is_asked_of_the_snapshot() -> None:
    owner = restored()
    claim = made_claim(owner)

    gone = plan(owner, claims=(claim,), pod=pod_on(owner, claim), source=SourceFacts())

    assert told(gone)["Ready"] == ("True", "Running")
    assert gone.writes == ()


LACKING: list[tuple[str, SourceFacts, str, str]] = [
    ("no snapshot", SourceFacts(), "SnapshotNotFound", "there is no SandboxSnapshot good"),
    (
        "one that is going",
        replace(source(), snapshot=snapshot(deletionTimestamp="2026-03-01T12:00:00Z", finalizers=["a/b"])),
        "SnapshotNotFound",
        "is being deleted",
    ),
    ("one under way", replace(source(), snapshot=snapshot(status=COPYING)), "SnapshotNotReady", "It is copied."),
    ("one just made", replace(source(), snapshot=snapshot(status={})), "SnapshotNotReady", "nothing is known"),
    (
        "no copy behind it",
        replace(source(), volume_snapshots={}),
        "SnapshotNotFound",
        "sbx-good behind SandboxSnapshot",
    ),
    ("a copy that is not ready", source(ready=False), "SnapshotNotReady", "is not ready to use"),
    ("another driver", source(driver="other.example.com"), "StorageClassMismatch", "of other.example.com, which alone"),
    ("what can't be read", source(text='{"image": 7}'), "CapturedUnreadable", "image: Input should be a valid string"),
    ("no JSON", source(text="{"), "CapturedUnreadable", "name another source"),
    (
        "a size that is none",
        source(text='{"workspace": {"size": "much"}}'),
        "CapturedUnreadable",
        "SandboxSnapshot good can't be read",
    ),
    *(
        (f"no {field}", source(text=captured(**spec)), "CapturedUnreadable", f"{field} is nothing that a spec may have")
        for field, spec in (
            ("workspace.path", {"workspace": {"path": "/.sandkeeper/bin"}}),
            ("security.writablePaths", {"security": {"writablePaths": ["/srv/../etc"]}}),
            ("secrets.mountPath", {"secrets": [{"name": "a", "as": "Files", "mountPath": "/etc"}]}),
            ("git.repository", {"git": {"repository": "https://git.example.com/a'; touch b; '"}}),
            ("git.repository", {"git": {"repository": "https://[::/a", "credentialsSecret": "github"}}),
            ("git.repository", {"git": {"repository": "file:///workspace/a"}}),
            ("git.ref", {"git": {"repository": "https://git.example.com/a", "ref": "-a"}}),
            ("env.GIT_CONFIG_COUNT", {"env": [{"name": "GIT_CONFIG_COUNT", "value": "9" * 5000}]}),
        )
    ),
    (
        "a long name in a note",
        source(text=captured(podTemplate={"metadata": {"labels": {"sandkeeper.dev/\x1b[2J" + "x" * 40000: "a"}}})),
        "PolicyDenied",
        "podTemplate.metadata.labels: sandkeeper.dev/ [2Jxxx",
    ),
    (
        "a label of ours",
        source(text=captured(podTemplate={"metadata": {"labels": {"sandkeeper.dev/role": "other"}}})),
        "PolicyDenied",
        "podTemplate.metadata.labels: sandkeeper.dev/role is reserved",
    ),
    (
        "another network",
        source(text=captured(podTemplate={"metadata": {"annotations": {"k8s.v1.cni.cncf.io/networks": "x"}}})),
        "PolicyDenied",
        "podTemplate.metadata.annotations: k8s.v1.cni.cncf.io/networks is reserved",
    ),
    (
        "a priority of the cluster's",
        source(text=captured(podTemplate={"spec": {"priorityClassName": "system-node-critical"}})),
        "PolicyDenied",
        "system-node-critical is no PriorityClass for sandboxes",
    ),
]


@pytest.mark.parametrize("row", LACKING, ids=[row[0] for row in LACKING])
def test_nothing_is_made_of_what_is_not_there_or_not_allowed_and_the_reason_is_told(
    row: tuple[str, SourceFacts, str, str],
) -> None:
    _, facts, reason, sentence = row
    driven = StorageClasses({"standard": {"default": True, "grows": True, "driver": "disks.example.com"}})

    seen = plan(restored(), claims=(), source=facts, classes=driven)

    assert [each for each in seen.writes if isinstance(each, Create)] == []
    assert told(seen)["Ready"] == ("False", reason)
    assert sentence in seen.state.message
    assert seen.state.message.isprintable()
    assert len(seen.state.message) <= 1000


def test_what_the_cluster_has_settled_holds_for_what_was_captured_too() -> None:
    text = captured(podTemplate={"metadata": {"labels": {"mesh": "in"}}})

    seen = plan(restored(), claims=(), source=source(text=text), settings=Settings(pod_labels={"mesh": "out"}))

    assert told(seen)["Stalled"] == ("True", "PolicyDenied")


@pytest.mark.parametrize(
    ("spec", "restore_size", "size"),
    [
        ({}, "10Gi", "10Gi"),
        ({}, "20Gi", "20Gi"),
        ({"workspace": {"size": "30Gi"}}, "20Gi", "30Gi"),
    ],
    ids=["as captured", "as large as the volume was", "as the spec says"],
)
def test_the_claim_is_as_large_as_captured_or_asked_for(spec: Json, restore_size: str, size: str) -> None:
    owner = restored(**spec)
    claim = created(plan(owner, claims=(), source=source(size=restore_size)).writes, "PersistentVolumeClaim")

    assert claim["spec"]["resources"]["requests"]["storage"] == size
    there = made_claim(owner, source(size=restore_size))
    assert told(plan(owner, claims=(there,), pod=pod_on(owner, there)))["UpToDate"] == ("True", "UpToDate")


def test_a_size_that_is_too_small_is_told() -> None:
    seen = plan(restored(workspace={"size": "5Gi"}), claims=(), source=source())

    assert told(seen)["Ready"] == ("False", "SizeTooSmall")
    assert seen.state.message == "spec.workspace.size: 5Gi is less than the 10Gi that SandboxSnapshot good takes."


def test_the_class_is_the_captured_one_unless_another_is_asked_for() -> None:
    facts = source(text=captured(workspace={"storageClassName": "fast"}))

    as_captured = created(plan(restored(), claims=(), source=facts).writes, "PersistentVolumeClaim")
    asked = restored(workspace={"storageClassName": "standard"})
    as_asked = created(plan(asked, claims=(), source=facts).writes, "PersistentVolumeClaim")
    gone = plan(restored(), claims=(), source=facts, classes=classes(more=()))

    assert as_captured["spec"]["storageClassName"] == "fast"
    assert as_asked["spec"]["storageClassName"] == "standard"
    assert told(gone)["Ready"] == ("False", "StorageClassNotFound")


def test_an_ephemeral_workspace_is_made_from_nothing() -> None:
    owner = restored(workspace={"type": "Ephemeral"})

    seen = plan(owner, claims=(), source=source())
    runs = plan(owner, claims=(), pod=pod_of(owner), source=source())

    assert told(seen)["Ready"] == told(runs)["Ready"] == ("False", "WorkspaceNotPersistent")
    assert (seen.writes, runs.writes) == ((), ())


def test_a_lifecycle_that_somebody_put_among_what_was_captured_is_not_taken() -> None:
    facts = source(text='{"image": "debian:12", "lifecycle": {"ttl": "1s"}, "snapshots": {"schedule": "* * * * *"}}')
    owner = restored()

    seen = plan(owner, claims=(made_claim(owner, facts),), now=LATER)

    assert "expiresAt" not in seen.status
    assert created(seen.writes, "Pod")["spec"]["containers"][0]["image"] == "debian:12"


def test_a_claim_whose_captured_environment_can_t_be_read_keeps_its_pod_and_says_so() -> None:
    owner = restored()
    good = made_claim(owner)
    broken = {**good, "metadata": {**good["metadata"], "annotations": {"sandkeeper.dev/captured": "?"}}}

    seen = plan(owner, claims=(broken,), pod=pod_on(owner, good))

    assert seen.writes == ()
    assert told(seen)["Ready"] == ("False", "CapturedUnreadable")
    assert told(seen)["Running"][0] == "True"


def test_a_claim_of_that_name_from_a_backup_is_the_workspace_whatever_became_of_the_snapshot() -> None:
    owner = restored()
    back = {**made_claim(owner)}
    back["metadata"] = {key: value for key, value in back["metadata"].items() if key != "ownerReferences"}

    seen = plan(owner, claims=(back,), source=SourceFacts())

    (adopt,) = (each for each in seen.writes if isinstance(each, Patch))
    assert adopt.patch["metadata"]["ownerReferences"][0]["uid"] == "uid-b"
    assert created(seen.writes, "Pod")["spec"]["containers"][0]["image"] == "debian:12"


def test_a_source_that_was_taken_away_leaves_the_workspace_where_it_is() -> None:
    claim = made_claim(restored())
    owner = sandbox("b", uid="uid-b")

    seen = plan(owner, claims=(claim,), pod=pod_on(owner, claim))

    assert told(seen)["Ready"] == ("True", "Running")
    assert seen.writes == ()


def test_a_plain_sandbox_is_on_the_plain_claim() -> None:
    owner = sandbox()

    pod = created(plan(owner, claims=(plain_claim(owner),)).writes, "Pod")

    assert "sandkeeper.dev/claim" not in pod["metadata"]["annotations"]
    assert volume_snapshot()["metadata"]["name"] == "sbx-good"


LATE = StorageClasses({"standard": {"metadata": {"name": "standard"}, "default": True, "grows": True, "waits": True}})
CHOSEN = "volume.kubernetes.io/selected-node"


def copied_on(name: str, *there: Json) -> SourceFacts:
    """All that is known of a snapshot whose note says on which node the volume was, and of the nodes that there are."""
    volume = volume_snapshot()
    volume["metadata"]["annotations"]["sandkeeper.dev/moment"] = json.dumps({"node": name})
    return replace(
        source(), volume_snapshots={"good": volume}, nodes={each["metadata"]["name"]: each for each in there}
    )


LOCAL = copied_on("n1", node("n1"))
OWNER = restored()
COMING = made_claim(OWNER, LOCAL, bound=False, classes=LATE)


def given_back(claim: Json) -> Json:
    """Give a claim as a provisioner leaves it that can't make its volume for the node."""
    kept = {name: text for name, text in claim["metadata"]["annotations"].items() if name != CHOSEN}
    return {**claim, "metadata": {**claim["metadata"], "annotations": kept}}


def test_a_copy_that_one_node_alone_has_is_made_there_and_its_pod_follows_once_it_is() -> None:
    first = plan(OWNER, claims=(), source=LOCAL, classes=LATE)
    waits = plan(OWNER, claims=(COMING,), source=LOCAL, classes=LATE)
    there = plan(OWNER, claims=(made_claim(OWNER, LOCAL, classes=LATE),), source=LOCAL, classes=LATE)

    assert [type(each) for each in first.writes] == [Patch, Create]
    assert created(first.writes, "PersistentVolumeClaim")["metadata"]["annotations"][CHOSEN] == "n1"
    assert (waits.writes, waits.status) == ((), {})
    pod = created(there.writes, "Pod")
    assert pod["metadata"]["annotations"]["sandkeeper.dev/claim"] == COMING["metadata"]["name"]
    assert "nodeName" not in pod["spec"], "the scheduler says where, as ever"


def test_a_restore_that_takes_its_time_is_told_as_one_though_it_has_no_pod() -> None:
    known: Json = {"claims": (COMING,), "source": LOCAL, "classes": LATE}
    soon, slow = plan(OWNER, **known), plan(OWNER, first_seen=NOW - SLOW_AFTER, **known)

    assert soon.status == {}
    assert told(slow)["Ready"] == ("False", "Restoring")
    assert slow.state.message == f"Waiting for the volume of PersistentVolumeClaim {COMING['metadata']['name']}."
    assert slow.look_again == CREATED + timedelta(seconds=10)


def test_a_volume_without_a_pod_that_is_long_in_coming_is_told_with_what_its_provisioner_says() -> None:
    late = CREATED + timedelta(seconds=10)
    known: Json = {"claims": (COMING,), "source": LOCAL, "classes": LATE}

    seen = plan(OWNER, late, volume_news="failed to provision volume: the pool of n1 is away", **known)

    assert told(seen)["Ready"] == ("False", "VolumePending")
    assert seen.state.message.endswith("has no volume yet: failed to provision volume: the pool of n1 is away.")
    assert seen.writes == ()
    assert seen.look_again == late + timedelta(seconds=30)
    assert worth_asking(observe(OWNER, **known), late) == COMING
    assert worth_asking(observe(OWNER, **known), NOW) is None


def test_what_its_provisioner_gives_up_is_left_to_the_scheduler_which_needs_a_pod_for_it() -> None:
    back = given_back(COMING)
    pod = plan(OWNER, claims=(back,), source=LOCAL, classes=LATE).writes

    assert created(pod, "Pod")["metadata"]["annotations"]["sandkeeper.dev/claim"] == COMING["metadata"]["name"]
    assert len(pod) == 1, "the node is not chosen anew"
    waiting = pod_on(OWNER, back, {"phase": "Pending"}, node="")
    assert plan(OWNER, claims=(back,), pod=waiting, source=LOCAL, classes=LATE).writes == ()


FOR_THE_SCHEDULER: dict[str, tuple[SourceFacts, StorageClasses]] = {
    "the node is not ready": (copied_on("n1", node("n1", ready="Unknown")), LATE),
    "it is gone": (copied_on("n1"), LATE),
    "a tenant made it up": (copied_on("../n1", node("n1")), LATE),
    "the note says nothing": (replace(source(), nodes={"n1": node("n1")}), LATE),
    "the class makes volumes at once": (LOCAL, classes()),
}


@pytest.mark.parametrize("case", FOR_THE_SCHEDULER)
def test_where_no_node_is_known_that_has_it_the_scheduler_chooses_one_for_the_pod(case: str) -> None:
    facts, there = FOR_THE_SCHEDULER[case]

    writes = plan(OWNER, claims=(), source=facts, classes=there).writes

    assert CHOSEN not in created(writes, "PersistentVolumeClaim")["metadata"]["annotations"]
    assert created(writes, "Pod")["metadata"]["name"] == "sbx-b"


def test_a_note_that_no_node_can_have_is_as_if_there_were_none() -> None:
    for odd in ("n" * 254, 7, ["n1"], {"n1": 1}):
        volume = volume_snapshot()
        volume["metadata"]["annotations"]["sandkeeper.dev/moment"] = json.dumps({"node": odd})
        facts = replace(LOCAL, volume_snapshots={"good": volume})

        writes = plan(OWNER, claims=(), source=facts, classes=LATE).writes

        assert CHOSEN not in created(writes, "PersistentVolumeClaim")["metadata"]["annotations"]


def test_put_to_sleep_before_it_had_a_volume_it_sleeps_and_wakes_on_what_has_come_meanwhile() -> None:
    asleep = sandbox("b", uid="uid-b", generation=2, source=FROM, lifecycle={"state": "Sleeping"})

    sleeps = plan(asleep, NOW + timedelta(hours=1), claims=(COMING,), source=LOCAL, classes=LATE)
    wakes = plan(OWNER, claims=(made_claim(OWNER, LOCAL, classes=LATE),), status=sleeps.status, classes=LATE)

    assert (told(sleeps)["Ready"], sleeps.writes) == (("True", "Sleeping"), ())
    assert created(wakes.writes, "Pod")["metadata"]["name"] == "sbx-b"


def test_given_another_source_before_it_had_a_volume_it_starts_on_that_alone() -> None:
    other = sandbox("b", uid="uid-b", generation=2, source={**FROM, "revision": "2"})
    newer = made_claim(other, LOCAL, claims=(COMING,), bound=False, classes=LATE)

    asks = plan(other, claims=(COMING,), source=LOCAL, classes=LATE).writes
    starts = plan(other, claims=(COMING, newer), source=LOCAL, classes=LATE).writes

    assert [each.obj["kind"] for each in asks if isinstance(each, Create)] == ["PersistentVolumeClaim"]
    assert CHOSEN not in created(asks, "PersistentVolumeClaim")["metadata"]["annotations"], "its pod chooses"
    assert created(starts, "Pod")["metadata"]["annotations"]["sandkeeper.dev/claim"] == newer["metadata"]["name"]


def test_a_claim_that_is_deleted_before_it_had_a_volume_is_made_anew_for_the_node() -> None:
    going = {**COMING, "metadata": {**COMING["metadata"], "deletionTimestamp": "2026-03-01T12:00:00Z"}}

    waits = plan(OWNER, claims=(going,), source=LOCAL, classes=LATE)
    again = plan(OWNER, claims=(), source=LOCAL, classes=LATE)

    assert (told(waits)["Ready"], waits.writes) == (("False", "WorkspaceDeleting"), ())
    assert created(again.writes, "PersistentVolumeClaim")["metadata"]["annotations"][CHOSEN] == "n1"


def test_a_snapshot_that_went_while_a_volume_was_made_of_it_without_a_pod_is_told_of() -> None:
    late = plan(OWNER, LATER, claims=(COMING,), source=SourceFacts(), classes=LATE)

    assert told(late)["Ready"] == ("False", "SnapshotNotFound")
    assert late.writes == ()


def test_a_workspace_that_began_empty_has_its_pod_at_once_whatever_node_was_chosen_for_it() -> None:
    plain = plain_claim(sandbox(), annotations={CHOSEN: "n1"})
    pending = {**plain, "status": {"phase": "Pending"}}

    assert created(plan(sandbox(), claims=(pending,), classes=LATE).writes, "Pod")["metadata"]["name"] == "sbx-a"
