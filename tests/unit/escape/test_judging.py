"""How the escape suite judges: whatever is not exactly what was expected counts as open."""

import errno
from typing import Any

import pytest

from e2e.escape.grounds import group_of
from e2e.escape.inside import frames
from e2e.escape.inside.kit import Attempt, ClosedError, Group, describe
from e2e.escape.ledger import Ledger, Row
from e2e.escape.test_attempts import GROUPS

SCENE: dict[str, Any] = {"actor": "sandbox"}


def outcome(failure: Exception | None) -> str:
    """Make an attempt that fails so, or succeeds."""

    def way(scene: dict[str, Any]) -> str:
        if failure is not None:
            raise failure
        return f"carried {scene['token']}"

    return describe(Attempt("digs", ("EPERM",), way), SCENE)


@pytest.mark.parametrize(
    ("failure", "seen"),
    [
        (None, "got through: carried sk-escape/sandbox/digs;"),
        (PermissionError(errno.EPERM, "no"), "EPERM"),
        (TimeoutError(), "no answer"),
        (ClosedError("nothing there"), "nothing there"),
        (ConnectionRefusedError(errno.ECONNREFUSED, "no"), "ECONNREFUSED"),
    ],
)
def test_what_became_of_an_attempt(failure: Exception | None, seen: str) -> None:
    assert outcome(failure) == seen


def test_an_attempt_that_is_broken_is_not_closed() -> None:
    seen = outcome(KeyError("address"))

    assert seen.startswith("broken: KeyError('address')")
    assert not Row("sandbox", "digs", ("EPERM", "no answer"), seen).closed


def test_other_words_than_expected_are_open_and_stand_out() -> None:
    ledger = Ledger()
    ledger.enter(Row("sandbox", "digs", ("EPERM",), "EPERM"))
    ledger.enter(Row("sandbox", "climbs", ("EPERM",), "EACCES", note="on some kernels"))

    table = ledger.table()

    assert "2 attempts to get out of a sandbox, 1 closed" in table
    assert all(word in table for word in ("digs", "climbs", "EACCES", "on some kernels"))


def test_two_attempts_cannot_have_one_name() -> None:
    group = Group()
    group.add("digs", "EPERM", way=lambda _scene: "")

    with pytest.raises(AssertionError, match="digs"):
        group.add("digs", "EPERM", way=lambda _scene: "")


def test_a_group_that_is_caged_too_expects_the_same_there() -> None:
    group = Group(caged=True)
    group.add("digs", "EPERM", way=lambda _scene: "")

    assert group.attempts["digs"].caged == ("EPERM",)


def test_a_hand_made_packet_has_a_right_checksum() -> None:
    packet = frames.ipv4("192.0.2.1", "192.0.2.2", 17, frames.udp(b"data"))

    assert frames.checksum(packet[:20]) == 0
    assert len(packet) == int.from_bytes(packet[2:4], "big")


@pytest.mark.parametrize("name", [*GROUPS, "exhaustion"])
def test_what_has_no_control_has_a_note(name: str) -> None:
    attempts = group_of(name).attempts.values()

    assert [each.what for each in attempts if not each.control and not each.note] == []
    assert [each.what for each in attempts if not each.expected] == []


def test_most_attempts_have_a_control() -> None:
    attempts = [each for name in GROUPS for each in group_of(name).attempts.values()]

    assert sum(1 for each in attempts if each.control) > len(attempts) / 2 > 40
