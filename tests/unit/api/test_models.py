"""The models read what the apiserver let in, and give back what was written."""

import pytest
from pydantic import ValidationError

from sandkeeper.api.names import child_labels, pod_name, ports_policy_name, service_name
from sandkeeper.api.sandbox import Sandbox

OBJECT = {
    "apiVersion": "sandkeeper.dev/v1alpha1",
    "kind": "Sandbox",
    "metadata": {
        "name": "agent",
        "namespace": "team",
        "uid": "1234",
        "generation": 3,
        "resourceVersion": "77",
        "creationTimestamp": "2026-01-01T00:00:00Z",
        "deletionTimestamp": "2026-01-02T00:00:00Z",
        "labels": {"team": "leads"},
        "managedFields": [{"manager": "kubectl"}],
    },
    "spec": {
        "image": "python:3.13",
        "resources": {"limits": {"cpu": 2, "memory": "4Gi"}},
        "podTemplate": {"spec": {"affinity": {"nodeAffinity": {"x": [1]}}}},
        "fieldOfALaterVersion": {"a": 1},
    },
    "status": {
        "podIP": "10.0.0.7",
        "startupSeconds": 1,
        "conditions": [
            {
                "type": "Ready",
                "status": "Unknown",
                "reason": "Pending",
                "message": "Waiting for the operator.",
                "lastTransitionTime": "1970-01-01T00:00:00Z",
            }
        ],
    },
}


def test_an_object_is_read_by_its_json_names() -> None:
    sandbox = Sandbox.model_validate(OBJECT)

    assert (sandbox.metadata.name, sandbox.metadata.generation, sandbox.metadata.resource_version) == ("agent", 3, "77")
    assert sandbox.metadata.creation_timestamp is not None
    assert sandbox.metadata.creation_timestamp.isoformat() == "2026-01-01T00:00:00+00:00"
    assert sandbox.metadata.deletion_timestamp is not None
    assert sandbox.metadata.labels == {"team": "leads"}
    assert sandbox.metadata.annotations == {}
    assert sandbox.status.pod_ip == "10.0.0.7"
    assert sandbox.status.conditions[0].reason == "Pending"


def test_a_bare_number_is_a_quantity() -> None:
    sandbox = Sandbox.model_validate(OBJECT)

    assert sandbox.spec.resources is not None
    assert sandbox.spec.resources.limits == {"cpu": "2", "memory": "4Gi"}


def test_fields_of_a_newer_version_are_passed_over() -> None:
    assert Sandbox.model_validate(OBJECT).spec.to_json() == {
        "image": "python:3.13",
        "resources": {"limits": {"cpu": "2", "memory": "4Gi"}},
        "podTemplate": {"spec": {"affinity": {"nodeAffinity": {"x": [1]}}}},
    }


def test_status_is_written_by_its_json_names() -> None:
    assert Sandbox.model_validate(OBJECT).status.to_json() == OBJECT["status"]


def test_what_was_not_written_stays_unwritten() -> None:
    fresh = Sandbox.model_validate({"metadata": {"name": "agent"}, "spec": {}})

    assert fresh.spec.to_json() == {}
    assert fresh.status.to_json() == {"conditions": []}


def test_models_do_not_change() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        setattr(Sandbox.model_validate(OBJECT).spec, "image", "other")  # noqa: B010 - mypy knows that it can't be set


def test_children_are_named_after_their_sandbox() -> None:
    assert (pod_name("agent"), service_name("agent"), ports_policy_name("agent")) == ("sbx-agent", "agent", "sbx-agent")
    assert child_labels("agent") == {"sandkeeper.dev/managed": "true", "sandkeeper.dev/sandbox": "agent"}


def test_the_longest_name_still_fits_a_label_and_a_host_name() -> None:
    assert len(pod_name("a" * 52)) <= 63
