"""A sandbox is quiesced while it goes on: what changed is packed, and what was written is on the volume's disk."""

import json
from typing import Any

from e2e.guest.conftest import GUEST, SYSTEM, Guests
from localcluster.process import wait_until

WORKSPACE: dict[str, Any] = {"workspace": "/workspace"}
KEEP = WORKSPACE | {"keep": True}
STAY = ("sleep", "infinity")
LOG = "/workspace/log"
APPEND = f"n=0; while true; do n=$((n+1)); echo $n >> {LOG}; done"


def test_what_is_kept_is_packed_as_by_pack_and_the_pause_is_told(guests: Guests) -> None:
    guests.run("kept", *STAY, settings=KEEP)
    guests.inside("kept", "echo mine > /workspace/mine; echo kept > /opt/file")

    told = guests.quiesce("kept")

    assert told.pop("pauseSeconds") > 0
    assert told["entries"] > 0
    assert told == guests.pack("kept")
    assert guests.inside("kept", f"ls {SYSTEM}") == "index\npack\n"


def test_what_is_not_kept_is_not_packed_and_the_pause_is_told(guests: Guests) -> None:
    guests.run("fresh", *STAY, settings=WORKSPACE)
    guests.inside("fresh", "echo mine > /workspace/mine; echo lost > /opt/file")

    told = guests.quiesce("fresh")

    assert told["entries"] == 0
    assert told["pauseSeconds"] > 0
    assert guests.inside("fresh", f"ls {SYSTEM}") == ""


def test_whoever_writes_all_the_time_goes_on_writing(guests: Guests) -> None:
    guests.run("busy", "sh", "-c", APPEND, settings=KEEP)
    wait_until(lambda: lines(guests) > 100, "the log to grow", 30.0, interval=0.2)

    told = [guests.quiesce("busy") for _ in range(3)]

    assert all(each["pauseSeconds"] > 0 for each in told)
    after = lines(guests)
    wait_until(lambda: lines(guests) > after, "the log to grow on", 30.0, interval=0.2)
    # Nobody was stopped between a number and the next, and none is missing.
    assert (
        guests.inside("busy", f"seq {after} > /tmp/expected; head -{after} {LOG} | cmp - /tmp/expected && echo whole")
        == "whole\n"
    )


def test_too_much_to_pack_is_told_instead_of_a_pause(guests: Guests) -> None:
    guests.run("kept", *STAY, settings=KEEP | {"packLimit": 1 << 20})
    guests.inside("kept", "head -c 2M /dev/zero > /opt/big")

    told = json.loads(guests.inside("kept", f"{GUEST} quiesce || true"))

    assert told["error"]["reason"] == "TooLarge"
    assert "pauseSeconds" not in told


def lines(guests: Guests) -> int:
    """Count the whole lines of the log."""
    return int(guests.inside("busy", f"wc -l < {LOG} || echo 0"))
