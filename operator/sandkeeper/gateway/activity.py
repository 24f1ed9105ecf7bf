"""When each sandbox last had traffic, for the operator, which lets those sleep that have none."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from sandkeeper.runtime.http import serve_json

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Mapping

    from aiohttp import web


class Activity:
    """The last traffic of pods that are there.

    Parameters
    ----------
    pods
        Uids of those.
    now
        Seconds since the epoch.
    """

    def __init__(self, pods: Container[str], now: Callable[[], float] = time.time) -> None:
        self._pods = pods
        self._now = now
        self._last: dict[str, float] = {}

    def take(self, traffic: Mapping[str, float]) -> None:
        """Take what a worker has seen."""
        for uid, at in traffic.items():
            self._last[uid] = max(at, self._last.get(uid, 0.0))

    def told(self) -> dict[str, Any]:
        """Give what is known.

        Returns
        -------
        dict
            ``now``, and of each pod's uid under ``traffic`` when it last had some: seconds since the epoch, by this
            machine's clock. A pod without traffic since this process began is not in it.
        """
        self._last = {uid: at for uid, at in self._last.items() if uid in self._pods}
        return {"now": self._now(), "traffic": self._last}


async def serve_activity(activity: Activity, port: int) -> web.AppRunner:
    """Serve ``/activity``."""
    return await serve_json({"/activity": activity.told}, port)
