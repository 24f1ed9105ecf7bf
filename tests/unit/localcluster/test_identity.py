"""A pid that belongs to another process by now is never touched."""

import dataclasses
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from localcluster.identity import ProcessIdentity


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["sleep", "600"]) as process:
        yield process
        process.kill()


def identity_of(process: subprocess.Popen[bytes]) -> ProcessIdentity:
    identity = ProcessIdentity.of(process.pid)
    assert identity is not None
    return identity


def test_a_running_process_is_alive_until_it_ends(sleeper: subprocess.Popen[bytes]) -> None:
    identity = identity_of(sleeper)
    assert identity.alive

    identity.end(grace_seconds=5)

    assert not identity.alive
    assert sleeper.wait(5) != 0


def test_a_process_that_ignores_the_request_is_ended_by_force() -> None:
    stubborn = "trap '' TERM; echo ready; while :; do sleep 0.1; done"
    with subprocess.Popen(["sh", "-c", stubborn], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()

        identity = ProcessIdentity.of(process.pid)
        assert identity is not None
        identity.end(grace_seconds=0.2)

        assert not identity.alive


@pytest.mark.parametrize("difference", [{"started": 1}, {"boot": "another boot"}])
def test_another_process_with_the_same_pid_is_left_alone(
    sleeper: subprocess.Popen[bytes], difference: dict[str, object]
) -> None:
    earlier = dataclasses.replace(identity_of(sleeper), **difference)  # type: ignore[arg-type]

    assert not earlier.alive
    earlier.end(grace_seconds=0.1)

    assert sleeper.poll() is None


def test_a_finished_process_that_nobody_waited_for_is_not_alive() -> None:
    with subprocess.Popen(["true"]) as process:
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)

        assert ProcessIdentity.of(process.pid) is None


def test_an_identity_survives_being_written_down(sleeper: subprocess.Popen[bytes], tmp_path: Path) -> None:
    identity = identity_of(sleeper)
    identity.save(tmp_path / "record")

    assert ProcessIdentity.load(tmp_path / "record") == identity


@pytest.mark.parametrize("content", ["", "{", "{}", '{"pid": "x", "started": 1, "boot": ""}', "[]"])
def test_half_a_record_is_no_record(tmp_path: Path, content: str) -> None:
    (tmp_path / "record").write_text(content)

    assert ProcessIdentity.load(tmp_path / "record") is None
    assert ProcessIdentity.load(tmp_path / "missing") is None
