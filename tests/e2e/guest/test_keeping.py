"""What an agent did to its root file system outlives the container."""

import json

import pytest

from e2e.guest.conftest import GUEST, SYSTEM, Guests

KEEP = {"keep": True}
STAY = ("sleep", "infinity")
# Out of memory, by the kernel's own hand: the command dies, and the container with it.
OUT_OF_MEMORY = "kill -9 $(pgrep -o sleep)"
CHANGES = """
useradd --create-home agent
echo 'PS1=agent' >> /etc/profile
chmod 600 /etc/fstab; chown agent /etc/issue
rm /etc/motd; rm -r /usr/share/doc
ln /etc/profile /opt/hard; ln -s nowhere /opt/soft; mkfifo /opt/pipe
truncate -s 1G /opt/sparse; printf tail >> /opt/sparse
cp /usr/bin/true /opt/setuid; chmod 4755 /opt/setuid
mkdir -m 1777 /opt/shared; touch -d 2001-02-03 /opt/shared
"""
LOOK = """
stat -c '%n %A %u:%g %Y %h %s' /etc/profile /etc/fstab /etc/issue /opt /opt/* /home/agent /home/agent/.profile
id agent; tail -1 /etc/profile; ls /etc/motd /usr/share/doc 2>&1; readlink /opt/soft
[ /etc/profile -ef /opt/hard ] && echo linked; [ $(du -k /opt/sparse | cut -f1) -lt 1024 ] && echo sparse
"""


def test_what_was_done_by_hand_is_there_after_pack_and_restart(guests: Guests) -> None:
    guests.run("kept", *STAY, settings=KEEP)
    guests.inside("kept", CHANGES)
    before = guests.inside("kept", LOOK)

    result = guests.pack("kept")
    guests.restart("kept", OUT_OF_MEMORY)

    assert guests.inside("kept", LOOK) == before
    assert result["entries"] > 100
    assert result["bytes"] > 0
    assert guests.pack("kept") == result


def test_the_next_container_takes_the_image_as_it_was_known_and_every_change_is_found(guests: Guests) -> None:
    guests.run("kept", *STAY, settings=KEEP)
    guests.pack("kept")
    index = guests.inside("kept", f"stat -c '%i %Z' {SYSTEM}/index")

    guests.restart("kept")
    guests.inside("kept", CHANGES)
    before = guests.inside("kept", LOOK)
    result = guests.pack("kept")
    guests.restart("kept", OUT_OF_MEMORY)

    assert guests.inside("kept", LOOK) == before
    assert guests.pack("kept") == result
    assert guests.inside("kept", f"stat -c '%i %Z' {SYSTEM}/index") == index


@pytest.mark.parametrize("command", [STAY, ()], ids=["beside a command", "where nothing else runs"])
def test_what_was_done_since_the_last_pack_is_packed_at_the_end(guests: Guests, command: tuple[str, ...]) -> None:
    guests.run("kept", *command, settings=KEEP)
    guests.inside("kept", "echo first > /opt/file")
    guests.pack("kept")
    guests.inside("kept", "echo second > /opt/file; echo passing > /tmp/file")

    guests.restart("kept")

    assert guests.inside("kept", "cat /opt/file; ls /tmp") == "second\n"


def test_nothing_done_leaves_no_pack(guests: Guests) -> None:
    guests.run("kept", *STAY, settings=KEEP)
    guests.inside("kept", "echo on the volume > /workspace/file; echo passing > /tmp/file")

    assert guests.pack("kept")["entries"] == 0
    assert guests.inside("kept", f"ls -A {SYSTEM}") == "index\n"


def test_setup_runs_once_and_what_it_did_comes_back(guests: Guests) -> None:
    setup = "echo 'set up'; date +%N > /opt/made"
    guests.run("kept", *STAY, settings=KEEP | {"setup": setup})
    made = guests.inside("kept", "cat /opt/made")

    guests.restart("kept", OUT_OF_MEMORY)

    assert guests.inside("kept", "cat /opt/made") == made
    assert guests("logs", "kept") == ""
    assert guests("logs", "kept", "--previous") == "set up\n"


def test_without_keeping_setup_runs_at_every_start(guests: Guests) -> None:
    guests.run("fresh", *STAY, settings={"setup": "echo 'set up'"})

    guests.restart("fresh")

    assert guests("logs", "fresh") == "set up\n"
    assert "keeps nothing" in guests("exec", "fresh", "--", "sh", "-c", f"{GUEST} pack || true")


def test_too_much_is_refused_with_the_biggest_files(guests: Guests) -> None:
    guests.run("kept", *STAY, settings=KEEP | {"packLimit": 1 << 20})
    guests.inside("kept", "head -c 2M /dev/zero > /opt/big; echo small > /opt/small")

    told = json.loads(guests.inside("kept", f"{GUEST} pack || true"))["error"]

    assert told["reason"] == "TooLarge"
    assert told["message"] == "2.0 MiB changed in the root file system, and the limit of a pack is 1.0 MiB"
    assert told["largest"][0] == {"path": "/opt/big", "bytes": 2 << 20}


def test_a_full_volume_is_told_and_the_former_pack_stays(guests: Guests) -> None:
    small = {"emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}}
    guests.run("kept", *STAY, settings=KEEP, system=small)
    guests.inside("kept", "echo former > /opt/file")
    guests.pack("kept")
    guests.inside("kept", "echo later > /opt/file; head -c 3M /dev/urandom > /opt/big")

    told = json.loads(guests.inside("kept", f"{GUEST} pack || true"))["error"]
    guests.restart("kept")

    assert told["reason"] == "VolumeFull"
    assert guests.inside("kept", "cat /opt/file; ls /opt") == "former\nfile\n"


def test_a_full_volume_keeps_nobody_out_after_an_installation(guests: Guests) -> None:
    small = {"emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}}
    setup = "head -c 3M /dev/urandom > /opt/big"
    guests.run("kept", *STAY, settings=KEEP | {"setup": setup}, system=small)

    assert guests.inside("kept", "stat -c %s /opt/big") == f"{3 << 20}\n"
    log = guests("logs", "kept")
    assert "it starts though what was installed is not packed: the workspace volume has no room" in log
    assert "The biggest: /opt/big (3.0 MiB)" in log
    guests.inside("kept", "rm /opt/big")
    assert guests.pack("kept")["entries"] > 0


def test_what_was_installed_and_is_too_large_is_told_with_the_biggest_files(guests: Guests) -> None:
    setup = "head -c 2M /dev/zero > /opt/big; echo small > /opt/small"
    guests.create("large", *STAY, settings=KEEP | {"packLimit": 1 << 20, "setup": setup}, once=True)

    told = json.loads(guests.end("large")["message"])

    assert told["step"] == "pack"
    assert told["lines"].startswith(
        "2.0 MiB changed in the root file system, and the limit of a pack is 1.0 MiB. The biggest:"
    )
    assert "/opt/big (2.0 MiB), " in told["lines"]


def test_a_little_memory_is_enough_for_a_large_pack(guests: Guests) -> None:
    guests.run("kept", *STAY, settings=KEEP, resources={"limits": {"memory": "128Mi"}})
    guests.inside("kept", "head -c 200M /dev/urandom > /opt/big; sha256sum /opt/big > /opt/sum")

    guests.pack("kept")
    guests.restart("kept", OUT_OF_MEMORY)

    assert "OK" in guests.inside("kept", "sha256sum -c /opt/sum")


def test_a_damaged_pack_is_set_aside_and_the_workspace_stays(guests: Guests) -> None:
    guests.run("kept", *STAY, settings=KEEP)
    guests.inside("kept", "echo mine > /workspace/mine; echo kept > /opt/file")
    guests.pack("kept")
    # The pack is the sandbox's own to write: cut short, as a program that means harm or a broken disk would.
    spoil = f"cd {SYSTEM}; truncate -s -1 pack; chmod a-w pack"

    guests.inside("kept", spoil)
    guests.restart("kept", OUT_OF_MEMORY)

    assert "the pack is set aside: the pack is damaged" in guests("logs", "kept")
    assert guests.inside("kept", f"cat /workspace/mine; ls {SYSTEM}; ls /opt") == "mine\npack.refused\n"


def test_a_former_tenants_pack_is_not_trusted_until_all_is_installed_anew(guests: Guests) -> None:
    setup = "date +%N > /opt/made"
    guests.run("wary", *STAY, settings=KEEP | {"setup": setup, "reinstall": "0123abcd"})
    made = guests.inside("wary", "cat /opt/made")
    guests.restart("wary", OUT_OF_MEMORY)
    assert guests.inside("wary", "cat /opt/made") == made

    # What stands there is not what this sandbox was told: the pack may be anybody's.
    guests.inside("wary", f"touch /opt/evil && {GUEST} pack && printf 0123ABCD > {SYSTEM}/reinstalled")
    guests.restart("wary", OUT_OF_MEMORY)

    assert guests.inside("wary", "cat /opt/made") != made
    assert guests.inside("wary", f"ls /opt; cat {SYSTEM}/reinstalled") == "made\n0123abcd"
