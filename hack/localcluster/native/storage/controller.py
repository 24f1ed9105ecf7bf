"""CSI's Controller service: volumes and snapshots come and go."""

import shutil
from typing import Any

import csi_pb2 as csi

from localcluster.native.storage import binds
from localcluster.native.storage.capabilities import require_mountable
from localcluster.native.storage.offers import TOPOLOGY_KEY, Offer
from localcluster.native.storage.pages import page
from localcluster.native.storage.records import Snapshot, Source, Volume, Wanted
from localcluster.native.storage.refusal import Refusal
from localcluster.native.storage.shelf import Shelf

RPC = csi.ControllerServiceCapability.RPC
ALWAYS = (RPC.CREATE_DELETE_VOLUME, RPC.LIST_VOLUMES, RPC.GET_CAPACITY)
FULL = (RPC.CREATE_DELETE_SNAPSHOT, RPC.LIST_SNAPSHOTS, RPC.CLONE_VOLUME, RPC.EXPAND_VOLUME)


class Controller:
    """The Controller service.

    Parameters
    ----------
    offer
        What the driver offers.
    shelf
        Its volumes and snapshots.
    node
        Name of the node that they are on.
    """

    def __init__(self, offer: Offer, shelf: Shelf, node: str) -> None:
        self._offer = offer
        self._shelf = shelf
        self._topology = [csi.Topology(segments={TOPOLOGY_KEY: node})]

    def controller_get_capabilities(self, _request: Any) -> Any:
        """Return what the driver can do."""
        kinds = (*ALWAYS, *(FULL if self._offer.full else ()))
        known = [csi.ControllerServiceCapability(rpc=RPC(type=kind)) for kind in kinds]
        return csi.ControllerGetCapabilitiesResponse(capabilities=known)

    def create_volume(self, request: Any) -> Any:
        """Make a volume, empty or from a source."""
        if not request.name:
            raise Refusal.invalid("a volume needs a name")
        require_mountable(request.volume_capabilities)
        wanted = _wanted(request)
        if wanted.least > (total := shutil.disk_usage(self._shelf.pool).total):
            raise Refusal.out_of_range(f"{wanted.least} bytes are more than the {total} of all volumes together")
        source = _source(request)
        if source and not self._offer.full:
            raise Refusal.invalid(f"the driver {self._offer.driver} copies no volumes")
        return csi.CreateVolumeResponse(volume=self._volume(self._shelf.make_volume(request.name, wanted, source)))

    def delete_volume(self, request: Any) -> Any:
        """Delete a volume that no pod has."""
        _require(request.volume_id, "a volume's id")
        if self._shelf.volume(request.volume_id):
            root = f"/{self._shelf.data(request.volume_id).relative_to(self._shelf.pool)}"
            if holders := binds.holders(root, binds.present()):
                raise Refusal.in_use(f"volume {request.volume_id} is mounted at {holders[0]}")
        self._shelf.delete_volume(request.volume_id)
        return csi.DeleteVolumeResponse()

    def controller_expand_volume(self, request: Any) -> Any:
        """Let a volume take more, at once and whoever has it mounted."""
        _require(request.volume_id, "a volume's id")
        if not request.HasField("capacity_range"):
            raise Refusal.invalid("expansion needs a size")
        volume = self._shelf.expand(request.volume_id, _wanted(request))
        return csi.ControllerExpandVolumeResponse(capacity_bytes=volume.size, node_expansion_required=False)

    def validate_volume_capabilities(self, request: Any) -> Any:
        """Tell whether a volume can be used in the ways that are asked for."""
        _require(request.volume_id, "a volume's id")
        if not request.volume_capabilities:
            raise Refusal.invalid("no capabilities are named")
        if self._shelf.volume(request.volume_id) is None:
            raise Refusal.not_found(f"there is no volume {request.volume_id}")
        answer = csi.ValidateVolumeCapabilitiesResponse()
        try:
            require_mountable(request.volume_capabilities)
        except Refusal as refusal:
            answer.message = refusal.sentence
        else:
            answer.confirmed.volume_capabilities.extend(request.volume_capabilities)
        return answer

    def list_volumes(self, request: Any) -> Any:
        """Return volumes, a page at a time."""
        found, token = page(self._shelf.volumes(), request.starting_token, request.max_entries)
        entries = [csi.ListVolumesResponse.Entry(volume=self._volume(volume)) for volume in found]
        return csi.ListVolumesResponse(entries=entries, next_token=token)

    def get_capacity(self, _request: Any) -> Any:
        """Return what is left for all volumes together."""
        return csi.GetCapacityResponse(available_capacity=self._shelf.free())

    def create_snapshot(self, request: Any) -> Any:
        """Take a snapshot."""
        _require(request.name, "a snapshot's name")
        _require(request.source_volume_id, "a volume's id")
        taken = self._shelf.make_snapshot(request.name, request.source_volume_id)
        return csi.CreateSnapshotResponse(snapshot=_snapshot(taken))

    def delete_snapshot(self, request: Any) -> Any:
        """Delete a snapshot."""
        _require(request.snapshot_id, "a snapshot's id")
        self._shelf.delete_snapshot(request.snapshot_id)
        return csi.DeleteSnapshotResponse()

    def list_snapshots(self, request: Any) -> Any:
        """Return snapshots, all or of one id or volume, a page at a time."""
        wanted = [
            snapshot
            for snapshot in self._shelf.snapshots()
            if request.snapshot_id in ("", snapshot.id) and request.source_volume_id in ("", snapshot.volume)
        ]
        found, token = page(wanted, request.starting_token, request.max_entries)
        entries = [csi.ListSnapshotsResponse.Entry(snapshot=_snapshot(snapshot)) for snapshot in found]
        return csi.ListSnapshotsResponse(entries=entries, next_token=token)

    def _volume(self, volume: Volume) -> Any:
        message = csi.Volume(volume_id=volume.id, capacity_bytes=volume.size, accessible_topology=self._topology)
        if volume.source and volume.source.kind == "volume":
            message.content_source.volume.volume_id = volume.source.id
        elif volume.source:
            message.content_source.snapshot.snapshot_id = volume.source.id
        return message


def _wanted(request: Any) -> Wanted:
    return Wanted(request.capacity_range.required_bytes, request.capacity_range.limit_bytes)


def _source(request: Any) -> Source | None:
    match request.volume_content_source.WhichOneof("type"):
        case "volume":
            return Source("volume", request.volume_content_source.volume.volume_id)
        case "snapshot":
            return Source("snapshot", request.volume_content_source.snapshot.snapshot_id)
    return None


def _snapshot(snapshot: Snapshot) -> Any:
    message = csi.Snapshot(
        snapshot_id=snapshot.id, source_volume_id=snapshot.volume, size_bytes=snapshot.size, ready_to_use=True
    )
    message.creation_time.FromNanoseconds(int(snapshot.taken * 1e9))
    return message


def _require(value: str, what: str) -> None:
    if not value:
        raise Refusal.invalid(f"{what} is missing")
