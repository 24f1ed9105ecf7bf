"""Packing: what a guest's answer is worth, and that no pod goes before it is packed."""

from datetime import timedelta
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandkeeper.plan.packing import PackResult, pack_result, unreachable
from sandkeeper.plan.writes import Delete, Pack
from unit.fakes.objects import NOW, RUNNING, Json, node, plan, pod_of, sandbox, told

KEPT: Json = {"workspace": {"type": "Persistent"}}
ALIVE = {**RUNNING, "containerStatuses": [{"name": "sandbox", "image": "i", "state": {"running": {}}, "started": True}]}
OK = PackResult("uid-child", NOW, entries=3, bytes=1000)
FULL = PackResult("uid-child", NOW, reason="VolumeFull", message="No space is left on the volume.", failures=1)
EDITED: Json = {**KEPT, "env": [{"name": "A", "value": "1"}]}


def replaced(pod_status: Json = ALIVE, after: Json = EDITED, now: Any = NOW, **known: Any) -> Any:
    """Decide on a running sandbox of which packages are kept, after its spec was changed."""
    pod = pod_of(sandbox(**KEPT), pod_status)
    return plan(sandbox(generation=2, **after), now, pod=pod, status={"observedGeneration": 1}, **known), pod


def test_a_pod_is_packed_before_it_is_replaced() -> None:
    seen, pod = replaced()

    assert seen.writes == (Pack(pod),)
    assert told(seen)["Ready"] == ("False", "Packing")


def test_nothing_is_asked_for_twice_while_it_packs() -> None:
    seen, _ = replaced(packing=True)

    assert seen.writes == ()
    assert told(seen)["Ready"] == ("False", "Packing")


def test_a_packed_pod_goes_and_the_status_says_what_is_kept() -> None:
    seen, pod = replaced(pack_result=OK)

    assert seen.writes == (Delete(pod),)
    assert seen.status["pack"] == {"time": "2026-03-01T12:00:00Z", "entries": 3, "bytes": 1000}


def test_a_pack_of_nothing_is_none() -> None:
    seen, _ = replaced(pack_result=PackResult("uid-child", NOW))

    assert "pack" not in seen.status


def test_an_old_pack_does_not_count() -> None:
    seen, pod = replaced(now=NOW + timedelta(minutes=2), pack_result=OK)

    assert seen.writes == (Pack(pod),)


def test_a_pod_that_could_not_be_packed_stays_and_says_why() -> None:
    seen, _ = replaced(pack_result=FULL)

    assert seen.writes == ()
    assert told(seen)["Ready"] == ("False", "PackFailed")
    assert told(seen)["Running"][0] == "True"
    assert "Packing what changed in it failed, so it stays. VolumeFull: No space is left" in seen.state.message
    assert seen.look_again == NOW + timedelta(seconds=30)


def test_packing_is_tried_again_without_a_change_of_the_story() -> None:
    later = NOW + timedelta(seconds=31)
    first, pod = replaced(now=later, pack_result=FULL)
    second, _ = replaced(now=later, pack_result=FULL, packing=True)

    assert first.writes == (Pack(pod),)
    assert second.writes == ()
    assert first.state.message == second.state.message


@pytest.mark.parametrize(("failures", "pause"), [(1, 30), (2, 60), (3, 120), (50, 600)])
def test_the_pauses_grow(failures: int, pause: int) -> None:
    result = PackResult("u", NOW, reason="Failed", failures=failures)

    assert result.again_at == NOW + timedelta(seconds=pause)


def container(**status: Any) -> Json:
    return {"phase": "Running", "containerStatuses": [{"name": "sandbox", "image": "i", **status}]}


@pytest.mark.parametrize(
    ("pod_status", "after"),
    [
        (ALIVE, {**EDITED, "image": "debian:12"}),
        (ALIVE, {"workspace": {"type": "Persistent", "keepPackages": False}}),
        (container(state={"running": {}}, started=False), EDITED),
        (container(state={"waiting": {"reason": "CrashLoopBackOff"}}), EDITED),
        ({"phase": "Pending"}, EDITED),
    ],
    ids=["another image", "nothing is kept any more", "still installing", "crashed", "not started"],
)
def test_where_there_is_nothing_to_keep_the_pod_goes_at_once(pod_status: Json, after: Json) -> None:
    seen, pod = replaced(pod_status, after)

    assert seen.writes == (Delete(pod),)


def test_a_pod_on_a_node_that_does_not_answer_is_not_asked() -> None:
    seen, pod = replaced(node=node(ready="Unknown"))

    assert seen.writes == (Delete(pod),)


def answer(**fields: Any) -> bytes:
    return orjson.dumps(fields)


def test_a_guests_answer_is_read() -> None:
    said = answer(entries=12, bytes=3_000, unpackedBytes=9_000, digest="sha256:0")

    assert pack_result("u", 0, said, NOW) == PackResult("u", NOW, entries=12, bytes=3_000)


def test_the_biggest_paths_are_told() -> None:
    largest = [{"path": "/opt/model\n.bin", "bytes": 3 * 1024**3}, {"path": "/a", "bytes": 700}]
    said = answer(error={"reason": "TooLarge", "message": "The pack is larger than 1 GiB", "largest": largest})

    result = pack_result("u", 1, said, NOW)

    assert result.reason == "TooLarge"
    assert result.message == "The pack is larger than 1 GiB. The biggest: /opt/model .bin (3.0 GiB), /a (700 B)."


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"killed",
        b"{}",
        b'{"bytes": 1}',
        b'{"entries": -1}',
        b'{"entries": 1e400}',
        b'{"entries": "1"}',
        answer(error={"reason": "AllIsWell"}),
        answer(error={"reason": "Failed", "largest": [{"path": "/a", "bytes": 1}] * 11}),
        b"[" * 60_000,
    ],
)
def test_an_answer_that_is_none_is_a_failure(said: bytes) -> None:
    assert pack_result("u", 0, said, NOW).reason == "Failed"


def test_an_exit_code_is_not_talked_away() -> None:
    assert pack_result("u", 137, answer(entries=1, bytes=1), NOW).reason == "Failed"


@given(
    st.integers(0, 255),
    st.binary(max_size=500)
    | st.builds(
        lambda reason, message, path: answer(
            error={"reason": reason, "message": message, "largest": [{"path": path, "bytes": 1}] * 10}
        ),
        st.sampled_from(["TooLarge", "VolumeFull", "Failed", "Other"]),
        st.text(st.characters(exclude_categories=["Cs"]), max_size=5000),
        st.text(st.characters(exclude_categories=["Cs"]), max_size=5000),
    ),
)
def test_whatever_a_guest_answers_fits_into_one_line(exit_code: int, said: bytes) -> None:
    result = pack_result("u", exit_code, said, NOW)

    assert result.reason in {"", "TooLarge", "VolumeFull", "Failed"}
    assert result.message.isprintable()
    assert len(result.message) < 2000


def test_an_error_on_the_way_is_told_in_one_line() -> None:
    assert unreachable("u", "exec: 500:\n\x1b[31mno", NOW).message == "The guest could not be asked: exec: 500: [31mno"
