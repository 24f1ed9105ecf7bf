"""What befalls nodes, volumes and operators while sandboxes fall asleep, sleep and wake: nothing is lost by it."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from api.kubectl import Kubectl
from e2e.conftest import hack_cluster
from e2e.operator.sandboxes import PERSISTENT, SMALL, Sandboxes, eventually
from e2e.operator.test_installation import operator_pods
from installation import NAMESPACE
from localcluster.commands import run
from localcluster.identity import ProcessIdentity
from localcluster.images.small import busybox_image
from localcluster.native.containerd import SOCKET
from localcluster.native.driver import NativeDriver
from localcluster.tools import tool

GUEST = "/.sandkeeper/bin/guest"
LEAVING = "sandkeeper.local/leaving:1"


def processes(pod_uid: str, word: str) -> list[psutil.Process]:
    """Guests of a pod that do what a word says."""

    def is_one(process: psutil.Process) -> bool:
        try:
            there = f"pod{pod_uid}/" in Path(f"/proc/{process.pid}/cgroup").read_text()
            return there and process.cmdline()[:2] == [GUEST, word]
        except (psutil.Error, OSError):
            return False

    return [process for process in psutil.process_iter() if is_one(process)]


@contextmanager
def packing(sandboxes: Sandboxes, name: str) -> Iterator[str]:
    """Put a sandbox to sleep, and hold it in the middle of packing; gives the uid of its pod."""
    pod_uid = sandboxes.pod(name)["metadata"]["uid"]
    (first,) = processes(pod_uid, "run")
    first.send_signal(signal.SIGSTOP)
    try:
        sandboxes.change(name, lifecycle={"state": "Sleeping"})
        eventually(lambda: processes(pod_uid, "pack"), bool)
        yield pod_uid
    finally:
        first.send_signal(signal.SIGCONT)


def started(sandboxes: Sandboxes, name: str, **spec: Any) -> None:
    """Start a sandbox in which something is changed."""
    sandboxes.apply(name, workspace=PERSISTENT, **spec)
    sandboxes.reaches(name, "Running")
    sandboxes.sh(name, "echo changed > /etc/changed; echo mine > /workspace/note")


def has_all(sandboxes: Sandboxes, name: str) -> bool:
    return sandboxes.sh(name, "cat /etc/changed /workspace/note") == "changed\nmine\n"


def message(status: dict[str, Any]) -> str:
    return str(next(each["message"] for each in status["conditions"] if each["type"] == "Ready"))


@pytest.fixture
def kubelet(kubectl: Kubectl) -> Iterator[None]:
    """A kubelet that may be stopped; at the end it runs, and its node is ready."""
    yield
    hack_cluster("start", "kubelet")
    kubectl("wait", "nodes", "--all", "--for=condition=Ready", "--timeout=60s")


def test_operators_killed_while_a_sandbox_is_packed_lose_nothing(sandboxes: Sandboxes) -> None:
    started(sandboxes, "caught")

    with packing(sandboxes, "caught") as pod_uid:
        asked = {process.pid for process in processes(pod_uid, "pack")}
        killed = operator_pods(sandboxes)
        sandboxes._kubectl("-n", NAMESPACE, "delete", "pods", "--force", "--grace-period=0", *killed)
        # The next operator asks again.
        eventually(lambda: {process.pid for process in processes(pod_uid, "pack")} - asked, bool)
        assert sandboxes.pod("caught")["metadata"]["uid"] == pod_uid

    asleep = sandboxes.reaches("caught", "Sleeping")
    eventually(lambda: sandboxes.pod("caught"), lambda pod: not pod)
    assert asleep["pack"]["entries"] > 0
    sandboxes.wake("caught")
    assert has_all(sandboxes, "caught")


@pytest.mark.slow
def test_a_kubelet_stopped_in_the_middle_of_packing_delays_sleep(sandboxes: Sandboxes, kubelet: None) -> None:
    started(sandboxes, "midway")

    with packing(sandboxes, "midway") as pod_uid:
        hack_cluster("stop", "kubelet")
        status = sandboxes.reaches("midway", "PackFailed")
        assert "Unreachable: The guest could not be asked" in message(status)
        assert "asleep" not in status
        assert sandboxes.pod("midway")["metadata"]["uid"] == pod_uid
        hack_cluster("start", "kubelet")

    assert sandboxes.reaches("midway", "Sleeping")["pack"]["entries"] > 0
    sandboxes.wake("midway")
    assert has_all(sandboxes, "midway")


@pytest.mark.slow
def test_a_lost_node_is_told_and_everything_goes_on_when_it_is_back(sandboxes: Sandboxes, kubelet: None) -> None:
    for name in ("running", "falling", "asleep", "waking"):
        started(sandboxes, name)
    for name in ("asleep", "waking"):
        sandboxes.sleep(name)
    pods = {name: sandboxes.pod(name)["metadata"]["uid"] for name in ("running", "falling")}

    hack_cluster("stop", "kubelet")
    sandboxes.change("waking", lifecycle={"state": "Running"})
    for name in ("running", "waking"):
        sandboxes.reaches(name, "NodeLost")
    sandboxes.change("falling", lifecycle={"state": "Sleeping"})
    # Nobody could pack it, so it has to stay.
    assert "asleep" not in sandboxes.reaches("falling", "NodeLost")
    assert sandboxes.reaches("asleep", "Sleeping")["asleep"]["cause"] == "Requested"
    assert {name: sandboxes.pod(name)["metadata"]["uid"] for name in pods} == pods

    hack_cluster("start", "kubelet")
    for name in ("running", "waking"):
        sandboxes.reaches(name, "Running")
    sandboxes.reaches("falling", "Sleeping")
    for name in ("falling", "asleep"):
        sandboxes.wake(name)
    assert all(has_all(sandboxes, name) for name in ("running", "falling", "asleep", "waking"))


@pytest.mark.slow
def test_a_full_volume_keeps_it_awake_until_there_is_room(sandboxes: Sandboxes) -> None:
    started(sandboxes, "full")
    sandboxes.sh("full", "head -c 20M /dev/urandom > /opt/work")
    work = sandboxes.sh("full", "sha256sum /opt/work")
    # The last write finds no room, and cat ends with that.
    sandboxes.sh("full", "cat /dev/urandom > /workspace/filling 2> /dev/null || true; sync")
    before = sandboxes.pod("full")["metadata"]["uid"]

    sandboxes.change("full", lifecycle={"state": "Sleeping"})
    status = sandboxes.reaches("full", "PackFailed")

    assert "VolumeFull" in message(status)
    assert "/opt/work (20.0 MiB)" in message(status)
    assert "asleep" not in status
    assert sandboxes.pod("full")["metadata"]["uid"] == before
    sandboxes.sh("full", "rm /workspace/filling; sync")
    sandboxes.reaches("full", "Sleeping")
    sandboxes.wake("full")
    assert sandboxes.sh("full", "sha256sum /opt/work") == work
    assert has_all(sandboxes, "full")


@pytest.mark.slow
def test_a_disk_limit_that_is_too_small_to_unpack_is_told_and_heals(sandboxes: Sandboxes) -> None:
    started(sandboxes, "tight")
    sandboxes.sh("tight", "head -c 40M /dev/urandom > /opt/work")
    work = sandboxes.sh("tight", "sha256sum /opt/work")
    sandboxes.sleep("tight")

    small = {**SMALL, "limits": {**SMALL["limits"], "ephemeral-storage": "10Mi"}}
    sandboxes.change("tight", lifecycle={"state": "Running"}, resources=small)

    events = eventually(lambda: sandboxes.kubectl("events", "--for", "sandbox/tight"), lambda told: "Evicted" in told)
    assert "ephemeral" in events
    sandboxes.change("tight", resources=SMALL)
    sandboxes.reaches("tight", "Running")
    assert sandboxes.sh("tight", "sha256sum /opt/work") == work
    assert has_all(sandboxes, "tight")


def test_a_claim_deleted_while_it_sleeps_is_told_and_made_anew(sandboxes: Sandboxes) -> None:
    started(sandboxes, "robbed", setup="echo made > /etc/made")
    sandboxes.sleep("robbed")
    by_hand = ("-n", sandboxes.namespace, "delete", "pvc", "sbx-robbed")
    assert "set its spec.workspace.reclaimPolicy to Retain first" in sandboxes._kubectl.refused(*by_hand)

    sandboxes.change("robbed", workspace={"reclaimPolicy": "Retain"})
    eventually(lambda: sandboxes.get("pvc", "sbx-robbed")["metadata"].get("ownerReferences"), lambda owners: not owners)
    sandboxes._kubectl(*by_hand)
    sandboxes.wake("robbed")

    assert sandboxes.sh("robbed", "cat /etc/made; ls -A /workspace; ls /etc/changed 2>/dev/null || true") == "made\n"
    assert "WorkspaceLost" in sandboxes.kubectl("events", "--for", "sandbox/robbed")


def test_an_image_that_went_while_it_slept_is_told_and_nothing_is_lost(sandboxes: Sandboxes) -> None:
    archive = str(busybox_image(LEAVING))
    hack_cluster("load", archive)
    started(sandboxes, "stranded", image=LEAVING)
    sandboxes.sleep("stranded")
    node = ProcessIdentity.load(NativeDriver()._plan().process_record)
    assert node

    address = f"/proc/{node.pid}/root{SOCKET}"
    run(tool("ctr"), "--address", address, "--namespace", "k8s.io", "images", "remove", "--sync", LEAVING)
    sandboxes.change("stranded", lifecycle={"state": "Running"})

    assert LEAVING in message(sandboxes.reaches("stranded", "ImagePullFailed"))
    hack_cluster("load", archive)
    sandboxes.reaches("stranded", "Running")
    assert has_all(sandboxes, "stranded")
