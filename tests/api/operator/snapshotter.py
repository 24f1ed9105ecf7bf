"""A snapshot-controller and a driver in one that copy nothing: each VolumeSnapshot is ready at once, unless held up.

It provides volumes too, for what is to be copied has to be on one.
"""

import time
from datetime import UTC, datetime
from threading import Event, Thread
from types import TracebackType
from typing import Self

import urllib3

from api.operator.kubernetes_api import Api, Json, RefusedError
from sandkeeper.runtime.resource import CLAIMS, STORAGE_CLASSES, VOLUME_SNAPSHOT_CLASSES, VOLUME_SNAPSHOTS, Resource

VOLUMES = Resource("", "v1", "persistentvolumes", "PersistentVolume", namespaced=False)
CLASS = "copied"
DRIVER = "copies.example.com"


class Snapshotter:
    """Tends the claims and VolumeSnapshots of one class.

    Attributes
    ----------
    errors
        What is said of the VolumeSnapshots of a namespace instead; None for nothing at all.
    held
        Namespaces in which nothing that is made from something gets a volume.
    """

    def __init__(self, api: Api) -> None:
        self._api = api
        self.errors: dict[str, str | None] = {}
        self.held: set[str] = set()
        self._ended = Event()
        self._thread = Thread(target=self._tend_all, name="snapshotter")

    def __enter__(self) -> Self:
        self._api.create(STORAGE_CLASSES, "", {"metadata": {"name": CLASS}, "provisioner": DRIVER})
        copies = {"metadata": {"name": CLASS}, "driver": DRIVER, "deletionPolicy": "Delete"}
        self._api.create(VOLUME_SNAPSHOT_CLASSES, "", copies)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()
        self._api.delete(STORAGE_CLASSES, "", CLASS)
        self._api.delete(VOLUME_SNAPSHOT_CLASSES, "", CLASS)

    def _tend_all(self) -> None:
        while not self._ended.is_set():
            try:
                for claim in self._api.list(CLAIMS)["items"]:
                    self._provide(claim)
                for snapshot in self._api.list(VOLUME_SNAPSHOTS)["items"]:
                    self._copy(snapshot)
            except (urllib3.exceptions.HTTPError, RefusedError):
                # Gone meanwhile, or changed by a test at the same moment.
                continue
            finally:
                time.sleep(0.05)

    def _provide(self, claim: Json) -> None:
        metadata, spec = claim["metadata"], claim["spec"]
        if spec.get("storageClassName") != CLASS or "volumeName" in spec or "deletionTimestamp" in metadata:
            return
        if "dataSource" in spec and metadata["namespace"] in self.held:
            return
        name = f"copied-{metadata['uid']}"
        reference = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "namespace": metadata["namespace"]}
        volume = {
            "capacity": spec["resources"]["requests"],
            "accessModes": spec["accessModes"],
            "storageClassName": CLASS,
            "persistentVolumeReclaimPolicy": "Retain",
            "csi": {"driver": DRIVER, "volumeHandle": name},
            "claimRef": {**reference, "name": metadata["name"], "uid": metadata["uid"]},
        }
        if self._api.find(VOLUMES, "", name) is None:
            self._api.create(VOLUMES, "", {"metadata": {"name": name}, "spec": volume})

    def _copy(self, snapshot: Json) -> None:
        metadata, before = snapshot["metadata"], snapshot.get("status") or {}
        error = self.errors.get(metadata["namespace"], "")
        if error is None or before.get("readyToUse"):
            return
        status: Json = {"readyToUse": False, "error": {"message": error, "time": _now()}}
        if not error:
            status = {"readyToUse": True, "error": None, "creationTime": _now(), "restoreSize": "1Gi"}
        if (before.get("error") or {}).get("message", "") != error or not error:
            self._api.merge(VOLUME_SNAPSHOTS, metadata["namespace"], metadata["name"], {"status": status}, sub="status")


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
