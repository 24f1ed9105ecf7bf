"""SandboxDiffs as the apiserver lets them in: what kubectl's user reads, word for word."""

import json
from typing import Any

import pytest

from api.kubectl import Kubectl

FROM: dict[str, Any] = {"from": {"snapshotRef": {"name": "before"}}}


def manifest(spec: dict[str, Any], name: str = "changes") -> str:
    return json.dumps(
        {"apiVersion": "sandkeeper.dev/v1alpha1", "kind": "SandboxDiff", "metadata": {"name": name}, "spec": spec}
    )


@pytest.mark.parametrize(
    "spec",
    [
        FROM,
        FROM | {"to": {"snapshotRef": {"name": "after"}}},
        FROM | {"to": {"sandboxRef": {"name": "agent"}}, "expiresAfter": "24h"},
    ],
    ids=["now", "snapshot", "sandbox"],
)
def test_good_ones_are_kept_as_written(kubectl: Kubectl, spec: dict[str, Any]) -> None:
    kept = json.loads(kubectl("create", "--dry-run=server", "-o", "json", "-f", "-", given=manifest(spec)))

    assert kept["spec"] == spec
    assert [each["reason"] for each in kept["status"]["conditions"]] == ["Pending"]


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ({}, "spec.from: Required value"),
        ({"from": {}}, "spec.from.snapshotRef: Required value"),
        (
            {"from": {"snapshotRef": {"name": "No!"}}},
            'spec.from.snapshotRef.name: Invalid value: "No!": must be the name of an object: lower-case letters, '
            "digits, '-' and '.', such as after-data-processing",
        ),
        (
            FROM | {"to": {}},
            "spec.to: Invalid value: names what it is compared with: exactly one of snapshotRef and sandboxRef",
        ),
        (
            FROM | {"to": {"snapshotRef": {"name": "a"}, "sandboxRef": {"name": "b"}}},
            "spec.to: Invalid value: names what it is compared with: exactly one of snapshotRef and sandboxRef",
        ),
        (
            FROM | {"expiresAfter": "0s"},
            'spec.expiresAfter: Invalid value: "0s": must be longer than nothing; leave it out for no limit',
        ),
    ],
    ids=["nothing", "from nothing", "name", "to nothing", "to two", "no time"],
)
def test_bad_ones_are_refused_with_a_sentence(kubectl: Kubectl, spec: dict[str, Any], says: str) -> None:
    said = kubectl.refused("create", "--dry-run=server", "-f", "-", given=manifest(spec))

    assert says in said


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"from": {"snapshotRef": {"name": "other"}}}, "spec.from"),
        ({"to": {"sandboxRef": {"name": "other"}}}, "spec.to"),
    ],
    ids=["from", "to"],
)
def test_what_is_compared_can_t_be_changed(kubectl: Kubectl, change: dict[str, Any], field: str) -> None:
    kubectl("create", "-f", "-", given=manifest(FROM))
    try:
        said = kubectl.refused("patch", "sbxdiff", "changes", "--type=merge", "-p", json.dumps({"spec": change}))
        kubectl("patch", "sbxdiff", "changes", "--type=merge", "-p", '{"spec": {"expiresAfter": "24h"}}')
    finally:
        kubectl("delete", "sbxdiff", "changes")

    assert said == (
        f'The SandboxDiff "changes" is invalid: {field}: Forbidden: can\'t be changed: a diff is made once; make '
        "another one"
    )


def test_kubectl_explains_it(kubectl: Kubectl) -> None:
    assert "as it is now" in kubectl("explain", "sbxdiff.spec.to")
    assert "a JSON object a line" in kubectl("explain", "sbxdiff.status.podName")
