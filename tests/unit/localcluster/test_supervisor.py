"""What the supervisor does when a program ends."""

import sys
from pathlib import Path

import pytest

from localcluster.native.supervisor import CALM_SECONDS, LONGEST_PAUSE, Kept
from localcluster.process import Program, wait_until


@pytest.fixture
def crashing(tmp_path: Path) -> Program:
    return Program("crashing", [sys.executable, "-c", "print('last words'); raise SystemExit(3)"], tmp_path / "log")


def ended(program: Program) -> Kept:
    """Start a program that ends, and wait for its end."""
    program.start()
    wait_until(lambda: not program.running, "the end", 20)
    return Kept(program, started=0.0)


def test_a_program_that_ended_starts_again_after_its_pause(crashing: Program) -> None:
    kept = ended(crashing)

    kept.tend(now=10.0)
    assert kept.restarts == 0
    kept.tend(now=10.0 + kept.pause())

    assert kept.restarts == 1
    crashing.stop()


def test_a_program_that_was_stopped_on_purpose_stays_down(crashing: Program) -> None:
    kept = ended(crashing)
    crashing.stop()

    kept.tend(now=100.0)
    kept.tend(now=200.0)

    assert kept.restarts == 0


def test_the_pause_grows_up_to_a_limit_and_is_forgotten_after_a_calm_time(tmp_path: Path) -> None:
    steady = Program("steady", ["sleep", "600"], tmp_path / "log")
    pauses = [Kept(steady, restarts=count).pause() for count in range(12)]
    assert pauses == sorted(pauses)
    assert pauses[-1] == LONGEST_PAUSE

    steady.start()
    kept = Kept(steady, restarts=5, started=0.0)
    kept.tend(now=CALM_SECONDS + 1)
    steady.stop()

    assert kept.restarts == 0


def test_the_last_words_of_a_program_are_kept(crashing: Program) -> None:
    ended(crashing)

    assert crashing.last_words() == "last words"
    assert crashing.exit_status == 3
