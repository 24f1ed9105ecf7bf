"""What btrfs and the kernel say of volumes, read from their own words."""

from pathlib import Path

import pytest

from localcluster.native.storage import binds, subvolumes
from localcluster.native.storage.binds import Bind
from localcluster.native.storage.looks import Looks
from localcluster.native.storage.subvolumes import Use

QUOTAS = """\
Qgroupid    Referenced    Exclusive  Max referenced   Path 
--------    ----------    ---------  --------------   ---- 
0/5              16384        16384            none   <toplevel>
0/256         52445184        16384       104857600   volumes.sandkeeper.dev/volumes/a/data
0/257         52445184        16384            none   volumes.sandkeeper.dev/snapshots/b c/data
1/0                  0            0            none   <0 member qgroups>
"""  # noqa: W291 - it ends its lines so
MOUNTS = r"""
308 267 0:74 / /run/volumes rw,noatime shared:9 - btrfs /dev/loop0 rw,nobarrier
309 267 0:80 /d/volumes/a/data /var/lib/kubelet/pods/1/mount rw,noatime shared:10 - btrfs /dev/loop0 rw
310 267 0:80 /d/volumes/a/data/workspace /var/lib/kubelet/pods/1/volume-subpaths/0 ro,noatime - btrfs /dev/loop0 rw
311 267 0:81 /d/volumes/ab/data /mnt/with\040blank rw - btrfs /dev/loop0 rw
""".strip()


def test_use_and_limit_are_told_by_a_subvolumes_path() -> None:
    found = subvolumes.parse_uses(QUOTAS)

    assert found["volumes.sandkeeper.dev/volumes/a/data"] == Use(52445184, 104857600)
    assert found["volumes.sandkeeper.dev/snapshots/b c/data"] == Use(52445184, None)
    assert len(found) == 3


def test_one_look_tells_of_all_volumes_and_another_of_one_that_it_did_not_find(monkeypatch: pytest.MonkeyPatch) -> None:
    there, looks = {"a": Use(1, None), "b": Use(2, None)}, []

    def look(pool: Path) -> dict[str, Use]:
        looks.append(pool)
        return dict(there)

    monkeypatch.setattr(subvolumes, "uses", look)
    known = Looks(Path("/pool"))

    assert (known.of("a"), known.of("b"), len(looks)) == (Use(1, None), Use(2, None), 1)
    assert (known.of("gone"), len(looks)) == (None, 2)


def test_a_mount_is_known_by_what_is_mounted_where_and_how() -> None:
    assert binds.parse(MOUNTS)[2] == Bind(
        "/d/volumes/a/data/workspace", "/var/lib/kubelet/pods/1/volume-subpaths/0", read_only=True
    )
    assert binds.parse(MOUNTS)[3].target == "/mnt/with blank"


@pytest.mark.parametrize(("root", "count"), [("/d/volumes/a/data", 2), ("/d/volumes/ab/data", 1), ("/d/volumes/c", 0)])
def test_a_volume_is_in_use_where_it_or_a_part_of_it_is_mounted(root: str, count: int) -> None:
    assert len(binds.holders(root, binds.parse(MOUNTS))) == count
