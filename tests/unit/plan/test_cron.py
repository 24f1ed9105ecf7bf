"""When runs are due: as Debian's cron has it, in the schedule's own time zone."""

from datetime import UTC, datetime, timedelta
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandkeeper.plan.cron import LONGEST_JITTER, Cron, UnreadableError, jitter

BERLIN = "Europe/Berlin"
"""Its clocks went forward on 29 March 2026 and back on 25 October, each at 01:00 UTC."""
EVENING_BEFORE_SPRING = datetime(2026, 3, 28, 20, 0, tzinfo=UTC)
EVENING_BEFORE_AUTUMN = datetime(2026, 10, 24, 20, 0, tzinfo=UTC)
NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def times(expression: str, zone: str, after: datetime, count: int) -> list[str]:
    return [f"{run:%d %H:%M}" for run in islice(Cron(expression, zone).runs(after), count)]


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("*/10 * * * *", ["01 12:10", "01 12:20"]),
        ("0 2 * * *", ["02 02:00", "03 02:00"]),
        ("0 2 * * MON-FRI", ["02 02:00", "03 02:00"]),
        ("30 8-18/5 * * sun", ["01 13:30", "01 18:30"]),
        ("0 0 L * *", ["31 00:00", "30 00:00"]),
        ("0 0 * * 5L", ["27 00:00", "24 00:00"]),
        ("0 0 * * MON#2", ["09 00:00", "13 00:00"]),
        ("@hourly", ["01 13:00", "01 14:00"]),
        ("@daily", ["02 00:00", "03 00:00"]),
        ("@weekly", ["08 00:00", "15 00:00"]),
        ("@monthly", ["01 00:00", "01 00:00"]),
    ],
)
def test_an_expression_says_when(expression: str, expected: list[str]) -> None:
    assert times(expression, "UTC", NOON, 2) == expected


def test_a_time_is_that_of_its_zone() -> None:
    assert times("0 2 * * *", "America/New_York", NOON, 1) == ["02 07:00"]


def test_where_clocks_go_forward_a_run_at_a_time_that_there_is_not_comes_after_the_gap() -> None:
    assert times("30 2 * * *", BERLIN, EVENING_BEFORE_SPRING, 2) == ["29 01:00", "30 00:30"]


def test_where_clocks_go_back_a_run_at_a_time_that_there_is_twice_comes_once() -> None:
    assert times("30 2 * * *", BERLIN, EVENING_BEFORE_AUTUMN, 2) == ["25 00:30", "26 01:30"]


def test_runs_every_hour_or_so_follow_the_time_that_passes() -> None:
    midnight = datetime(2026, 10, 24, 23, 30, tzinfo=UTC)

    assert times("0 * * * *", BERLIN, midnight, 3) == ["25 00:00", "25 01:00", "25 02:00"]


@pytest.mark.parametrize("minutes", range(0, 60, 15))
def test_while_an_hour_comes_twice_its_first_run_stays_the_last_one(minutes: int) -> None:
    second = datetime(2026, 10, 25, 1, minutes, tzinfo=UTC)

    found = Cron("30 2 * * *", BERLIN).around(datetime(2026, 1, 1, tzinfo=UTC), second)

    assert found.due == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
    assert found.next == datetime(2026, 10, 26, 1, 30, tzinfo=UTC)


def test_of_many_runs_that_are_due_the_last_one_counts() -> None:
    found = Cron("*/10 * * * *", "UTC").around(NOON - timedelta(days=400), NOON + MINUTE)

    assert (found.due, found.next) == (NOON, NOON + 10 * MINUTE)


def test_nothing_is_due_before_the_first_run() -> None:
    found = Cron("0 2 29 2 *", "UTC").around(NOON, NOON + MINUTE)

    assert (found.due, found.next) == (None, datetime(2028, 2, 29, 2, 0, tzinfo=UTC))


def test_a_run_waits_for_its_part_of_the_jitter() -> None:
    cron = Cron("*/10 * * * *", "UTC")

    early = cron.around(NOON - MINUTE, NOON + timedelta(seconds=14), 0.5)
    late = cron.around(NOON - MINUTE, NOON + timedelta(seconds=15), 0.5)

    assert (early.due, early.next, early.starts) == (None, NOON, NOON + timedelta(seconds=15))
    assert late.due == NOON


def test_the_jitter_is_a_tenth_of_the_pause_at_most() -> None:
    assert jitter(NOON, NOON + MINUTE) == timedelta(seconds=6)
    assert jitter(NOON, NOON + timedelta(days=1)) == LONGEST_JITTER


@given(
    st.sampled_from(["*/10 * * * *", "30 2 * * *", "*/7 1-3 * * *", "0 0 1 * *", "15 2 * * SUN"]),
    st.sampled_from([BERLIN, "America/New_York", "Australia/Lord_Howe", "UTC"]),
    st.datetimes(datetime(2026, 1, 1), datetime(2027, 1, 1), timezones=st.just(UTC)),
    st.timedeltas(timedelta(), timedelta(days=40)),
)
def test_looking_back_finds_what_going_forward_finds(
    expression: str, zone: str, after: datetime, passed: timedelta
) -> None:
    cron, now = Cron(expression, zone), after + passed
    due = None
    for run in cron.runs(after):
        if run > now:
            break
        due = run

    found = cron.around(after, now)

    assert (found.due, found.next) == (due, run)


@pytest.mark.parametrize("expression", ["0 0 30 2 *", "0 0 */31 2 MON#5", "* * * * * *", "60 * * * *", "@reboot", ""])
def test_what_never_comes_is_told(expression: str) -> None:
    with pytest.raises(UnreadableError) as told:
        Cron(expression, "UTC")

    assert str(told.value) == (
        f'spec.snapshots.schedule: "{expression}" names no moment that ever comes; it must be a cron expression of '
        "five fields, such as */10 * * * * or 0 2 * * MON-FRI."
    )


@pytest.mark.parametrize("zone", ["Mars/Phobos", "America", "../etc/passwd", "Local"])
def test_a_zone_that_is_not_known_is_told(zone: str) -> None:
    with pytest.raises(UnreadableError) as told:
        Cron("@daily", zone)

    assert str(told.value) == (
        f'spec.snapshots.timeZone: "{zone}" is not a time zone that the operator knows; it must be a name of the tz '
        "database, such as Europe/Berlin or UTC."
    )
