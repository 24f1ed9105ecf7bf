"""Which VolumeSnapshotClass copies a workspace, and what is said where none does."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

Json = dict[str, Any]

_NAMED: Final = 10


class UnsupportedError(Exception):
    """A workspace can't be copied; the text is a sentence that says what to do."""


@dataclass(frozen=True)
class SnapshotClasses:
    """The cluster's VolumeSnapshotClasses.

    Attributes
    ----------
    by_name
        Each as the store keeps it.
    served
        Whether the cluster has VolumeSnapshots at all.
    """

    by_name: Mapping[str, Json] = field(default_factory=dict)
    served: bool = True

    def choose(self, named: str | None, driver: str) -> str:
        """Choose the class that a volume is copied with.

        Parameters
        ----------
        named
            What the snapshot asks for; None for the driver's default.
        driver
            CSI driver of the volume; empty where that is not known.

        Raises
        ------
        UnsupportedError
            If there is none.
        """
        if not self.served:
            raise UnsupportedError(
                "The cluster has no VolumeSnapshots: install the CRDs and the controller of external-snapshotter, and "
                "a VolumeSnapshotClass for the workspace's driver."
            )
        return self._named(named, driver) if named else self._default(driver)

    def _named(self, named: str, driver: str) -> str:
        found = self.by_name.get(named)
        if found is None:
            raise UnsupportedError(
                f"spec.volumeSnapshotClassName: {named} is not there; there {_listed(self.by_name)}. Make that class, "
                "or a snapshot of another one."
            )
        if driver and found["driver"] != driver:
            raise UnsupportedError(
                f"spec.volumeSnapshotClassName: {named} is of driver {found['driver']}, and the workspace of driver "
                f"{driver}; make a snapshot of a class of that driver."
            )
        return named

    def _default(self, driver: str) -> str:
        if not driver:
            raise UnsupportedError(
                "The StorageClass of the workspace is gone, so its driver is not known: make a snapshot that names "
                "the class in spec.volumeSnapshotClassName."
            )
        fitting = sorted(name for name, each in self.by_name.items() if each["driver"] == driver)
        marked = [name for name in fitting if self.by_name[name]["default"]]
        if not fitting:
            raise UnsupportedError(
                f"No VolumeSnapshotClass is of driver {driver}, which the workspace is on: make one if the driver can "
                "copy volumes, or give the sandbox's workspace a StorageClass whose driver can."
            )
        if not marked and len(fitting) > 1:
            raise UnsupportedError(
                f"None of the VolumeSnapshotClasses of driver {driver} is its default: mark one of "
                f"{', '.join(fitting[:_NAMED])} as such, or make a snapshot that names one in "
                "spec.volumeSnapshotClassName."
            )
        return (marked or fitting)[0]


def _listed(names: Mapping[str, Json]) -> str:
    if not names:
        return "is none at all"
    return ("are " if len(names) > 1 else "is ") + ", ".join(sorted(names)[:_NAMED])
