"""Where a checkout stands, from the guest's answer to what is told of a sandbox that sleeps and of a snapshot."""

from dataclasses import replace
from typing import Any

import orjson
import pytest

from sandkeeper.api.names import MOMENT_ANNOTATION
from sandkeeper.plan.checkout import Checkout
from sandkeeper.plan.packing import PackResult, pack_result
from sandkeeper.plan.sandbox import Plan
from sandkeeper.plan.slim import slim_volume_snapshot
from sandkeeper.plan.writes import Create, Pack
from unit.fakes.objects import NOW, Json, claim_of, plan, pod_of, sandbox
from unit.plan.test_sleep import ASLEEP, RUNS
from unit.plan.test_snapshot import BEGUN, OK, READY, decide, raw, running

COMMIT = "0123456789abcdef0123456789abcdef01234567"
STANDS: Json = {"branch": "sandbox/a", "commit": COMMIT, "dirtyFiles": 2}
FOUND = Checkout(branch="sandbox/a", commit=COMMIT, dirty_files=2)
URL = "https://git.example.com/team/app.git"
GIT: Json = {"workspace": {"type": "Persistent"}, "git": {"repository": URL}}
OWNER = sandbox(**GIT)
SLEEPY = sandbox(**GIT, lifecycle={"state": "Sleeping"})


def read(**git: Any) -> PackResult:
    return pack_result("u", 0, orjson.dumps({"entries": 1, "bytes": 1, "git": git}), NOW)


def asleep(status: Json | None = None, result: PackResult | None = None, **known: Any) -> Plan:
    """Decide on a sandbox that is to sleep, and is packed where there is a result."""
    pod = pod_of(SLEEPY, RUNS) if result else None
    if pod:
        pod["metadata"]["annotations"]["sandkeeper.dev/guest"] = "keep"
    given = {"claim": claim_of(SLEEPY)} | known
    return plan(SLEEPY, pod=pod, status={"observedGeneration": 1, **(status or {})}, pack_result=result, **given)


def telling(result: PackResult | None = None, **known: Any) -> tuple[Plan, Json]:
    """Decide on a sandbox that is to sleep, keeps nothing, and has a checkout."""
    owner = sandbox(
        workspace={"type": "Persistent", "keepPackages": False}, git=GIT["git"], lifecycle={"state": "Sleeping"}
    )
    pod = pod_of(owner, {**RUNS, "initContainerStatuses": [{"name": "worktree", "state": {}}]})
    pod["metadata"]["annotations"]["sandkeeper.dev/guest"] = "run"
    given = {"claim": claim_of(owner), "pod": pod, "pack_result": result} | known
    return plan(owner, status={"observedGeneration": 1}, **given), pod


def noted(**known: Any) -> Json:
    """Give the VolumeSnapshot that a snapshot is made by."""
    (made,) = decide(raw(BEGUN), **{"owner": OWNER, **known}).writes
    assert isinstance(made, Create)
    return made.obj


def moment(volume: Json) -> Json:
    found: Json = orjson.loads(volume["metadata"]["annotations"][MOMENT_ANNOTATION])
    return found


@pytest.mark.parametrize(
    "said", [{}, STANDS, {"branch": "main"}, {"commit": "a" * 64, "dirtyFiles": 0}, {"branch": "b" * 255}]
)
def test_what_a_guest_tells_is_read(said: Json) -> None:
    result = read(**said)

    assert result.git is not None
    assert (result.reason, result.git.to_json()) == ("", said)


def test_a_branch_is_told_in_one_harmless_line() -> None:
    assert read(branch="a\n\x1b[31mb\u202e").git == Checkout(branch="a [31mb")


@pytest.mark.parametrize(
    "said",
    [
        {"branch": "b" * 256},
        {"branch": 7},
        {"commit": "main"},
        {"commit": "a" * 65},
        {"commit": COMMIT + "\n"},
        {"dirtyFiles": -1},
        {"dirtyFiles": 2**63},
        {"dirtyFiles": "2"},
    ],
)
def test_what_no_guest_of_ours_tells_is_no_answer(said: Json) -> None:
    assert read(**said).reason == "Failed"


def test_it_is_told_by_the_very_word_that_says_it_sleeps() -> None:
    packed = PackResult("uid-child", NOW, entries=3, bytes=70, git=FOUND)

    seen = asleep(result=packed)

    assert seen.writes == ()
    assert (seen.status["asleep"]["cause"], seen.status["git"]) == ("Requested", STANDS)
    assert "git" not in asleep(result=replace(packed, git=None)).status


def test_one_that_keeps_nothing_is_asked_too_and_sleeps_whatever_it_answers() -> None:
    asked, pod = telling()
    waits, _ = telling(packing=True)
    told, _ = telling(PackResult("uid-child", NOW, git=FOUND))
    silent, _ = telling(PackResult("uid-child", NOW, reason="Unreachable", message="It does not answer.", failures=1))

    assert (asked.writes, waits.writes, told.writes, silent.writes) == ((Pack(pod),), (), (), ())
    assert "asleep" not in asked.status
    assert told.status["git"] == STANDS
    assert "git" not in silent.status
    assert next(each["message"] for each in silent.status["conditions"]) == "It sleeps, as its spec asks."


def test_it_stays_told_while_it_sleeps_on_the_same_volume() -> None:
    stayed = asleep({**ASLEEP, "git": STANDS})
    moved = asleep({**ASLEEP, "git": STANDS, "workspaceClaimName": "sbx-a-01234567"})

    assert "git" not in stayed.status, "nothing is written"
    assert moved.status["git"] is None


def test_awake_it_is_told_no_more() -> None:
    woken = plan(OWNER, pod=pod_of(OWNER, RUNS), status={**ASLEEP, "git": STANDS}, claim=claim_of(OWNER))

    assert woken.status["git"] is None


def test_a_snapshot_notes_what_the_guest_has_just_told() -> None:
    volume = noted(pod=running(), quiesced=replace(OK, git=FOUND))

    assert moment(volume)["git"] == {"repository": URL, **STANDS}


def test_a_snapshot_of_one_that_sleeps_notes_what_was_told_then() -> None:
    known: Json = {"sandbox_status": {**ASLEEP, "git": STANDS}}

    assert moment(noted(**known))["git"] == {"repository": URL, **STANDS}
    assert moment(noted(**known, quiesced=replace(OK, git=Checkout(branch="older"))))["git"]["branch"] == "sandbox/a"
    assert "git" not in moment(noted(sandbox_status={**ASLEEP, "git": {"commit": "forged"}}))
    assert "git" not in moment(noted(**known, owner=sandbox(workspace={"type": "Persistent"})))


def test_the_status_has_it_from_the_note_alone() -> None:
    volume = slim_volume_snapshot({**noted(pod=running(), quiesced=replace(OK, git=FOUND)), "status": READY})

    assert decide(raw(), volume_snapshot=volume).status["captured"]["git"] == {"repository": URL, **STANDS}
