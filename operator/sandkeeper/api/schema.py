"""From models to the structural OpenAPI schema of a CRD.

What pydantic generates is close. A structural schema has no references, says nothing of null (a null is refused), and
has no titles; and below ``spec`` nothing may have a default, or resolving could not tell what was written.
"""

from typing import Any

from pydantic import BaseModel

from .model import JsonSchema

_INT_OR_STRING = "x-kubernetes-int-or-string"
_RULES = "x-kubernetes-validations"
_LEFT_OUT = {"title", "default", "$defs"}
_PRESERVE = "x-kubernetes-preserve-unknown-fields"


def structural(model: type[BaseModel]) -> JsonSchema:
    """Generate the structural schema of a model.

    Parameters
    ----------
    model
        A model whose fields carry descriptions and, as ``json_schema_extra``, the checks of the apiserver.

    Returns
    -------
    JsonSchema
        Schema with every reference spelled out.
    """
    generated = model.model_json_schema(by_alias=True)
    return _structural(generated, generated.get("$defs", {}))


def _structural(node: JsonSchema, definitions: JsonSchema) -> JsonSchema:
    node = _without_null(node)
    if "$ref" in node:
        node = _laid_over(definitions[node["$ref"].rsplit("/", 1)[-1]], node)
    # In the order that a reader wants: what it is, what it is for, what is in it.
    result: JsonSchema = {key: node[key] for key in ("type", "description") if key in node}
    result |= {
        key: _nested(key, value, definitions) for key, value in node.items() if key not in _LEFT_OUT | result.keys()
    }
    if node.get(_INT_OR_STRING):
        result.pop("type", None)
    if node.get(_PRESERVE):
        result.pop("additionalProperties", None)
    return result


def _without_null(node: JsonSchema) -> JsonSchema:
    """Reduce "this or null" to this: a field that was not written is absent, never null."""
    if "anyOf" not in node:
        return node
    (kind,) = (choice for choice in node["anyOf"] if choice.get("type") != "null")
    return _laid_over(kind, node)


def _laid_over(kind: JsonSchema, field: JsonSchema) -> JsonSchema:
    """Join what a type says of itself with what the field of that type adds: the field wins, but rules add up."""
    own = {key: value for key, value in field.items() if key not in ("$ref", "anyOf")}
    rules = [*kind.get(_RULES, ()), *own.get(_RULES, ())]
    return {**kind, **own} | ({_RULES: rules} if rules else {})


def _nested(key: str, value: Any, definitions: JsonSchema) -> Any:
    if key == "properties":
        return {name: _structural(field, definitions) for name, field in value.items()}
    if key in ("items", "additionalProperties") and isinstance(value, dict):
        return _structural(value, definitions)
    return value
