"""Which snapshots of a schedule go: what keepLast and maxAge leave over, but never what may be needed."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandkeeper.api.schedule import Snapshots
from sandkeeper.plan.retention import newest_ready, own_snapshots, superfluous
from unit.fakes.objects import CREATED, NOW, Json, sandbox
from unit.fakes.schedules import copied

HOUR = timedelta(hours=1)
LATER = NOW + 24 * HOUR


def hours(*ages: int, reason: str = "Ready", **metadata: Any) -> list[Json]:
    """Snapshots of the hours before `LATER`, the newest first."""
    return [copied(LATER - age * HOUR, reason, **metadata) for age in ages]


def gone(own: list[Json], in_use: tuple[str, ...] = (), **wish: Any) -> list[int]:
    """Ages, in hours, of those that are deleted."""
    going, _ = superfluous(own, Snapshots(**wish), in_use, LATER)
    return [own.index(each) for each in going]


@pytest.mark.parametrize(
    ("wish", "expected"),
    [
        ({}, []),
        ({"keep_last": 3}, [3, 4]),
        ({"keep_last": 5}, []),
        ({"keep_last": 1}, [1, 2, 3, 4]),
        ({"max_age": "2h"}, [2, 3, 4]),
        ({"max_age": "1s"}, [1, 2, 3, 4]),
        ({"keep_last": 4, "max_age": "2h30m"}, [3, 4]),
        ({"keep_last": 2, "max_age": "168h"}, [2, 3, 4]),
    ],
)
def test_what_both_limits_leave_over_goes(wish: Json, expected: list[int]) -> None:
    assert gone(hours(0, 1, 2, 3, 4), **wish) == expected


def test_copies_that_are_on_their_way_are_neither_counted_nor_deleted() -> None:
    assert gone([*hours(0, reason="Copying"), *hours(1, reason=""), *hours(2, 3)], keep_last=1) == [3]


def test_one_that_a_restore_reads_stays() -> None:
    own = [*hours(0), *hours(1, finalizers=["sandkeeper.dev/in-use"]), *hours(2)]

    assert gone(own, keep_last=1) == [2]


def test_one_that_a_new_sandbox_waits_for_stays() -> None:
    own = hours(0, 1, 2)

    assert gone(own, in_use=(own[2]["metadata"]["name"],), keep_last=1) == [1]


def test_one_that_is_going_already_is_left_alone() -> None:
    assert gone([*hours(0), *hours(1, deletionTimestamp="2026-03-01T12:00:00Z")], keep_last=1) == []


def test_of_failed_ones_the_last_stays_for_what_it_says() -> None:
    assert gone([*hours(0, 1, reason="Failed"), *hours(2), *hours(3, reason="Failed")]) == [1, 3]


def test_a_failed_one_goes_once_a_newer_one_is_ready() -> None:
    assert gone([*hours(0), *hours(1, reason="Failed")]) == [1]


def test_one_that_was_ready_and_is_not_just_now_stays() -> None:
    (older,) = hours(1)
    older["status"]["conditions"][0] |= {"status": "False", "reason": "VolumeSnapshotLost"}

    assert gone([*hours(0), older], keep_last=1) == []


def test_it_is_told_when_the_next_one_is_too_old() -> None:
    _, later = superfluous(hours(0, 1, 2), Snapshots(max_age="3h"), (), LATER)

    assert later == LATER + HOUR


def test_those_of_a_former_sandbox_and_of_people_are_not_the_schedules_own() -> None:
    former, hand_made = copied(CREATED - HOUR), copied(NOW + HOUR)
    del hand_made["metadata"]["labels"]["sandkeeper.dev/scheduled"]

    assert own_snapshots(sandbox(), [former, copied(NOW), hand_made, copied(LATER)]) == [copied(LATER), copied(NOW)]


SNAPSHOTS = st.lists(
    st.builds(
        lambda age, reason, metadata: copied(
            LATER - age * timedelta(minutes=1),
            reason,
            owner=None,
            **metadata,
        ),
        st.integers(0, 600),
        st.sampled_from(["Ready", "Failed", "Copying", ""]),
        st.sampled_from([{}, {"finalizers": ["sandkeeper.dev/in-use"]}, {"deletionTimestamp": "2026-03-01T12:00:00Z"}]),
    ),
    unique_by=lambda each: str(each["metadata"]["name"]),
    max_size=12,
)
WISHES = st.builds(
    Snapshots, keep_last=st.none() | st.integers(1, 5), max_age=st.none() | st.sampled_from(["1s", "1h", "168h"])
)


@given(SNAPSHOTS, WISHES)
def test_the_newest_ready_one_survives_any_retention(snapshots: list[Json], wish: Snapshots) -> None:
    own = own_snapshots(sandbox(), snapshots)
    newest = newest_ready(own)
    for _ in range(3):
        going, _ = superfluous(own, wish, (), LATER)
        assert all("finalizers" not in each["metadata"] for each in going)
        own = [each for each in own if each not in going]

    assert newest_ready(own) == newest
    assert superfluous(own, wish, (), LATER)[0] == []
