"""Figures that pages tell, from where they count: the schema, the chart, and constants of the code."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import yaml

from reference.objects import Schema, walk
from sandkeeper.api import crd
from sandkeeper.api.kind import Kind

_CHART: Final = Path("charts/sandkeeper")
_COUNTS: Final = {"maxItems": "entries", "maxProperties": "keys"}


@dataclass(frozen=True)
class Bound:
    """What the schema bounds of a field."""

    path: str
    most: str


@dataclass(frozen=True)
class Figures:
    """Looks figures up; one that is not there is an error.

    Parameters
    ----------
    root
        Top of the checkout.
    """

    root: Path

    @cached_property
    def values(self) -> dict[str, Any]:
        """Defaults of the chart's values."""
        found: dict[str, Any] = yaml.safe_load((self.root / _CHART / "values.yaml").read_text())
        return found

    @cached_property
    def chart(self) -> dict[str, Any]:
        """What Chart.yaml says."""
        found: dict[str, Any] = yaml.safe_load((self.root / _CHART / "Chart.yaml").read_text())
        return found

    @cached_property
    def _schema(self) -> Schema:
        found: Schema = json.loads((self.root / _CHART / "values.schema.json").read_text())
        return found

    def value(self, path: str) -> Any:
        """Give the default of a value of the chart, by a path such as ``guest.packs``."""
        found: Any = self.values
        for part in path.split("."):
            found = found[part]
        return found

    def allowed(self, path: str) -> str:
        """Give what the chart's schema allows a value to be, in words."""
        node = self._schema
        for part in path.split("."):
            node = node["properties"][part]
        if "maxItems" in node:
            return f"at most {node['maxItems']} entries"
        above = f"above {node['exclusiveMinimum']}" if "exclusiveMinimum" in node else node["minimum"]
        return f"{above} to {node['maximum']}"

    def bounds(self, kind: Kind, leave_out: str) -> Iterator[Bound]:
        """Give how many entries and keys the fields of a kind's spec may have.

        Parameters
        ----------
        leave_out
            Path of what is left to the kind's page.
        """
        for path, node in walk(crd.object_schema(kind)["properties"]["spec"], "spec"):
            most = [f"{node[key]} {word}" for key, word in _COUNTS.items() if key in node]
            if most and not path.startswith(leave_out):
                yield Bound(path, most[0])

    def field(self, kind: Kind, path: str) -> Schema:
        """Give the schema of a field of a kind's spec."""
        return dict(walk(crd.object_schema(kind)["properties"]["spec"], "spec"))[path]
