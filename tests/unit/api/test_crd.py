"""The CRD is what the models say, and what is committed is the CRD."""

from collections.abc import Iterator
from typing import Any

import orjson
import yaml

from sandkeeper.api import crd


def _nodes(schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    yield path, schema
    for name, field in schema.get("properties", {}).items():
        yield from _nodes(field, f"{path}.{name}")
    for key in ("items", "additionalProperties"):
        if key in schema:
            yield from _nodes(schema[key], f"{path}[]")


def _undescribed(node: Any) -> Any:
    """Leave out what the apiserver keeps for people alone."""
    if isinstance(node, dict):
        return {
            key: _undescribed(value)
            for key, value in node.items()
            # A field may be called "description" too; its value is a schema then.
            if not (key == "description" and isinstance(value, str))
        }
    return [_undescribed(item) for item in node] if isinstance(node, list) else node


SCHEMA = crd.object_schema(crd.SANDBOX)
NODES = dict(_nodes(SCHEMA))
SPEC = {path: node for path, node in NODES.items() if path.startswith(".spec")}


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
    assert len(orjson.dumps(_undescribed(SCHEMA))) < 48 * 1024
