"""The controllers that make VolumeSnapshots real, in one: a driver that copies, or does what a story wants."""

from __future__ import annotations

import asyncio
from random import Random
from typing import TYPE_CHECKING

from sandkeeper.runtime.resource import CLAIMS, VOLUME_SNAPSHOT_CLASSES, VOLUME_SNAPSHOTS, Json

if TYPE_CHECKING:
    from unit.fakes.apiserver import FakeApiServer

CLASS: Json = {"metadata": {"name": "copies"}, "driver": "example.com/disks", "deletionPolicy": "Delete"}
TAKEN = "2026-03-01T12:00:05Z"


class FakeSnapshotter:
    """Copies every volume.

    Attributes
    ----------
    error
        What it says instead, while that is set.
    stopped
        Whether it does nothing at all.
    """

    def __init__(self, server: FakeApiServer, random: Random | None = None, pace: float = 1.0) -> None:
        self._server = server
        self._random = random or Random(0)
        self._pace = pace
        self.error = ""
        self.stopped = False

    async def run(self) -> None:
        """Work until cancelled."""
        self._server.create(VOLUME_SNAPSHOT_CLASSES, "", CLASS)
        while True:
            before = self._server.version
            for snapshot in self._server.all(VOLUME_SNAPSHOTS) if not self.stopped else ():
                self._care(snapshot)
            if self._server.version == before:
                await self._server.change()
            await asyncio.sleep(self._random.random() * self._pace)

    def _care(self, snapshot: Json) -> None:
        if snapshot.get("status", {}).get("readyToUse"):
            return
        name = snapshot["spec"]["source"]["persistentVolumeClaimName"]
        claim = self._server.find(CLAIMS, snapshot["metadata"]["namespace"], name)
        trouble = self.error or ("" if claim else f"claim {name} is not there")
        status: Json = {"readyToUse": False, "error": {"message": trouble}}
        if not trouble:
            status = {"readyToUse": True, "creationTime": TAKEN, "restoreSize": "10Gi"}
        self._server.replace_status(VOLUME_SNAPSHOTS, snapshot, status)
