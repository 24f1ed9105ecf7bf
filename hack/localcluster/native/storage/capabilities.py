"""Which ways to use a volume there are: mounted, on one node."""

from collections.abc import Sequence
from typing import Any

import csi_pb2 as csi

from localcluster.native.storage.refusal import Refusal

MODE = csi.VolumeCapability.AccessMode
ONE_NODE = (
    MODE.SINGLE_NODE_WRITER,
    MODE.SINGLE_NODE_READER_ONLY,
    MODE.SINGLE_NODE_SINGLE_WRITER,
    MODE.SINGLE_NODE_MULTI_WRITER,
)


def require_mountable(capabilities: Sequence[Any]) -> None:
    """Refuse what the driver cannot do.

    Raises
    ------
    Refusal
        If nothing is asked for, or a block device, or more than one node.
    """
    if not capabilities:
        raise Refusal.invalid("no way to use the volume is named")
    for capability in capabilities:
        if capability.WhichOneof("access_type") == "block":
            raise Refusal.invalid("volumes are file systems, not block devices")
        if capability.access_mode.mode not in ONE_NODE:
            raise Refusal.invalid(
                f"volumes are on one node, and {MODE.Mode.Name(capability.access_mode.mode)} asks for more"
            )
