"""What a sandbox can't become: the table holds what was written, what is written then, and what is said."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from api.kubectl import Kubectl

CASES = yaml.safe_load((Path(__file__).parent / "transitions.yaml").read_text())


def manifest(spec: dict[str, Any]) -> str:
    kind = {"apiVersion": "sandkeeper.dev/v1alpha1", "kind": "Sandbox"}
    return json.dumps({**kind, "metadata": {"name": "turning"}, "spec": spec})


@pytest.mark.parametrize("case", CASES, ids=[f"{case['before']} to {case['after']}" for case in CASES])
def test_what_is_fixed_is_refused_with_a_sentence(kubectl: Kubectl, case: dict[str, Any]) -> None:
    kubectl("create", "-f", "-", given=manifest(case["before"]))
    try:
        said = kubectl.refused("replace", "--dry-run=server", "-f", "-", given=manifest(case["after"]))
    finally:
        kubectl("delete", "sbx", "turning")

    assert said == f'The Sandbox "turning" is invalid: {case["says"]}'
