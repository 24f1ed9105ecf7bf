"""What every driver of a cluster does."""

from pathlib import Path
from typing import Protocol


class Driver(Protocol):
    """A way to have a cluster."""

    name: str
    state: Path
    chart_values: tuple[str, ...]
    """What an installation of the chart there needs beside its images, as ``name=value``."""

    @property
    def kubeconfig(self) -> Path:
        """Return the administrator's kubeconfig."""

    @property
    def policy_enforcement(self) -> str:
        """Return what enforces NetworkPolicies, in a few words."""

    def up(self) -> None:
        """Bring the cluster up, repairing whatever is left of an earlier one."""

    def down(self) -> None:
        """Remove the cluster and everything that belongs to it."""

    def load(self, image: str) -> list[str]:
        """Give the cluster an image, an archive or one that a Docker engine has, and return its names."""

    def details(self) -> dict[str, object]:
        """Return what ``status`` shows beyond what the cluster itself answers."""
