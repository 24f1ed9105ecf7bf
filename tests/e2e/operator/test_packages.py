"""Packages and setup in real sandboxes: installed once, before they are ready, and kept whatever befalls their pods."""

from typing import Any

import pytest

from e2e.operator.sandboxes import PERSISTENT, Sandboxes, eventually
from e2e.repository.repository import Repository

PACKAGES = {"apt": ["greeter"], "pip": ["greeting==1.0"], "npm": ["greeter-cli@1.0.0"]}
COUNTED = "echo run >> /workspace/runs; id -un > /etc/set-up"
USE = "greeter; greeting; greeter-cli; cat /etc/set-up; wc -l < /workspace/runs"
USED = ["hello2 from greeter 2.0", "greeting 1.0", "greeter-cli 1.0.0", "root", "1"]
# Ends as the kernel ends what has taken more memory than it may, once it is asked to.
HUNGRY = """
while [ ! -e /workspace/hungry ]; do sleep 0.2; done
rm /workspace/hungry
exec python3 -c 'x = bytearray(1 << 30); print(len(x))'
"""
ROOM = {
    "limits": {"cpu": "1", "memory": "512Mi", "ephemeral-storage": "1Gi"},
    "requests": {"cpu": "20m", "memory": "64Mi"},
}


@pytest.fixture
def installing(sandboxes: Sandboxes, repository: Repository) -> dict[str, Any]:
    """Spec of a sandbox that reaches the repository."""
    repository.open_to(sandboxes.namespace)
    return {"image": repository.image, "env": repository.environment, "workspace": PERSISTENT, "resources": ROOM}


def restarts(sandboxes: Sandboxes, name: str) -> int:
    return int(sandboxes.pod(name)["status"]["containerStatuses"][0]["restartCount"])


def test_they_are_there_before_it_is_ready_and_kept_when_their_source_is_gone(
    sandboxes: Sandboxes, repository: Repository, installing: dict[str, Any]
) -> None:
    sandboxes.apply("equipped", packages=PACKAGES, setup=COUNTED, command=["sh", "-c", HUNGRY], **installing)
    sandboxes.reaches("equipped", "Running")
    assert sandboxes.sh("equipped", USE).splitlines() == USED

    # A container that was killed comes back with an empty root file system, and no installer is asked.
    # What is not kept can't be had again.
    repository.close_to(sandboxes.namespace)
    sandboxes.sh("equipped", "touch /workspace/hungry")
    eventually(lambda: restarts(sandboxes, "equipped"), lambda count: count == 1)
    sandboxes.reaches("equipped", "Running")
    assert sandboxes.sh("equipped", USE).splitlines() == USED

    sandboxes.sleep("equipped")
    sandboxes.wake("equipped")
    assert sandboxes.sh("equipped", USE).splitlines() == USED
    assert restarts(sandboxes, "equipped") == 0


def test_further_ones_come_to_what_was_done_by_hand(sandboxes: Sandboxes, installing: dict[str, Any]) -> None:
    sandboxes.apply("growing", packages={"apt": ["greeter"]}, **installing)
    sandboxes.reaches("growing", "Running")
    sandboxes.sh("growing", "echo greeting=mine > /etc/greeter.conf")

    sandboxes.sleep("growing")
    sandboxes.change("growing", packages={"apt": ["greeter"], "pip": ["greeting"]})
    sandboxes.wake("growing")

    assert sandboxes.sh("growing", "greeter; greeting").splitlines() == ["mine from greeter 2.0", "greeting 2.0"]


def test_one_that_does_not_exist_is_told_in_the_installers_words_and_heals(
    sandboxes: Sandboxes, installing: dict[str, Any]
) -> None:
    sandboxes.apply("hopeful", packages={"apt": ["no-such-thing"]}, **installing)

    status = sandboxes.reaches("hopeful", "SetupFailed")

    told = next(each["message"] for each in status["conditions"] if each["type"] == "Ready")
    assert told.startswith("apt ended with exit code 100")
    assert "E: Unable to locate package no-such-thing" in told
    sandboxes.change("hopeful", packages={"apt": ["greeter"]})
    sandboxes.reaches("hopeful", "Running")
    assert sandboxes.sh("hopeful", "greeter") == "hello2 from greeter 2.0\n"


def test_another_image_is_set_up_anew_and_keeps_the_workspace(sandboxes: Sandboxes) -> None:
    setup = ". /etc/os-release; echo $VERSION_ID > /etc/made-on; echo $VERSION_ID >> /workspace/runs"
    sandboxes.apply("moving", workspace=PERSISTENT, setup=setup)
    sandboxes.reaches("moving", "Running")
    sandboxes.sh("moving", "echo old > /etc/only-there")

    sandboxes.sleep("moving")
    sandboxes.change("moving", image="docker.io/library/python:3.13")
    sandboxes.wake("moving")

    assert sandboxes.sh("moving", "cat /etc/made-on /workspace/runs").split() == ["13", "12", "13"]
    assert sandboxes.sh("moving", "ls /etc/only-there 2>/dev/null || echo gone") == "gone\n"
