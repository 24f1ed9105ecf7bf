"""How Secrets come into a sandbox's pod, and what a person is told of one that is not there."""

from datetime import timedelta
from typing import Any

import pytest

from sandkeeper.plan.sandbox import Plan
from sandkeeper.plan.volume import worth_asking
from unit.fakes.objects import CREATED, Json, observe, plan, pod_of, sandbox, told
from unit.plan.test_pod_rendering import container, rendered


def given(*secrets: Json, **more: Any) -> Json:
    return {"secrets": list(secrets), "workspace": {"type": "Ephemeral"}, **more}


def from_key(name: str, secret: str, key: str) -> Json:
    return {"name": name, "valueFrom": {"secretKeyRef": {"name": secret, "key": key}}}


def test_all_keys_of_a_secret_are_variables() -> None:
    seen = container(**given({"name": "openai"}, {"name": "smtp", "prefix": "MAIL_"}))

    assert seen["envFrom"] == [
        {"secretRef": {"name": "openai"}},
        {"prefix": "MAIL_", "secretRef": {"name": "smtp"}},
    ]
    assert "env" not in seen


def test_chosen_keys_are_variables_with_a_prefix_and_have_to_be_there() -> None:
    seen = container(**given({"name": "openai", "keys": ["KEY", "ORG"], "prefix": "OPENAI_"}))

    assert seen["env"] == [from_key("OPENAI_KEY", "openai", "KEY"), from_key("OPENAI_ORG", "openai", "ORG")]
    assert "envFrom" not in seen


def test_what_env_sets_counts_before_a_secret_and_can_refer_to_it() -> None:
    own = [{"name": "ORG", "value": "mine"}, {"name": "URL", "value": "https://$(KEY)@example.com"}]

    seen = container(**given({"name": "openai", "keys": ["KEY", "ORG"]}, env=own))

    assert seen["env"] == [from_key("KEY", "openai", "KEY"), *own]


def test_of_two_secrets_with_the_same_variable_the_last_one_counts() -> None:
    seen = container(**given({"name": "old", "keys": ["KEY"]}, {"name": "new", "keys": ["KEY"]}))

    assert seen["env"] == [from_key("KEY", "new", "KEY")]


def test_a_secret_that_gives_home_leaves_it_to_it() -> None:
    seen = container(**given({"name": "login", "keys": ["HOME"]}, security={"root": False}))

    assert seen["env"] == [from_key("HOME", "login", "HOME")]


def test_a_secret_is_mounted_read_only_under_its_name_or_where_it_is_asked_for() -> None:
    secrets = (
        {"name": "supabase", "as": "Files"},
        {"name": "env"},
        {"name": "tls", "as": "Files", "keys": ["tls.key", "tls.crt"], "mountPath": "/srv/tls"},
    )

    pod = rendered(**given(*secrets))["spec"]

    assert [each for each in pod["volumes"] if "secret" in each] == [
        {"name": "secret-0", "secret": {"secretName": "supabase", "optional": False, "defaultMode": 0o440}},
        {
            "name": "secret-1",
            "secret": {
                "secretName": "tls",
                "optional": False,
                "defaultMode": 0o440,
                "items": [{"key": "tls.crt", "path": "tls.crt"}, {"key": "tls.key", "path": "tls.key"}],
            },
        },
    ]
    mounts = [each for each in pod["containers"][0]["volumeMounts"] if each["name"].startswith("secret-")]
    assert mounts == [
        {"name": "secret-0", "mountPath": "/run/secrets/supabase", "readOnly": True},
        {"name": "secret-1", "mountPath": "/srv/tls", "readOnly": True},
    ]


@pytest.mark.parametrize("root", [True, False])
def test_files_belong_to_a_group_that_whoever_runs_the_image_is_in(root: bool) -> None:
    context = rendered(**given({"name": "a", "as": "Files"}, security={"root": root}))["spec"]["securityContext"]

    assert context["fsGroup"] == 1000


def test_variables_alone_need_no_group() -> None:
    assert "fsGroup" not in rendered(**given({"name": "a"}))["spec"]["securityContext"]


OWNER = sandbox(**given({"name": "supabase", "as": "Files"}, {"name": "tls", "as": "Files", "keys": ["tls.key"]}))


def mounting(seconds: float, news: str = "", owner: Any = OWNER) -> Plan:
    waits = [{"type": "PodReadyToStartContainers", "status": "False"}]
    pod = pod_of(owner, {"phase": "Pending", "startTime": CREATED.isoformat(), "conditions": waits})
    return plan(owner, CREATED + timedelta(seconds=seconds), pod=pod, volume_news=news)


SAID: list[tuple[str, str, str, str]] = [
    (
        "no Secret",
        'MountVolume.SetUp failed for volume "secret-0" : secret "supabase" not found',
        "SecretMissing",
        "Secret supabase is not there; the start goes on once it is.",
    ),
    (
        "no key",
        'MountVolume.SetUp failed for volume "secret-1" : references non-existent secret key: tls.key',
        "SecretMissing",
        "Secret tls has no key tls.key; the start goes on once it has.",
    ),
    (
        "a volume of something else",
        'MountVolume.SetUp failed for volume "other" : references non-existent secret key: x',
        "VolumeMountFailed",
        'The volume is not mounted on node n1: MountVolume.SetUp failed for volume "other" : references non-existent '
        "secret key: x.",
    ),
]


@pytest.mark.parametrize("workspace", [{"type": "Ephemeral"}, {"type": "Persistent"}])
@pytest.mark.parametrize(("news", "reason", "says"), [row[1:] for row in SAID], ids=[row[0] for row in SAID])
def test_what_a_kubelet_can_not_mount_is_told_by_secret_and_key(
    news: str, reason: str, says: str, workspace: Json
) -> None:
    owner = sandbox(secrets=[each.to_json() for each in OWNER.spec.secrets or ()], workspace=workspace)

    late = mounting(20, news, owner)

    assert told(late)["Ready"] == ("False", reason)
    assert late.state.message == says
    assert late.look_again == CREATED + timedelta(seconds=50)


def test_the_kubelet_is_asked_in_time() -> None:
    early = mounting(5)

    assert (early.state.reason, early.status) == ("Starting", {})
    assert early.look_again == CREATED + timedelta(seconds=15), "when it is first told that it is slow"
    waits = [{"type": "PodReadyToStartContainers", "status": "False"}]
    pod = pod_of(OWNER, {"phase": "Pending", "startTime": CREATED.isoformat(), "conditions": waits})
    assert worth_asking(observe(OWNER, pod=pod, claim=None), CREATED + timedelta(seconds=20)) == pod


def test_another_secret_makes_another_pod() -> None:
    before = sandbox(**given({"name": "openai"}))
    after = sandbox(**given({"name": "openai", "prefix": "A_"}), generation=2)

    seen = plan(after, pod=pod_of(before))

    assert "the environment changed" in seen.state.message
