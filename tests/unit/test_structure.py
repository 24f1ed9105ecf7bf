"""The rules of the code that tools can check: who may import whom, types, style, and sizes that fit on a screen."""

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "operator" / "sandkeeper"
CHECKED = ["operator", "hack", "tests"]
MOST_LINES = 300
MOST_LINES_OF_A_FUNCTION = 25


def run(tool: str, *arguments: str) -> None:
    """Run a tool of this virtualenv; what it finds is the failure's message."""
    command = [str(Path(sys.executable).with_name(tool)), *arguments]
    environment = os.environ | {"PYTHONPATH": "operator:hack:tests"}
    found = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout + found.stderr


def test_no_room_imports_what_it_may_not() -> None:
    run("lint-imports", "--no-cache")


def test_the_linter_finds_nothing() -> None:
    run("ruff", "check", "--no-cache", *CHECKED)


def test_the_formatter_would_change_nothing() -> None:
    run("ruff", "format", "--check", "--no-cache", *CHECKED)


def test_the_types_fit() -> None:
    run("mypy", *CHECKED)


MODULES = sorted(PACKAGE.rglob("*.py"))


def functions(module: Path) -> Iterator[tuple[str, int]]:
    """Give each function's name, and the lines of its body without the docstring."""
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            body = node.body[1:] if ast.get_docstring(node) is not None else node.body
            yield node.name, (node.end_lineno or 0) - body[0].lineno + 1 if body else 0


@pytest.mark.parametrize("module", MODULES, ids=lambda module: str(module.relative_to(PACKAGE)))
def test_a_module_is_small_and_so_are_its_functions(module: Path) -> None:
    assert len(module.read_text().splitlines()) <= MOST_LINES
    assert {name: lines for name, lines in functions(module) if lines > MOST_LINES_OF_A_FUNCTION} == {}


@pytest.mark.parametrize("module", MODULES, ids=lambda module: str(module.relative_to(PACKAGE)))
def test_a_module_says_what_it_is_for(module: Path) -> None:
    assert ast.get_docstring(ast.parse(module.read_text()))
