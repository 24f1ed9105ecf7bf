"""Every reason that the condition Ready may have, as the operator's code and its reference tell."""

import ast
import importlib
from collections.abc import Iterator
from pathlib import Path

from sandkeeper.api.kind import Kind

PACKAGE = Path(__file__).parents[3] / "operator" / "sandkeeper"
_SAID_BY = {"PodState": {"PodState", "_wrong", "replace"}, "SnapshotState": {"SnapshotState", "_AmissError"}}
"""What is called to make a state of a class."""
_WRONG = {"_wrong", "_AmissError"}


def explained(kind: Kind) -> set[str]:
    """Reasons that the reference explains."""
    (ready,) = (each for each in kind.conditions if each.type == "Ready")
    return {each.word for each in ready.reasons}


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
