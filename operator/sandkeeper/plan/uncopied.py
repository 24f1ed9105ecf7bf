"""Which snapshots of a sandbox still need what its workspace is now: begun, and their volume not copied yet.

A rollback that takes the workspace away meanwhile would make them of another moment, or leave them with nothing.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from sandkeeper.plan.pod_state import condition, parse_time
from sandkeeper.plan.volume_snapshot import copied_claim

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

Json = dict[str, Any]

_LONGEST: Final = timedelta(minutes=1)
"""For which a running sandbox is kept as it is until the copy is asked for; its guest may never answer."""
_BEGINS: Final = frozenset({"Pending", "Quiescing", "Copying"})


def uncopied(snapshots: Iterable[Json], volumes: Mapping[str, Json], now: datetime) -> dict[str, str]:
    """Find the snapshots that are begun and not copied yet.

    Parameters
    ----------
    snapshots
        SandboxSnapshots of one sandbox.
    volumes
        VolumeSnapshots behind them, by their names.

    Returns
    -------
    dict
        By name, the claim that is to be copied; empty where that is yet to be said.
    """
    found = {}
    for each in snapshots:
        name, status = each["metadata"]["name"], each.get("status", {})
        volume = volumes.get(name)
        if volume is None and _is_about_to(each, status, now):
            found[name] = ""
        elif volume is not None and not _is_cut(volume):
            found[name] = copied_claim(volume)
    return found


def _is_about_to(snapshot: Json, status: Json, now: datetime) -> bool:
    began = status.get("startTime")
    if began is None or "volumeSnapshotName" in status or "deletionTimestamp" in snapshot["metadata"]:
        return False
    return condition(snapshot, "Ready").get("reason") in _BEGINS and now < parse_time(began) + _LONGEST


def _is_cut(volume: Json) -> bool:
    status = volume["status"]
    return bool(status.get("readyToUse") or status.get("creationTime")) or "deletionTimestamp" in volume["metadata"]
