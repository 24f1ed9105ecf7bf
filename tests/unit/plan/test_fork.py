"""Forks: which snapshot one is made from, when one is taken, and what keeps a fork from coming."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from sandkeeper.api.names import NAME_PATTERN
from sandkeeper.plan.fork import snapshot_name
from sandkeeper.plan.observed import SourceFacts
from sandkeeper.plan.pod_state import written
from sandkeeper.plan.storage_classes import StorageClasses
from sandkeeper.plan.workspace_choice import asked_name
from sandkeeper.plan.writes import Create
from unit.fakes.copies import COPYING, READY, made_claim, plain_claim, pod_on, snapshot, volume_snapshot
from unit.fakes.objects import CREATED, NOW, node, observe, plan, sandbox, told

if TYPE_CHECKING:
    from sandkeeper.api.sandbox import Sandbox
    from sandkeeper.plan.sandbox import Plan

Json = dict[str, Any]

FORK = sandbox("b", uid="uid-b", source={"sandboxRef": {"name": "a"}})
OTHER = sandbox("c", uid="uid-c", source={"sandboxRef": {"name": "a"}})
SOURCE: Json = {"metadata": {"name": "a", "namespace": "team"}, "spec": {}}
FAILED = {"conditions": [{"type": "Ready", "status": "False", "reason": "NoSnapshotSupport", "message": "No driver."}]}


def taken(
    name: str, status: Json, *, began: datetime | None = None, by: str = "sbx-c-00000000", stands_for: Sandbox = OTHER
) -> Json:
    """Make a snapshot that was taken on the way to a fork."""
    start = {"startTime": began.isoformat(), "standsFor": [snapshot_name(stands_for)]} if began else {}
    return snapshot(name, {**status, **start}, labels={"sandkeeper.dev/fork": by})


def known(*forks: Json, source: Json | None = SOURCE, heard: tuple[datetime, ...] = ()) -> SourceFacts:
    volumes = {each["metadata"]["name"]: volume_snapshot(each["metadata"]["name"]) for each in forks}
    return SourceFacts(sandbox=source, forks=forks, volume_snapshots=volumes, heard=heard)


def forked(*forks: Json, now: datetime = NOW, first_seen: datetime | None = None, **facts: Any) -> Plan:
    return plan(FORK, claims=(), source=known(*forks, **facts), now=now, first_seen=first_seen)


def made(seen: Plan) -> dict[str, Json]:
    """What a plan creates, by kind."""
    return {each.obj["kind"]: each.obj for each in seen.writes if isinstance(each, Create)}


def test_a_fork_takes_a_snapshot_of_the_sandbox_that_says_for_whom_it_is_and_goes_by_itself() -> None:
    seen = made(forked())

    assert list(seen) == ["SandboxSnapshot"]
    assert seen["SandboxSnapshot"]["spec"] == {"sandboxRef": {"name": "a"}, "expiresAfter": "10m"}
    labels = seen["SandboxSnapshot"]["metadata"]["labels"]
    assert labels["sandkeeper.dev/fork"] == asked_name(FORK)
    assert labels["sandkeeper.dev/managed"] == "true"


def test_what_it_takes_is_held_for_all_forks_from_the_start_so_that_none_has_to() -> None:
    taking = made(forked())["SandboxSnapshot"]
    ready = taken("own", READY, by=asked_name(FORK))
    ready["metadata"]["finalizers"] = taking["metadata"]["finalizers"]

    assert taking["metadata"]["finalizers"] == ["sandkeeper.dev/in-use"]
    assert [type(each) for each in forked(ready).writes] == [Create, Create]


def test_the_longest_name_still_fits_a_label_and_the_name_of_a_snapshot() -> None:
    names = set()
    for last in "bc":
        owner = sandbox("b" * 51 + last, source={"sandboxRef": {"name": "a"}})
        taking = made(plan(owner, claims=(), source=known()))["SandboxSnapshot"]["metadata"]
        names.add(taking["name"])

        assert len(taking["labels"]["sandkeeper.dev/fork"]) == 63
        assert re.fullmatch(NAME_PATTERN, taking["name"])

    assert len(names) == 2


def test_it_goes_on_as_a_restore_of_its_own_snapshot_even_if_the_sandbox_is_gone_by_then() -> None:
    own = taken("own", READY, by=asked_name(FORK))

    seen = made(forked(own, source=None))

    assert list(seen) == ["PersistentVolumeClaim", "Pod"]
    assert seen["PersistentVolumeClaim"]["spec"]["dataSource"]["name"] == "sbx-own"
    assert '"sandbox":"a","snapshot":"own"' in seen["PersistentVolumeClaim"]["metadata"]["annotations"][
        "sandkeeper.dev/source"
    ].replace(" ", "")


def test_what_was_taken_for_a_deleted_sandbox_of_its_name_is_not_its_own_and_does_not_stand_in_its_way() -> None:
    (name,) = [each["metadata"]["name"] for each in made(forked()).values()]
    former = taken("former", READY, began=CREATED - timedelta(minutes=1), by=asked_name(FORK))
    former["metadata"]["creationTimestamp"] = written(CREATED - timedelta(minutes=1))
    heir = sandbox("b", uid="uid-heir", source={"sandboxRef": {"name": "a"}})

    assert list(made(forked(former))) == ["SandboxSnapshot"]
    assert made(plan(heir, claims=(), source=known()))["SandboxSnapshot"]["metadata"]["name"] != name


def test_it_shares_what_stands_for_it_and_nothing_else_however_late_that_began() -> None:
    late = taken("late", READY, began=NOW)
    shared = taken("shared", READY, began=CREATED, stands_for=FORK)

    assert made(forked(late, shared))["PersistentVolumeClaim"]["spec"]["dataSource"]["name"] == "sbx-shared"
    assert list(made(forked(late))) == ["SandboxSnapshot"]


def test_what_stands_for_it_does_not_for_one_of_its_name_nor_once_another_moment_is_asked_for() -> None:
    shared = taken("shared", READY, began=CREATED, stands_for=FORK)
    heir = sandbox("b", uid="uid-heir", source={"sandboxRef": {"name": "a"}})
    later = sandbox("b", uid="uid-b", source={"sandboxRef": {"name": "a"}, "revision": "2"})

    for each in (heir, later):
        assert list(made(plan(each, claims=(), source=known(shared)))) == ["SandboxSnapshot"]


@pytest.mark.parametrize(
    "other",
    [
        taken("early", COPYING, began=CREATED),
        taken("shared", COPYING, began=CREATED, stands_for=FORK),
        taken("unbegun", {}),
    ],
    ids=["began too early", "stands for it", "has not begun"],
)
def test_one_under_way_is_waited_for(other: Json) -> None:
    seen = forked(other, now=CREATED + timedelta(minutes=1))

    assert made(seen) == {}
    assert told(seen)["Ready"] == ("False", "Restoring")
    assert other["metadata"]["name"] in seen.state.message


@pytest.mark.parametrize("reason", ["Pending", "Copying"])
def test_what_its_snapshot_waits_for_is_told(reason: str) -> None:
    waiting = {"type": "Ready", "status": "False", "reason": reason, "message": "Waiting for the pod of Sandbox a."}

    seen = forked(taken("own", {"conditions": [waiting]}, by=asked_name(FORK)), now=CREATED + timedelta(minutes=1))

    assert seen.state.message == "Waiting for SandboxSnapshot own of Sandbox a: Waiting for the pod of Sandbox a."


def test_a_snapshot_begins_once_nobody_came_any_more_to_share_it() -> None:
    first, last = CREATED, CREATED + timedelta(milliseconds=300)

    waits = forked(now=last, first_seen=first, heard=(first, last))
    takes = forked(now=last + timedelta(milliseconds=100), first_seen=first, heard=(first, last))
    impatient = forked(now=first + timedelta(seconds=1), first_seen=first, heard=(first, first + timedelta(seconds=1)))
    restarted = forked(now=first, heard=(first,))

    assert (made(waits), waits.look_again) == ({}, last + timedelta(milliseconds=100))
    assert [list(made(each)) for each in (takes, impatient, restarted)] == [["SandboxSnapshot"]] * 3


def test_another_one_s_that_failed_is_not_shared() -> None:
    failed = taken("failed", FAILED, began=CREATED, stands_for=FORK)

    assert list(made(forked(failed))) == ["SandboxSnapshot"]


def test_its_own_that_failed_says_why() -> None:
    seen = forked(taken("own", FAILED, by=asked_name(FORK)))

    assert told(seen)["Ready"] == ("False", "SnapshotNotReady")
    assert "No driver." in seen.state.message


GONE = {**SOURCE, "metadata": {**SOURCE["metadata"], "deletionTimestamp": written(NOW)}}
EPHEMERAL = {**SOURCE, "spec": {"workspace": {"type": "Ephemeral"}}}


@pytest.mark.parametrize("source", [None, GONE], ids=["absent", "going"])
def test_its_own_that_failed_says_too_that_the_sandbox_is_gone_without_which_it_may_never_come(
    source: Json | None,
) -> None:
    seen = forked(taken("own", FAILED, by=asked_name(FORK)), source=source)

    assert told(seen)["Ready"] == ("False", "SnapshotNotReady")
    assert seen.state.message.endswith("No driver. Sandbox a itself is gone: name another source.")


@pytest.mark.parametrize(
    ("source", "reason"),
    [(None, "SandboxNotFound"), (GONE, "SandboxNotFound"), (EPHEMERAL, "WorkspaceNotPersistent")],
    ids=["absent", "going", "Ephemeral"],
)
def test_a_sandbox_that_can_t_be_forked_is_told(source: Json | None, reason: str) -> None:
    seen = forked(source=source)

    assert (made(seen), told(seen)["Ready"]) == ({}, ("False", reason))


def test_one_that_forks_itself_has_nothing_to_begin_with_unless_it_has_a_workspace() -> None:
    itself = sandbox("a", source={"sandboxRef": {"name": "a"}})

    moved = plan(itself, claims=(plain_claim(itself),), source=known())

    # One of another fork waits for that workspace too.
    for others in ((), (taken("shared", {}),)):
        empty = plan(itself, claims=(), source=known(*others))

        assert (made(empty), told(empty)["Ready"]) == ({}, ("False", "SandboxNotFound"))
        assert empty.state.message == (
            "spec.source.sandboxRef.name: Sandbox a is this one, which has no workspace yet; name another."
        )
    assert "SandboxSnapshot" in made(moved)


def test_a_sandbox_that_had_a_workspace_shares_too_and_is_rolled_back_to_what_the_other_one_was() -> None:
    shared, other = (taken(name, READY, began=NOW, stands_for=each) for name, each in {"s": FORK, "o": OTHER}.items())
    old = plain_claim(FORK)

    shares, takes = (plan(FORK, claims=(old,), pod=pod_on(FORK, old), source=known(each)) for each in (shared, other))

    assert made(shares)["PersistentVolumeClaim"]["spec"]["dataSource"]["name"] == "sbx-s"
    assert list(made(takes)) == ["SandboxSnapshot"]
    assert told(takes)["Ready"] == ("False", "RollingBack")


def test_once_its_claim_is_there_nothing_is_asked_of_the_sandbox() -> None:
    own = taken("own", READY, by=asked_name(FORK))
    claim = made_claim(FORK, known(own))

    seen = plan(FORK, claims=(claim,), pod=pod_on(FORK, claim), source=SourceFacts())

    assert told(seen)["Ready"] == ("True", "Running")
    assert observe(FORK, claims=(claim,)).claim is claim


def test_a_fork_is_made_on_the_node_that_alone_has_what_it_shares_before_its_pod() -> None:
    late = StorageClasses({"standard": {"default": True, "grows": True, "waits": True}})
    there = {name: node(name) for name in ("n1", "n2")}
    facts = known(taken("shared", READY, began=CREATED, stands_for=FORK), taken("other", READY, began=CREATED))
    for name, on in (("shared", "n2"), ("other", "n1")):
        facts.volume_snapshots[name]["metadata"]["annotations"]["sandkeeper.dev/moment"] = json.dumps({"node": on})

    seen = made(plan(FORK, claims=(), source=replace(facts, nodes=there), classes=late))

    assert list(seen) == ["PersistentVolumeClaim"]
    assert seen["PersistentVolumeClaim"]["metadata"]["annotations"]["volume.kubernetes.io/selected-node"] == "n2"
