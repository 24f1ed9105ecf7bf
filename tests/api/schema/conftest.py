"""How the schema's tests ask the apiserver: by a dry run, which checks everything and keeps nothing."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from api.kubectl import Kubectl

Create = Callable[..., Any]

# The apiserver adds this where a type, an enum or a missing field keeps it from evaluating rules.
_RULES_NOT_CHECKED = (
    "* <nil>: Invalid value: null: some validation rules were not checked because the object was invalid; "
    "correct the existing errors to complete validation"
)


def manifest(spec: dict[str, Any], name: str, kind: str = "Sandbox") -> str:
    """Write an object of one of our kinds down."""
    given = {"apiVersion": "sandkeeper.dev/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec}
    # JSON, for YAML's readers differ on what a bare 1e9 is.
    return json.dumps(given)


@pytest.fixture(scope="session")
def refusal(kubectl: Kubectl) -> Create:
    """Create an object with the given spec, and return the sentences by which it was refused, one a line."""

    def refusal(spec: dict[str, Any], name: str = "agent", kind: str = "Sandbox") -> str:
        said = kubectl.refused("create", "--dry-run=server", "-f", "-", given=manifest(spec, name, kind))
        lines = said.removeprefix(f'The {kind} "{name}" is invalid: ').strip().splitlines()
        return "\n".join(line.removeprefix("* ") for line in lines if line != _RULES_NOT_CHECKED)

    return refusal


@pytest.fixture(scope="session")
def accepted(kubectl: Kubectl) -> Create:
    """Create an object with the given spec, and return it as the apiserver would keep it."""

    def accepted(spec: dict[str, Any], name: str = "agent", kind: str = "Sandbox") -> Any:
        given = manifest(spec, name, kind)
        return json.loads(kubectl("create", "--dry-run=server", "-o", "json", "-f", "-", given=given))

    return accepted
