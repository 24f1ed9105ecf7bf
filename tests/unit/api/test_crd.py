"""The CRD is what the models say, and what is committed is the CRD."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from sandkeeper.api import crd

ROOT = Path(__file__).parents[3]


def _nodes(schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    yield path, schema
    for name, field in schema.get("properties", {}).items():
        yield from _nodes(field, f"{path}.{name}")
    for key in ("items", "additionalProperties"):
        if key in schema:
            yield from _nodes(schema[key], f"{path}[]")


SCHEMA = crd.object_schema(crd.SANDBOX)
NODES = dict(_nodes(SCHEMA))
SPEC = {path: node for path, node in NODES.items() if path.startswith(".spec")}


def test_what_is_committed_is_what_the_models_generate() -> None:
    assert crd.main(["--check", f"--root={ROOT}"]) == 0


def test_generating_writes_both_copies_and_checking_tells_when_one_differs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert crd.main(["--check", f"--root={tmp_path}"]) == 1
    assert crd.main([f"--root={tmp_path}"]) == 0
    assert crd.main(["--check", f"--root={tmp_path}"]) == 0
    capsys.readouterr()

    copy = tmp_path / "charts/sandkeeper/files/crds/sandkeeper.dev_sandboxes.yaml"
    copy.write_text(copy.read_text() + "# by hand\n")

    assert crd.main(["--check", f"--root={tmp_path}"]) == 1
    assert capsys.readouterr().out.splitlines()[len(crd.KINDS) :] == [
        "charts/sandkeeper/files/crds/sandkeeper.dev_sandboxes.yaml: out of date, run hack/generate"
    ]


def test_the_file_holds_one_definition_without_anchors() -> None:
    text = crd.rendered(crd.SANDBOX)

    assert yaml.safe_load(text)["metadata"]["name"] == "sandboxes.sandkeeper.dev"
    assert not any(isinstance(token, yaml.AnchorToken) for token in yaml.scan(text))


def test_a_kind_without_models_says_nothing_but_that_it_is_there() -> None:
    version = crd.definition(crd.FENCE)["spec"]["versions"][0]

    assert set(version["schema"]["openAPIV3Schema"]["properties"]) == {"apiVersion", "kind", "metadata"}
    assert "subresources" not in version


def test_nothing_below_spec_has_a_default() -> None:
    assert [path for path, node in SPEC.items() if "default" in node] == []


def test_every_field_is_described() -> None:
    fields = [path for path in NODES if path and not path.endswith("[]") and not path.startswith(".metadata")]

    assert [path for path in fields if not NODES[path].get("description", "").endswith(".")] == []


def test_every_optional_field_of_the_spec_names_its_default_in_words() -> None:
    required = {f"{path}.{name}" for path, node in NODES.items() for name in node.get("required", ())}
    # Choices of which one is made, and the two halves of podTemplate, whose fields name theirs.
    silent = {path for path in SPEC if ".valueFrom" in path or ".labelSelector." in path}
    silent |= {".spec.podTemplate.metadata", ".spec.podTemplate.spec"}
    optional = {path for path in SPEC if not path.endswith("[]")} - required - silent

    assert [path for path in sorted(optional) if "default: " not in NODES[path]["description"].lower()] == []


def test_everything_that_a_user_can_repeat_is_bounded() -> None:
    bound = {"array": "maxItems", "string": "maxLength"}
    unbounded = [
        path
        for path, node in SPEC.items()
        if (key := bound.get(node.get("type", ""))) and key not in node and "enum" not in node
    ]
    maps = [path for path, node in SPEC.items() if "additionalProperties" in node and "maxProperties" not in node]

    assert unbounded + maps == []


def test_lists_with_names_are_maps_to_server_side_apply() -> None:
    keys = {path: node.get("x-kubernetes-list-map-keys") for path, node in NODES.items()}

    assert keys[".spec.env"] == ["name"]
    assert keys[".spec.ports"] == ["name"]
    assert keys[".status.conditions"] == ["type"]


def test_the_schema_stays_small() -> None:
    # Nine KiB of it are the sentences of refusals.
    assert crd.schema_bytes(crd.SANDBOX, descriptions=False) < 48 * 1024
