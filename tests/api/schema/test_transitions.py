"""What an object can't become: the table holds what was written, what is written then, and what is said."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from api.kubectl import Kubectl
from api.schema.conftest import manifest

CASES = yaml.safe_load((Path(__file__).parent / "transitions.yaml").read_text())

NAME = "turning"


@pytest.mark.parametrize("case", CASES, ids=[f"{case['before']} to {case['after']}" for case in CASES])
def test_what_is_fixed_is_refused_with_a_sentence(kubectl: Kubectl, case: dict[str, Any]) -> None:
    kind = case.get("kind", "Sandbox")
    kubectl("create", "-f", "-", given=manifest(case["before"], NAME, kind))
    try:
        said = kubectl.refused("replace", "--dry-run=server", "-f", "-", given=manifest(case["after"], NAME, kind))
    finally:
        kubectl("delete", kind.lower(), NAME)

    assert said == f'The {kind} "{NAME}" is invalid: {case["says"]}'


def test_how_long_a_snapshot_is_kept_may_change(kubectl: Kubectl) -> None:
    spec = {"sandboxRef": {"name": "agent"}, "expiresAfter": "1h"}
    kubectl("create", "-f", "-", given=manifest(spec, NAME, "SandboxSnapshot"))

    kubectl("replace", "-f", "-", given=manifest({**spec, "expiresAfter": "2h"}, NAME, "SandboxSnapshot"))

    kubectl("delete", "sbxsnap", NAME)
