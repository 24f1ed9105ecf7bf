"""Cgroup folders in both layouts of the kernel, played with plain folders."""

from pathlib import Path

import pytest

from localcluster.native import cgroups


@pytest.fixture
def version_1(tmp_path: Path) -> Path:
    """A tree per controller; two share one, under three names."""
    for controller in ("memory", "cpu,cpuacct", "cpuset"):
        (tmp_path / controller).mkdir()
    (tmp_path / "cpu").symlink_to("cpu,cpuacct")
    return tmp_path


@pytest.fixture
def version_2(tmp_path: Path) -> Path:
    """One tree for all."""
    (tmp_path / "cgroup.controllers").write_text("cpu memory\n")
    return tmp_path


def test_a_group_is_made_in_every_tree_and_removed_with_all_below(version_1: Path) -> None:
    cgroups.make("/mine", version_1)
    (version_1 / "memory/mine/kubepods/pod").mkdir(parents=True)

    assert {path.parent.name for path in version_1.glob("*/mine")} == {"memory", "cpu,cpuacct", "cpuset", "cpu"}
    assert cgroups.remove("/mine", version_1) == []
    assert list(version_1.glob("*/mine")) == []


def test_the_single_tree_hands_its_controllers_down(version_2: Path) -> None:
    cgroups.make("/mine", version_2)

    assert "+memory" in (version_2 / "mine/cgroup.subtree_control").read_text()


def test_a_group_that_stays_busy_is_named(version_1: Path) -> None:
    cgroups.make("/mine", version_1)
    (version_1 / "memory/mine/process").touch()

    assert cgroups.remove("/mine", version_1, seconds=0.2) == [version_1 / "memory/mine"]
