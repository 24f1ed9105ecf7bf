"""From a kind's schema to what a page shows of it: a table for each object, and the rules that the apiserver holds."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

Schema = dict[str, Any]

RULES: Final = "x-kubernetes-validations"
_SCALARS: Final = {"string": "string", "integer": "integer", "number": "number", "boolean": "boolean"}
_DEFAULT: Final = "Default: "
_FIXED: Final = "can't be changed"


@dataclass(frozen=True)
class Row:
    """A field of an object.

    Attributes
    ----------
    kind
        Its type and bounds, as Markdown.
    default
        In words; ``required`` where there is none.
    demands
        What the apiserver says where it demands more than type and bounds.
    """

    name: str
    kind: str
    default: str
    what: str
    demands: tuple[str, ...]


@dataclass(frozen=True)
class Section:
    """An object, by the path to it from the top of its kind's objects."""

    path: str
    what: str
    rows: tuple[Row, ...]
    demands: tuple[str, ...]


@dataclass(frozen=True)
class Rule:
    """A rule in CEL, and everywhere that it holds."""

    paths: tuple[str, ...]
    message: str
    cel: str


@dataclass
class Places:
    """Where objects are explained, so that one that comes again is linked to.

    Attributes
    ----------
    known
        Page and path, by the object's schema.
    """

    known: dict[str, tuple[str, str]] = field(default_factory=dict)

    def place(self, node: Schema, page: str, path: str) -> tuple[str, str]:
        """Page and path of an object's explanation, which is here where there is none yet."""
        parts = {key: node.get(key) for key in ("properties", "required", RULES)}
        return self.known.setdefault(json.dumps(parts, sort_keys=True), (page, path))


def anchor(path: str) -> str:
    """Fragment of a heading that is a path, as GitHub makes it."""
    return re.sub(r"[^a-z0-9]", "", path.lower())


def sections(schema: Schema, top: str, page: str, places: Places) -> Iterator[Section]:
    """Give the objects below a field of a kind's objects, each before those within it.

    Parameters
    ----------
    top
        ``spec`` or ``status``.
    page
        Name of the page's file.
    """
    yield from _sections(schema["properties"][top], top, page, places)


def _sections(node: Schema, path: str, page: str, places: Places) -> Iterator[Section]:
    if places.place(node, page, path) != (page, path):
        return
    rows = tuple(_row(node, name, path, page, places) for name in node["properties"])
    yield Section(path, _described(node)[0], rows, tuple(_messages(node)))
    for name, child in node["properties"].items():
        inner, inner_path = _object(child, f"{path}.{name}")
        if inner:
            yield from _sections(inner, inner_path, page, places)


def _row(parent: Schema, name: str, path: str, page: str, places: Places) -> Row:
    node = parent["properties"][name]
    what, default = _described(node)
    inner, inner_path = _object(node, f"{path}.{name}")
    link = _link(places.place(inner, page, inner_path), page) if inner else ""
    own = [] if inner is node else _messages(node)
    entries = [] if inner else [*_messages(_of(node, "items")), *_messages(_of(node, "additionalProperties"))]
    demands = (*own, *(f"each {text}" for text in entries), *_aimed(parent, name))
    required = name in parent.get("required", ())
    fixed = ", fixed" if any(text.startswith(_FIXED) for text in demands) else ""
    return Row(name, _kind(node, link) + fixed, "required" if required else default, what, demands)


def _described(node: Schema) -> tuple[str, str]:
    """Give what a field is for, and the default that its description ends with."""
    what, _, default = node.get("description", "").partition(_DEFAULT)
    return what.strip(), default.removesuffix(".")


def _object(node: Schema, path: str) -> tuple[Schema, str]:
    """Give the object with named fields that a field holds, or holds many of; empty for none."""
    for inner, end in ((node, ""), (_of(node, "items"), "[]"), (_of(node, "additionalProperties"), "{}")):
        if "properties" in inner:
            return inner, path + end
    return {}, path


def _of(node: Schema, key: str) -> Schema:
    inner = node.get(key)
    return inner if isinstance(inner, dict) else {}


def _link(place: tuple[str, str], page: str) -> str:
    there, path = place
    return f"[{{}}]({'' if there == page else there}#{anchor(path)})"


def _kind(node: Schema, link: str) -> str:
    return ", ".join([_noun(node, link), *_bounds(node)])


def _noun(node: Schema, link: str) -> str:
    """Name a type; of lists and maps, of what they are."""
    if "enum" in node:
        return _choice([f"`{each}`" for each in node["enum"]])
    if node.get("x-kubernetes-int-or-string"):
        return "quantity"
    if node.get("type") == "array":
        return f"list of {_many(node['items'], link)}"
    if "additionalProperties" in node:
        return f"map of {_many(node['additionalProperties'], link)}"
    if link:
        return link.format("object")
    return _SCALARS.get(node.get("type", ""), "object, of any fields")


def _choice(words: list[str]) -> str:
    *most, last = words
    return f"{', '.join(most)} or {last}" if most else last


def _many(node: Schema, link: str) -> str:
    if link:
        return link.format("objects")
    noun = _noun(node, "")
    many = {"quantity": "quantities"}.get(noun, f"{noun}s" if noun in _SCALARS else noun)
    bounds = ", ".join(_bounds(node))
    return f"{many} ({bounds})" if bounds else many


def _bounds(node: Schema) -> list[str]:
    """Say what a schema bounds beside rules; the length of a quantity says nothing to anybody."""
    if "enum" in node or node.get("x-kubernetes-int-or-string"):
        return []
    words = {
        "maxItems": "at most {} entries",
        "minItems": "at least {}",
        "maxProperties": "at most {} keys",
        "maxLength": "at most {} characters",
        "minimum": "from {}",
        "maximum": "to {}",
        "pattern": "matching `{}`",
    }
    said = [text.format(node[key]) for key, text in words.items() if key in node]
    keys = node.get("x-kubernetes-list-map-keys")
    each = ["each once"] if node.get("x-kubernetes-list-type") == "set" else []
    return [*said, *([f"by `{'`, `'.join(keys)}`"] if keys else []), *each]


def _messages(node: Schema) -> list[str]:
    return [each["message"] for each in node.get(RULES, ()) if "fieldPath" not in each]


def _aimed(node: Schema, name: str) -> Iterator[str]:
    """Give the messages of an object's rules that speak of one of its fields, or of what is in that."""
    for each in node.get(RULES, ()):
        field_name, _, rest = each.get("fieldPath", "").removeprefix(".").partition(".")
        if field_name == name:
            yield f"{rest} {each['message']}" if rest else each["message"]


def walk(node: Schema, path: str) -> Iterator[tuple[str, Schema]]:
    """Give every schema at and below a path."""
    yield path, node
    for name, child in node.get("properties", {}).items():
        yield from walk(child, f"{path}.{name}")
    for key, end in (("items", "[]"), ("additionalProperties", "{}")):
        if _of(node, key):
            yield from walk(_of(node, key), path + end)


def rules(schema: Schema, top: str) -> tuple[Rule, ...]:
    """Give the rules at and below a field, each once."""
    found: dict[tuple[str, str], list[str]] = {}
    for path, node in walk(schema["properties"][top], top):
        for each in node.get(RULES, ()):
            where = path + each.get("fieldPath", "")
            found.setdefault((each["message"], each["rule"]), []).append(where)
    return tuple(Rule(tuple(dict.fromkeys(paths)), *words) for words, paths in found.items())
