"""Sandboxes sleep, wake and end in real pods, and nothing that was done in them is lost by that."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from e2e.operator.sandboxes import EPHEMERAL, PERSISTENT, Sandboxes, eventually

# As an agent leaves its sandbox: a user, configuration, a program by hand, links, and what it had no use for.
DO = """
useradd --create-home --shell /bin/bash worker
echo 'worker ALL' >> /etc/motd
rm /etc/debian_version
rm -r /usr/share/doc/git
mkdir -p /opt/tool && echo 'echo tool' > /opt/tool/run && chmod 4755 /opt/tool/run
ln /opt/tool/run /opt/tool/same
ln -s run /opt/tool/link
chown -R worker:worker /opt/tool && chmod 4755 /opt/tool/run
chmod 700 /var/log
truncate -s 1G /opt/sparse
echo mine > /workspace/note
echo passing > /tmp/scratch
"""
LOOK = """
id worker; getent passwd worker; stat -c '%n %U:%a' /home/worker /home/worker/.bashrc /var/log
tail -n1 /etc/motd
ls -d /etc/debian_version /usr/share/doc/git 2>&1 || true
cd /opt/tool; stat -c '%n %U:%G %a %h %s' run same link; test run -ef same; readlink link; ./run
stat -c '%s' /opt/sparse; test $(stat -c '%b' /opt/sparse) -lt 100
cat /workspace/note
"""
IDLE: dict[str, Any] = {"lifecycle": {"idleTimeout": "15s"}}
RANDOM = "head -c {bytes} /dev/urandom > {path}"


def claim(sandboxes: Sandboxes, name: str) -> dict[str, Any]:
    return sandboxes.get("persistentvolumeclaim", f"sbx-{name}")


def uid(sandboxes: Sandboxes, name: str) -> str:
    found: str = sandboxes.pod(name)["metadata"]["uid"]
    return found


def touched(sandboxes: Sandboxes, name: str, when: datetime) -> None:
    """Say that a sandbox was used, as clients do."""
    said = f"sandkeeper.dev/last-activity={when.isoformat()}"
    sandboxes.kubectl("annotate", "sandbox", name, "--overwrite", said)


def test_all_that_was_done_is_there_again_after_sleep(sandboxes: Sandboxes) -> None:
    sandboxes.apply("agent", workspace=PERSISTENT, ports=[{"name": "web", "port": 8080}])
    sandboxes.wait("agent")
    sandboxes.sh("agent", DO)
    before, address = sandboxes.sh("agent", LOOK), sandboxes.get("service", "agent")["spec"]["clusterIP"]

    asleep = sandboxes.sleep("agent")

    assert asleep["asleep"]["cause"] == "Requested"
    assert asleep["pack"]["entries"] > 10
    assert claim(sandboxes, "agent")["status"]["phase"] == "Bound"
    awake = sandboxes.wake("agent")
    assert (awake["startedFrom"], "asleep" in awake) == ("Wake", False)
    assert sandboxes.sh("agent", LOOK) == before
    assert sandboxes.get("service", "agent")["spec"]["clusterIP"] == address
    assert sandboxes.sh("agent", "ls /tmp") == ""

    # What was packed once may be undone, and what was undone stays so.
    sandboxes.sh("agent", "userdel worker; rm -r /opt/tool; echo later > /etc/later")
    sandboxes.sleep("agent")
    sandboxes.wake("agent")
    assert sandboxes.sh("agent", "cat /etc/later; id -u worker 2>/dev/null || echo gone; ls /opt").split() == [
        "later",
        "gone",
        "sparse",
    ]


@pytest.mark.parametrize(
    ("workspace", "note"), [(PERSISTENT | {"keepPackages": False}, "mine\n"), (EPHEMERAL, "")], ids=["unkept", "none"]
)
def test_what_was_not_to_be_kept_is_gone_after_sleep(
    sandboxes: Sandboxes, workspace: dict[str, Any], note: str
) -> None:
    sandboxes.apply("agent", workspace=workspace, setup="date +%s%N > /etc/made")
    sandboxes.wait("agent")
    made = sandboxes.sh("agent", "cat /etc/made; echo changed > /etc/changed; echo mine > /workspace/note")

    asleep = sandboxes.sleep("agent")
    sandboxes.wake("agent")

    assert "pack" not in asleep
    assert sandboxes.sh("agent", "cat /workspace/note /etc/changed 2>/dev/null || true") == note
    assert sandboxes.sh("agent", "cat /etc/made") != made


def test_one_that_is_idle_sleeps_until_it_is_used_and_one_at_work_does_not(sandboxes: Sandboxes) -> None:
    sandboxes.apply("idle", workspace=PERSISTENT, **IDLE)
    sandboxes.apply("busy", workspace=PERSISTENT, command=["sh", "-c", "while :; do :; done"], **IDLE)
    sandboxes.wait("idle")
    sandboxes.wait("busy")
    at_work = uid(sandboxes, "busy")
    sandboxes.sh("idle", "echo changed > /etc/changed")

    asleep = sandboxes.reaches("idle", "Sleeping")["asleep"]

    assert asleep["cause"] == "Idle"
    eventually(lambda: sandboxes.pod("idle"), lambda pod: not pod)
    # What is no time does not wake it.
    sandboxes.kubectl("annotate", "sandbox", "idle", "--overwrite", "sandkeeper.dev/last-activity=now")
    # Touched, but in no way that asks for a pod.
    sandboxes.kubectl("label", "sandbox", "idle", "seen=yes")
    assert sandboxes.reaches("idle", "Sleeping")["asleep"]["since"] == asleep["since"]
    assert sandboxes.pod("idle") == {}

    touched(sandboxes, "idle", datetime.now(UTC))

    sandboxes.reaches("idle", "Running")
    assert sandboxes.sh("idle", "cat /etc/changed") == "changed\n"
    assert sandboxes.ready("busy")["status"] == "True"
    assert "sleepsAt" not in sandboxes.get("sandbox", "busy")["status"]
    assert uid(sandboxes, "busy") == at_work


def test_one_that_has_lived_long_enough_loses_all_but_its_record(sandboxes: Sandboxes) -> None:
    sandboxes.apply("brief", workspace=PERSISTENT, ports=[{"name": "web", "port": 8080}], lifecycle={"ttl": "5s"})

    status = sandboxes.reaches("brief", "Expired")

    created = datetime.fromisoformat(sandboxes.get("sandbox", "brief")["metadata"]["creationTimestamp"])
    assert datetime.fromisoformat(status["expiresAt"]) == created + timedelta(seconds=5)
    eventually(lambda: [sandboxes.pod("brief"), claim(sandboxes, "brief")], lambda found: found == [{}, {}])
    assert sandboxes.get("service", "brief") == {}


def test_one_that_is_to_be_deleted_goes_and_a_retained_workspace_stays(sandboxes: Sandboxes) -> None:
    ends = {"ttl": "8s", "expiryPolicy": "Delete"}
    sandboxes.apply("mayfly", workspace=PERSISTENT, lifecycle=ends)
    sandboxes.apply("testator", workspace=PERSISTENT | {"reclaimPolicy": "Retain"}, lifecycle=ends)

    eventually(lambda: sandboxes.kubectl("get", "sandboxes", "-o", "name"), lambda found: not found)

    eventually(lambda: [sandboxes.pod("mayfly"), claim(sandboxes, "mayfly")], lambda found: found == [{}, {}])
    assert claim(sandboxes, "testator")["status"]["phase"] == "Bound"


def test_one_that_sleeps_for_long_expires(sandboxes: Sandboxes) -> None:
    sandboxes.apply("dreamer", workspace=PERSISTENT, lifecycle={"deleteAfterSleep": "4s"})
    sandboxes.wait("dreamer")
    assert "expiresAt" not in sandboxes.get("sandbox", "dreamer")["status"]

    sandboxes.change("dreamer", lifecycle={"state": "Sleeping"})
    status = sandboxes.reaches("dreamer", "Expired")

    slept = datetime.fromisoformat(status["asleep"]["since"])
    assert datetime.fromisoformat(status["expiresAt"]) == slept + timedelta(seconds=4)
    eventually(lambda: claim(sandboxes, "dreamer"), lambda found: not found)


@pytest.mark.slow
def test_one_that_changed_too_much_stays_awake_and_says_what_is_big(sandboxes: Sandboxes) -> None:
    sandboxes.apply("hoarder", workspace=PERSISTENT)
    sandboxes.wait("hoarder")
    big = [RANDOM.format(bytes=size << 20, path=f"/opt/big-{size}") for size in (50, 20)]
    sandboxes.sh("hoarder", "; ".join([*big, "echo changed > /etc/changed"]))
    before = uid(sandboxes, "hoarder")

    sandboxes.change("hoarder", lifecycle={"state": "Sleeping"})
    status = sandboxes.reaches("hoarder", "PackFailed")

    told = next(each["message"] for each in status["conditions"] if each["type"] == "Ready")
    assert "TooLarge" in told
    assert told.index("/opt/big-50 (50.0 MiB)") < told.index("/opt/big-20 (20.0 MiB)")
    assert "asleep" not in status
    assert uid(sandboxes, "hoarder") == before
    assert "PackFailed" in sandboxes.kubectl("events", "--for", "sandbox/hoarder")

    sandboxes.sh("hoarder", "rm /opt/big-50")
    sandboxes.reaches("hoarder", "Sleeping")
    sandboxes.wake("hoarder")
    assert sandboxes.sh("hoarder", "cat /etc/changed; ls /opt") == "changed\nbig-20\n"


@pytest.mark.slow
def test_twenty_fall_asleep_and_wake_at_once(sandboxes: Sandboxes) -> None:
    names = [f"crowd-{number}" for number in range(20)]
    every = [sandboxes.manifest(name, workspace=PERSISTENT) for name in names]
    sandboxes.kubectl("apply", "-f", "-", given=json.dumps({"apiVersion": "v1", "kind": "List", "items": every}))
    sandboxes.kubectl("wait", "sandbox", "--all", "--for=condition=Running", "--timeout=150s")
    for name in names:
        sandboxes.sh(name, f"echo {name} > /etc/who; cp /etc/who /workspace/who")

    def all_at_once(state: str) -> None:
        for each in every:
            each["spec"]["lifecycle"] = {"state": state}
        listed = json.dumps({"apiVersion": "v1", "kind": "List", "items": every})
        sandboxes.kubectl("apply", "-f", "-", given=listed)
        for name in names:
            sandboxes.reaches(name, state)

    all_at_once("Sleeping")
    eventually(lambda: sandboxes.kubectl("get", "pods", "-o", "name"), lambda pods: not pods)
    all_at_once("Running")

    for name in names:
        assert sandboxes.sh(name, "cat /etc/who /workspace/who") == f"{name}\n{name}\n"
