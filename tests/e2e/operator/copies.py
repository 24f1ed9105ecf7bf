"""What is on a workspace and beside it, what was copied of it, and operators that end in the middle of that."""

import json
import signal
from typing import Any

import psutil

from e2e.operator.sandboxes import Sandboxes, eventually
from e2e.operator.test_installation import operator_pods
from installation import NAMESPACE

DATA = "/workspace/data"
TOOL = "/opt/tool"
MANAGED = "sandkeeper.dev/managed"


def fill(sandboxes: Sandboxes, name: str) -> str:
    """Write a file to a sandbox's workspace and one beside it, and return their checksums."""
    script = f"for file in {DATA} {TOOL}; do head -c 1M /dev/urandom > $file; done"
    sandboxes.sh(name, script)
    return sums(sandboxes, name)


def sums(sandboxes: Sandboxes, name: str) -> str:
    """Checksums of the files that `fill` wrote."""
    return sandboxes.sh(name, f"sha256sum {DATA} {TOOL}")


def listed(sandboxes: Sandboxes, kind: str, *options: str) -> list[dict[str, Any]]:
    """All objects of a kind in the namespace."""
    items: list[dict[str, Any]] = json.loads(sandboxes.kubectl("get", kind, *options, "-o", "json"))["items"]
    return items


def names(sandboxes: Sandboxes, kind: str) -> list[str]:
    """Names of what the operator made of a kind."""
    return [each["metadata"]["name"] for each in listed(sandboxes, kind, "-l", MANAGED)]


def claims_of(sandboxes: Sandboxes, sandbox: str) -> dict[str, str]:
    """Phases of the claims of one sandbox, by their names."""
    found = listed(sandboxes, "pvc", "-l", f"sandkeeper.dev/sandbox={sandbox}")
    return {each["metadata"]["name"]: each["status"]["phase"] for each in found}


def contents(sandboxes: Sandboxes) -> list[str]:
    """Names of the copies that the driver holds for the namespace."""
    found = listed(sandboxes, "volumesnapshotcontent")
    mine = [each for each in found if each["spec"]["volumeSnapshotRef"]["namespace"] == sandboxes.namespace]
    return [each["metadata"]["name"] for each in mine]


def volumes(sandboxes: Sandboxes) -> list[str]:
    """Names of the volumes that the driver holds for the namespace."""
    found = listed(sandboxes, "pv")
    mine = [each for each in found if each["spec"].get("claimRef", {}).get("namespace") == sandboxes.namespace]
    return [each["metadata"]["name"] for each in mine]


def nothing_is_left(sandboxes: Sandboxes) -> None:
    """Delete all sandboxes and snapshots, and wait until nothing is left of them, in the API or with the driver."""
    sandboxes.kubectl("delete", "sandboxes,sandboxsnapshots", "--all", "--timeout=120s")

    def left() -> dict[str, list[str]]:
        kinds = {kind: names(sandboxes, kind) for kind in ("pods", "pvc", "volumesnapshots")}
        return kinds | {"contents": contents(sandboxes), "volumes": volumes(sandboxes)}

    eventually(left, lambda found: not any(found.values()))


def kill_operators(sandboxes: Sandboxes) -> None:
    """End all operators as a power failure would, and wait until others have come."""
    pods = operator_pods(sandboxes)
    told = [json.loads(sandboxes._kubectl("-n", NAMESPACE, "get", "pod", pod, "-o", "json")) for pod in pods]
    killed = [process for pod in told for process in _operators_in(pod["metadata"]["uid"])]
    for process in killed:
        process.send_signal(signal.SIGKILL)
    assert killed
    # Containers that are killed one after another would be restarted after ever longer pauses; new pods are not.
    sandboxes._kubectl("-n", NAMESPACE, "delete", "pods", "--force", "--grace-period=0", *pods)
    sandboxes._kubectl("-n", NAMESPACE, "rollout", "status", "deployment", "--timeout=120s")


def _operators_in(pod_uid: str) -> list[psutil.Process]:
    def is_one(process: psutil.Process) -> bool:
        try:
            with open(f"/proc/{process.pid}/cgroup") as cgroup:
                return f"pod{pod_uid}/" in cgroup.read() and "sandkeeper" in process.cmdline()
        except (psutil.Error, OSError):
            return False

    return [process for process in psutil.process_iter() if is_one(process)]
