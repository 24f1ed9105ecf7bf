"""What the guest installs, by the real package managers in pods with the rights of a sandbox."""

import base64
import json
import subprocess
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from api.kubectl import Kubectl
from e2e.operator.sandboxes import eventually
from e2e.repository.repository import Repository
from localcluster.gotoolchain import go, go_environment
from sandkeeper.plan.pod_security import CAPABILITIES

GUEST = Path(__file__).parents[3] / "guest"
ROOT = {"capabilities": {"drop": ["ALL"], "add": list(CAPABILITIES)}}


@dataclass(frozen=True)
class Outcome:
    """How an installation ended.

    Parameters
    ----------
    code
        What it exited with.
    log
        Everything that it printed.
    step, lines
        What failed and how it says so; empty where nothing did.
    """

    code: int
    log: str
    step: str
    lines: list[str]


class Machine:
    """A pod that something is installed in.

    Parameters
    ----------
    kubectl
        As the cluster's administrator.
    namespace, name
        The pod's.
    """

    def __init__(self, kubectl: Kubectl, namespace: str, name: str) -> None:
        self._kubectl = kubectl
        self._namespace = namespace
        self._name = name

    def sh(self, script: str, given: str | None = None) -> str:
        """Run a shell script that has to succeed."""
        options = ["-i"] if given is not None else []
        command = ("exec", *options, self._name, "--", "sh", "-c", script)
        return self._kubectl("-n", self._namespace, *command, given=given)

    def begin(self, setup: str = "", **packages: list[str]) -> None:
        """Begin an installation in a session of its own, whose number is in ``/tmp/session``."""
        program = f"echo $$ > /tmp/session; exec /tmp/trial /tmp/failure {quoted(json.dumps(packages))} {quoted(setup)}"
        whole = f"setsid sh -c {quoted(program)} > /tmp/log 2>&1; echo $? > /tmp/code"
        # Whoever holds the output of what kubectl runs is waited for.
        self.sh(f"rm -f /tmp/failure /tmp/code; sh -c {quoted(whole)} > /dev/null 2>&1 &")

    def outcome(self) -> Outcome:
        """Wait for the end of what was begun."""
        code = eventually(lambda: self.sh("cat /tmp/code 2>/dev/null || true"), bool)
        failure = json.loads(self.sh("cat /tmp/failure 2>/dev/null || echo {}"))
        return Outcome(int(code), self.sh("cat /tmp/log"), failure.get("Step", ""), failure.get("Lines", []))

    def install(self, setup: str = "", **packages: list[str]) -> Outcome:
        """Install to the end."""
        self.begin(setup, **packages)
        return self.outcome()


def quoted(text: str) -> str:
    """Quote for a shell."""
    return "'" + text.replace("'", "'\\''") + "'"


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The installer as a program, in letters."""
    target = tmp_path_factory.mktemp("trial") / "trial"
    environment = go_environment() | {"CGO_ENABLED": "0"}
    command = [str(go()), "build", "-trimpath", "-ldflags=-s -w", "-o", str(target), "./internal/install/trial"]
    subprocess.run(command, cwd=GUEST, env=environment, check=True)
    return base64.b64encode(target.read_bytes()).decode()


@pytest.fixture(scope="module")
def own_namespace(kubectl: Kubectl) -> Iterator[str]:
    """A namespace for the pods."""
    name = f"install-{uuid.uuid4().hex[:8]}"
    kubectl("create", "namespace", name)
    yield name
    kubectl("delete", "namespace", name, "--wait=false")


Start = Callable[..., Machine]


@pytest.fixture
def start(kubectl: Kubectl, own_namespace: str, repository: Repository, program: str) -> Iterator[Start]:
    """Start pods in a user namespace, with the rights that the operator gives to a sandbox."""
    names = []

    def start(*env: dict[str, str], **security: Any) -> Machine:
        name = f"machine-{uuid.uuid4().hex[:8]}"
        container = {"name": "main", "image": repository.image, "command": ["sleep", "100000"],
                     "env": [*repository.environment, *env], "securityContext": ROOT | security}  # fmt: skip
        spec = {"containers": [container], "hostUsers": False, "terminationGracePeriodSeconds": 0,
                "securityContext": {"seccompProfile": {"type": "RuntimeDefault"}},
                "automountServiceAccountToken": False}  # fmt: skip
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}
        names.append(name)
        kubectl("-n", own_namespace, "apply", "-f", "-", given=json.dumps(pod))
        kubectl("-n", own_namespace, "wait", "--for=condition=Ready", f"pod/{name}", "--timeout=60s")
        machine = Machine(kubectl, own_namespace, name)
        machine.sh("base64 -d > /tmp/trial && chmod 755 /tmp/trial", given=program)
        return machine

    yield start
    if names:
        kubectl("-n", own_namespace, "delete", "pod", *names, "--wait=false")


def test_every_manager_installs_and_then_setup_runs(start: Start) -> None:
    machine = start()

    done = machine.install(
        setup="greeter > /srv/greeted",
        apt=["greeter"],
        pip=["greeting==1.0"],
        npm=["greeter-cli@1.0.0", "@team/tool"],
    )

    assert done.code == 0, done.log
    assert machine.sh("cat /srv/greeted; greeting; greeter-cli; tool").splitlines() == [
        "hello2 from greeter 2.0",
        "greeting 1.0",
        "greeter-cli 1.0.0",
        "tool 2.0.0",
    ]
    # Nothing that was only downloaded is left, and root was nobody on the node.
    assert machine.sh("ls -A /var/lib/apt/lists; set -e; cd ~root; ls -d .npm .cache 2>/dev/null || true") == ""
    assert machine.sh("ls /var/cache/apt/archives | grep -c deb$ || true").strip() == "0"
    assert machine.sh("cat /proc/self/uid_map").split()[1] != "0"


@pytest.mark.parametrize(
    ("manager", "package", "line"),
    [
        ("apt", "nope", "E: Unable to locate package nope"),
        ("apt", "greeter=9", "E: Version '9' for 'greeter' was not found"),
        ("apt", "greeter-broken", "dpkg: error processing package greeter-broken (--configure):"),
        ("pip", "nope", "ERROR: No matching distribution found for nope"),
        ("pip", "greeting==9", "ERROR: No matching distribution found for greeting==9"),
        ("npm", "nope", "npm error 404  The requested resource 'nope@*' could not be found"),
        ("npm", "greeter-cli@9", "npm error notarget No matching version found for greeter-cli@9."),
        ("apk", "curl", "apk is not in this image (Debian GNU/Linux 12 (bookworm)); use packages.apt"),
    ],
)
def test_a_package_that_cannot_be_had_is_told_in_the_managers_words(
    start: Start, manager: str, package: str, line: str
) -> None:
    failed = start().install(setup="touch /srv/never", **{manager: [package]})

    assert failed.code != 0
    assert failed.step == manager
    assert failed.lines[0].startswith(line), failed.lines
    assert all(each in failed.log.replace("\t", " ") for each in failed.lines)


def test_a_setup_that_fails_is_told_with_its_code_and_last_line(start: Start) -> None:
    machine = start()

    failed = machine.install(setup="echo begun\necho no luck >&2\n(exit 7)\ntouch /srv/never", apt=["greeter"])

    assert (failed.code, failed.step, failed.lines) == (7, "setup", ["no luck", "begun"])
    assert machine.sh("ls /srv") == ""


def test_pip_and_npm_come_through_apt_where_the_image_lacks_them(start: Start) -> None:
    machine = start()
    machine.sh("dpkg --purge --force-depends python3-pip && rm /usr/local/bin/npm")

    done = machine.install(pip=["greeting"], npm=["greeter-cli"])

    assert done.code == 0, done.log
    assert machine.sh("greeting; greeter-cli") == "greeting 2.0\ngreeter-cli 2.0.0\n"


def test_what_was_configured_by_hand_stays_when_another_version_comes(start: Start) -> None:
    machine = start()
    assert machine.install(apt=["greeter=2.0"]).code == 0
    machine.sh("echo greeting=mine > /etc/greeter.conf")

    older = machine.install(apt=["greeter=1.0"])

    assert older.code == 0, older.log
    assert machine.sh("greeter") == "mine from greeter 1.0\n"


@pytest.mark.parametrize("step", ["preinst", "postinst"])
def test_an_installation_that_was_killed_is_repaired_by_the_next(start: Start, step: str) -> None:
    machine = start()
    machine.sh(f"touch /var/tmp/hold-{step}")
    machine.begin(apt=["greeter-slow"])
    eventually(lambda: machine.sh("ls /var/tmp"), lambda names: "held" in names)
    machine.sh("pkill -KILL --session $(cat /tmp/session)")
    killed = machine.outcome()
    half = machine.sh("dpkg-query --show --showformat '${db:Status-Abbrev}' greeter-slow")
    machine.sh(f"rm /var/tmp/hold-{step}")

    again = machine.install(apt=["greeter-slow", "greeter"])

    assert killed.code == 128 + 9
    assert half.strip() != "ii"
    assert again.code == 0, again.log
    assert machine.sh("greeter; cat /usr/share/greeter/slow; dpkg --audit") == "hello2 from greeter 2.0\nslow\n"


def test_a_repository_that_is_not_there_is_told(start: Start) -> None:
    machine = start()
    # Nobody listens there; apt says so and goes on, and then knows no package.
    machine.sh("echo 'Acquire::http::Proxy::repository.test \"http://127.0.0.1:9\";' > /etc/apt/apt.conf.d/99nowhere")

    failed = machine.install(apt=["greeter"])

    assert failed.code == 100
    assert failed.lines[0] == "E: Unable to locate package greeter"
    assert failed.lines[1].startswith("W: Failed to fetch http://repository.test/apt/./InRelease")


def test_an_image_whose_user_is_not_root_gets_pips_packages_but_not_apts(start: Start) -> None:
    machine = start({"name": "HOME", "value": "/tmp"}, runAsUser=1000)

    failed = machine.install(apt=["greeter"])
    done = machine.install(setup="/tmp/.local/bin/greeting", pip=["greeting"])

    assert failed.lines == ["apt needs root, and the container runs as user 1000, as its image says"]
    assert done.code == 0, done.log
    assert done.log.endswith("greeting 2.0\n")
