"""Which commit the upgrade begins with."""

import subprocess
from pathlib import Path

import pytest

from e2e.operator.predecessor import CHOSEN, OPERATOR, predecessor_commit
from localcluster.errors import ClusterError


class Repository:
    """A repository with an operator."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._git("init", "--quiet")

    def commit(self, **files: str) -> str:
        """Commit files, by their names, and return the commit."""
        for name, text in files.items():
            file = self.folder / name.replace("operator", f"{OPERATOR}/main.py")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        self._git("add", ".")
        self._git("-c", "user.name=a", "-c", "user.email=a@example.com", "commit", "--quiet", "--message", "a")
        return self._git("rev-parse", "HEAD")

    def _git(self, *arguments: str) -> str:
        return subprocess.run(
            ["git", *arguments], cwd=self.folder, check=True, capture_output=True, text=True
        ).stdout.strip()


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Repository:
    """A repository without a commit."""
    monkeypatch.delenv(CHOSEN, raising=False)
    return Repository(tmp_path)


def test_it_is_the_last_one_with_another_operator(repository: Repository) -> None:
    repository.commit(operator="one")
    other = repository.commit(operator="two")
    repository.commit(operator="three")
    repository.commit(readme="only words")

    assert predecessor_commit(repository.folder) == other


def test_what_is_not_committed_yet_comes_after_the_last_commit(repository: Repository) -> None:
    last = repository.commit(operator="one")
    (repository.folder / OPERATOR / "main.py").write_text("two")

    assert predecessor_commit(repository.folder) == last


def test_it_can_be_named(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    first = repository.commit(operator="one")
    repository.commit(operator="two")
    repository.commit(operator="three")
    monkeypatch.setenv(CHOSEN, "HEAD~2")

    assert predecessor_commit(repository.folder) == first


def test_a_clone_without_history_fails_and_says_what_to_do(repository: Repository) -> None:
    repository.commit(operator="one")

    with pytest.raises(ClusterError, match=r"git fetch --unshallow"):
        predecessor_commit(repository.folder)
