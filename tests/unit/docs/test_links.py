"""Every link within the documentation leads to a file that is there, and to its heading; every table is whole."""

import re
from functools import cache
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token
from mdit_py_plugins.anchors import anchors_plugin

ROOT = Path(__file__).parents[3]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
MENTIONED_IN = [*(ROOT / "charts").rglob("*.yaml"), *(ROOT / "charts").rglob("*.txt"), *(ROOT / "docs").rglob("*.yaml")]


@cache
def tokens(page: Path) -> list[Token]:
    return MarkdownIt("gfm-like", {"linkify": False}).use(anchors_plugin, max_level=6).parse(page.read_text())


@cache
def anchors(page: Path) -> set[str]:
    return {str(each.attrs["id"]) for each in tokens(page) if each.type == "heading_open"}


def links(page: Path) -> list[str]:
    found = [inner for each in tokens(page) for inner in each.children or ()]
    return [str(each.attrs.get("href") or each.attrs["src"]) for each in found if each.type in {"link_open", "image"}]


def fault(page: Path, link: str) -> str:
    """Say what is wrong with a link; empty where it leads somewhere, or out of the repository."""
    parts = urlsplit(link)
    if parts.scheme:
        return "" if parts.scheme == "https" else f"{link}: {parts.scheme}"
    target = (page.parent / unquote(parts.path)).resolve() if parts.path else page
    if not target.is_relative_to(ROOT) or not target.exists():
        return f"{link}: no such file"
    if parts.fragment and (target.suffix != ".md" or unquote(parts.fragment) not in anchors(target)):
        return f"{link}: no such heading"
    return ""


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    assert [wrong for wrong in (fault(page, link) for link in links(page)) if wrong] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_row_of_a_table_has_as_many_cells_as_its_head(page: Path) -> None:
    lines = page.read_text().splitlines()
    tables = [each.map for each in tokens(page) if each.type == "table_open" and each.map]

    for first, end in tables:
        # Code takes no bar either unless it is escaped, and cells beyond the last column are not shown.
        cells = [len(re.findall(r"(?<!\\)\|", line.strip())) for line in lines[first:end]]
        assert set(cells) == {cells[0]}, lines[first]


def test_a_wrong_link_is_noticed() -> None:
    page = ROOT / "docs" / "install.md"

    assert fault(page, "gone.md") == "gone.md: no such file"
    assert fault(page, "concepts.md#gone") == "concepts.md#gone: no such heading"
    assert fault(page, "#gone") == "#gone: no such heading"
    assert fault(page, "../../elsewhere.md") == "../../elsewhere.md: no such file"
    assert fault(page, "concepts.md#what-is-kept") == ""


def test_every_page_is_linked_to_from_another() -> None:
    reached = {
        (page.parent / unquote(urlsplit(link).path)).resolve()
        for page in PAGES
        for link in links(page)
        if urlsplit(link).path and not urlsplit(link).scheme
    }

    assert [str(page.relative_to(ROOT)) for page in PAGES[1:] if page not in reached] == []


def test_every_page_that_the_chart_names_is_there() -> None:
    named = {name for each in MENTIONED_IN for name in re.findall(r"\bdocs/[-a-z/]+\.md\b", each.read_text())}

    assert named, "the chart names no page, so nothing was looked at"
    assert [name for name in sorted(named) if not (ROOT / name).exists()] == []
