"""The guest as the first process of a container does what an init has to, and nothing that its command would notice."""

import pytest

from e2e.guest.conftest import GUEST, Guests
from localcluster.images.catalogue import BUSYBOX


# Kubernetes makes one dollar of two.
def ends(guests: Guests, *command: str) -> int:
    """Run a command to its end and return the container's exit code."""
    guests.create("once", *command, image=BUSYBOX, once=True, startupProbe=None)
    return int(guests.end("once")["exitCode"])


@pytest.mark.parametrize(
    ("command", "code"), [("exit 0", 0), ("exit 7", 7), ("kill -9 $$$$", 137), ("kill -15 $$$$", 143)]
)
def test_it_exits_as_the_command_does(guests: Guests, command: str, code: int) -> None:
    assert ends(guests, "sh", "-c", command) == code


@pytest.mark.parametrize(
    ("command", "code", "said"),
    [
        ("no-such-program", 127, 'guest: exec: "no-such-program": executable file not found in $PATH'),
        ("/bin/none", 127, 'guest: exec: "/bin/none": stat /bin/none: no such file or directory'),
        ("/etc/passwd", 126, 'guest: exec: "/etc/passwd": permission denied'),
    ],
)
def test_a_command_that_cannot_start_is_told_by_one_line(guests: Guests, command: str, code: int, said: str) -> None:
    assert ends(guests, command) == code
    assert guests("logs", "once").strip() == said


def test_its_command_does_not_ignore_a_broken_pipe_as_the_guest_does(guests: Guests) -> None:
    # SIGPIPE is the bit of 0x1000; what else is ignored the container runtime may have handed down.
    assert ends(guests, "grep", "-qE", "^SigIgn:.*[02468ace][0-9a-f]{3}$", "/proc/self/status") == 0


@pytest.mark.parametrize("by_init", [False, True], ids=["image volume", "init container"])
def test_it_keeps_a_sandbox_without_a_command_in_an_image_without_a_shell(guests: Guests, by_init: bool) -> None:
    guests.run("still", image=guests.guest_image, by_init=by_init, once=True)

    # The kubelet ends it as it would for a deletion, and its state can still be read.
    guests("patch", "pod", "still", "--patch", '{"spec": {"activeDeadlineSeconds": 1}}')

    assert guests.end("still")["exitCode"] == 143


def test_it_forwards_signals_and_waits_for_the_command(guests: Guests) -> None:
    traps = "trap 'echo one' USR1; trap 'echo last; sleep 1; exit 5' TERM; echo up; while :; do sleep 0.1; done"
    guests.run("listening", "sh", "-c", traps, image=BUSYBOX)

    guests.inside("listening", "kill -USR1 1; sleep 1; kill -TERM 1")

    guests("wait", "--for=jsonpath={.status.containerStatuses[0].restartCount}=1", "pod/listening", "--timeout=30s")
    assert guests("logs", "-p", "listening").split() == ["up", "one", "last"]


def test_no_orphan_of_thousands_stays_a_zombie(guests: Guests) -> None:
    guests.run("forking", "sleep", "1000", image=BUSYBOX)
    orphans = "i=0; while [ $i -lt 3000 ]; do (true & true &); i=$((i+1)); done; sleep 1"

    guests.inside("forking", orphans)

    assert guests.inside("forking", "grep -l '^State:.*Z' /proc/[0-9]*/status 2>/dev/null | wc -l").strip() == "0"


def test_programs_that_are_executed_beside_it_keep_their_own_codes_and_signals(guests: Guests) -> None:
    guests.run("beside", "sleep", "1000", image=BUSYBOX)

    assert "exit code 3" in guests.refused("exec", "beside", "--", "sh", "-c", "sleep 0.2 & wait; exit 3")
    assert guests.inside("beside", "(sleep 0.3; echo late) & wait; echo end").split() == ["late", "end"]


def test_it_uses_no_processor_while_nothing_happens(guests: Guests) -> None:
    guests.run("idle", image=BUSYBOX)
    used = "cut -d' ' -f14,15 /proc/1/stat"

    before = guests.inside("idle", f"sleep 2; {used}")

    assert guests.inside("idle", f"sleep 5; {used}") == before


def test_it_is_not_ready_before_setup_has_ended(guests: Guests) -> None:
    setup = f"{GUEST} ready && echo early; touch /opt/done; echo printed"
    guests.run("set-up", "sh", "-c", "ls /opt/done; exec sleep 1000", settings={"setup": setup})

    assert guests("logs", "set-up").split() == ["printed", "/opt/done"]


def test_a_failed_setup_is_told_to_the_kubelet(guests: Guests) -> None:
    guests.create(
        "failing", "sleep", "1000", once=True, settings={"setup": "echo the disk is made of cheese >&2; exit 9"}
    )

    ended = guests.end("failing")

    assert ended["exitCode"] == 9
    assert '"guest":"SetupFailed","step":"setup","exitCode":9' in ended["message"]
    assert "the disk is made of cheese" in ended["message"]
