"""What a sandbox gets of Secrets from all its layers, and what a clone does not get."""

from typing import Any

import pytest

from sandkeeper.api.resolve import captured_below, captured_layer, merge, resolve
from sandkeeper.api.sandbox import SandboxSpec
from sandkeeper.api.secrets import misplaced


def spec(**fields: Any) -> SandboxSpec:
    return SandboxSpec.model_validate(fields)


CAPTURED = captured_layer(
    spec(
        secrets=[{"name": "openai", "keys": ["KEY"], "onChange": "Restart"}, {"name": "smtp", "as": "Files"}],
        env=[
            {"name": "STAGE", "value": "prototyping"},
            {"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "github", "key": "token"}}},
        ],
    )
)


def references(*layers: SandboxSpec) -> list[str]:
    """Names of all Secrets that a sandbox refers to."""
    environment = resolve(*layers)
    sources = [each.value_from.secret_key_ref for each in environment.env if each.value_from]
    return [*(each.name for each in environment.secrets), *(each.name for each in sources if each)]


def test_what_is_left_out_gets_its_default() -> None:
    openai, smtp = resolve(spec(secrets=[{"name": "openai"}, {"name": "smtp", "as": "Files"}])).secrets

    assert openai.to_json() == {
        "name": "openai", "as": "Env", "keys": [], "prefix": "", "mountPath": "", "onChange": "Ignore",
    }  # fmt: skip
    assert (smtp.form, smtp.mount_path) == ("Files", "/run/secrets/smtp")


def test_secrets_merge_by_name_and_each_as_a_whole() -> None:
    template = spec(secrets=[{"name": "a", "as": "Files"}, {"name": "b", "keys": ["K"]}])

    secrets = resolve(template, spec(secrets=[{"name": "c"}, {"name": "a", "prefix": "A_"}])).secrets

    assert [(each.name, each.form, each.prefix) for each in secrets] == [
        ("a", "Env", "A_"), ("b", "Env", ""), ("c", "Env", ""),
    ]  # fmt: skip


def test_merging_is_associative() -> None:
    one, two, three = (spec(secrets=[{"name": name}]) for name in "aba")

    assert merge(merge(one, two), three) == merge(one, merge(two, three))


def test_a_snapshot_captures_references() -> None:
    assert references(captured_below(CAPTURED, spec())) == ["openai", "smtp", "github"]


def test_a_restored_sandbox_that_names_no_secrets_has_the_same_references() -> None:
    own = spec(image="python:3.13")

    assert references(captured_below(CAPTURED, own), own) == ["openai", "smtp", "github"]


@pytest.mark.parametrize(
    ("secrets", "names"),
    [([{"name": "openai-prod", "keys": ["KEY"]}], ["openai-prod"]), ([], [])],
    ids=["its own", "none"],
)
def test_a_clone_that_names_secrets_gets_none_of_the_captured_ones(secrets: list[Any], names: list[str]) -> None:
    own = spec(secrets=secrets)

    below = captured_below(CAPTURED, own)

    assert references(below, own) == names
    assert [each.name for each in resolve(below, own).env] == ["STAGE"], "what is no secret comes along"


def test_a_captured_login_goes_to_no_server_but_that_of_its_own_repository() -> None:
    mine, other = "https://git.example.com/app", "https://other.example.com/app"
    captured = spec(git={"repository": mine, "ref": "v1", "credentialsSecret": "github"})
    own = [spec(git=git) for git in ({"repository": mine}, {"branch": "b"}, {"repository": other})]

    seen = [resolve(captured_below(captured, each), each).git for each in own]

    assert [each and (each.repository, each.ref, each.credentials_secret) for each in seen] == [
        (mine, "v1", "github"), (mine, "v1", "github"), (other, None, None),
    ]  # fmt: skip


def test_a_clone_that_names_secrets_gets_the_repository_without_the_captured_login() -> None:
    captured = spec(git={"repository": "https://git.example.com/app", "credentialsSecret": "github"})
    without = spec(secrets=[])
    named = spec(secrets=[], git={"credentialsSecret": "github-prod"})

    seen = [resolve(captured_below(captured, own), own).git for own in (without, named)]

    assert [each and (each.repository, each.credentials_secret) for each in seen] == [
        ("https://git.example.com/app", None), ("https://git.example.com/app", "github-prod"),
    ]  # fmt: skip


def test_what_a_clone_captures_in_turn_has_its_own_secrets_alone() -> None:
    own = spec(secrets=[{"name": "openai-prod"}])

    assert references(captured_layer(captured_below(CAPTURED, own), own)) == ["openai-prod"]


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"secrets": [{"name": "a", "as": "Files", "mountPath": "/srv/a"}]}, ""),
        ({"secrets": [{"name": "a"}, {"name": "b", "as": "Files"}], "workspace": {"path": "/srv"}}, ""),
        (
            {"secrets": [{"name": "a", "as": "Files", "mountPath": "/data/keys"}], "workspace": {"path": "/data"}},
            "spec.secrets: Secret a can't be mounted at /data/keys, since /data is mounted too.",
        ),
        (
            {"secrets": [{"name": "a", "as": "Files", "mountPath": "/srv"}], "workspace": {"path": "/srv/work"}},
            "spec.secrets: Secret a can't be mounted at /srv, since /srv/work is mounted too.",
        ),
        (
            {"secrets": [{"name": "a", "as": "Files"}, {"name": "b", "as": "Files", "mountPath": "/run/secrets"}]},
            "spec.secrets: Secret b can't be mounted at /run/secrets, since /run/secrets/a is mounted too.",
        ),
        (
            {
                "secrets": [
                    {"name": "a", "as": "Files", "mountPath": "/srv/a"},
                    {"name": "b", "as": "Files", "mountPath": "/srv/a"},
                ]
            },
            "spec.secrets: Secret a can't be mounted at /srv/a, since /srv/a is mounted too.",
        ),
        (
            {
                "secrets": [{"name": "a", "as": "Files", "mountPath": "/srv/a"}],
                "security": {"writablePaths": ["/srv/a/cache"]},
            },
            "spec.secrets: Secret a can't be mounted at /srv/a, since /srv/a/cache is mounted too.",
        ),
    ],
)
def test_places_that_admission_does_not_see_in_conflict(fields: dict[str, Any], says: str) -> None:
    environment = resolve(spec(**fields))

    assert misplaced(environment.secrets, environment.workspace.path, environment.security.writable_paths or ()) == says
