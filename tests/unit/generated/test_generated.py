"""What is generated is committed as it is generated, and whoever forgot that is told which file to write anew."""

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from generated.__main__ import app
from generated.files import files

ROOT = Path(__file__).parents[3]
FILES = files()


def generate(root: Path, *options: str) -> Result:
    return CliRunner().invoke(app, [f"--root={root}", *options])


@pytest.mark.parametrize("path", FILES)
def test_what_is_committed_is_what_is_generated(path: str) -> None:
    assert (ROOT / path).read_text() == FILES[path], "out of date, run hack/generate"


def test_checking_tells_which_files_differ_and_writes_none(tmp_path: Path) -> None:
    assert generate(tmp_path, "--check").exit_code == 1
    assert list(tmp_path.iterdir()) == []
    assert generate(tmp_path).exit_code == 0
    assert generate(tmp_path, "--check").exit_code == 0

    copy = tmp_path / "charts/sandkeeper/files/crds/sandkeeper.dev_sandboxes.yaml"
    copy.write_text(copy.read_text() + "# by hand\n")
    told = generate(tmp_path, "--check")

    assert told.exit_code == 1
    assert told.stdout == "charts/sandkeeper/files/crds/sandkeeper.dev_sandboxes.yaml: out of date, run hack/generate\n"
    assert generate(tmp_path).stdout == "charts/sandkeeper/files/crds/sandkeeper.dev_sandboxes.yaml: written\n"
    assert generate(tmp_path, "--check").stdout == ""
