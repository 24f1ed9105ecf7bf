"""The operator's image: by the ``Dockerfile`` where a Docker engine answers, by layers of that layout elsewhere."""

import compileall
import platform
import shutil
import sys
import tarfile
from hashlib import sha256
from pathlib import Path
from py_compile import PycInvalidationMode

from localcluster.commands import run
from localcluster.docker import engine_answers
from localcluster.errors import ClusterError
from localcluster.images.catalogue import BOOKWORM
from localcluster.images.oci import Layer, Settings, write_image, write_layer
from localcluster.locking import made_once
from localcluster.paths import CHECKOUT, cache_home, path_id
from localcluster.progress import step

REPOSITORY = "docker.io/sandkeeper/operator"
# Debian 12's Python and C library decide which wheels fit, whatever this machine has.
PYTHON = (3, 11)
GLIBC_MINOR = range(36, 4, -1)
USER = 65532
SETTINGS = Settings(
    entrypoint=("python3", "-m", "sandkeeper"),
    command=("operator",),
    environment=(
        "PATH=/opt/venv/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "PYTHONPATH=/app",
        "PYTHONDONTWRITEBYTECODE=1",
        "PYTHONUNBUFFERED=1",
    ),
    user=f"{USER}:{USER}",
    folder="/app",
    labels={"org.opencontainers.image.title": "Sandkeeper operator"},
)


def operator_image_name(checkout: Path = CHECKOUT) -> str:
    """Return the image's name with a tag that changes with its content, so that a cluster never runs an older one."""
    return f"{REPOSITORY}:dev-{_key(checkout)}"


def build_operator_image(checkout: Path = CHECKOUT) -> Path:
    """Return an archive of the operator's image, made where this content was never made on this machine.

    Parameters
    ----------
    checkout
        The checkout whose ``operator/`` goes in.
    """
    docker = engine_answers()

    def make(target: Path) -> None:
        with step("building the operator's image"):
            (_by_dockerfile if docker else _by_layers)(checkout, target)

    # Of a checkout only the newest is kept: each is half a gigabyte.
    images = cache_home() / "images" / "operator" / path_id(checkout)
    newest = made_once(images / f"{'docker' if docker else 'layers'}-{_key(checkout)}", make)
    for older in images.glob("[!.]*"):
        if older != newest:
            shutil.rmtree(older)
    return newest / "image.tar"


def _key(checkout: Path) -> str:
    content = sha256(BOOKWORM.key.encode())
    files = [checkout / "Dockerfile", checkout / "operator" / "requirements.txt", *_sources(checkout)]
    for file in files:
        if file.exists():
            content.update(str(file.relative_to(checkout)).encode() + b"\0" + file.read_bytes())
    return content.hexdigest()[:12]


def _sources(checkout: Path) -> list[Path]:
    files = (checkout / "operator" / "sandkeeper").rglob("*")
    return sorted(file for file in files if file.is_file() and "__pycache__" not in file.parts)


def _by_dockerfile(checkout: Path, target: Path) -> None:
    name = operator_image_name(checkout)
    run("docker", "build", "--quiet", "--tag", name, checkout)
    run("docker", "save", "--output", target / "image.tar", name)


def _by_layers(checkout: Path, target: Path) -> None:
    base = BOOKWORM.layer()
    layers = [base, _packages(checkout), _accounts(base, target), _application(checkout, target)]
    write_image(target / "image.tar", [operator_image_name(checkout)], layers, SETTINGS)
    for folder in ("accounts", "application"):
        shutil.rmtree(target / folder)


def _packages(checkout: Path) -> Layer:
    """Return the layer with the locked packages, which changes with the lock alone."""
    lock = checkout / "operator" / "requirements.txt"

    def make(target: Path) -> None:
        root = target / "venv"
        site = root / "lib" / "python3.11" / "site-packages"
        run(*_pip(site, lock))
        (root / "bin").mkdir()
        for name in ("python", "python3"):
            (root / "bin" / name).symlink_to("/usr/bin/python3")
        (root / "pyvenv.cfg").write_text("home = /usr/bin\ninclude-system-site-packages = false\nversion = 3.11\n")
        _compile(site)
        write_layer(root, target / "layer.tar", prefix="opt/venv")
        shutil.rmtree(root)

    key = sha256(lock.read_bytes()).hexdigest()[:12]
    return Layer.read(made_once(cache_home() / "images" / f"operator-packages-{key}", make) / "layer.tar")


def _pip(site: Path, lock: Path) -> list[str | Path]:
    machine = platform.machine()
    platforms = [word for minor in GLIBC_MINOR for word in ("--platform", f"manylinux_2_{minor}_{machine}")]
    return [
        *(sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile"),
        *("--no-deps", "--only-binary", ":all:", "--require-hashes", "--requirement", lock, "--target", site),
        *("--implementation", "cp", "--python-version", "3.11", *platforms),
    ]


def _accounts(base: Layer, target: Path) -> Layer:
    """Return the layer that gives the operator's user a name: Python asks for it."""
    folder = target / "accounts"
    folder.mkdir()
    lines = {
        "passwd": f"sandkeeper:x:{USER}:{USER}::/nonexistent:/usr/sbin/nologin\n",
        "group": f"sandkeeper:x:{USER}:\n",
    }
    with tarfile.open(base.file) as archive:
        for name, line in lines.items():
            file = archive.extractfile(f"etc/{name}")
            if file is None:
                raise ClusterError(f"the base image has no /etc/{name}; remove {base.file.parent} and try again")
            (folder / name).write_text(file.read().decode() + line)
    return write_layer(folder, target / "accounts.tar", prefix="etc")


def _application(checkout: Path, target: Path) -> Layer:
    root = target / "application"
    package = checkout / "operator" / "sandkeeper"
    for source in _sources(checkout):
        copy = root / "sandkeeper" / source.relative_to(package)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, copy)
    _compile(root)
    return write_layer(root, target / "application.tar", prefix="app")


def _compile(folder: Path) -> None:
    # Another Python's bytecode would only take room. Matched by hash or not at all: a layer's times are fixed.
    if sys.version_info[:2] == PYTHON:
        compileall.compile_dir(str(folder), quiet=2, invalidation_mode=PycInvalidationMode.UNCHECKED_HASH)
