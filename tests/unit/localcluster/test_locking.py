"""What is slow to make is made once and never half."""

import threading
from pathlib import Path

import pytest

from localcluster.locking import made_once


def test_what_is_there_is_not_made_again(tmp_path: Path) -> None:
    made: list[str] = []

    def make(folder: Path) -> None:
        made.append(folder.name)
        (folder / "result").write_text("done")

    for _ in range(3):
        assert (made_once(tmp_path / "thing", make) / "result").read_text() == "done"

    assert len(made) == 1


def test_a_failed_making_leaves_nothing_that_looks_finished(tmp_path: Path) -> None:
    def fail(folder: Path) -> None:
        (folder / "half").write_text("half")
        raise RuntimeError("power cut")

    with pytest.raises(RuntimeError):
        made_once(tmp_path / "thing", fail)
    assert not (tmp_path / "thing").exists()

    thing = made_once(tmp_path / "thing", lambda folder: (folder / "whole").touch())

    assert [file.name for file in thing.iterdir()] == ["whole"]


def test_two_at_once_make_it_once(tmp_path: Path) -> None:
    entered, release, made = threading.Event(), threading.Event(), []

    def make(folder: Path) -> None:
        made.append(folder)
        entered.set()
        release.wait(10)

    threads = [threading.Thread(target=made_once, args=(tmp_path / "thing", make)) for _ in range(2)]
    threads[0].start()
    entered.wait(10)
    threads[1].start()
    release.set()
    for thread in threads:
        thread.join(10)

    assert len(made) == 1
