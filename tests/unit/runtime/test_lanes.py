"""Lanes take turns, and who is alone in one waits for one of each other."""

import pytest

from sandkeeper.runtime.lanes import Lanes


def filled(*items: str) -> Lanes[str, str]:
    lanes: Lanes[str, str] = Lanes()
    for item in items:
        lanes.push(item[0], item)
    return lanes


def drained(lanes: Lanes[str, str]) -> list[str]:
    return [lanes.pop()[1] for _ in range(len(lanes))]


def test_who_comes_after_a_burst_waits_for_one_of_it() -> None:
    burst = [f"a{number}" for number in range(1000)]

    lanes = filled(*burst, "b0")

    assert [lanes.pop(), lanes.pop()] == [("a", "a0"), ("b", "b0")]
    assert drained(lanes) == burst[1:]


def test_bursts_share_what_there_is() -> None:
    assert drained(filled("a0", "a1", "a2", "b0", "b1", "c0")) == ["a0", "b0", "c0", "a1", "b1", "a2"]


def test_a_lane_that_runs_empty_again_and_again_gains_nothing_by_it() -> None:
    lanes = filled("a0", "b0", "b1", "b2")
    out = []
    for number in range(1, 4):
        out.append(lanes.pop()[1])
        out.append(lanes.pop()[1])
        lanes.push("a", f"a{number}")

    assert out == ["a0", "b0", "b1", "a1", "b2", "a2"]


def test_a_halted_lane_keeps_what_it_has_and_what_comes() -> None:
    lanes = filled("a0", "b0")
    lanes.halt("a")
    lanes.push("a", "a1")

    assert (lanes.pop()[1], len(lanes), lanes.blocked) == ("b0", 2, True)
    with pytest.raises(KeyError):
        lanes.pop()
    lanes.resume("a")
    assert drained(lanes) == ["a0", "a1"]


def test_what_is_too_much_is_given_up_where_most_waits() -> None:
    lanes = filled("a0", "a1", "a2", "b0")
    lanes.halt("a")

    assert [lanes.drop_from_longest(), lanes.drop_from_longest()] == ["a2", "a1"]
    lanes.resume("a")
    assert drained(lanes) == ["b0", "a0"]


def test_nothing_can_be_given_up_where_nothing_waits() -> None:
    lanes = filled("a0")

    assert lanes.drop_from_longest() == "a0"
    with pytest.raises(ValueError, match="empty"):
        lanes.drop_from_longest()
