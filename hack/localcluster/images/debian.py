"""Debian root file systems by debootstrap, each kept as one layer in the cache."""

import json
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from localcluster.commands import run
from localcluster.errors import ClusterError
from localcluster.images.oci import Layer, write_layer
from localcluster.locking import made_once
from localcluster.packages import ensure_package_lists, ensure_packages
from localcluster.paths import cache_home
from localcluster.progress import step

EMPTIED = ("dev", "proc", "sys", "tmp", "run", "var/cache/apt/archives", "var/lib/apt/lists", "var/log", "var/tmp")
MACHINE_FILES = ("etc/machine-id", "etc/hostname", "etc/resolv.conf", "var/lib/dbus/machine-id")


@dataclass(frozen=True)
class DebianBase:
    """One Debian release with a choice of packages.

    Parameters
    ----------
    suite
        The release's name.
    packages
        What it has beyond the minimum.
    """

    suite: str
    packages: tuple[str, ...]

    @property
    def key(self) -> str:
        """Return a name for the cache that changes with the content wanted."""
        return f"{self.suite}-{sha256(repr((self.packages, EMPTIED)).encode()).hexdigest()[:12]}"

    def layer(self) -> Layer:
        """Return the base as a layer, made by debootstrap where this machine never did."""
        folder = made_once(cache_home() / "images" / self.key, self._make)
        return Layer(folder / "layer.tar", json.loads((folder / "layer.json").read_text())["digest"])

    def _make(self, target: Path) -> None:
        ensure_packages(["debootstrap"], "making a Debian image")
        ensure_package_lists("making a Debian image")
        root = target / "root"
        with step(f"making a base image of Debian {self.suite}") as progress:
            self._bootstrap(root, progress.tell)
            _compile_python(root)
            for name in MACHINE_FILES:
                (root / name).unlink(missing_ok=True)
            layer = write_layer(root, target / "layer.tar", without=EMPTIED)
            run("rm", "-rf", "--one-file-system", root)
        (target / "layer.json").write_text(json.dumps({"digest": layer.digest}))

    def _bootstrap(self, root: Path, tell: Callable[[str], None]) -> None:
        packages = ",".join(self.packages)
        command = ["debootstrap", "--variant=minbase", f"--include={packages}", self.suite, str(root), mirror()]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
            said = []
            for line in process.stdout or ():
                said.append(line.rstrip())
                tell(line.removeprefix("I: ").strip())
        if process.returncode:
            raise ClusterError(f"debootstrap of {self.suite} failed:\n" + "\n".join(said[-8:]))


def mirror() -> str:
    """Return where this machine's own apt gets Debian's packages from."""
    command = ["apt-get", "indextargets", "--format", "$(SITE) $(LABEL) $(COMPONENT)", "Created-By: Packages"]
    for line in run(*command).splitlines():
        site, _, archive = line.partition(" ")
        if archive == "Debian main":
            return site
    raise ClusterError("apt on this machine has no source of Debian's packages; a base image cannot be made")


def _compile_python(root: Path) -> None:
    # Compiled files are matched by hash, since the layer's times are fixed and would make every one look stale.
    for folder in sorted((root / "usr/lib").glob("python3*")):
        inside = f"/{folder.relative_to(root)}"
        options = ["-q", "-f", "--invalidation-mode", "unchecked-hash"]
        # A few files of the test suites are not meant to compile.
        subprocess.run(
            ["chroot", root, "python3", "-m", "compileall", *options, inside], check=False, capture_output=True
        )
