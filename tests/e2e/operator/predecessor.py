"""What was installed before: an earlier commit's chart, and images of its sources built as today's are."""

import os
import shutil
import subprocess
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from installation import CHART, CHECKOUT, Installation
from localcluster.commands import run
from localcluster.errors import ClusterError
from localcluster.images.guest import build_guest_image, guest_image_name
from localcluster.images.operator import build_operator_image, operator_image_name
from localcluster.paths import state_home
from localcluster.selection import choose

CHOSEN = "SANDKEEPER_UPGRADE_FROM"
"""Names another commit or tag to upgrade from."""
OPERATOR = "operator/sandkeeper"


def predecessor_commit(checkout: Path = CHECKOUT) -> str:
    """Return the newest commit of the main line whose operator is another than the checkout's.

    Raises
    ------
    ClusterError
        If this clone has none, as where it is shallow.
    """
    if chosen := os.environ.get(CHOSEN):
        return _git(checkout, "rev-parse", "--verify", f"{chosen}^{{commit}}")
    for commit in _git(checkout, "rev-list", "--first-parent", "HEAD").split():
        differs = subprocess.run(["git", "diff", "--quiet", commit, "--", OPERATOR], cwd=checkout, check=False)
        if differs.returncode == 1:
            return commit
    raise ClusterError(
        "this clone has no commit with another operator to upgrade from; "
        f"`git fetch --unshallow` gets the history, and {CHOSEN} can name a commit"
    )


def predecessor(of: Installation, commit: str) -> Installation:
    """Return what installs a commit's chart, with its images, where another installation is.

    The sources have one place for each checkout, so that of their images, too, only the newest is kept. Settings that
    the chart did not have yet are left out.
    """
    sources = state_home() / "predecessor"
    shutil.rmtree(sources, ignore_errors=True)
    sources.mkdir(parents=True)
    _extract(commit, sources)
    for image in (build_operator_image(sources), build_guest_image(sources)):
        choose().load(str(image))
    chart = sources / CHART
    values = yaml.safe_load((chart / "values.yaml").read_text())
    settings = tuple(each for each in of.settings if _has(values, each.partition("=")[0].split(".")))
    return Installation(of.kubeconfig, operator_image_name(sources), guest_image_name(sources), settings, chart)


def _has(values: Any, path: Sequence[str]) -> bool:
    if not path:
        return True
    return isinstance(values, dict) and path[0] in values and _has(values[path[0]], path[1:])


def _extract(commit: str, sources: Path) -> None:
    with subprocess.Popen(["git", "archive", commit], cwd=CHECKOUT, stdout=subprocess.PIPE) as archive:
        assert archive.stdout is not None
        with tarfile.open(fileobj=archive.stdout, mode="r|") as files:
            files.extractall(sources, filter="data")


def _git(checkout: Path, *arguments: str) -> str:
    return run("git", *arguments, cwd=checkout).strip()
