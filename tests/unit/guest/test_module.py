"""The guest is Go: its own tests and its tools run here, so that one command judges the whole repository."""

import subprocess
from pathlib import Path

import pytest

from localcluster.gotoolchain import go, go_environment
from localcluster.images.guest import guest_image_name
from localcluster.paths import CHECKOUT

MODULE = CHECKOUT / "guest"
MOST_LINES = 300


def run(*command: str | Path) -> str:
    """Run a tool in the module; what it finds is the failure's message."""
    environment = go_environment() | {"CGO_ENABLED": "0"}
    done = subprocess.run(command, cwd=MODULE, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_its_own_tests_pass() -> None:
    run(go(), "test", "./...")


def test_the_compilers_checks_find_nothing() -> None:
    run(go(), "vet", "./...")


def test_the_formatter_would_change_nothing() -> None:
    # The formatter of the very compiler, which need not be on the path.
    formatter = Path(run(go(), "env", "GOROOT").strip()) / "bin" / "gofmt"
    assert run(formatter, "-l", ".") == ""


def test_what_it_requires_is_what_it_uses() -> None:
    run(go(), "mod", "verify")
    run(go(), "mod", "tidy", "-diff")


SOURCES = sorted(file for file in MODULE.rglob("*.go") if not file.name.endswith("_test.go"))


@pytest.mark.parametrize("file", SOURCES, ids=lambda file: str(file.relative_to(MODULE)))
def test_a_file_is_small(file: Path) -> None:
    assert len(file.read_text().splitlines()) <= MOST_LINES


def test_the_images_name_changes_with_the_program_and_nothing_else(tmp_path: Path) -> None:
    module = tmp_path / "guest"
    module.mkdir()
    (module / "main.go").write_text("package main\n")
    before = guest_image_name(tmp_path)

    (module / "main_test.go").write_text("package main\n")
    (module / "Dockerfile").write_text("FROM scratch\n")
    assert guest_image_name(tmp_path) == before

    (module / "go.sum").write_text("\n")
    assert guest_image_name(tmp_path) != before
