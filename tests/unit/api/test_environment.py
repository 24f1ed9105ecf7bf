"""The digest of an environment changes with what recreates a pod, and with nothing else."""

import subprocess
import sys
from typing import Any

import pytest

from sandkeeper.api.environment import Environment
from sandkeeper.api.resolve import resolve
from sandkeeper.api.sandbox import SandboxSpec


def environment(**fields: Any) -> Environment:
    return resolve(SandboxSpec.model_validate(fields))


PLAIN = environment().digest()
EPHEMERAL = environment(workspace={"type": "Ephemeral"}).digest()
PINNED = ("8bfb997a369aaafa", "e8b55a550090e6ab")


@pytest.mark.parametrize(
    "fields",
    [
        {"image": "python:3.13"},
        {"command": ["sleep", "1"]},
        {"args": []},
        {"workingDir": "/srv"},
        {"env": [{"name": "A"}]},
        {"git": {"repository": "https://git.example.com/app"}},
        {"env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}]},
        {"secrets": [{"name": "s"}]},
        {"workspace": {"path": "/data"}},
        {"workspace": {"keepPackages": False}},
        {"security": {"runtimeClassName": "gvisor"}},
        {"security": {"root": False}},
        {"security": {"userNamespace": "Required"}},
        {"security": {"writablePaths": []}},
        {"security": {"writablePaths": ["/opt/a"]}},
        {"podTemplate": {"spec": {"nodeSelector": {"a": "b"}}}},
        {"podTemplate": {"spec": {"affinity": {"nodeAffinity": {}}}}},
        {"podTemplate": {"spec": {"terminationGracePeriodSeconds": 0}}},
    ],
)
def test_what_recreates_the_pod_changes_the_digest(fields: dict[str, Any]) -> None:
    assert environment(**fields).digest() != PLAIN


@pytest.mark.parametrize(
    "fields",
    [
        {"resources": {"limits": {"cpu": 4}}},
        {"ports": [{"name": "web", "port": 80}]},
        {"egress": {"domains": ["a.example"], "cidrs": [{"cidr": "10.1.0.0/16"}]}},
        {"podTemplate": {"metadata": {"labels": {"a": "b"}, "annotations": {"c": "d"}}}},
        {"podTemplate": {}},
        {"workspace": {"size": "10240Mi"}},
        {"image": "ubuntu:22.04", "env": []},
        {"security": {"root": True, "userNamespace": "Auto"}},
    ],
)
def test_what_changes_in_place_or_not_at_all_keeps_the_digest(fields: dict[str, Any]) -> None:
    assert environment(**fields).digest() == PLAIN


@pytest.mark.parametrize("field", [{"size": "20Gi"}, {"storageClassName": "fast"}, {"reclaimPolicy": "Retain"}])
def test_what_is_a_volume_s_own_is_no_reason_for_another_pod(field: dict[str, Any]) -> None:
    assert environment(workspace=field).digest() == PLAIN


def test_the_size_of_a_workspace_on_the_node_s_disk_is_the_pod_s() -> None:
    assert environment(workspace={"type": "Ephemeral", "size": "20Gi"}).digest() != EPHEMERAL


def test_the_order_of_keys_does_not_matter_and_that_of_variables_does() -> None:
    one, other = ({"name": "A", "value": "1"}, {"name": "B", "value": "$(A)"})

    sorted_keys = environment(podTemplate={"spec": {"nodeSelector": {"a": "", "b": ""}}})
    other_keys = environment(podTemplate={"spec": {"nodeSelector": {"b": "", "a": ""}}})

    assert sorted_keys.digest() == other_keys.digest()
    assert environment(env=[one, other]).digest() != environment(env=[other, one]).digest()


def test_the_order_of_writable_paths_does_not_matter() -> None:
    one, other = (environment(security={"writablePaths": paths}) for paths in (["/opt/a", "/srv"], ["/srv", "/opt/a"]))

    assert one.digest() == other.digest()


def test_a_field_that_a_later_version_adds_does_not_change_the_digest() -> None:
    class Later(Environment):
        user_namespace: str = "Auto"

    assert Later.model_validate(environment().model_dump()).digest() == PLAIN


def test_the_digest_is_the_same_in_another_process() -> None:
    program = "from sandkeeper.api.resolve import resolve; print(resolve().digest())"

    # An interpreter of its own, with its own hash seed.
    path = {"PYTHONPATH": ":".join(sys.path)}
    printed = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env=path)

    assert printed.stdout.strip() == PLAIN
    assert len(PLAIN) == 16
    assert (PLAIN, EPHEMERAL) == PINNED, "this version would recreate the pods of every running sandbox"
