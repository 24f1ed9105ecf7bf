"""A sandbox's repository, from a real Git server over HTTPS: there before it is ready, kept, and its login nowhere."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from e2e.gitserver.gitserver import GitServer
from e2e.operator.sandboxes import EPHEMERAL, PERSISTENT, Sandboxes, eventually
from e2e.operator.test_rollback import GOOD, copy, rolled_back
from e2e.operator.test_snapshots import reaches, take

FINDER = Path(__file__).parents[1] / "gitserver" / "inside" / "find.py"
PACK = "/.sandkeeper/system/pack"
COMMIT = "git -c user.name=a -c user.email=a@b commit -q -am mine"


@pytest.fixture
def private(sandboxes: Sandboxes, git_server: GitServer) -> dict[str, str]:
    """The repository that asks for a login, which the namespace has and can reach."""
    git_server.open_to(sandboxes.namespace)
    git_server.give_login(sandboxes.namespace, "login")
    return {"repository": git_server.private, "credentialsSecret": "login"}


LOOK = "git status --porcelain --branch; git rev-parse HEAD; cat README untracked out.log"


def worked(sandboxes: Sandboxes, name: str) -> str:
    """Leave a commit in a sandbox, a file that is changed, one that is new and one that is ignored; tell the commit."""
    sandboxes.sh(name, f"echo '*.log' > .gitignore; git add .gitignore; {COMMIT}")
    sandboxes.sh(name, "echo changed > README; echo new > untracked; echo ignored > out.log")
    return sandboxes.sh(name, "git rev-parse HEAD").strip()


def left(branch: str, commit: str) -> str:
    """What LOOK tells where all is as it was left on a branch."""
    return f"## {branch}\n M README\n?? untracked\n{commit}\nchanged\nnew\nignored\n"


def message(status: dict[str, Any]) -> str:
    return str(next(each["message"] for each in status["conditions"] if each["type"] == "Ready"))


def test_it_is_there_before_the_sandbox_is_ready_and_its_branch_is_pushed_from_inside(
    sandboxes: Sandboxes, git_server: GitServer, private: dict[str, str]
) -> None:
    # The command would fail without the checkout.
    sandboxes.apply("worker", git=private, workspace=PERSISTENT, command=["sh", "-c", "./run.sh && sleep infinity"])
    sandboxes.wait("worker")

    assert sandboxes.sh("worker", "git status --porcelain --branch; git log --format=%s").split("\n")[:3] == [
        "## sandbox/worker", "two", "one",
    ]  # fmt: skip
    sandboxes.sh("worker", f"echo three >> README; {COMMIT}; git push -q origin HEAD; git fetch -q")
    head = sandboxes.sh("worker", "git rev-parse HEAD").strip()
    assert git_server.branches()["sandbox/worker"] == head

    # Another sandbox of the name goes on where this one left off.
    sandboxes.kubectl("delete", "sandbox", "worker")
    sandboxes.apply("worker", git=private)
    sandboxes.wait("worker")
    assert sandboxes.sh("worker", "git rev-parse HEAD; git status --porcelain --branch").split("\n")[:2] == [
        head, "## sandbox/worker...origin/sandbox/worker",
    ]  # fmt: skip


def test_the_login_is_in_no_place_where_it_would_stay_or_be_told(
    sandboxes: Sandboxes, git_server: GitServer, private: dict[str, str]
) -> None:
    sandboxes.apply("quiet", git=private, workspace=PERSISTENT, setup="echo made-here > /etc/made")
    sandboxes.wait("quiet")
    sandboxes.sh("quiet", f"echo more >> README; {COMMIT}; git push -q origin HEAD")
    sandboxes.sleep("quiet")
    sandboxes.wake("quiet")

    words = [git_server.password, base64.b64encode(f"{git_server.username}:{git_server.password}".encode()).decode()]
    everywhere = "/workspace /proc/[0-9]*/cmdline /proc/[0-9]*/environ /root /etc /tmp /var/log /.sandkeeper/git-config"
    for word in words:
        # Split, so that this very command is not what it finds.
        looked = f"grep -rsl {word[:5]}''{word[5:]} {everywhere} || echo nowhere"
        assert sandboxes.sh("quiet", looked) == "nowhere\n"
    assert "/workspace/.git/config" in sandboxes.sh("quiet", f"grep -rsl private/app {everywhere}").split()
    assert sandboxes.exec("quiet", "python3", "-c", FINDER.read_text(), PACK, "made-here", *words) == "made-here\n"
    told = [
        sandboxes.kubectl("get", "sandbox,pod,events,configmap,pvc", "-o", "yaml"),
        sandboxes.kubectl("logs", "sbx-quiet", "--all-containers"),
    ]
    assert not [word for word in words for text in told if word in text]
    assert sandboxes.sh("quiet", "ls /.sandkeeper/git-secret").split() == ["ca.crt", "password", "username"]


def test_work_that_is_not_committed_outlives_sleep_and_nothing_is_cloned_again(
    sandboxes: Sandboxes, git_server: GitServer, private: dict[str, str]
) -> None:
    sandboxes.apply("sleeper", git=private, workspace=PERSISTENT)
    sandboxes.wait("sleeper")
    sandboxes.sh("sleeper", "git switch -q -c feature; echo staged > new; git add new; echo changed > README")
    before = sandboxes.sh("sleeper", "git status --porcelain --branch; cat README new")

    sandboxes.sleep("sleeper")
    # Who would clone now can't.
    git_server.close_to(sandboxes.namespace)
    sandboxes.wake("sleeper")

    assert sandboxes.sh("sleeper", "git status --porcelain --branch; cat README new") == before


def test_a_changed_branch_takes_the_work_along_and_another_repository_overwrites_nothing(
    sandboxes: Sandboxes, git_server: GitServer, private: dict[str, str]
) -> None:
    sandboxes.apply("moving", git=private, workspace=PERSISTENT)
    sandboxes.wait("moving")
    sandboxes.sh("moving", "echo changed > README")

    sandboxes.change("moving", git={"branch": "agent/other"})
    sandboxes.reaches("moving", "Running")
    assert sandboxes.sh("moving", "git status --porcelain --branch; cat README") == (
        "## agent/other\n M README\nchanged\n"
    )

    sandboxes.change("moving", git={"repository": git_server.public})
    said = message(sandboxes.reaches("moving", "GitFailed"))
    assert f"the workspace holds a checkout of {git_server.private}, which is kept" in said
    sandboxes.change("moving", git={"repository": git_server.private})
    sandboxes.reaches("moving", "Running")
    assert sandboxes.sh("moving", "cat README") == "changed\n"


@pytest.mark.parametrize(
    "spec",
    [
        {"security": {"root": False, "userNamespace": "Never"}, "workspace": PERSISTENT},
        {"security": {"root": False, "writablePaths": []}},
        {"security": {"userNamespace": "Never"}, "workspace": PERSISTENT},
        {"image": "docker.io/library/python:3.13", "args": ["-c", "import time; time.sleep(1e6)"], "command": None},
    ],
    ids=["no root", "no root, read-only", "root, no user namespace", "the image's own"],
)
def test_whoever_the_sandbox_is_run_as_can_work_and_push(
    sandboxes: Sandboxes, git_server: GitServer, private: dict[str, str], spec: dict[str, Any]
) -> None:
    branch = f"by/{sandboxes.namespace}"
    given = {name: value for name, value in spec.items() if value is not None}
    if spec.get("args"):
        # The stand-in has a command where the published image has one too, and no entry point.
        given["args"] = ["python3", *spec["args"]]
    sandboxes.apply("somebody", git={**private, "branch": branch, "ref": "v1"}, **given)
    sandboxes.wait("somebody")

    assert sandboxes.sh("somebody", "cat README; git status --porcelain") == "one\n"
    sandboxes.sh("somebody", f"echo mine > README; {COMMIT}; git push -q origin HEAD")

    assert branch in git_server.branches()


def test_a_wrong_password_is_told_and_the_right_one_heals(
    sandboxes: Sandboxes, git_server: GitServer, private: dict[str, str]
) -> None:
    git_server.give_login(sandboxes.namespace, "wrong", username="agent-7", password="wr0ng-word")
    sandboxes.apply("locked", git={**private, "credentialsSecret": "wrong"}, workspace=EPHEMERAL)

    said = message(sandboxes.reaches("locked", "GitFailed"))

    assert f"{git_server.private} can't be brought into the workspace: the server refuses the login" in said
    assert "wr0ng-word" not in sandboxes.kubectl("get", "sandbox,pod,events", "-o", "yaml")
    sandboxes.change("locked", git={"credentialsSecret": "login"})
    sandboxes.reaches("locked", "Running")


@pytest.mark.slow
def test_a_secret_that_comes_later_and_one_that_changes(
    sandboxes: Sandboxes, git_server: GitServer, private: dict[str, str]
) -> None:
    sandboxes.apply("waiting", git={**private, "credentialsSecret": "later"})
    said = message(sandboxes.reaches("waiting", "SecretMissing"))
    assert said.startswith("Secret later, which spec.git.credentialsSecret names, is not there")

    git_server.give_login(sandboxes.namespace, "later")
    sandboxes.wait("waiting")
    asked = "printf 'protocol=https\\nhost=%s\\n\\n' $(git remote get-url origin | cut -d/ -f3) | git credential fill"
    assert f"password={git_server.password}" in sandboxes.sh("waiting", asked)

    git_server.give_login(sandboxes.namespace, "later", username="agent-8", password="an0ther")
    eventually(lambda: sandboxes.sh("waiting", asked), lambda seen: "password=an0ther" in seen)
    elsewhere = (
        "printf 'protocol=https\\nhost=evil.example\\n\\n' | GIT_TERMINAL_PROMPT=0 git credential fill 2>&1 || true"
    )
    assert "password" not in sandboxes.sh("waiting", elsewhere)


def test_a_ref_that_is_not_there_is_told_and_another_one_heals(
    sandboxes: Sandboxes, git_server: GitServer, private: dict[str, str]
) -> None:
    sandboxes.apply("astray", git={**private, "ref": "v9"}, workspace=PERSISTENT)
    assert 'has no branch, tag or commit "v9", which spec.git.ref names' in message(
        sandboxes.reaches("astray", "GitFailed")
    )

    sandboxes.change("astray", git={"ref": "v1"})

    sandboxes.reaches("astray", "Running")
    assert sandboxes.sh("astray", "cat README") == "one\n"


def test_files_that_are_there_are_kept_and_told(sandboxes: Sandboxes, private: dict[str, str]) -> None:
    sandboxes.apply("taken", workspace=PERSISTENT)
    sandboxes.wait("taken")
    sandboxes.sh("taken", "echo mine > /workspace/notes")

    sandboxes.change("taken", git=private)
    assert 'holds files, such as "notes", but no checkout' in message(sandboxes.reaches("taken", "GitFailed"))

    sandboxes.change("taken", git=None)
    sandboxes.reaches("taken", "Running")
    assert sandboxes.sh("taken", "cat /workspace/notes") == "mine\n"


def test_where_the_checkout_stands_is_captured_awake_and_asleep_and_a_fork_goes_on_from_there(
    sandboxes: Sandboxes, private: dict[str, str]
) -> None:
    sandboxes.apply("author", git=private, workspace=PERSISTENT)
    sandboxes.wait("author")
    commit = worked(sandboxes, "author")
    stands = {"branch": "sandbox/author", "commit": commit, "dirtyFiles": 2}
    captured = {"repository": private["repository"], **stands}

    take(sandboxes, "good", "author")
    assert reaches(sandboxes, "good", "Ready")["captured"]["git"] == captured
    sandboxes.sleep("author")
    told = sandboxes.kubectl("get", "sbx", "author", "-o", "jsonpath={.status.git}")
    assert json.loads(told) == stands
    take(sandboxes, "asleep", "author")
    assert reaches(sandboxes, "asleep", "Ready")["captured"]["git"] == captured

    copy(sandboxes, "fork", GOOD)
    copy(sandboxes, "named", {"sandboxRef": {"name": "author"}}, git={"branch": "agent/named"})
    sandboxes.reaches("fork", "Running")
    sandboxes.reaches("named", "Running")
    assert sandboxes.sh("fork", LOOK) == left("sandbox/fork", commit)
    assert sandboxes.sh("named", LOOK) == left("agent/named", commit)
    assert "git" not in sandboxes.wake("author")
    assert sandboxes.sh("author", LOOK) == left("sandbox/author", commit)


def test_a_rollback_brings_back_branch_commit_and_what_was_not_committed(
    sandboxes: Sandboxes, private: dict[str, str]
) -> None:
    sandboxes.apply("returning", git=private, workspace=PERSISTENT)
    sandboxes.wait("returning")
    commit = worked(sandboxes, "returning")
    take(sandboxes, "good", "returning")
    reaches(sandboxes, "good", "Ready")
    sandboxes.sh("returning", f"git switch -q -c wrong; git add --all; {COMMIT}; rm out.log")

    sandboxes.change("returning", source=GOOD)
    rolled_back(sandboxes, "returning", "sbx-returning")

    assert sandboxes.sh("returning", LOOK) == left("sandbox/returning", commit)


def test_a_checkout_of_a_sandbox_without_root_is_told_too(sandboxes: Sandboxes, private: dict[str, str]) -> None:
    security = {"root": False, "userNamespace": "Never"}
    sandboxes.apply("plain", git=private, workspace=PERSISTENT, security=security)
    sandboxes.wait("plain")
    commit = worked(sandboxes, "plain")

    assert sandboxes.sleep("plain")["git"] == {"branch": "sandbox/plain", "commit": commit, "dirtyFiles": 2}
