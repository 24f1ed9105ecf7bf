"""CSI's Node service: volumes are bound to the paths of pods."""

import shutil
from pathlib import Path
from typing import Any

import csi_pb2 as csi

from localcluster.native.storage import binds
from localcluster.native.storage.capabilities import require_mountable
from localcluster.native.storage.looks import Looks
from localcluster.native.storage.offers import TOPOLOGY_KEY
from localcluster.native.storage.refusal import Refusal
from localcluster.native.storage.shelf import Shelf

RPC = csi.NodeServiceCapability.RPC


class NodeService:
    """The Node service.

    Parameters
    ----------
    shelf
        The driver's volumes.
    node
        The node's name.
    """

    def __init__(self, shelf: Shelf, node: str) -> None:
        self._shelf = shelf
        self._node = node
        self._looks = Looks(shelf.pool)

    def node_get_info(self, _request: Any) -> Any:
        """Return the node's name and place."""
        return csi.NodeGetInfoResponse(
            node_id=self._node, accessible_topology=csi.Topology(segments={TOPOLOGY_KEY: self._node})
        )

    def node_get_capabilities(self, _request: Any) -> Any:
        """Say that use is measured; nothing is staged, and growth needs no help of the node."""
        known = [csi.NodeServiceCapability(rpc=RPC(type=RPC.GET_VOLUME_STATS))]
        return csi.NodeGetCapabilitiesResponse(capabilities=known)

    def node_publish_volume(self, request: Any) -> Any:
        """Bind a volume to a path."""
        _require(request.volume_id, request.target_path)
        require_mountable([request.volume_capability] if request.HasField("volume_capability") else [])
        self._require_volume(request.volume_id)
        data = self._shelf.data(request.volume_id)
        root = f"/{data.relative_to(self._shelf.pool)}"
        binds.bind(data, root, Path(request.target_path), read_only=request.readonly)
        return csi.NodePublishVolumeResponse()

    def node_unpublish_volume(self, request: Any) -> Any:
        """Take a volume from a path."""
        _require(request.volume_id, request.target_path)
        binds.unbind(Path(request.target_path))
        return csi.NodeUnpublishVolumeResponse()

    def node_get_volume_stats(self, request: Any) -> Any:
        """Return what a volume holds and has left: of its own size, and of what all volumes share."""
        _require(request.volume_id, request.volume_path)
        self._require_volume(request.volume_id)
        if not Path(request.volume_path).is_mount():
            raise Refusal.not_found(f"nothing is mounted at {request.volume_path}")
        use = self._looks.of(str(self._shelf.data(request.volume_id).relative_to(self._shelf.pool)))
        if use is None:
            raise Refusal.not_found(f"volume {request.volume_id} has just been deleted")
        limit = use.limit or shutil.disk_usage(self._shelf.pool).total
        left = max(min(limit - use.used, self._shelf.free()), 0)
        usage = csi.VolumeUsage(unit=csi.VolumeUsage.BYTES, total=limit, used=use.used, available=left)
        return csi.NodeGetVolumeStatsResponse(usage=[usage])

    def _require_volume(self, name: str) -> None:
        if self._shelf.volume(name) is None:
            raise Refusal.not_found(f"there is no volume {name}")


def _require(volume: str, path: str) -> None:
    if not volume or not path:
        raise Refusal.invalid("a volume's id or the path is missing")
