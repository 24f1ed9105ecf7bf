"""The guest as the first process of real sandboxes: it reaps, ends, installs, packs, and says what went wrong."""

import asyncio
from pathlib import Path

import pytest

from api.kubectl import Kubectl
from benchmark.connection import connected
from e2e.operator.sandboxes import Sandboxes, eventually
from e2e.operator.test_trouble import has_reason
from installation import NAMESPACE
from localcluster.images.catalogue import PAUSE
from sandkeeper.runtime.errors import ApiError
from sandkeeper.runtime.exec import Command, ExecResult
from sandkeeper.runtime.resource import Key

OPERATOR = f"--as=system:serviceaccount:{NAMESPACE}:sandkeeper-operator"
PACK = ("/.sandkeeper/bin/guest", "pack")
ZOMBIES = "grep -l '^State:.Z' /proc/[0-9]*/status 2>/dev/null | wc -l"


def test_it_is_the_first_process_and_takes_in_what_others_leave(sandboxes: Sandboxes) -> None:
    sandboxes.apply("bare")
    sandboxes.wait("bare")

    sandboxes.exec("bare", "sh", "-c", "for i in 1 2 3 4 5; do (sleep 0.1 &); done")

    assert sandboxes.exec("bare", "cat", "/proc/1/comm").strip() == "guest"
    assert eventually(lambda: sandboxes.exec("bare", "sh", "-c", ZOMBIES).strip(), lambda count: count == "0")


def test_nobody_in_the_sandbox_can_change_it(sandboxes: Sandboxes) -> None:
    sandboxes.apply("closed")
    sandboxes.wait("closed")

    for attempt in (
        "echo > /.sandkeeper/bin/guest",
        "rm /.sandkeeper/bin/guest",
        "mount -o remount,rw /.sandkeeper/bin",
    ):
        assert "failed" in sandboxes.exec("closed", "sh", "-c", f"({attempt}) 2>/dev/null || echo failed")


def test_an_image_without_a_shell_is_a_sandbox_too(sandboxes: Sandboxes) -> None:
    sandboxes.apply("shellless", image=PAUSE)

    sandboxes.wait("shellless")


def test_it_ends_when_it_is_told_to(sandboxes: Sandboxes) -> None:
    sandboxes.apply("ending", command=["sh", "-c", "trap 'exit 0' TERM; while :; do sleep 0.1; done"])
    sandboxes.apply("idle", podTemplate={"spec": {"terminationGracePeriodSeconds": 600}})
    for name in ("ending", "idle"):
        sandboxes.wait(name)
        before = sandboxes.pod(name)["metadata"]["uid"]

        # Long before the grace period is over.
        sandboxes.kubectl("delete", "pod", f"sbx-{name}", "--timeout=60s")

        assert sandboxes.pod(name).get("metadata", {}).get("uid") != before


def test_setup_has_run_before_the_sandbox_is_ready(sandboxes: Sandboxes) -> None:
    sandboxes.apply("made", setup='sleep 18\necho "$$ $(id -u) ${HOME}" > /etc/made\npwd >> /etc/made\n')

    told = has_reason(sandboxes, "made", "Installing")

    assert told.startswith("Installing what setup says; kubectl logs -n ")
    assert not sandboxes.pod("made")["status"]["containerStatuses"][0]["ready"]
    sandboxes.wait("made")
    process, user, home, folder = sandboxes.exec("made", "cat", "/etc/made").split()
    assert process.isdigit()
    assert (user, home.startswith("/"), folder) == ("0", True, "/workspace")


def test_a_setup_that_fails_is_told_in_its_own_words_and_heals(sandboxes: Sandboxes) -> None:
    sandboxes.apply("broken", setup="echo all is well\necho 'no such thing: \x1b[31mthis' >&2\nexit 7\n")

    told = has_reason(sandboxes, "broken", "SetupFailed")

    assert told.startswith("setup ended with exit code 7")
    assert "no such thing" in told
    assert "\x1b" not in told
    eventually(
        lambda: sandboxes.pod("broken")["status"]["containerStatuses"], lambda found: found[0]["restartCount"] > 0
    )
    assert "no such thing" in sandboxes.kubectl("logs", "sbx-broken", "--previous", "--ignore-errors")

    sandboxes.apply("broken", setup="echo mended > /etc/mended")
    sandboxes.wait("broken")
    assert sandboxes.exec("broken", "cat", "/etc/mended") == "mended\n"


def test_what_changed_is_packed_before_a_pod_is_replaced(sandboxes: Sandboxes) -> None:
    sandboxes.apply("kept", workspace={"type": "Persistent", "size": "1Gi"})
    sandboxes.wait("kept")
    before = sandboxes.pod("kept")["metadata"]["uid"]
    sandboxes.exec("kept", "sh", "-c", "echo changed > /etc/changed")

    sandboxes.apply("kept", workspace={"type": "Persistent", "size": "1Gi"}, env=[{"name": "A", "value": "1"}])

    eventually(lambda: sandboxes.pod("kept").get("metadata", {}).get("uid", before), lambda uid: uid != before)
    sandboxes.wait("kept")
    pack = sandboxes.get("sandbox", "kept")["status"]["pack"]
    assert pack["entries"] >= 1
    assert pack["bytes"] > 0


def test_the_operator_runs_commands_in_sandboxes_alone(sandboxes: Sandboxes, kubectl: Kubectl) -> None:
    sandboxes.apply("entered")
    sandboxes.wait("entered")
    sandboxes.kubectl("run", "theirs", f"--image={PAUSE}")
    sandboxes.kubectl("wait", "pod/theirs", "--for=condition=Ready", "--timeout=60s")

    # It keeps nothing, so that its guest says so: the command was run.
    answer = kubectl.refused("-n", sandboxes.namespace, OPERATOR, "exec", "sbx-entered", "-c", "sandbox", "--", *PACK)
    refusal = kubectl.refused("-n", sandboxes.namespace, OPERATOR, "exec", "theirs", "--", *PACK)

    assert "command terminated with exit code 1" in answer
    assert "is no sandbox" in refusal


@pytest.fixture
def run(kubeconfig: Path, sandboxes: Sandboxes) -> "Runner":
    """Run a command as the operator does."""
    return Runner(kubeconfig, sandboxes.namespace)


class Runner:
    """The operator's own way into pods, with the administrator's credentials."""

    def __init__(self, kubeconfig: Path, namespace: str) -> None:
        self._kubeconfig = kubeconfig
        self._namespace = namespace

    def __call__(self, name: str, *words: str) -> ExecResult:
        return asyncio.run(self._run(Command(Key(self._namespace, f"sbx-{name}"), "sandbox", words)))

    async def _run(self, command: Command) -> ExecResult:
        async with connected(self._kubeconfig) as client:
            return await client.run(command)


def test_commands_are_heard_to_their_end(sandboxes: Sandboxes, run: Runner) -> None:
    sandboxes.apply("heard")
    sandboxes.wait("heard")

    assert run("heard", "sh", "-c", "echo out; echo err >&2; exit 3") == ExecResult(3, b"out\n", b"err\n")
    assert run("heard", "true") == ExecResult(0, b"", b"")
    with pytest.raises(ApiError) as refused:
        run("nobody", "true")
    assert refused.value.not_found
    with pytest.raises(ApiError, match="no/such/program"):
        run("heard", "/no/such/program")
