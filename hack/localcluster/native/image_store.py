"""containerd's store with the images that every node starts with: filled once, then copied by hard links in a second.

A node never writes to what a copy shares with the original: layers and blobs are only read, databases are real copies.
"""

import shutil
import tempfile
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

from localcluster.commands import run
from localcluster.errors import ClusterError
from localcluster.locking import made_once
from localcluster.paths import cache_home
from localcluster.process import Program, wait_until
from localcluster.progress import step
from localcluster.tools import tool


def image_store(archives: Sequence[Path]) -> Path:
    """Return a store with the images of the archives, made where this machine never did.

    Parameters
    ----------
    archives
        Image archives; their folders' names change with their content.
    """
    key = sha256(repr([tool("containerd").parent.name, *(a.parent.name for a in archives)]).encode()).hexdigest()[:16]
    return made_once(cache_home() / "image-stores" / key, lambda target: _fill(target, archives))


def copy_store(store: Path, target: Path) -> None:
    """Copy a store for one node."""
    try:
        run("cp", "--archive", "--link", store, target)
    except ClusterError:
        # Cache and state are on different file systems.
        shutil.rmtree(target, ignore_errors=True)
        run("cp", "--archive", store, target)
    for database in target.glob("*/*.db"):
        private = database.with_suffix(".private")
        shutil.copy2(database, private)
        private.rename(database)


def import_images(archive: Path, socket: Path) -> list[str]:
    """Give a running containerd the images of an archive and return their names."""
    # Standard output has a line an image: "unpacking NAME (DIGEST)...done".
    said = run(tool("ctr"), "--address", socket, "--namespace", "k8s.io", "images", "import", "--local", archive)
    return [line.split()[1] for line in said.splitlines() if line.startswith("unpacking ")]


def _fill(target: Path, archives: Sequence[Path]) -> None:
    with tempfile.TemporaryDirectory(prefix="image-store-") as name, step("unpacking the images"):
        folder = Path(name)
        socket = folder / "containerd.sock"
        configuration = folder / "containerd.toml"
        configuration.write_text(_configuration(target, folder / "state", socket))
        # In a mount namespace of its own: what it mounts while it unpacks cannot be left behind.
        command = ["unshare", "--mount", str(tool("containerd")), "--config", str(configuration)]
        containerd = Program("containerd", command, folder / "containerd.log")
        containerd.start()
        try:
            wait_until(lambda: socket.exists() or not containerd.running, "containerd's socket", 30.0)
            for archive in archives:
                import_images(archive, socket)
        except ClusterError as failure:
            raise ClusterError(f"unpacking the images failed: {failure}\n{containerd.last_words()}") from failure
        finally:
            containerd.stop()


def _configuration(root: Path, state: Path, socket: Path) -> str:
    return f"""version = 3
root = "{root}"
state = "{state}"
disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.cri.v1.images", "io.containerd.cri.v1.runtime"]

[grpc]
address = "{socket}"
"""
