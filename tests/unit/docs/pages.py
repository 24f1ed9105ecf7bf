"""What pages of the documentation show as YAML: whole manifests, and parts of a Sandbox."""

import re
from pathlib import Path
from typing import Any

import yaml

DOCS = Path(__file__).parents[3] / "docs"

Json = dict[str, Any]


def manifests(page: str) -> list[Json]:
    """Whole objects, in the order in which a page has them."""
    return [each for each in _documents(page) if "kind" in each]


def parts(page: str) -> list[Json]:
    """Objects of which only ``spec`` is shown."""
    return [each for each in _documents(page) if "kind" not in each]


def _documents(page: str) -> list[Json]:
    blocks = re.findall(r"^```yaml\n(.*?)^```", (DOCS / page).read_text(), re.MULTILINE | re.DOTALL)
    return [document for block in blocks for document in yaml.safe_load_all(block)]
