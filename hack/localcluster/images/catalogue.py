"""Which images a cluster without a registry has, and for what they stand in."""

from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from localcluster.images import small
from localcluster.images.debian import DebianBase
from localcluster.images.oci import Layer, Settings, write_image, write_layer
from localcluster.locking import made_once
from localcluster.paths import cache_home

PAUSE = "sandkeeper.local/pause:1"
COREDNS = "sandkeeper.local/coredns:1"
BUSYBOX = "sandkeeper.local/busybox:1"
EVERYDAY = ("ca-certificates", "curl", "git", "iproute2", "procps", "python3", "python3-pip", "python3-venv")
BOOKWORM = DebianBase("bookworm", EVERYDAY)
TRIXIE = DebianBase("trixie", EVERYDAY)


@dataclass(frozen=True)
class StandIn:
    """An image of Debian's own that goes by the names of others.

    Parameters
    ----------
    base
        What it is made of.
    names
        The names that it answers to.
    meaning
        What it is, for a reader who expects what the names say.
    """

    base: DebianBase
    names: tuple[str, ...]
    meaning: str
    python: bool = False


STAND_INS = (
    StandIn(
        BOOKWORM,
        ("docker.io/library/debian:12", "docker.io/library/ubuntu:22.04"),
        "Debian 12 with git, curl and Python 3.11, not the published image",
    ),
    StandIn(
        TRIXIE,
        ("docker.io/library/python:3.13",),
        "Debian 13 with its own Python 3.13, not the published image",
        python=True,
    ),
)


def archives() -> list[Path]:
    """Return the archives of every image that a native cluster starts with, made where they are missing."""
    return [
        small.pause_image(PAUSE),
        small.coredns_image(COREDNS),
        small.busybox_image(BUSYBOX),
        *(_archive(image) for image in STAND_INS),
    ]


def stand_ins() -> dict[str, str]:
    """Return what is behind each name that promises something else."""
    return {name: image.meaning for image in STAND_INS for name in image.names}


def _archive(image: StandIn) -> Path:
    key = sha256(repr((image.base.key, image.names, image.python)).encode()).hexdigest()[:12]

    def make(target: Path) -> None:
        layers = [image.base.layer()]
        if image.python:
            layers.append(_python_alias(target))
        command = ["python3"] if image.python else ["bash"]
        write_image(target / "image.tar", image.names, layers, Settings(command=command))

    return made_once(cache_home() / "images" / f"stand-in-{key}", make) / "image.tar"


def _python_alias(target: Path) -> Layer:
    """Return a layer in which ``python`` is the same as ``python3``, as in the image that is stood in for."""
    programs = target / "alias"
    programs.mkdir()
    (programs / "python").symlink_to("/usr/bin/python3")
    return write_layer(programs, target / "alias.tar", prefix="usr/local/bin")
