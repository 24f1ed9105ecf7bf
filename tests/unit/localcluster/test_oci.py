"""Images written without an engine: whole, and the same bytes every time."""

import hashlib
import json
import os
import tarfile
from pathlib import Path

import pytest

from localcluster.images.oci import FIXED_TIME, Settings, write_image, write_layer


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A small root file system with everything that is not a plain file."""
    root = tmp_path / "root"
    (root / "bin").mkdir(parents=True)
    (root / "dev").mkdir()
    (root / "dev/whatever").write_text("left out")
    (root / "bin/tool").write_text("#!/bin/sh\n")
    (root / "bin/tool").chmod(0o755)
    (root / "bin/alias").symlink_to("tool")
    os.link(root / "bin/tool", root / "bin/twin")
    (root / "lib").symlink_to("bin")
    return root


def test_a_layer_has_every_entry_once_in_order(root: Path, tmp_path: Path) -> None:
    layer = write_layer(root, tmp_path / "layer.tar", without=["dev"])

    with tarfile.open(layer.file) as archive:
        entries = {entry.name: entry for entry in archive}
    assert list(entries) == ["lib", "bin", "bin/alias", "bin/tool", "bin/twin", "dev"]
    assert entries["bin/tool"].mode == 0o755
    assert entries["bin/alias"].linkname == "tool"
    assert entries["bin/twin"].islnk()
    assert entries["bin/twin"].linkname == "bin/tool"
    assert {entry.mtime for entry in entries.values()} == {FIXED_TIME}


def test_a_prefix_brings_its_folders(root: Path, tmp_path: Path) -> None:
    layer = write_layer(root / "bin", tmp_path / "layer.tar", prefix="opt/tools")

    with tarfile.open(layer.file) as archive:
        assert archive.getnames() == ["opt", "opt/tools/alias", "opt/tools/tool", "opt/tools/twin"]


def test_the_same_files_give_the_same_image_whenever_they_were_written(root: Path, tmp_path: Path) -> None:
    digests = []
    for attempt in ("first", "second"):
        os.utime(root / "bin/tool", (len(attempt), len(attempt)))
        layer = write_layer(root, tmp_path / f"{attempt}.tar")
        image = write_image(tmp_path / attempt, ["example.test/a:1"], [layer], Settings(command=["tool"]))
        digests.append(hashlib.sha256(image.read_bytes()).hexdigest())

    assert digests[0] == digests[1]


def test_an_archive_is_a_whole_oci_layout_with_all_names(root: Path, tmp_path: Path) -> None:
    layer = write_layer(root, tmp_path / "layer.tar")
    settings = Settings(entrypoint=["/bin/tool"], user="7:7", folder="/bin")
    image = write_image(tmp_path / "image.tar", ["example.test/a:1", "example.test/b:2"], [layer, layer], settings)

    with tarfile.open(image) as archive:
        content = {entry.name: archive.extractfile(entry).read() for entry in archive}  # type: ignore[union-attr]
    for name, blob in content.items():
        if name.startswith("blobs/"):
            assert name == f"blobs/sha256/{hashlib.sha256(blob).hexdigest()}"
    index = json.loads(content["index.json"])
    names = [entry["annotations"]["io.containerd.image.name"] for entry in index["manifests"]]
    assert names == ["example.test/a:1", "example.test/b:2"]
    manifest = json.loads(content[_blob(index["manifests"][0]["digest"])])
    configuration = json.loads(content[_blob(manifest["config"]["digest"])])
    assert configuration["rootfs"]["diff_ids"] == [layer.digest, layer.digest]
    assert configuration["config"] == {
        "Entrypoint": ["/bin/tool"],
        "Env": list(settings.environment),
        "User": "7:7",
        "WorkingDir": "/bin",
    }


def _blob(digest: str) -> str:
    return f"blobs/sha256/{digest.removeprefix('sha256:')}"
