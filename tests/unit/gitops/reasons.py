"""Every reason that the condition Ready may have, as the operator's code and its documentation tell."""

import ast
import importlib
import re
from collections.abc import Iterator
from pathlib import Path

from unit.docs.pages import DOCS

PACKAGE = Path(__file__).parents[3] / "operator" / "sandkeeper"
_SAID_BY = {"PodState": {"PodState", "_wrong", "replace"}, "SnapshotState": {"SnapshotState", "_AmissError"}}
"""What is called to make a state of a class."""
_WRONG = {"_wrong", "_AmissError"}


def documented(page: str, *heads: str) -> set[str]:
    """Reasons in the first column of the tables of a page that begin with these heads."""
    found: set[str] = set()
    for table in re.findall(r"(?:^\|.*\n)+", (DOCS / page).read_text(), re.MULTILINE):
        head, _, *rows = table.splitlines()
        if [each.strip() for each in head.split("|")[1 : len(heads) + 1]] == list(heads):
            found |= {word for row in rows for word in re.findall(r"`([A-Z][A-Za-z]+)`", row.split("|")[1])}
    return found


def in_code(state: str, *patterns: str) -> dict[str, set[bool]]:
    """Reasons that modules of the package give to states of a class, and whether they call them wrong."""
    found: dict[str, set[bool]] = {}
    for module in (each for pattern in patterns for each in sorted(PACKAGE.glob(pattern))):
        for reason, wrong in _states(module, state):
            found.setdefault(reason, set()).add(wrong)
    return found


def _states(module: Path, state: str) -> Iterator[tuple[str, bool]]:
    for node in ast.walk(ast.parse(module.read_text())):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
            continue
        keywords = {each.arg: each.value for each in node.keywords}
        wrong = "wrong" in keywords or node.func.id in _WRONG
        reason = keywords.get("reason") if node.func.id == "replace" else next(iter(node.args), None)
        if node.func.id in _SAID_BY[state] and reason is not None:
            yield from ((word, wrong) for word in _words(reason, module))


def _words(value: ast.expr, module: Path) -> Iterator[str]:
    """Words that an expression may be, as far as they stand in the code."""
    if isinstance(value, ast.Constant):
        yield str(value.value)
    elif isinstance(value, ast.IfExp):
        yield from (*_words(value.body, module), *_words(value.orelse, module))
    elif isinstance(value, ast.Name) and value.id.isupper():
        name = ".".join(module.relative_to(PACKAGE.parent).with_suffix("").parts)
        yield str(getattr(importlib.import_module(name), value.id))
