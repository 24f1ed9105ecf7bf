"""Volumes and snapshots on disk: complete or not there, and the same answer to the same question."""

import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from localcluster.errors import ClusterError
from localcluster.native.storage import subvolumes
from localcluster.native.storage.records import Snapshot, Source, Volume, Wanted
from localcluster.native.storage.refusal import Refusal
from localcluster.native.storage.shelf import Shelf

DRIVER = "driver.test"
CLAIM = Wanted(least=10)


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shelf:
    """A shelf whose subvolumes are plain folders: what btrfs does with them is the cluster's tests' concern."""
    monkeypatch.setattr(subvolumes, "create", lambda path, _size: path.mkdir())
    monkeypatch.setattr(subvolumes, "copy", lambda source, path, _size: shutil.copytree(source, path))
    monkeypatch.setattr(subvolumes, "freeze", shutil.copytree)
    monkeypatch.setattr(subvolumes, "limit", lambda _path, _size: None)
    monkeypatch.setattr(subvolumes, "delete", shutil.rmtree)
    return again(tmp_path)


def again(pool: Path) -> Shelf:
    """The shelf as a driver finds it that starts now."""
    shelf = Shelf(pool, DRIVER)
    shelf.sweep()
    return shelf


def test_asking_twice_gives_the_same_volume(shelf: Shelf) -> None:
    first = shelf.make_volume("a", CLAIM, None)
    (shelf.data("a") / "file").write_text("kept")

    assert shelf.make_volume("a", CLAIM, None) == first == Volume("a", 10)
    assert (shelf.data("a") / "file").read_text() == "kept"


@pytest.mark.parametrize(("wanted", "source"), [(Wanted(least=11), None), (CLAIM, Source("snapshot", "s"))])
def test_a_name_that_is_taken_by_another_volume_is_refused(shelf: Shelf, wanted: Wanted, source: Source | None) -> None:
    shelf.make_volume("a", CLAIM, None)

    with pytest.raises(Refusal) as refused:
        shelf.make_volume("a", wanted, source)

    assert refused.value.code == "ALREADY_EXISTS"


def test_another_process_finds_all_that_there_is(shelf: Shelf) -> None:
    shelf.make_volume("a", CLAIM, None)
    taken = shelf.make_snapshot("s", "a")
    shelf.make_volume("b", Wanted(least=20), Source("snapshot", "s"))
    shelf.expand("a", Wanted(least=15))

    found = again(shelf.pool)

    assert found.volumes() == [Volume("a", 15), Volume("b", 20, Source("snapshot", "s"))]
    assert found.snapshots() == [taken] == [Snapshot("s", "a", 10, taken.taken)]


def test_what_a_kill_left_half_made_is_never_seen_and_swept_away(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(path: Path, _size: int) -> None:
        path.mkdir()
        raise ClusterError("killed")

    with monkeypatch.context() as patched:
        patched.setattr(subvolumes, "create", killed)
        with pytest.raises(ClusterError):
            shelf.make_volume("a", CLAIM, None)
    assert shelf.volumes() == []

    found = again(shelf.pool)

    assert list((shelf.pool / DRIVER / "volumes").iterdir()) == []
    assert found.make_volume("a", CLAIM, None) == Volume("a", 10)


def half_delete(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make a volume, and delete it where its subvolume can't be."""

    def busy(_path: Path) -> None:
        raise ClusterError("busy")

    shelf.make_volume("a", CLAIM, None)
    with monkeypatch.context() as patched:
        patched.setattr(subvolumes, "delete", busy)
        with pytest.raises(ClusterError):
            shelf.delete_volume("a")


def test_a_volume_that_is_half_deleted_is_gone(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    half_delete(shelf, monkeypatch)
    assert shelf.volume("a") is None

    again(shelf.pool)

    assert list((shelf.pool / DRIVER / "volumes").iterdir()) == []


@pytest.mark.parametrize("made_again", [False, True])
def test_a_deletion_that_failed_ends_when_it_is_asked_for_again(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch, *, made_again: bool
) -> None:
    half_delete(shelf, monkeypatch)
    if made_again:
        shelf.make_volume("a", CLAIM, None)

    shelf.delete_volume("a")

    assert list((shelf.pool / DRIVER / "volumes").iterdir()) == []


def test_what_is_left_is_what_the_disk_has_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk, pool = tmp_path / "disk", tmp_path / "pool"
    room = {pool: 80, disk: 30}
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=room[path]))

    assert Shelf(pool, DRIVER, disk).free() == 30
    assert Shelf(pool, DRIVER).free() == 80


def test_deleting_what_is_not_there_is_done_already(shelf: Shelf) -> None:
    shelf.delete_volume("a")
    shelf.delete_snapshot("s")
    shelf.delete_volume("../volumes")

    assert shelf.volumes() == []


@pytest.mark.parametrize("kind", ["volume", "snapshot"])
def test_a_source_that_is_not_there_is_refused_by_name(shelf: Shelf, kind: str) -> None:
    with pytest.raises(Refusal, match=f"there is no {kind} lost") as refused:
        shelf.make_volume("a", CLAIM, Source(kind, "lost"))

    assert refused.value.code == "NOT_FOUND"


def test_a_copy_is_at_least_as_big_as_its_source(shelf: Shelf) -> None:
    shelf.make_volume("a", CLAIM, None)

    with pytest.raises(Refusal, match="volume a needs 10 bytes, not 9"):
        shelf.make_volume("b", Wanted(least=9), Source("volume", "a"))
    assert shelf.make_volume("b", Wanted(), Source("volume", "a")).size == 10


def test_a_volume_never_shrinks(shelf: Shelf) -> None:
    shelf.make_volume("a", CLAIM, None)

    assert shelf.expand("a", Wanted(least=5)).size == 10
    with pytest.raises(Refusal, match="there is no volume b"):
        shelf.expand("b", CLAIM)


def test_a_snapshots_name_is_taken_by_one_volume(shelf: Shelf) -> None:
    for name in ("a", "b"):
        shelf.make_volume(name, CLAIM, None)
    shelf.make_snapshot("s", "a")

    assert shelf.make_snapshot("s", "a").volume == "a"
    with pytest.raises(Refusal, match="of volume a") as refused:
        shelf.make_snapshot("s", "b")
    assert refused.value.code == "ALREADY_EXISTS"
    with pytest.raises(Refusal, match="there is no volume c"):
        shelf.make_snapshot("t", "c")
