"""A sandbox's repository: how it gets into the workspace, what Git in the sandbox is told, where no login stands."""

from datetime import timedelta
from typing import Any

import orjson
import pytest

from sandkeeper.api.resolve import resolve
from sandkeeper.plan.observed import GuestSettings, Settings
from sandkeeper.plan.pod import RENDERING_ANNOTATION, sandbox_pod
from sandkeeper.plan.sandbox import Plan
from sandkeeper.plan.start import SLOW_AFTER
from sandkeeper.plan.volume import worth_asking
from unit.fakes.objects import CREATED, Json, observe, plan, pod_of, sandbox, told

ADDRESS = "https://git.example.com:8443/team/app.git"
SETTINGS = Settings(guest=GuestSettings(image="registry.example/guest:7", pull_secrets=("mirror",)))
EPHEMERAL: Json = {"type": "Ephemeral"}


def rendered(
    git: Json | None = None, *, image_volumes: bool = False, settings: Settings = SETTINGS, **spec: Any
) -> Json:
    owner = sandbox("agent", git={"repository": ADDRESS, **(git or {})}, **spec)
    pod = sandbox_pod(owner, resolve(owner.spec), settings, user_namespace=False, image_volumes=image_volumes)
    return dict(pod["spec"])


def bringing(**how: Any) -> Json:
    """The container that brings the repository."""
    (found,) = (each for each in rendered(**how)["initContainers"] if each["name"] == "worktree")
    return dict(found)


def configuration(**how: Any) -> list[tuple[str, str]]:
    """What Git in the sandbox reads, in its order."""
    env = {each["name"]: each.get("value", "") for each in rendered(**how)["containers"][0]["env"]}
    numbers = range(int(env["GIT_CONFIG_COUNT"]))
    return [(env[f"GIT_CONFIG_KEY_{number}"], env[f"GIT_CONFIG_VALUE_{number}"]) for number in numbers]


def test_a_sandbox_without_a_repository_has_nothing_of_it() -> None:
    owner = sandbox()
    pod = sandbox_pod(owner, resolve(owner.spec), SETTINGS, user_namespace=False, image_volumes=True)["spec"]

    assert "initContainers" not in pod
    assert "env" not in pod["containers"][0]


def test_the_repository_comes_before_the_sandbox_on_a_branch_of_its_name() -> None:
    container = bringing()

    assert container["image"] == "registry.example/guest:7"
    assert container["command"] == [
        "/worktree", "prepare", f"--repository={ADDRESS}", "--branch=sandbox/agent", "/workspace",
    ]  # fmt: skip
    assert container["volumeMounts"] == [{"name": "workspace", "mountPath": "/workspace", "subPath": "workspace"}]


def test_the_guest_is_copied_before_it_where_it_is_copied() -> None:
    copied, mounted = (rendered(image_volumes=each)["initContainers"] for each in (False, True))

    assert [each["name"] for each in copied] == ["guest", "worktree"]
    assert [each["name"] for each in mounted] == ["worktree"]


def test_ref_branch_and_login_are_handed_on_and_the_kubelet_reads_nothing_into_them() -> None:
    git = {"ref": "v1$(HOME)", "branch": "a/$(x)", "credentialsSecret": "github"}

    command = bringing(git=git)["command"]

    assert command[3:-1] == [
        "--branch=a/$$(x)", "--ref=v1$$(HOME)", "--secret=/.sandkeeper/git-secret",
        "--config=/.sandkeeper/git-config/config",
    ]  # fmt: skip


def test_an_ephemeral_workspace_has_it_too() -> None:
    assert bringing(workspace=EPHEMERAL)["volumeMounts"] == [{"name": "workspace", "mountPath": "/workspace"}]
    assert rendered(workspace=EPHEMERAL)["securityContext"]["fsGroup"] == 1000


def test_it_has_no_more_rights_than_its_sandbox() -> None:
    with_root, without = bringing(), bringing(security={"root": False})

    assert with_root["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"], "add": ["CHOWN", "DAC_OVERRIDE", "FOWNER"]},
    }
    assert without["securityContext"]["capabilities"] == {"drop": ["ALL"]}


def test_a_clone_may_use_what_its_sandbox_may_and_adds_nothing_to_the_pod() -> None:
    resources = {"limits": {"cpu": "1", "memory": "1Gi", "nvidia.com/gpu": "1"}}
    spec = rendered(resources=resources)
    own, clones = spec["containers"][0]["resources"], spec["initContainers"][-1]["resources"]

    for kind in ("limits", "requests"):
        assert clones[kind] == {name: amount for name, amount in own[kind].items() if "/" not in name}
        assert "nvidia.com/gpu" in own[kind]


def test_it_takes_the_sandboxs_way_out() -> None:
    proxy = {"name": "HTTPS_PROXY", "value": "http://proxy:3128"}

    assert bringing(env=[proxy, {"name": "OTHER", "value": "x"}])["env"] == [
        {"name": "GOMEMLIMIT", "valueFrom": {"resourceFieldRef": {"resource": "limits.memory"}}},
        proxy,
    ]


def test_the_login_is_a_mounted_secret_out_of_which_git_is_answered_for_one_server() -> None:
    spec = rendered(git={"credentialsSecret": "github"})
    secret = {"name": "git-secret", "secret": {"secretName": "github", "optional": False, "defaultMode": 0o440}}

    assert secret in spec["volumes"]
    for container in (spec["containers"][0], spec["initContainers"][-1]):
        assert {"name": "git-secret", "mountPath": "/.sandkeeper/git-secret", "readOnly": True} in container[
            "volumeMounts"
        ]
    assert configuration(git={"credentialsSecret": "github"}) == [
        ("safe.directory", "/workspace"),
        ("credential.https://git.example.com:8443.helper", ""),
        (
            "credential.https://git.example.com:8443.helper",
            f"/.sandkeeper/bin/worktree credential --repository='{ADDRESS}' --secret=/.sandkeeper/git-secret",
        ),
        ("include.path", "/.sandkeeper/git-config/config"),
    ]


def test_a_public_repository_mounts_no_secret() -> None:
    assert configuration() == [("safe.directory", "/workspace")]
    assert not [volume for volume in rendered()["volumes"] if volume["name"].startswith("git-")]


def test_what_a_sandbox_configures_itself_comes_first_and_stays() -> None:
    own = [
        {"name": "GIT_CONFIG_COUNT", "value": "1"},
        {"name": "GIT_CONFIG_KEY_0", "value": "user.name"},
        {"name": "GIT_CONFIG_VALUE_0", "value": "Agent"},
    ]

    assert configuration(env=own) == [("user.name", "Agent"), ("safe.directory", "/workspace")]


def test_a_count_that_no_admission_has_seen_beside_git_is_none() -> None:
    own = [{"name": "GIT_CONFIG_COUNT", "value": "9" * 5000}]

    assert configuration(env=own) == [("safe.directory", "/workspace")]


def test_git_is_told_of_the_workspace_where_it_is() -> None:
    assert configuration(workspace={"path": "/srv/$(x)"}) == [("safe.directory", "/srv/$$(x)")]


@pytest.mark.parametrize("image_volumes", [False, True])
def test_an_image_with_an_entry_point_of_its_own_has_the_helper_and_no_guest(*, image_volumes: bool) -> None:
    spec = rendered(args=["serve"], image_volumes=image_volumes)
    container = spec["containers"][0]

    assert "command" not in container
    assert {"name": "guest", "mountPath": "/.sandkeeper/bin", "readOnly": True} in container["volumeMounts"]
    assert spec["imagePullSecrets"] == [{"name": "mirror"}]


def test_another_image_of_the_guest_restarts_nothing_but_shows() -> None:
    owner = sandbox(git={"repository": ADDRESS}, args=["serve"])
    one, other = (
        sandbox_pod(owner, resolve(owner.spec), settings, user_namespace=False)["metadata"]["annotations"]
        for settings in (SETTINGS, Settings(guest=GuestSettings(image="guest:8")))
    )

    assert one["sandkeeper.dev/environment"] == other["sandkeeper.dev/environment"]
    assert one[RENDERING_ANNOTATION] != other[RENDERING_ANNOTATION]


OWNER = sandbox(git={"repository": ADDRESS, "credentialsSecret": "github"}, workspace=EPHEMERAL)


def seen(state: Json, *, restarts: int = 0, last: Json | None = None, after: timedelta = SLOW_AFTER) -> Plan:
    """Decide on a sandbox whose repository is being brought."""
    status: Json = {"name": "worktree", "image": "g", "restartCount": restarts, "state": state}
    if last is not None:
        status["lastState"] = {"terminated": last}
    own = {"name": "sandbox", "image": "i", "restartCount": 0, "state": {"waiting": {"reason": "PodInitializing"}}}
    pod = pod_of(OWNER, {"phase": "Pending", "initContainerStatuses": [status], "containerStatuses": [own]})
    return plan(OWNER, CREATED + after, pod=pod, claim=None)


def ended(reason: object, **more: Any) -> Json:
    message = orjson.dumps({"worktree": "GitFailed", "reason": reason}).decode()
    return {"exitCode": 1, "message": message, **more}


def test_a_clone_that_takes_its_time_is_told_with_how_to_follow_it() -> None:
    slow = seen({"running": {}})

    assert told(slow)["Ready"] == ("False", "Starting")
    assert slow.state.message == (
        f"Bringing {ADDRESS} into the workspace; kubectl logs -n team sbx-a -c worktree -f shows how it goes."
    )


@pytest.mark.parametrize("state", [{"waiting": {"reason": "CrashLoopBackOff"}}, {"running": {}}])
def test_a_repository_that_can_not_be_brought_is_told_in_gits_words_while_it_is_tried_again(state: Json) -> None:
    failed = seen(state, restarts=2, last=ended("the server refuses the login of spec.git.credentialsSecret"))

    assert told(failed)["Ready"] == ("False", "GitFailed")
    assert failed.state.message == (
        f"{ADDRESS} can't be brought into the workspace: the server refuses the login of spec.git.credentialsSecret "
        "(restarted 2 times so far, with a growing pause)."
    )


def test_it_is_told_at_once() -> None:
    assert told(seen({"terminated": ended("no")}, after=timedelta(seconds=1)))["Ready"] == ("False", "GitFailed")


@pytest.mark.parametrize(
    ("last", "says"),
    [
        (
            {"exitCode": 137, "reason": "OOMKilled"},
            "workspace: it takes more memory than spec.resources.limits.memory (",
        ),
        ({"exitCode": 2}, "it ended with exit code 2, and kubectl logs -n team sbx-a -c worktree shows why ("),
        ({"exitCode": 1, "message": "[]"}, "it ended with exit code 1,"),
        (ended(7), "it ended with exit code 1,"),
        (ended("a\u202eb\n\x1b[2J" + "x" * 9000), "workspace: a b [2J" + "x" * 100),
    ],
    ids=["memory", "usage", "nonsense", "wrong type", "hostile"],
)
def test_whatever_it_says_is_one_bounded_line(last: Json, says: str) -> None:
    failed = seen({"waiting": {"reason": "CrashLoopBackOff"}}, restarts=1, last=last)

    assert failed.state.reason == "GitFailed"
    assert says in failed.state.message
    assert failed.state.message.isprintable()
    assert len(failed.state.message) < 700


def test_one_that_is_there_is_not_spoken_of() -> None:
    done = seen({"terminated": {"exitCode": 0}}, restarts=1, last=ended("once"))

    assert done.state.reason == "Starting"
    assert "Starting on node n1" in done.state.message


@pytest.mark.parametrize("workspace", [EPHEMERAL, {"type": "Persistent"}])
def test_a_secret_that_is_not_there_is_told_by_name(workspace: Json) -> None:
    owner = sandbox(git={"repository": ADDRESS, "credentialsSecret": "github"}, workspace=workspace)
    waits = [{"type": "PodReadyToStartContainers", "status": "False"}]
    pod = pod_of(owner, {"phase": "Pending", "startTime": CREATED.isoformat(), "conditions": waits})
    news = 'MountVolume.SetUp failed for volume "git-secret" : secret "github" not found'
    late = CREATED + timedelta(seconds=20)

    told_late = plan(owner, late, pod=pod, volume_news=news)

    assert told(told_late)["Ready"] == ("False", "SecretMissing")
    assert told_late.state.message == (
        "Secret github, which spec.git.credentialsSecret names, is not there; the start goes on once it is."
    )
    assert worth_asking(observe(owner, pod=pod), late) == pod
    assert plan(owner, CREATED + timedelta(seconds=5), pod=pod).look_again is not None, "it is looked at again in time"
