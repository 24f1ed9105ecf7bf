"""Container images written without a container engine: layers from folders, and archives in the OCI image layout.

The same input gives the same bytes: entries are sorted, and times and owners' names are fixed.
"""

import hashlib
import io
import json
import os
import platform
import stat
import tarfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from localcluster.errors import ClusterError

# 2025-01-01: old enough for every clock, and not so old that tar warns.
FIXED_TIME = 1_735_689_600
FIXED_DATE = "2025-01-01T00:00:00Z"
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
# containerd reads an image's name from here; one name per entry of the index.
NAME_ANNOTATION = "io.containerd.image.name"


@dataclass(frozen=True)
class Layer:
    """A layer: a tar file and its digest."""

    file: Path
    digest: str

    @classmethod
    def read(cls, file: Path) -> "Layer":
        """Return the layer that a tar file is."""
        with file.open("rb") as content:
            return cls(file, f"sha256:{hashlib.file_digest(content, 'sha256').hexdigest()}")


@dataclass(frozen=True)
class Settings:
    """How an image's process runs, as in a Dockerfile."""

    entrypoint: Sequence[str] = ()
    command: Sequence[str] = ()
    environment: Sequence[str] = ("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",)
    user: str = ""
    folder: str = ""
    labels: dict[str, str] = field(default_factory=dict)

    def to_oci(self) -> dict[str, Any]:
        """Return the ``config`` part of an image configuration."""
        content = {
            "Entrypoint": list(self.entrypoint),
            "Cmd": list(self.command),
            "Env": list(self.environment),
            "User": self.user,
            "WorkingDir": self.folder,
            "Labels": self.labels,
        }
        return {key: value for key, value in content.items() if value}


def write_layer(root: Path, target: Path, *, prefix: str = "", without: Iterable[str] = ()) -> Layer:
    """Write a folder as a layer.

    Parameters
    ----------
    root
        The folder that becomes the layer's ``/`` and prefix.
    target
        The tar file.
    prefix
        Where the folder's content lies in the image, as ``opt/venv``.
    without
        Folders, relative to the root, whose content is left out.
    """
    left_out = set(without)
    links: dict[tuple[int, int], str] = {}
    with tarfile.open(target, "w", format=tarfile.PAX_FORMAT) as archive:
        for parent in reversed(Path(prefix).parents if prefix else []):
            if str(parent) != ".":
                archive.addfile(_folder(str(parent)))
        for path in _walk(root, left_out):
            _add(archive, path, str(Path(prefix) / path.relative_to(root)), links)
    return Layer.read(target)


def _walk(root: Path, left_out: set[str]) -> Iterable[Path]:
    for folder, names, files in os.walk(root):
        here = Path(folder)
        names.sort()
        if here != root:
            yield here
        if str(here.relative_to(root)) in left_out:
            names.clear()
            continue
        # A link to a folder is listed among the folders and is not one.
        linked = [name for name in names if (here / name).is_symlink()]
        names[:] = [name for name in names if name not in linked]
        yield from (here / name for name in sorted([*files, *linked]))


def _add(archive: tarfile.TarFile, path: Path, name: str, links: dict[tuple[int, int], str]) -> None:
    status = path.lstat()
    if stat.S_ISSOCK(status.st_mode):
        return
    entry = archive.gettarinfo(str(path), arcname=name)
    entry.mtime, entry.uname, entry.gname, entry.pax_headers = FIXED_TIME, "", "", {}
    inode = (status.st_dev, status.st_ino)
    if stat.S_ISREG(status.st_mode):
        if status.st_nlink > 1 and inode in links:
            entry.type, entry.linkname, entry.size = tarfile.LNKTYPE, links[inode], 0
            archive.addfile(entry)
            return
        links[inode] = name
        entry.type, entry.linkname, entry.size = tarfile.REGTYPE, "", status.st_size
        with path.open("rb") as content:
            archive.addfile(entry, content)
        return
    archive.addfile(entry)


def _folder(name: str) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.type, entry.mode, entry.mtime = tarfile.DIRTYPE, 0o755, FIXED_TIME
    return entry


def write_image(target: Path, names: Sequence[str], layers: Sequence[Layer], settings: Settings) -> Path:
    """Write an archive that ``ctr images import`` and ``kind load image-archive`` take.

    Parameters
    ----------
    target
        The archive.
    names
        Full names of the image, with registry and tag.
    layers
        Its layers, the lowest first.
    settings
        How its process runs.
    """
    configuration = _configuration(layers, settings)
    manifest = _manifest(configuration, layers)
    unfinished = target.with_name(f".{target.name}.{os.getpid()}")
    with tarfile.open(unfinished, "w", format=tarfile.PAX_FORMAT) as archive:
        _add_bytes(archive, "oci-layout", _json({"imageLayoutVersion": "1.0.0"}))
        _add_bytes(archive, "index.json", _index(manifest, names))
        for content in (manifest, configuration):
            _add_bytes(archive, f"blobs/sha256/{hashlib.sha256(content).hexdigest()}", content)
        for layer in {layer.digest: layer for layer in layers}.values():
            _add_file(archive, f"blobs/sha256/{layer.digest.removeprefix('sha256:')}", layer.file)
    unfinished.rename(target)
    return target


def _configuration(layers: Sequence[Layer], settings: Settings) -> bytes:
    content = {
        "created": FIXED_DATE,
        "architecture": architecture(),
        "os": "linux",
        "config": settings.to_oci(),
        "rootfs": {"type": "layers", "diff_ids": [layer.digest for layer in layers]},
    }
    return _json(content)


def _manifest(configuration: bytes, layers: Sequence[Layer]) -> bytes:
    content = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": _descriptor("application/vnd.oci.image.config.v1+json", configuration),
        "layers": [_layer_descriptor(layer) for layer in layers],
    }
    return _json(content)


def architecture() -> str:
    """Return this machine's architecture as images name it."""
    machine = platform.machine()
    if machine not in ARCHITECTURES:
        raise ClusterError(f"images for {machine} are not known here; there are: {', '.join(ARCHITECTURES)}")
    return ARCHITECTURES[machine]


def _index(manifest: bytes, names: Sequence[str]) -> bytes:
    entry = _descriptor("application/vnd.oci.image.manifest.v1+json", manifest)
    entry["platform"] = {"architecture": architecture(), "os": "linux"}
    manifests = [{**entry, "annotations": {NAME_ANNOTATION: name}} for name in names]
    return _json({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": manifests})


def _descriptor(media_type: str, content: bytes) -> dict[str, Any]:
    digest = hashlib.sha256(content).hexdigest()
    return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(content)}


def _layer_descriptor(layer: Layer) -> dict[str, Any]:
    size = layer.file.stat().st_size
    return {"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": layer.digest, "size": size}


def _json(content: Any) -> bytes:
    return json.dumps(content, sort_keys=True, separators=(",", ":")).encode()


def _add_bytes(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mtime = len(content), FIXED_TIME
    archive.addfile(entry, io.BytesIO(content))


def _add_file(archive: tarfile.TarFile, name: str, file: Path) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mtime = file.stat().st_size, FIXED_TIME
    with file.open("rb") as content:
        archive.addfile(entry, content)
