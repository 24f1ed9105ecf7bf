"""What changed in a sandbox, told by real copies of real volumes: files, packages, Git; by a snapshot and by now."""

import json
from typing import Any

import pytest

from e2e.operator.sandboxes import PERSISTENT, Sandboxes, eventually
from e2e.repository.repository import Repository

API = "sandkeeper.dev/v1alpha1"
ROOM = {
    "limits": {"cpu": "1", "memory": "512Mi", "ephemeral-storage": "1Gi"},
    "requests": {"cpu": "20m", "memory": "64Mi"},
}
# A repository as Git leaves one, without Git: what is read of it are two files.
COMMIT = "git() { mkdir -p .git/refs/heads; echo 'ref: refs/heads/main' > .git/HEAD; echo $1 > .git/refs/heads/main; }"
FIRST, SECOND = "1" * 40, "2" * 40
BEFORE = f"""
cd /workspace; {COMMIT}; git {FIRST}
mkdir src; echo one > src/kept; echo one > src/changed; echo one > src/deleted; seq 1000 > src/long
"""
AFTER = f"""
cd /workspace; {COMMIT}; git {SECOND}
echo two > src/changed; rm src/deleted; : > src/long; mkdir new; echo new > new/file
printf x > "$(printf 'evil\\033[2J\\nname')"
chmod 0700 src; chmod 0000 new/file
"""
INSTALL = """
apt-get -q update; apt-get -qy install greeter
pip install -q --upgrade --break-system-packages greeting
"""


def apply(sandboxes: Sandboxes, kind: str, name: str, **spec: Any) -> None:
    """Apply an object of ours."""
    manifest = {"apiVersion": API, "kind": kind, "metadata": {"name": name}, "spec": spec}
    sandboxes.kubectl("apply", "-f", "-", given=json.dumps(manifest))


def snapshot(sandboxes: Sandboxes, name: str, of: str) -> None:
    """Take a snapshot and wait until it is ready."""
    apply(sandboxes, "SandboxSnapshot", name, sandboxRef={"name": of})
    sandboxes.kubectl("wait", f"sbxsnap/{name}", "--for=condition=Ready", "--timeout=120s")


def answer(sandboxes: Sandboxes, name: str) -> dict[str, Any]:
    """Wait for a diff as a user does, and return its summary."""
    sandboxes.kubectl("wait", f"sbxdiff/{name}", "--for=condition=Ready", "--timeout=120s")
    found: dict[str, Any] = sandboxes.get("sbxdiff", name)["status"]["summary"]
    return found


def listed(sandboxes: Sandboxes, name: str) -> dict[str, dict[str, Any]]:
    """Return the full list of a diff by its paths."""
    pod = sandboxes.get("sbxdiff", name)["status"]["podName"]
    lines = [json.loads(line) for line in sandboxes.kubectl("logs", pod).splitlines() if line.startswith("{")]
    return {line["path"]: line for line in lines if "path" in line}


def leftovers(sandboxes: Sandboxes) -> list[str]:
    """Name the claims and snapshots of diffs that are left without their pods, which keep claims so long."""
    sandboxes.kubectl("delete", "pod", "--selector=sandkeeper.dev/diff", "--now")
    selector = "--selector=sandkeeper.dev/diff"
    return sandboxes.kubectl("get", "persistentvolumeclaims,sandboxsnapshots", selector, "-o", "name").split()


@pytest.fixture
def agent(sandboxes: Sandboxes, repository: Repository) -> str:
    """Name of a sandbox that was changed after its snapshot ``before`` and before its snapshot ``after``."""
    repository.open_to(sandboxes.namespace)
    spec = {"image": repository.image, "env": repository.environment, "workspace": PERSISTENT, "resources": ROOM}
    sandboxes.apply("agent", packages={"pip": ["greeting==1.0"]}, **spec)
    sandboxes.reaches("agent", "Running")
    sandboxes.sh("agent", BEFORE)
    snapshot(sandboxes, "before", "agent")
    sandboxes.sh("agent", AFTER + INSTALL)
    snapshot(sandboxes, "after", "agent")
    return "agent"


def test_two_snapshots_then_against_now(sandboxes: Sandboxes, agent: str) -> None:
    apply(
        sandboxes, "SandboxDiff", "between", **{"from": {"snapshotRef": {"name": "before"}}},
        to={"snapshotRef": {"name": "after"}},
    )  # fmt: skip

    summary = answer(sandboxes, "between")

    found = listed(sandboxes, "between")
    told = {path: line["change"] for path, line in found.items() if path.startswith("workspace/")}
    assert told == {
        "workspace/.git/refs/heads/main": "changed",
        "workspace/evil\x1b[2J\nname": "added",
        "workspace/new": "added",
        "workspace/new/file": "added",
        "workspace/src": "changed",
        "workspace/src/changed": "changed",
        "workspace/src/deleted": "deleted",
        "workspace/src/long": "changed",
    }
    assert {kind: summary["workspace"][kind] for kind in ("added", "changed", "deleted")} == {
        "added": 3, "changed": 4, "deleted": 1,
    }  # fmt: skip
    assert summary["unread"] == 0, "files of every owner and mode are read"
    assert summary["git"] == {
        "old": {"branch": "main", "commit": FIRST},
        "new": {"branch": "main", "commit": SECOND},
    }
    assert [each.partition("=")[0] for each in summary["packages"]["apt"]["added"]["names"]] == [
        "greeter",
        "greeter-data",
    ]
    assert summary["packages"]["pip"]["changed"]["names"] == ["greeting=1.0->2.0"]
    assert summary["system"]["added"] > 0
    eventually(lambda: leftovers(sandboxes), lambda found: found == [])

    sandboxes.sh(agent, "echo three > /workspace/since; rm -r /workspace/new")
    apply(sandboxes, "SandboxDiff", "since", **{"from": {"snapshotRef": {"name": "after"}}})
    answer(sandboxes, "since")
    now = {path: line["change"] for path, line in listed(sandboxes, "since").items() if path.startswith("workspace/")}
    assert now == {
        "workspace/new": "deleted",
        "workspace/new/file": "deleted",
        "workspace/since": "added",
    }
    assert sandboxes.ready(agent)["reason"] == "Running"
    eventually(lambda: leftovers(sandboxes), lambda found: found == [])
    printed = sandboxes.kubectl("get", "sbxdiff", "since", "--no-headers").split()
    assert printed[:7] == ["since", "after", "agent", "(now)", "Ready", "1", "0"]


def test_a_sleeping_sandbox_without_root_is_compared_and_no_trace_is_left(sandboxes: Sandboxes) -> None:
    sandboxes.apply("plain", workspace=PERSISTENT, security={"root": False})
    sandboxes.reaches("plain", "Running")
    snapshot(sandboxes, "empty", "plain")
    sandboxes.sh("plain", "umask 077; echo secret > /workspace/note")
    sandboxes.sleep("plain")

    apply(sandboxes, "SandboxDiff", "asleep", **{"from": {"snapshotRef": {"name": "empty"}}})

    assert answer(sandboxes, "asleep")["workspace"]["added"] == 1
    pod = sandboxes.get("pod", "sandkeeper-diff-asleep")
    assert pod["spec"]["securityContext"]["runAsUser"] == 1000
    assert sandboxes.ready("plain")["reason"] == "Sleeping"

    # What was compared goes for good, in any order: the pod with its diff, the fence with the last of them.
    sandboxes.kubectl("delete", "sandbox", "plain")
    sandboxes.kubectl("delete", "sbxsnap", "empty", "--timeout=60s")
    assert sandboxes.get("networkpolicy", "sandkeeper-fence"), "a pod is left behind it"
    sandboxes.kubectl("delete", "sbxdiff", "asleep")
    eventually(lambda: sandboxes.get("pod", "sandkeeper-diff-asleep"), lambda found: not found)
    eventually(lambda: sandboxes.get("networkpolicy", "sandkeeper-fence"), lambda found: not found)


def test_a_sandbox_called_like_a_diff_is_not_mistaken_for_it(sandboxes: Sandboxes) -> None:
    for name in ("diff-x", "sandkeeper-diff-x", "x"):
        sandboxes.apply(name, workspace=PERSISTENT)
    sandboxes.reaches("x", "Running")
    snapshot(sandboxes, "first", "x")

    apply(sandboxes, "SandboxDiff", "x", **{"from": {"snapshotRef": {"name": "first"}}})
    assert answer(sandboxes, "x")["workspace"]["added"] == 0

    sandboxes.kubectl("delete", "sbxdiff", "x")
    eventually(lambda: sandboxes.get("pod", "sandkeeper-diff-x"), lambda found: not found)
    for name in ("diff-x", "sandkeeper-diff-x", "x"):
        sandboxes.wait(name, "Running")
