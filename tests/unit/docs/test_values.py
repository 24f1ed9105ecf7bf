"""Every value of the chart that the documentation names is one, and so is every setting that the chart's table has."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from unit.chart.rendering import CHART
from unit.docs.pages import DOCS

VALUES: dict[str, Any] = yaml.safe_load((CHART / "values.yaml").read_text())
PAGES = [DOCS.parent / "README.md", *sorted(DOCS.rglob("*.md"))]


def exists(name: str) -> bool:
    """Whether there is a value of a name such as ``gateway.drain.seconds``, or any below ``gateway.audit.*``."""
    found: Any = VALUES
    for part in name.removesuffix(".*").split("."):
        if not isinstance(found, dict) or part not in found:
            return False
        found = found[part]
    return isinstance(found, dict) or not name.endswith(".*")


def named(cell: str) -> Iterator[str]:
    """Names in a cell; one that begins with a dot is beside the one before it."""
    before = ""
    for name in re.findall(r"`([^`]+)`", cell):
        before = before.removesuffix(".*").rpartition(".")[0] + name if name.startswith(".") else name
        yield before


def test_the_table_of_values_names_values() -> None:
    table = (DOCS / "install.md").read_text().partition("| value | default | meaning |\n")[2].partition("\n\n")[0]
    names = [name for row in table.splitlines()[1:] for name in named(row.split("|")[1])]

    assert len(names) > 30
    assert [name for name in names if not exists(name)] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_name_that_begins_as_a_value_does_is_one(page: Any) -> None:
    names = re.findall(r"`([a-z][A-Za-z]+(?:\.[a-z][A-Za-z]+)+(?:\.\*)?)(?::[^`]*)?`", page.read_text())
    # Those two are fields of a Sandbox as well.
    ours = [name for name in names if name.partition(".")[0] in VALUES.keys() - {"secrets", "resources"}]

    assert [name for name in ours if not exists(name)] == []
