"""The operator's image has the Dockerfile's layout, and a name that changes with its content."""

from pathlib import Path

from localcluster.images.operator import SETTINGS, operator_image_name
from localcluster.paths import CHECKOUT


def instructions(keyword: str) -> list[str]:
    """Return what follows a keyword in the Dockerfile's last stage."""
    last_stage = (CHECKOUT / "Dockerfile").read_text().rpartition("\nFROM ")[2]
    return [line.split(None, 1)[1] for line in last_stage.splitlines() if line.startswith(f"{keyword} ")]


def test_it_runs_as_the_dockerfile_says() -> None:
    assert instructions("USER") == [SETTINGS.user]
    assert instructions("WORKDIR") == [SETTINGS.folder]
    assert instructions("ENTRYPOINT") == [str(list(SETTINGS.entrypoint)).replace("'", '"')]
    assert instructions("CMD") == [str(list(SETTINGS.command)).replace("'", '"')]
    (environment,) = instructions("ENV")
    path, *others = environment.split()
    assert path.startswith("PATH=/opt/venv/bin:")
    assert SETTINGS.environment[0].startswith("PATH=/opt/venv/bin:")
    assert list(SETTINGS.environment[1:]) == others


def test_its_name_changes_with_the_operators_code_and_nothing_else(tmp_path: Path) -> None:
    package = tmp_path / "operator" / "sandkeeper"
    package.mkdir(parents=True)
    (package / "code.py").write_text("answer = 1\n")
    before = operator_image_name(tmp_path)

    (package / "__pycache__").mkdir()
    (package / "__pycache__" / "code.pyc").write_text("compiled")
    (tmp_path / "README.md").write_text("words")
    assert operator_image_name(tmp_path) == before

    (package / "code.py").write_text("answer = 2\n")
    assert operator_image_name(tmp_path) != before
