"""Who a snapshot is kept for: who is being made from it, and who is about to be."""

from typing import Any

import pytest

from sandkeeper.api.names import claim_name
from sandkeeper.controllers.cluster import SANDBOXES, Cluster
from sandkeeper.controllers.restores import forks_awaiting, restores_of
from sandkeeper.plan.fork import snapshot_name
from sandkeeper.runtime.resource import CLAIMS, Json, Key
from unit.fakes.apiserver import FakeApiServer
from unit.fakes.client import FakeClient
from unit.fakes.copies import snapshot
from unit.fakes.objects import claim_of, sandbox, stored

GOOD: Json = {"snapshotRef": {"name": "good"}}
FORK: Json = {"sandboxRef": {"name": "a"}}
FORKED: Json = {"labels": {"sandkeeper.dev/fork": "sbx-b-00000000"}}
FIRST = claim_name("b", "SandboxSnapshot", "good", "1")
NOTED: Json = {"annotations": {"sandkeeper.dev/source": '{"snapshot": "good", "uid": "uid-good", "revision": "1"}'}}


def restores(source: Json, *claims: Json, **metadata: Any) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Ask who is restored from the snapshot ``good``, with one sandbox ``b``."""
    return restores_of(known(source, *claims), snapshot("good", **metadata))


def known(source: Json, *claims: Json) -> Cluster:
    """Make what is known of one sandbox ``b``, and of claims."""
    cluster = Cluster(FakeClient(FakeApiServer()), lambda _: None, lambda _: None)
    named = {"metadata": {"name": "b", "namespace": "team"}, "spec": {"source": source}}
    cluster.store(SANDBOXES).upsert(stored(named, "uid-b"))
    for each in claims:
        cluster.store(CLAIMS).upsert(each)
    return cluster


def claim(name: str, phase: str, **metadata: Any) -> Json:
    return claim_of(sandbox("b"), {"phase": phase}, name=name, **metadata)


@pytest.mark.parametrize(
    ("source", "phase", "found"),
    [
        ({**GOOD, "revision": "1"}, "", ((), ("b",))),
        ({**GOOD, "revision": "1"}, "Pending", (("b",), ())),
        ({**GOOD, "revision": "1"}, "Bound", ((), ())),
        ({**GOOD, "revision": "2"}, "Bound", ((), ("b",))),
        ({"snapshotRef": {"name": "another"}}, "Bound", ((), ())),
    ],
    ids=["asked for", "being made", "made", "asked for once more", "of another one"],
)
def test_a_sandbox_is_waited_for_until_the_claim_that_it_asks_for_is_made(source: Json, phase: str, found: Any) -> None:
    claims = (claim(FIRST, phase, **NOTED),) if phase else ()

    assert restores(source, *claims) == found


def test_a_fork_is_waited_for_until_it_has_its_claim_whatever_that_was_made_from() -> None:
    made = claim(claim_name("b", "Sandbox", "a", ""), "Bound")

    assert restores(FORK, **FORKED) == ((), ("b",))
    assert restores(FORK, made, **FORKED) == ((), ())
    assert restores(FORK) == ((), ())


def test_a_snapshot_that_has_still_to_begin_stands_for_each_fork_without_the_claim_that_it_asks_for() -> None:
    unbegun, begun = (snapshot("good", status, **FORKED) for status in ({}, {"startTime": "2026-03-01T12:00:00Z"}))
    made = claim(claim_name("b", "Sandbox", "a", ""), "Bound")
    own = snapshot_name(sandbox("b", uid="uid-b", source=FORK))

    assert forks_awaiting(known(FORK), unbegun) == (own,)
    assert forks_awaiting(known(FORK, made), unbegun) == ()
    assert forks_awaiting(known(GOOD), unbegun) == ()
    assert forks_awaiting(known(FORK), begun) == ()
    assert forks_awaiting(known(FORK), snapshot("good", {})) == ()


GOING: Json = {"deletionTimestamp": "2026-03-01T12:00:00Z"}
CLAIMED: dict[str, Json | None] = {
    "none": None,
    "pending": claim(FIRST, "Pending", **NOTED),
    "bound": claim(FIRST, "Bound", **NOTED),
    "lost": claim(FIRST, "Lost", **NOTED),
    "pending, deleted": claim(FIRST, "Pending", **NOTED, **GOING),
    "bound, deleted": claim(FIRST, "Bound", **NOTED, **GOING),
}


@pytest.mark.parametrize(
    ("before", "after", "woken"),
    [
        ("none", "pending", True),
        ("pending", "bound", True),
        ("pending", "none", True),
        ("pending", "pending, deleted", True),
        ("pending, deleted", "none", True),
        ("bound", "lost", True),
        ("none", "bound", False),
        ("pending", "pending", False),
        ("bound", "bound", False),
        ("bound", "bound, deleted", False),
        ("bound, deleted", "none", False),
    ],
)
def test_a_snapshot_hears_when_a_claim_begins_or_ceases_to_read_it_and_of_nothing_else(
    before: str, after: str, *, woken: bool
) -> None:
    heard: list[Key] = []
    cluster = Cluster(FakeClient(FakeApiServer()), lambda _: None, heard.append)

    cluster.claim_changed(Key("team", FIRST), CLAIMED[before], CLAIMED[after])

    assert heard == ([Key("team", "good")] if woken else [])
