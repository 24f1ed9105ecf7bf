"""Debian packages that a build or the node needs, installed when they are missing."""

import os
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

from localcluster.errors import ClusterError
from localcluster.locking import locked
from localcluster.paths import cache_home
from localcluster.progress import step


def ensure_packages(names: Iterable[str], purpose: str) -> None:
    """Install those of the packages that the machine lacks.

    Parameters
    ----------
    names
        Debian package names.
    purpose
        What they are for, for the error message.

    Raises
    ------
    ClusterError
        If some are missing and this process may not install them.
    """
    lacking = missing(names)
    if not lacking:
        return
    wanted = " ".join(lacking)
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        raise ClusterError(
            f"{purpose} needs the Debian packages {wanted}; install them (apt-get install {wanted}) or run this as root"
        )
    with locked(cache_home() / ".apt.lock"), step(f"installing {wanted}"):
        _apt_get("update")
        _apt_get("install", "--yes", "--no-install-recommends", *lacking)


def ensure_package_lists(purpose: str) -> None:
    """Make sure that apt knows what there is to download.

    Raises
    ------
    ClusterError
        If this machine has no apt, or apt cannot reach its sources.
    """
    if not shutil.which("apt-get"):
        raise ClusterError(f"{purpose} needs apt-get: the native cluster takes its parts from Debian's packages")
    with locked(cache_home() / ".apt.lock"):
        if not list(Path("/var/lib/apt/lists").glob("*_Packages*")):
            _apt_get("update")


def missing(names: Iterable[str]) -> list[str]:
    """Return those of the packages that are not installed."""
    wanted = list(names)
    if not shutil.which("dpkg-query"):
        return wanted
    command = ["dpkg-query", "--show", "--showformat=${Package} ${db:Status-Status}\n", *wanted]
    told = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    installed = {line.split()[0] for line in told.splitlines() if line.endswith(" installed")}
    return [name for name in wanted if name not in installed]


def _apt_get(*arguments: str) -> None:
    # Another program may hold dpkg's lock for a while: wait for it instead of failing.
    command = ["apt-get", "-q", "-o", "DPkg::Lock::Timeout=300", *arguments]
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        raise ClusterError(f"{' '.join(command)} failed: {(done.stderr or done.stdout).strip()[-600:]}")
