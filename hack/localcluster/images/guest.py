"""The guest's image: one layer with its static programs, so that it also serves as a volume."""

import shutil
from hashlib import sha256
from pathlib import Path

from localcluster.commands import run
from localcluster.gotoolchain import go, go_environment
from localcluster.images.oci import Settings, write_image, write_layer
from localcluster.locking import made_once
from localcluster.paths import CHECKOUT, cache_home, path_id
from localcluster.progress import step

REPOSITORY = "sandkeeper.local/guest"
PROGRAMS = {"guest": ".", "worktree": "./worktree"}
"""Package of each program's source in the module, by the program's name."""
BUILD = ("build", "-trimpath", "-ldflags=-s -w")
SETTINGS = Settings(entrypoint=("/guest",), labels={"org.opencontainers.image.title": "Sandkeeper guest"})


def guest_image_name(checkout: Path = CHECKOUT) -> str:
    """Return the image's name with a tag that changes with its content, so that a cluster never runs an older one."""
    return f"{REPOSITORY}:{_key(checkout)}"


def build_guest_image(checkout: Path = CHECKOUT) -> Path:
    """Return an archive of the guest's image, made where this content was never made on this machine.

    Parameters
    ----------
    checkout
        The checkout whose ``guest/`` goes in.
    """

    def make(target: Path) -> None:
        root = target / "root"
        root.mkdir()
        with step("building the guest's image"):
            for name, package in PROGRAMS.items():
                _compile(checkout / "guest", package, root / name)
            layer = write_layer(root, target / "layer.tar")
            write_image(target / "image.tar", [guest_image_name(checkout)], [layer], SETTINGS)
        layer.file.unlink()
        shutil.rmtree(root)

    images = cache_home() / "images" / "guest" / path_id(checkout)
    newest = made_once(images / _key(checkout), make)
    for older in images.glob("[!.]*"):
        if older != newest:
            shutil.rmtree(older)
    return newest / "image.tar"


def _compile(module: Path, package: str, target: Path) -> None:
    environment = {**go_environment(), "CGO_ENABLED": "0"}
    run(go(), *BUILD, "-o", target, package, cwd=module, environment=environment)


def _key(checkout: Path) -> str:
    content = sha256(repr((PROGRAMS, BUILD, SETTINGS)).encode())
    for file in _sources(checkout / "guest"):
        content.update(str(file.relative_to(checkout)).encode() + b"\0" + file.read_bytes())
    return content.hexdigest()[:12]


def _sources(module: Path) -> list[Path]:
    files = [file for file in module.rglob("*.go") if not file.name.endswith("_test.go")]
    return sorted([*files, *module.glob("go.*")])
