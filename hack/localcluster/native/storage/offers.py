"""What there is to choose from: a class with all that a volume can do, and one with the least."""

from dataclasses import dataclass
from pathlib import Path

TOPOLOGY_KEY = "storage.sandkeeper.dev/node"
VERSION = "1"
PLUGINS = Path("/var/lib/kubelet/plugins")
REGISTRY = Path("/var/lib/kubelet/plugins_registry")


@dataclass(frozen=True)
class Offer:
    """One driver and the StorageClass of its volumes.

    Parameters
    ----------
    driver
        The CSI driver's name.
    storage_class
        The StorageClass's name, and the VolumeSnapshotClass's where it has snapshots.
    full
        Whether volumes can be snapshotted, copied and expanded.
    """

    driver: str
    storage_class: str
    full: bool

    @property
    def socket(self) -> Path:
        """Return where the driver answers."""
        return PLUGINS / self.driver / "csi.sock"

    @property
    def registration(self) -> Path:
        """Return where the kubelet finds the driver."""
        return REGISTRY / f"{self.driver}-reg.sock"


SNAPSHOTS = Offer("volumes.sandkeeper.dev", "sandkeeper-snapshots", full=True)
PLAIN = Offer("plain.sandkeeper.dev", "sandkeeper-plain", full=False)
OFFERS = (SNAPSHOTS, PLAIN)
