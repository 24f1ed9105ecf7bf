"""The cluster's time is the API server's, whatever this machine's clock does."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from sandkeeper.runtime import clock as module
from sandkeeper.runtime.clock import Clock

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


class Machine:
    """A machine whose time of day somebody sets, while its steady clock goes on."""

    def __init__(self) -> None:
        self.steady = 100.0
        self.set_to = NOON

    def monotonic(self) -> float:
        return self.steady

    def now(self, _: object) -> datetime:
        return self.set_to


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    machine = Machine()
    monkeypatch.setattr(module, "time", machine)
    monkeypatch.setattr(module, "datetime", machine)
    return machine


def date(moment: datetime) -> str:
    return format_datetime(moment, usegmt=True)


def test_it_goes_on_steadily_from_the_machines_own_time(machine: Machine) -> None:
    clock = Clock()
    machine.set_to, machine.steady = NOON - 5 * HOUR, 130.5

    assert clock.now() == NOON + timedelta(seconds=30.5)


def test_a_machine_that_is_an_hour_off_is_told_the_time_by_two_answers(machine: Machine) -> None:
    machine.set_to = NOON + HOUR
    clock = Clock()
    clock.hear(date(NOON))
    assert clock.now() == NOON + HOUR
    clock.hear(date(NOON))
    machine.steady += 10

    assert clock.now() == NOON + timedelta(seconds=10)


def test_a_second_more_or_less_changes_nothing(machine: Machine) -> None:
    clock = Clock()
    clock.hear(date(NOON - timedelta(seconds=2)))

    assert clock.now() == NOON


def test_a_machine_that_slept_is_told_too(machine: Machine) -> None:
    clock = Clock()
    clock.hear(date(NOON))
    machine.steady += 20
    clock.hear(date(NOON + 3 * HOUR))
    clock.hear(date(NOON + 3 * HOUR))

    assert clock.now() == NOON + 3 * HOUR


def test_answers_that_contradict_each_other_change_nothing(machine: Machine) -> None:
    clock = Clock()
    for off in (HOUR, -HOUR, 2 * HOUR, timedelta(), HOUR):
        clock.hear(date(NOON + off))

    assert clock.now() == NOON


def test_it_listens_every_ten_seconds_and_no_more(machine: Machine) -> None:
    clock = Clock()
    clock.hear(date(NOON))
    machine.steady += 9
    clock.hear(date(NOON + HOUR))

    assert clock.now() == NOON + timedelta(seconds=9)


@pytest.mark.parametrize(
    "said",
    ["", "soon", "Sun, 99 Foo 2026 12:00:00 GMT", "Sun, 01 Mar 2026 15:00:00 -0000", "Sun, 01 Mar 2026 15:00:00"],
)
def test_what_is_no_date_tells_nothing(machine: Machine, said: str) -> None:
    clock = Clock()
    clock.hear(said)
    clock.hear(said)

    assert clock.now() == NOON
