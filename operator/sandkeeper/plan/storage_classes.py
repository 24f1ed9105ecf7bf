"""Which StorageClasses the cluster has, and what is said where the one that a workspace needs is not among them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

Json = dict[str, Any]

_NAMED: Final = 10


@dataclass(frozen=True)
class StorageClasses:
    """The cluster's StorageClasses.

    Attributes
    ----------
    by_name
        Each as the store keeps it.
    """

    by_name: Mapping[str, Json] = field(default_factory=dict)

    def grows(self, name: str | None) -> bool:
        """Whether volumes of a class can be made bigger; without one, or where it is gone, they can not."""
        return bool(name and self.by_name.get(name, {}).get("grows"))

    def waits(self, name: str | None) -> bool:
        """Whether volumes of a class are made only once a pod is there to use them."""
        return bool(name and self.by_name.get(name, {}).get("waits"))

    def driver(self, name: str | None) -> str:
        """CSI driver, or other provisioner, of a class; empty without one, or where it is gone."""
        return str(self.by_name.get(name, {}).get("driver", "")) if name else ""

    @property
    def default(self) -> str | None:
        """Name of the cluster's default; None where it has none."""
        return next((name for name, each in sorted(self.by_name.items()) if each["default"]), None)

    def missing(self, name: str | None) -> tuple[str, str] | None:
        """Tell what a new claim lacks.

        Parameters
        ----------
        name
            The class that it asks for; None for the cluster's default.

        Returns
        -------
        tuple or None
            Reason and sentence; None where there is a class for it.
        """
        if name is None:
            return None if self.default else ("NoStorageClass", self._none())
        if name in self.by_name:
            return None
        return "StorageClassNotFound", f"spec.workspace.storageClassName: {name} is not there; there {self._listed()}."

    def _none(self) -> str:
        return (
            "The cluster has no default StorageClass: write spec.workspace.storageClassName "
            f"(there {self._listed()}), or spec.workspace.type: Ephemeral."
        )

    def _listed(self) -> str:
        names = sorted(self.by_name)
        if not names:
            return "is none at all"
        more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
        return ("are " if len(names) > 1 else "is ") + ", ".join(names[:_NAMED]) + more
