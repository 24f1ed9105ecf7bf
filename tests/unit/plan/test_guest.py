"""The guest in the pod: how it gets in, what it is told, and when the pod waits for it."""

from datetime import timedelta
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandkeeper.api.resolve import resolve
from sandkeeper.plan.guest import guest_command
from sandkeeper.plan.observed import GuestSettings, Settings
from sandkeeper.plan.pod import sandbox_pod
from sandkeeper.plan.user_namespace import NodeSupport
from sandkeeper.plan.writes import Create
from unit.fakes.objects import Json, node, plan, sandbox
from unit.plan.test_pod_rendering import container, rendered

GUEST = "/.sandkeeper/bin/guest"
LOST: Json = {"workspace": {"type": "Ephemeral"}}
KEPT: Json = {"workspace": {"type": "Persistent"}}
INSTALLS: Json = {"packages": {"apt": ["git"], "npm": ["typescript"]}, "setup": "echo $$ $(date) ${HOME}"}
SETTINGS = Settings(guest=GuestSettings(image="registry.example/guest:7", install_timeout=timedelta(minutes=5)))


def created(
    status: Json | None = None, *, nodes: NodeSupport | None = None, settings: Settings = SETTINGS, **spec: Any
) -> Json:
    """Give the pod that a plan makes."""
    known: Json = {"status": status or {}, "nodes": nodes or NodeSupport(), "settings": settings}
    (pod,) = (
        each.obj
        for each in plan(sandbox(**spec), **known).writes
        if isinstance(each, Create) and each.obj["kind"] == "Pod"
    )
    return dict(pod)


def as_the_kubelet_reads(word: str) -> str:
    """Expand as the kubelet does where no variable of such a name is set: ``$$`` is a ``$``, all else stays."""
    read, rest = "", word
    while rest:
        step = 2 if rest.startswith("$$") else 1
        read, rest = read + rest[0], rest[step:]
    return read


def told(made: Json) -> Json:
    """What the guest of a container is told to do."""
    assert made["command"][:3] == [GUEST, "run", "--settings"]
    assert made["command"][4] == "--"
    return dict(orjson.loads(as_the_kubelet_reads(made["command"][3])))


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({}, []),
        ({"command": ["/app"]}, ["/app"]),
        ({"command": ["/app"], "args": ["-v", "$(HOME)"]}, ["/app", "-v", "$(HOME)"]),
    ],
)
def test_the_guest_is_the_first_process_and_runs_the_command_if_there_is_one(spec: Json, words: list[str]) -> None:
    made = container(**LOST, **spec)

    assert told(made) == {"workspace": "/workspace"}
    assert made["command"][5:] == words
    assert "args" not in made


def test_the_images_own_entry_point_stays_the_first_process() -> None:
    pod = rendered(args=["-v"])

    (made,) = pod["spec"]["containers"]
    assert ("command" in made, made["args"]) == (False, ["-v"])
    assert not [mount for mount in made["volumeMounts"] if mount["mountPath"].startswith("/.sandkeeper")]
    assert "guest" not in {volume["name"] for volume in pod["spec"]["volumes"]}
    assert "sandkeeper.dev/guest" not in pod["metadata"]["annotations"]


def test_the_guest_is_told_what_to_install_as_it_was_written() -> None:
    assert told(container(**LOST, **INSTALLS)) == {"workspace": "/workspace", **INSTALLS}


@given(st.text(min_size=1))
def test_the_kubelet_changes_nothing_in_a_script(script: str) -> None:
    assert told(container(setup=script))["setup"] == script


def test_the_guest_is_told_to_keep_what_changes_where_it_can() -> None:
    kept, lost = rendered(**KEPT), rendered(**LOST)

    keeps = {"keep": True, "packLimit": 4 * 1024**3}
    assert told(kept["spec"]["containers"][0]) == {"workspace": "/workspace", **keeps}
    assert {"name": "workspace", "mountPath": "/.sandkeeper/system", "subPath": "system"} in (
        kept["spec"]["containers"][0]["volumeMounts"]
    )
    assert kept["metadata"]["annotations"]["sandkeeper.dev/guest"] == "keep"
    assert lost["metadata"]["annotations"]["sandkeeper.dev/guest"] == "run"


def test_the_guest_is_told_where_the_volume_is_that_it_syncs() -> None:
    assert told(container(workspace={"path": "/home/agent"}))["workspace"] == "/home/agent"


def test_the_guest_is_told_where_values_are_that_it_is_not_to_tell() -> None:
    token = {"secretKeyRef": {"name": "hub", "key": "token"}}
    spec: Json = {
        "secrets": [
            {"name": "openai", "prefix": "AI_", "keys": ["KEY", "STAGE"]},
            {"name": "database", "prefix": "DB_"},
            {"name": "tls", "as": "Files"},
        ],
        "env": [
            {"name": "TOKEN", "valueFrom": token},
            {"name": "DB_NAME", "value": "customers"},
            {"name": "AI_STAGE", "value": "own"},
        ],
    }

    assert told(container(**LOST, **INSTALLS, **spec))["secrets"] == {
        "variables": ["AI_KEY", "TOKEN"],
        "prefixes": ["DB_"],
        "plain": ["DB_NAME"],
        "folders": ["/run/secrets/tls"],
    }
    whole = told(container(**LOST, **INSTALLS, env=[{"name": "STAGE", "value": "own"}], secrets=[{"name": "openai"}]))
    assert whole["secrets"] == {"prefixes": [""], "plain": ["STAGE"]}
    git = {"repository": "https://git.example.com/team/app.git", "credentialsSecret": "login"}
    assert told(container(**LOST, **INSTALLS, git=git))["secrets"] == {"folders": ["/.sandkeeper/git-secret"]}
    assert "secrets" not in told(container(**LOST, **spec)), "where nothing is installed the guest tells nothing"


def test_the_guest_is_told_of_a_checkout() -> None:
    assert told(container(git={"repository": "https://git.example.com/team/app.git"}))["git"] is True
    assert "git" not in told(container())


def test_the_guest_is_told_to_trust_no_pack_but_under_a_mark_where_it_keeps_any() -> None:
    kept, lost = (resolve(sandbox(**spec).spec) for spec in (KEPT, LOST))
    command = guest_command(kept, GuestSettings(), reinstall="0123abcd")

    assert told({"command": command})["reinstall"] == "0123abcd"
    assert "reinstall" not in told({"command": guest_command(kept, GuestSettings())})
    assert "reinstall" not in told({"command": guest_command(lost, GuestSettings(), reinstall="0123abcd")})


@pytest.mark.parametrize("without", [{"root": False}, {"writablePaths": ["/srv"]}])
def test_where_nothing_changes_nothing_is_kept(without: Json) -> None:
    assert rendered(**KEPT, security=without)["metadata"]["annotations"]["sandkeeper.dev/guest"] == "run"


ABLE: Json = {"kubeletVersion": "v1.36.3", "containerRuntimeVersion": "containerd://2.2.9"}


def on(*infos: Json) -> NodeSupport:
    made = [node(f"n{number}") for number in range(len(infos))]
    return NodeSupport(
        nodes=tuple({**each, "status": {**each["status"], "nodeInfo": i}} for each, i in zip(made, infos, strict=True))
    )


@pytest.mark.parametrize(
    ("nodes", "delivery", "mounted"),
    [
        (on(ABLE), "Auto", True),
        (on(ABLE, {**ABLE, "containerRuntimeVersion": "containerd://v2.3.0-rc.1"}), "Auto", True),
        (on(), "Auto", False),
        (on(ABLE, {**ABLE, "kubeletVersion": "v1.35.9"}), "Auto", False),
        (on(ABLE, {**ABLE, "containerRuntimeVersion": "containerd://2.2.1"}), "Auto", False),
        (on({**ABLE, "containerRuntimeVersion": "cri-o://1.36.0"}), "Auto", False),
        (on({**ABLE, "kubeletVersion": "fake"}), "Auto", False),
        (on({}), "ImageVolume", True),
        (on(ABLE), "InitContainer", False),
    ],
)
def test_the_guest_is_mounted_where_every_node_can(nodes: NodeSupport, delivery: Any, mounted: bool) -> None:
    spec = created(nodes=nodes, settings=Settings(guest=GuestSettings(delivery=delivery)))["spec"]

    (volume,) = (each for each in spec["volumes"] if each["name"] == "guest")
    assert ("image" in volume, "initContainers" in spec) == (mounted, not mounted)
    assert {"name": "guest", "mountPath": "/.sandkeeper/bin", "readOnly": True} in spec["containers"][0]["volumeMounts"]


def test_the_mounted_image_is_pulled_as_the_installation_says() -> None:
    settings = Settings(guest=GuestSettings("registry.example/guest:7", "Always", ("mirror",)))

    spec = created(nodes=on(ABLE), settings=settings, podTemplate={"spec": {"imagePullSecrets": [{"name": "own"}]}})[
        "spec"
    ]

    assert {"name": "guest", "image": {"reference": "registry.example/guest:7", "pullPolicy": "Always"}} in spec[
        "volumes"
    ]
    assert spec["imagePullSecrets"] == [{"name": "own"}, {"name": "mirror"}]


def test_what_copies_the_guest_has_no_privilege_and_leaves_the_pods_size_as_it_is() -> None:
    (copying,) = created()["spec"]["initContainers"]

    assert copying["command"] == ["/guest", "install", "/.sandkeeper/bin"]
    assert copying["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert copying["securityContext"]["allowPrivilegeEscalation"] is False
    # Requests equal to limits fit a pod that is Guaranteed, and make none that is not.
    assert copying["resources"]["limits"] == copying["resources"]["requests"]
    assert set(copying["resources"]["limits"]) == {"cpu", "memory", "ephemeral-storage"}


RAN = {"startupSeconds": 1.0}
PACKED = {"pack": {"time": "2026-03-01T12:00:00Z", "entries": 3, "bytes": 100}}


@pytest.mark.parametrize(
    ("spec", "status", "waits"),
    [
        ({}, {}, False),
        (INSTALLS, {}, True),
        ({"setup": "true"}, {}, True),
        (KEPT, {}, False),
        (KEPT, RAN | PACKED, True),
        (KEPT, RAN, True),
        (KEPT, RAN | {"asleep": {"since": "2026-03-01T12:00:00Z", "cause": "Requested", "generation": 1}}, False),
        (LOST, RAN, False),
    ],
    ids=[
        "bare",
        "packages",
        "setup",
        "first",
        "packed",
        "lost, perhaps with a pack",
        "slept without a pack",
        "nothing kept",
    ],
)
def test_a_pod_waits_for_a_guest_that_has_something_to_do(spec: Json, status: Json, waits: bool) -> None:
    assert ("startupProbe" in created(status, **spec)["spec"]["containers"][0]) is waits


@pytest.mark.parametrize(
    ("spec", "awaited"),
    [(KEPT, True), ({}, True), (LOST, False), (INSTALLS, False)],
    ids=["kept", "bare", "lost", "work"],
)
def test_a_guest_that_keeps_knows_what_was_there_before_anybody_comes(spec: Json, awaited: bool) -> None:
    container = created(**spec)["spec"]["containers"][0]

    assert ("lifecycle" in container) is awaited
    assert not awaited or container["lifecycle"] == {"postStart": {"exec": {"command": [GUEST, "await"]}}}


def test_a_guest_gets_as_long_as_the_installation_allows() -> None:
    probe = created(**INSTALLS)["spec"]["containers"][0]["startupProbe"]

    assert probe["exec"]["command"] == [GUEST, "ready"]
    assert probe["periodSeconds"] * probe["failureThreshold"] == 300


def test_how_the_guest_comes_and_whether_it_has_work_make_no_pod_outdated() -> None:
    def digests(settings: Settings = SETTINGS, **how: Any) -> list[str]:
        owner = sandbox(**KEPT)
        pod = sandbox_pod(owner, resolve(owner.spec), settings, user_namespace=False, **how)
        return [pod["metadata"]["annotations"][f"sandkeeper.dev/{name}"] for name in ("environment", "rendering")]

    assert digests() == digests(image_volumes=True, work_first=True)
    assert digests()[0] == digests(Settings(guest=GuestSettings(image="guest:8")))[0], "an upgrade restarts nothing"
    assert digests()[1] != digests(Settings(guest=GuestSettings(image="guest:8")))[1], "but it shows"
