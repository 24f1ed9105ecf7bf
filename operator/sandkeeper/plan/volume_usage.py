"""How full the volume of a workspace is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from sandkeeper.api.environment import Environment

FULL: Final = 0.01
"""Part of a volume that file systems keep for themselves or need to go on; less than this is of no use to anybody."""


def full_volume(environment: Environment) -> str:
    """Sentence about a full workspace."""
    workspace = environment.workspace
    return (
        f"Nothing more fits on the volume of {workspace.size} that the workspace {workspace.path} is on: delete "
        "something there, or raise spec.workspace.size."
    )


@dataclass(frozen=True)
class VolumeUsage:
    """What the kubelet measured of a mounted volume.

    Attributes
    ----------
    capacity_bytes, available_bytes
        Of the file system, which may have less than the claim asked for.
    """

    capacity_bytes: int
    available_bytes: int

    @property
    def full(self) -> bool:
        """Whether nothing more fits, as far as its owner would call it that."""
        return self.available_bytes < self.capacity_bytes * FULL
