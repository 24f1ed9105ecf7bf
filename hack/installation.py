"""Installs the chart of this checkout with Helm, as the demo and the e2e tests both do it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from localcluster.commands import run
from localcluster.tools import tool

CHECKOUT = Path(__file__).resolve().parents[1]
CHART = Path("charts") / "sandkeeper"
"""In a checkout, this one or another."""
NAMESPACE = "sandkeeper-system"
RELEASE = "sandkeeper"


@dataclass(frozen=True)
class Installation:
    """A release of the chart in a cluster.

    Attributes
    ----------
    kubeconfig
        Of the cluster's administrator.
    image, guest
        ``repository:tag`` of the operator's and the guest's image, which the cluster has.
    settings
        Values, as ``name=value``, that every installation has.
    chart
        The chart's folder.
    """

    kubeconfig: Path
    image: str
    guest: str
    settings: tuple[str, ...] = ()
    chart: Path = CHECKOUT / CHART

    def install(self, *settings: str) -> None:
        """Install or upgrade, and wait until the operator is ready; a Helm that was killed before is no obstacle.

        Parameters
        ----------
        settings
            Further values as ``name=value``.
        """
        self._take_back()
        values = [*_named("image", self.image), *_named("guest.image", self.guest), *self.settings, *settings]
        self._helm(
            "upgrade", "--install", RELEASE, str(self.chart), "--create-namespace",
            "--wait", "--timeout", "3m", *(word for value in values for word in ("--set", value)),
        )  # fmt: skip

    def uninstall(self) -> None:
        """Remove the release; CRDs and sandboxes stay."""
        self._helm("uninstall", RELEASE, "--wait", "--ignore-not-found")

    def rollback(self) -> None:
        """Go back to the revision before the last, and wait until the operator is ready."""
        self._helm("rollback", RELEASE, "--wait", "--timeout", "3m")

    def _take_back(self) -> None:
        # Helm refuses to work on what it finds begun, also where the one that began it is gone.
        for begun in json.loads(self._helm("list", "--pending", "--filter", f"^{RELEASE}$", "--output", "json")):
            if begun["status"] == "pending-install":
                self.uninstall()
            else:
                self._helm("rollback", RELEASE)

    def _helm(self, *arguments: str) -> str:
        return run(tool("helm"), "--kubeconfig", self.kubeconfig, "--namespace", NAMESPACE, *arguments)


def _named(value: str, image: str) -> tuple[str, str]:
    repository, _, tag = image.rpartition(":")
    return f"{value}.repository={repository}", f"{value}.tag={tag}"
