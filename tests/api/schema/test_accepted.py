"""Good input is let in and kept as it was written: nothing below ``spec`` is added, changed or dropped."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from api.schema.conftest import Create
from sandkeeper.api.names import API_VERSION
from sandkeeper.api.sandbox import SandboxSpec
from unit.docs.pages import DOCS, manifests, parts

FOLDER = Path(__file__).parent
CASES = yaml.safe_load((FOLDER / "accepted.yaml").read_text())
SNAPSHOTS = yaml.safe_load((FOLDER / "accepted-snapshots.yaml").read_text())
FIELDS = {field.alias or name for name, field in SandboxSpec.model_fields.items()}

EXAMPLES = sorted((DOCS / "examples").glob("*.yaml"))
PAGES = sorted(page.name for page in DOCS.glob("*.md"))
SHOWN = [each for page in PAGES for each in manifests(page) if each["apiVersion"] == API_VERSION]
"""Whole objects of ours that guides show."""
PARTS = [each for page in PAGES if page != "security.md" for each in parts(page) if each.keys() <= {"spec", *FIELDS}]
"""Parts of a Sandbox that they show; those on the page on security are a NetworkPolicy's."""


@pytest.mark.parametrize("spec", CASES, ids=[yaml.safe_dump(spec, width=1000).strip() for spec in CASES])
def test_good_input_is_kept_as_written(accepted: Create, spec: dict[str, Any]) -> None:
    assert accepted(spec)["spec"] == spec


@pytest.mark.parametrize("spec", SNAPSHOTS, ids=[yaml.safe_dump(spec, width=1000).strip() for spec in SNAPSHOTS])
def test_a_good_snapshot_is_kept_as_written(accepted: Create, spec: dict[str, Any]) -> None:
    assert accepted(spec, kind="SandboxSnapshot")["spec"] == spec


@pytest.mark.parametrize("name", ["a", "agent-1", "a" * 52])
def test_a_name_that_children_can_bear_is_good(accepted: Create, name: str) -> None:
    assert accepted({}, name)["metadata"]["name"] == name


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_of_the_documentation_is_good(kubectl: Any, example: Path) -> None:
    kept = yaml.safe_load_all(kubectl("create", "--dry-run=server", "-o", "yaml", "-f", str(example)))

    assert [each["spec"] for each in kept] == [each["spec"] for each in yaml.safe_load_all(example.read_text())]


@pytest.mark.parametrize("shown", SHOWN, ids=lambda each: f"{each['kind']}-{each['metadata']['name']}")
def test_an_object_that_a_guide_shows_is_good(accepted: Create, shown: dict[str, Any]) -> None:
    assert accepted(shown["spec"], shown["metadata"]["name"], shown["kind"])["spec"] == shown["spec"]


@pytest.mark.parametrize("shown", PARTS, ids=lambda each: "-".join(each.get("spec", each)))
def test_a_part_of_a_sandbox_that_a_guide_shows_is_good(accepted: Create, shown: dict[str, Any]) -> None:
    spec = shown.get("spec", shown)

    assert accepted(spec)["spec"] == spec


def test_a_generated_name_is_good(kubectl: Any) -> None:
    manifest = "{apiVersion: sandkeeper.dev/v1alpha1, kind: Sandbox, metadata: {generateName: agent-}, spec: {}}"

    assert kubectl("create", "--dry-run=server", "-f", "-", given=manifest).startswith("sandbox.sandkeeper.dev/agent-")
