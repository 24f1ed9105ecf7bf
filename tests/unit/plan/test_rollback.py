"""A sandbox is rolled back in place: which claim it is on, when its pod is swapped, and what becomes of the old one."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from sandkeeper.plan.confirmation import needs_confirmation
from sandkeeper.plan.made_from import note_of
from sandkeeper.plan.observed import Failure, SourceFacts
from sandkeeper.plan.packing import PackResult
from sandkeeper.plan.pod_state import written
from sandkeeper.plan.rollback import finishes
from sandkeeper.plan.sandbox import plan_sandbox
from sandkeeper.plan.storage_classes import StorageClasses
from sandkeeper.plan.workspace_choice import current_claim
from sandkeeper.plan.writes import Create, Delete, Pack, Patch, Write
from unit.fakes.copies import captured, made_claim, plain_claim, pod_on, snapshot, source
from unit.fakes.objects import NOW, classes, observe, plan, sandbox, told, waiting

if TYPE_CHECKING:
    from sandkeeper.api.sandbox import Sandbox
    from sandkeeper.plan.sandbox import Plan

Json = dict[str, Any]

FROM = {"snapshotRef": {"name": "good"}}
OWNER = sandbox()
BACK = sandbox(source=FROM, generation=2)
OLD = plain_claim(OWNER)
NEW = made_claim(BACK, claims=(OLD,))
COMING = made_claim(BACK, claims=(OLD,), bound=False)
KEEPS = sandbox(source={**FROM, "keepPrevious": True}, generation=2)
RUNS: Json = {"workspaceClaimName": "sbx-a", "startupSeconds": 1.0, "startedFrom": "Cold", "observedGeneration": 1}
STARTING = {"phase": "Pending", "startTime": NOW.isoformat()}
KEPT = {"sandkeeper.dev/previous": "true"}


def name(claim: Json) -> str:
    return str(claim["metadata"]["name"])


def did(seen: Plan) -> list[str]:
    """Writes of a plan, as ``Create PersistentVolumeClaim/sbx-a``."""
    found = []
    for write in seen.writes:
        child = write.obj if isinstance(write, Create) else write.child
        found.append(f"{type(write).__name__} {child['kind']}/{child['metadata']['name']}")
    return found


def rolled(owner: Sandbox, *claims: Json, on: Json | None = None, **known: Any) -> Plan:
    """Decide on a sandbox whose pod is on a claim."""
    given: Json = {"status": RUNS, "source": source(), "claims": claims} | known
    if on is not None and "pod" not in given:
        given["pod"] = pod_on(owner, on)
    return plan(owner, **given)


def test_the_new_claim_is_made_beside_the_old_one_while_the_pod_runs_on() -> None:
    seen = rolled(BACK, OLD, on=OLD)

    assert did(seen) == ["Patch SandboxSnapshot/good", f"Create PersistentVolumeClaim/{name(NEW)}"]
    assert told(seen)["Ready"] == ("False", "RollingBack")
    assert told(seen)["Running"][0] == "True"
    assert note_of(NEW) == {"snapshot": "good", "uid": "uid-good", "replaces": "sbx-a"}
    assert seen.status.get("workspaceClaimName", "sbx-a") == "sbx-a"


def test_until_it_has_its_volume_nothing_else_happens() -> None:
    seen = rolled(BACK, OLD, COMING, on=OLD)

    assert did(seen) == []
    assert told(seen)["Ready"] == ("False", "RollingBack")


def test_what_else_changed_in_the_spec_waits_for_the_new_workspace() -> None:
    owner = sandbox(source=FROM, image="fedora:42", generation=2)

    assert did(rolled(owner, OLD, COMING, pod=pod_on(OWNER, OLD))) == []


def test_a_volume_that_is_long_in_coming_is_told_of_and_the_old_one_runs_on() -> None:
    later = NOW + timedelta(minutes=1)

    seen = rolled(BACK, OLD, COMING, on=OLD, now=later, volume_news="the pool is full")

    assert told(seen)["Ready"] == ("False", "VolumePending")
    assert "has no volume yet: the pool is full." in seen.state.message
    assert told(seen)["Running"][0] == "True"
    assert did(seen) == []


def test_a_snapshot_that_went_while_it_was_read_is_told_of() -> None:
    later = NOW + timedelta(minutes=1)

    seen = rolled(BACK, OLD, COMING, on=OLD, now=later, source=SourceFacts())

    assert told(seen)["Ready"] == ("False", "SnapshotNotFound")


LATE = StorageClasses({"standard": {"metadata": {"name": "standard"}, "default": True, "grows": True, "waits": True}})
NODE = "volume.kubernetes.io/selected-node"


def test_a_class_that_waits_for_its_consumer_is_told_the_node_of_the_pod_that_runs() -> None:
    seen = rolled(BACK, OLD, on=OLD, classes=LATE)
    again = rolled(BACK, OLD, COMING, on=OLD, classes=LATE)

    (claim,) = (each.obj for each in seen.writes if isinstance(each, Create))
    assert claim["metadata"]["annotations"][NODE] == "n1"
    (chosen,) = again.writes
    assert isinstance(chosen, Patch)
    assert chosen.patch["metadata"]["annotations"][NODE] == "n1"


def test_a_node_that_its_provisioner_gives_up_is_chosen_again_but_not_at_once() -> None:
    taken_away = {**COMING["metadata"]["annotations"], "sandkeeper.dev/node-chosen": written(NOW)}
    claim = {**COMING, "metadata": {**COMING["metadata"], "annotations": taken_away}}
    soon, later = NOW + timedelta(seconds=29), NOW + timedelta(seconds=30)

    waits = rolled(BACK, OLD, claim, on=OLD, classes=LATE, now=soon)
    asks = rolled(BACK, OLD, claim, on=OLD, classes=LATE, now=later)

    assert (did(waits), told(waits)["Ready"], waits.look_again) == ([], ("False", "VolumePending"), later)
    assert [each.patch["metadata"]["annotations"] for each in asks.writes if isinstance(each, Patch)] == [
        {NODE: "n1", "sandkeeper.dev/node-chosen": written(later)}
    ]


def test_a_pod_that_no_node_has_taken_makes_way_for_the_new_volume_s_first_consumer() -> None:
    pod = pod_on(OWNER, OLD, {"phase": "Pending"}, node="")

    assert did(rolled(BACK, OLD, COMING, pod=pod, classes=LATE)) == ["Delete Pod/sbx-a"]


def test_once_the_volume_is_there_the_pod_is_swapped_without_a_pack() -> None:
    running = pod_on(BACK, OLD)
    running["status"]["containerStatuses"] = [{"name": "sandbox", "state": {"running": {}}, "started": True}]

    assert did(rolled(BACK, OLD, NEW, pod=running)) == ["Delete Pod/sbx-a"]
    seen = rolled(BACK, OLD, NEW)
    assert did(seen) == ["Create Pod/sbx-a"]
    (pod,) = (each.obj for each in seen.writes if isinstance(each, Create))
    assert pod["metadata"]["annotations"]["sandkeeper.dev/claim"] == name(NEW)
    assert pod["spec"]["containers"][0]["image"] == "debian:12"


def packless(packed: Any) -> Json:
    """Make the new claim from a copy that says whether something is packed beside the workspace."""
    facts = source()
    moment = json.dumps({} if packed is None else {"packed": packed})
    facts.volume_snapshots["good"]["metadata"]["annotations"]["sandkeeper.dev/moment"] = moment
    return made_claim(BACK, facts, claims=(OLD,))


LEFT: Json = {**RUNS, "pack": {"time": "2026-03-01T11:00:00Z", "entries": 3, "bytes": 100}}
BROKE = Failure("Evicted", "Pod failed (Evicted).", NOW)


@pytest.mark.parametrize(
    ("packed", "failure", "waits"),
    [(False, None, False), (True, None, True), (None, None, True), (False, BROKE, True)],
    ids=["nothing was packed", "a pack", "nobody knows", "a pod was on it"],
)
def test_the_first_pod_after_a_rollback_waits_for_what_its_own_workspace_brings(
    packed: Any, failure: Failure | None, *, waits: bool
) -> None:
    seen = rolled(BACK, OLD, packless(packed), status=LEFT, failure=failure)

    (pod,) = (each.obj for each in seen.writes if isinstance(each, Create))
    assert ("startupProbe" in pod["spec"]["containers"][0]) is waits


def test_once_the_rollback_is_over_a_lost_pod_may_have_left_a_pack_as_ever() -> None:
    (pod,) = (each.obj for each in rolled(BACK, packless(False), status=LEFT).writes if isinstance(each, Create))

    assert "startupProbe" in pod["spec"]["containers"][0]


def test_while_its_pod_starts_it_is_rolling_back_and_the_old_claim_stays() -> None:
    seen = rolled(BACK, OLD, NEW, pod=pod_on(BACK, NEW, STARTING), now=NOW + timedelta(minutes=1))

    assert told(seen)["Ready"] == ("False", "RollingBack")
    assert did(seen) == []


def test_when_the_new_pod_is_ready_the_old_claim_goes() -> None:
    seen = rolled(BACK, OLD, NEW, on=NEW)

    assert did(seen) == ["Delete PersistentVolumeClaim/sbx-a"]
    assert told(seen)["Ready"] == ("True", "Running")
    assert (seen.status["workspaceClaimName"], seen.status["startedFrom"]) == (name(NEW), "Snapshot")
    sentence = finishes(observe(BACK, claims=(OLD, NEW), pod=pod_on(BACK, NEW)), seen.writes[0])
    assert sentence == (
        f"The workspace is PersistentVolumeClaim {name(NEW)} now, made from SandboxSnapshot good; sbx-a, which it was "
        "before, goes."
    )


def test_a_claim_that_was_to_be_retained_loses_its_mark_before_it_goes() -> None:
    keeping: Json = {"workspace": {"reclaimPolicy": "Retain"}}
    owner = sandbox(source=FROM, generation=2, **keeping)
    old = plain_claim(sandbox(**keeping))
    new = made_claim(owner, claims=(old,))
    unmarked = {**old, "metadata": {**old["metadata"], "labels": dict(old["metadata"]["labels"])}}
    del unmarked["metadata"]["labels"]["sandkeeper.dev/retained"]

    (patch,) = rolled(owner, old, new, on=new).writes

    assert isinstance(patch, Patch)
    assert patch.patch == {"metadata": {"labels": {"sandkeeper.dev/retained": None}}}
    assert did(rolled(owner, unmarked, new, on=new)) == ["Delete PersistentVolumeClaim/sbx-a"]


def test_where_it_is_to_be_kept_it_is_packed_first_and_then_labelled() -> None:
    running = pod_on(KEEPS, OLD)
    running["status"]["containerStatuses"] = [{"name": "sandbox", "state": {"running": {}}, "started": True}]
    packed = PackResult("uid-pod", NOW, entries=3, bytes=10)
    older = plain_claim(OWNER, name="sbx-a-older", uid="uid-older", labels=KEPT)

    first = rolled(KEEPS, OLD, NEW, older, pod=running)
    then = rolled(KEEPS, OLD, NEW, older, pod=running, pack_result=packed)
    last = rolled(KEEPS, OLD, NEW, older, on=NEW)

    assert [type(each) for each in first.writes] == [Pack]
    assert did(then) == ["Delete Pod/sbx-a"]
    assert did(last) == ["Delete PersistentVolumeClaim/sbx-a-older", "Patch PersistentVolumeClaim/sbx-a"]
    kept = plain_claim(OWNER, labels=KEPT)
    done = rolled(KEEPS, kept, NEW, on=NEW)
    assert did(done) == []
    assert done.status["previousClaimName"] == "sbx-a"


def test_a_snapshot_that_was_begun_before_the_swap_is_of_the_old_workspace() -> None:
    seen = rolled(BACK, OLD, NEW, on=OLD, uncopied={"before": ""})

    assert (did(seen), told(seen)["Ready"]) == ([], ("False", "RollingBack"))
    assert "SandboxSnapshot before" in seen.state.message
    assert seen.look_again == NOW + timedelta(seconds=1)
    assert did(rolled(BACK, OLD, NEW, on=OLD, uncopied={"before": "sbx-a"})) == ["Delete Pod/sbx-a"]


def test_the_old_claim_stays_until_it_is_copied_into_what_was_asked_of_it() -> None:
    assert did(rolled(BACK, OLD, NEW, on=NEW, uncopied={"before": "sbx-a"})) == []
    assert did(rolled(BACK, OLD, NEW, on=NEW, uncopied={"after": name(NEW)})) == ["Delete PersistentVolumeClaim/sbx-a"]


def test_a_workspace_is_put_aside_only_once_the_sandbox_is_known_to_be_as_it_was_seen() -> None:
    seen = observe(KEEPS, status=RUNS, claims=(OLD, NEW), pod=pod_on(KEEPS, NEW), source=source())
    before = observe(KEEPS, status=RUNS, claims=(OLD, COMING), pod=pod_on(KEEPS, OLD), source=source())

    assert needs_confirmation(seen, plan_sandbox(seen, NOW))
    assert not needs_confirmation(before, plan_sandbox(before, NOW))


def test_a_workspace_that_was_itself_rolled_back_to_is_kept_as_well() -> None:
    second = sandbox(source={**FROM, "revision": "2", "keepPrevious": True}, generation=3)
    newest = made_claim(second, claims=(NEW,), pod=pod_on(second, NEW))

    (patch,) = rolled(second, NEW, newest, on=newest).writes

    assert isinstance(patch, Patch)
    assert patch.child is NEW
    assert patch.patch == {"metadata": {"labels": KEPT}}


def test_a_pack_that_fails_keeps_the_old_pod() -> None:
    running = pod_on(KEEPS, OLD)
    running["status"]["containerStatuses"] = [{"name": "sandbox", "state": {"running": {}}, "started": True}]
    failed = PackResult("uid-pod", NOW, reason="VolumeFull", message="No space.", failures=1)

    seen = rolled(KEEPS, OLD, NEW, pod=running, pack_result=failed)

    assert (did(seen), told(seen)["Ready"]) == ([], ("False", "PackFailed"))
    assert told(seen)["Running"][0] == "True"


def test_a_rollback_that_can_t_be_keeps_the_old_pod_and_says_why() -> None:
    for facts, reason in (
        (SourceFacts(), "SnapshotNotFound"),
        (replace(source(), snapshot=snapshot(status={})), "SnapshotNotReady"),
        (source(text="?"), "CapturedUnreadable"),
    ):
        seen = rolled(BACK, OLD, on=OLD, source=facts)

        assert (did(seen), told(seen)["Ready"]) == ([], ("False", reason))
        assert told(seen)["Running"][0] == "True"


def test_a_claim_of_somebody_else_with_the_new_one_s_name_keeps_the_old_pod_and_is_told() -> None:
    owner = {"kind": "StatefulSet", "apiVersion": "apps/v1", "name": "db", "uid": "uid-db", "controller": True}
    theirs = {**NEW, "metadata": {**NEW["metadata"], "ownerReferences": [owner]}}

    seen = rolled(BACK, OLD, theirs, on=OLD)

    assert did(seen) == []
    assert told(seen)["Ready"] == ("False", "Conflict")
    assert told(seen)["Running"][0] == "True"
    assert f"PersistentVolumeClaim {name(NEW)} is there and does not belong to this sandbox" in seen.state.message


@pytest.mark.parametrize(
    "metadata",
    [
        {"deletionTimestamp": NOW.isoformat()},
        {"ownerReferences": [{**NEW["metadata"]["ownerReferences"][0], "uid": "uid-former"}]},
    ],
    ids=["going", "of a deleted sandbox"],
)
def test_a_claim_of_the_new_one_s_name_that_is_on_its_way_out_is_waited_for(metadata: Json) -> None:
    seen = rolled(BACK, OLD, {**NEW, "metadata": {**NEW["metadata"], **metadata}}, on=OLD)

    assert did(seen) == []
    assert told(seen)["Ready"] == ("False", "RollingBack")
    assert seen.state.message == f"Waiting for PersistentVolumeClaim {name(NEW)}, which is on its way out."


def test_a_new_claim_that_asks_for_what_is_denied_is_never_swapped_to() -> None:
    text = captured(podTemplate={"metadata": {"labels": {"sandkeeper.dev/role": "x"}}})
    annotations = {**NEW["metadata"]["annotations"], "sandkeeper.dev/captured": text}
    forged = {**NEW, "metadata": {**NEW["metadata"], "annotations": annotations}}

    seen = rolled(BACK, OLD, forged, on=OLD)

    assert (did(seen), told(seen)["Ready"]) == ([], ("False", "PolicyDenied"))


def test_asked_again_while_one_runs_the_unfinished_claim_is_dropped() -> None:
    again = sandbox(source={**FROM, "revision": "2"}, generation=3)
    newest = made_claim(again, claims=(OLD, NEW), pod=pod_on(BACK, OLD))

    seen = rolled(again, OLD, NEW, on=OLD)

    assert did(seen) == [
        "Patch SandboxSnapshot/good",
        f"Create PersistentVolumeClaim/{name(newest)}",
        f"Delete PersistentVolumeClaim/{name(NEW)}",
    ]
    assert note_of(newest) == {"snapshot": "good", "uid": "uid-good", "revision": "2", "replaces": "sbx-a"}


def test_asked_again_after_the_swap_the_last_good_claim_stays_until_the_newest_is_ready() -> None:
    again = sandbox(source={**FROM, "revision": "2"}, generation=3)
    starting = pod_on(again, NEW, STARTING)
    newest = made_claim(again, claims=(OLD, NEW), pod=starting)

    assert note_of(newest)["replaces"] == "sbx-a"
    assert did(rolled(again, OLD, NEW, newest, pod=starting)) == ["Delete Pod/sbx-a"]
    assert did(rolled(again, OLD, NEW, newest, pod=pod_on(again, newest, STARTING))) == [
        f"Delete PersistentVolumeClaim/{name(NEW)}"
    ]
    assert did(rolled(again, OLD, newest, on=newest)) == ["Delete PersistentVolumeClaim/sbx-a"]


@pytest.mark.parametrize("pod", [pod_on(OWNER, OLD), None], ids=["the old pod runs", "no pod"])
def test_a_source_that_is_taken_away_on_the_way_leaves_it_where_it_was(pod: Json | None) -> None:
    seen = rolled(OWNER, OLD, NEW, pod=pod)

    assert f"Delete PersistentVolumeClaim/{name(NEW)}" in did(seen)
    assert seen.status.get("workspaceClaimName", "sbx-a") == "sbx-a"


def test_reverted_while_the_new_pod_does_not_start_it_goes_back() -> None:
    broken = pod_on(OWNER, NEW, waiting("ImagePullBackOff"))
    status = {**RUNS, "workspaceClaimName": name(NEW)}

    assert did(rolled(OWNER, OLD, NEW, pod=broken, status=status)) == ["Delete Pod/sbx-a"]
    assert did(rolled(OWNER, OLD, NEW, on=OLD, status=status)) == [f"Delete PersistentVolumeClaim/{name(NEW)}"]


def test_reverted_it_wakes_and_starts_where_it_goes_back_to_whatever_the_status_says() -> None:
    seen = rolled(OWNER, OLD, NEW, status={**RUNS, "workspaceClaimName": name(NEW)})

    assert did(seen)[0] == "Create Pod/sbx-a"
    (pod,) = (each.obj for each in seen.writes if isinstance(each, Create))
    assert "sandkeeper.dev/claim" not in pod["metadata"]["annotations"]


def test_asked_again_before_it_is_known_to_run_the_claim_that_runs_is_what_is_replaced() -> None:
    again = sandbox(source={**FROM, "revision": "2"}, generation=3)
    newest = made_claim(again, claims=(OLD, NEW), pod=pod_on(again, NEW, STARTING))
    noted = {**newest["metadata"]["annotations"], "sandkeeper.dev/source": json.dumps({"replaces": name(NEW)})}
    then = {**newest, "metadata": {**newest["metadata"], "annotations": noted}}

    seen = rolled(again, OLD, NEW, newest, on=NEW)

    assert did(seen) == [f"Patch PersistentVolumeClaim/{name(newest)}", "Delete PersistentVolumeClaim/sbx-a"]
    patch = seen.writes[0]
    assert isinstance(patch, Patch)
    assert json.loads(patch.patch["metadata"]["annotations"]["sandkeeper.dev/source"])["replaces"] == name(NEW)
    assert did(rolled(again, NEW, then, on=NEW)) == ["Delete Pod/sbx-a"]
    assert did(rolled(again, NEW, then, pod=pod_on(again, then, STARTING))) == []
    assert did(rolled(again, NEW, then, on=then)) == [f"Delete PersistentVolumeClaim/{name(NEW)}"]


def test_gone_back_to_before_that_is_known_the_old_claim_is_what_it_was() -> None:
    second = sandbox(source={**FROM, "revision": "2"}, generation=3)
    newer = made_claim(second, claims=(NEW,))
    newer["metadata"]["creationTimestamp"] = NOW.isoformat()

    assert did(rolled(BACK, NEW, newer, on=newer)) == ["Delete Pod/sbx-a"]


def test_a_ready_pod_of_a_deleted_sandbox_of_this_name_proves_nothing() -> None:
    keeping: Json = {"workspace": {"reclaimPolicy": "Retain"}}
    former = sandbox(uid="uid-former", source=FROM, **keeping)
    old = plain_claim(sandbox(uid="uid-former", **keeping))
    new = made_claim(former, claims=(old,))
    heir = sandbox(uid="uid-heir", source=FROM, **keeping)

    assert did(rolled(heir, old, new, pod=pod_on(former, old), status={})) == ["Delete Pod/sbx-a"]


def test_what_a_former_sandbox_left_to_be_retained_is_none_of_an_ephemeral_one_s() -> None:
    keeping: Json = {"workspace": {"reclaimPolicy": "Retain"}}
    old = plain_claim(sandbox(**keeping), labels=KEPT)
    new = made_claim(sandbox(source=FROM, **keeping), claims=(plain_claim(sandbox(**keeping)),))
    heir = sandbox(workspace={"type": "Ephemeral"})

    assert did(rolled(heir, old, new, on=old)) == []


def test_with_the_newest_claim_lost_the_last_good_one_stays() -> None:
    again = sandbox(source={**FROM, "revision": "2"}, generation=3)
    newest = made_claim(again, claims=(NEW,))
    stuck = pod_on(again, newest, {"phase": "Pending"}, node="")
    other = plain_claim(OWNER, labels=KEPT)

    seen = rolled(again, NEW, other, pod=stuck)

    assert did(seen) == ["Patch SandboxSnapshot/good", f"Create PersistentVolumeClaim/{name(newest)}"]
    (claim,) = (each.obj for each in seen.writes if isinstance(each, Create))
    assert json.loads(claim["metadata"]["annotations"]["sandkeeper.dev/source"])["replaces"] == name(NEW)


def test_rolled_back_to_and_fro_it_is_known_which_claim_is_the_newer_one() -> None:
    second = sandbox(source={**FROM, "revision": "2", "keepPrevious": True}, generation=3)
    newer = made_claim(second, claims=(NEW,))
    first_again = made_claim(BACK, claims=(newer,))
    first_again["metadata"]["creationTimestamp"] = NOW.isoformat()

    seen = rolled(second, first_again, newer, on=newer)

    assert note_of(newer)["replaces"] == name(first_again)
    assert did(seen) == [f"Delete PersistentVolumeClaim/{name(first_again)}"]


def test_a_source_that_is_taken_away_once_the_new_pod_is_ready_changes_nothing() -> None:
    seen = rolled(OWNER, OLD, NEW, on=NEW)

    assert did(seen) == ["Delete PersistentVolumeClaim/sbx-a"]


def test_a_sandbox_that_sleeps_goes_on_sleeping_and_wakes_on_the_new_workspace() -> None:
    asleep = {**RUNS, "asleep": {"since": "2026-03-01T11:00:00Z", "cause": "Requested", "generation": 1}}
    sleeper = sandbox(source=FROM, generation=2, lifecycle={"state": "Sleeping"})

    made = rolled(sleeper, OLD, status=asleep)
    waits = rolled(sleeper, OLD, NEW, status=asleep)
    wakes = rolled(BACK, OLD, NEW, status=asleep)

    assert did(made) == ["Patch SandboxSnapshot/good", f"Create PersistentVolumeClaim/{name(NEW)}"]
    assert (did(waits), told(waits)["Ready"]) == ([], ("True", "Sleeping"))
    assert waits.status["workspaceClaimName"] == name(NEW)
    assert did(wakes) == ["Create Pod/sbx-a"]


def test_a_sandbox_that_sleeps_and_can_t_be_rolled_back_says_so() -> None:
    asleep = {**RUNS, "asleep": {"since": "2026-03-01T11:00:00Z", "cause": "Requested", "generation": 1}}
    sleeper = sandbox(source=FROM, generation=2, lifecycle={"state": "Sleeping"})

    seen = rolled(sleeper, OLD, status=asleep, source=SourceFacts())

    assert told(seen)["Ready"] == ("False", "SnapshotNotFound")


UNDO = sandbox(source={"claimRef": {"name": "sbx-a"}}, generation=3)


def test_a_rollback_is_undone_from_the_claim_that_was_kept() -> None:
    kept = plain_claim(OWNER, labels=KEPT)

    seen = rolled(UNDO, kept, NEW, on=NEW, source=SourceFacts())

    (claim,) = (each.obj for each in seen.writes if isinstance(each, Create))
    assert claim["spec"]["dataSource"] == {"kind": "PersistentVolumeClaim", "name": "sbx-a"}
    assert claim["spec"]["storageClassName"] == "standard"
    assert json.loads(claim["metadata"]["annotations"]["sandkeeper.dev/source"]) == {
        "claim": "sbx-a", "replaces": name(NEW),
    }  # fmt: skip
    assert "sandkeeper.dev/captured" not in claim["metadata"]["annotations"]


@pytest.mark.parametrize("there", [(), (plain_claim(OWNER, labels=KEPT, name="sbx-a-other"),)], ids=["none", "another"])
def test_what_was_not_kept_can_t_be_undone(there: tuple[Json, ...]) -> None:
    seen = rolled(UNDO, NEW, *there, on=NEW)

    assert (did(seen), told(seen)["Ready"]) == ([], ("False", "ClaimNotFound"))
    assert told(seen)["Running"][0] == "True"


def test_a_claim_that_is_kept_is_never_the_workspace_again() -> None:
    kept = plain_claim(OWNER, labels=KEPT)

    seen = rolled(OWNER, kept)

    assert (did(seen), told(seen)["Ready"]) == ([], ("False", "Conflict"))
    assert "spec.source.claimRef.name: sbx-a to undo it" in seen.state.message


def test_asked_for_what_a_kept_claim_was_made_from_it_is_made_anew_and_the_kept_one_goes() -> None:
    kept = {**NEW, "metadata": {**NEW["metadata"], "labels": {**NEW["metadata"]["labels"], **KEPT}}}
    second = made_claim(sandbox(source={**FROM, "revision": "2"}))

    seen = rolled(BACK, kept, second, on=second)
    lacking = rolled(BACK, kept, second, on=second, source=SourceFacts())

    assert did(seen) == [f"Delete PersistentVolumeClaim/{name(NEW)}"]
    assert (did(lacking), told(lacking)["Ready"]) == ([], ("False", "SnapshotNotFound"))


def without_owner(claim: Json) -> Json:
    return {**claim, "metadata": {key: value for key, value in claim["metadata"].items() if key != "ownerReferences"}}


@pytest.mark.parametrize(
    ("claims", "found"),
    [
        ((OLD,), OLD),
        ((NEW,), NEW),
        ((plain_claim(OWNER, labels=KEPT), NEW), NEW),
        ((OLD, COMING), OLD),
        ((OLD, NEW), NEW),
    ],
    ids=["before", "after", "after, with the old one kept", "on the way", "right before the swap"],
)
def test_after_a_backup_without_status_it_is_on_the_claim_that_it_was_on(claims: tuple[Json, ...], found: Json) -> None:
    heir = sandbox(uid="uid-heir", source=FROM)
    back = tuple(map(without_owner, claims))

    seen = current_claim(heir, back, None, {}, classes())

    assert seen is not None
    assert name(seen) == name(found)


def test_a_retained_claim_of_a_former_sandbox_is_taken_over_whatever_it_was_made_from() -> None:
    keeping: Json = {"workspace": {"reclaimPolicy": "Retain"}}
    left = without_owner(made_claim(sandbox(source=FROM, **keeping)))
    heir = sandbox(uid="uid-heir", **keeping)

    seen = current_claim(heir, (left,), None, {}, classes())

    assert seen is not None
    assert name(seen) == name(left)


def test_the_pod_tells_which_claim_it_is_on_whatever_the_status_says() -> None:
    status = {"workspaceClaimName": name(NEW)}

    assert current_claim(BACK, (OLD, NEW), pod_on(BACK, OLD), status, classes()) is OLD
    assert current_claim(BACK, (OLD, NEW), pod_on(BACK, NEW), {}, classes()) is NEW


def test_with_its_sandbox_s_expiry_all_claims_go() -> None:
    owner = sandbox(source=FROM, lifecycle={"ttl": "1s"})
    kept = plain_claim(OWNER, labels=KEPT)

    assert did(rolled(owner, kept, NEW)) == [
        "Delete PersistentVolumeClaim/sbx-a", f"Delete PersistentVolumeClaim/{name(NEW)}",
    ]  # fmt: skip


def test_what_somebody_labelled_as_the_sandbox_s_is_left_alone() -> None:
    stranger = plain_claim(OWNER, name="data", uid="uid-data")

    seen = rolled(BACK, OLD, NEW, stranger, on=NEW)

    writes: list[Write] = [each for each in seen.writes if isinstance(each, Delete)]
    assert did(replace(seen, writes=tuple(writes))) == ["Delete PersistentVolumeClaim/sbx-a"]
