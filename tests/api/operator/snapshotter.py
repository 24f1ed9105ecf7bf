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
from sandkeeper.runtime.resource import (
    CLAIMS,
    PODS,
    STORAGE_CLASSES,
    VOLUME_SNAPSHOT_CLASSES,
    VOLUME_SNAPSHOTS,
    VOLUMES,
)

CHOSEN = "volume.kubernetes.io/selected-node"
CLASS = "copied"
DRIVER = "copies.example.com"


class Snapshotter:
    """Tends the claims and VolumeSnapshots of one class.

    Parameters
    ----------
    node
        The only one that reaches its volumes, which wait for their first consumer; empty where all do, at once.

    Attributes
    ----------
    errors
        What is said of the VolumeSnapshots of a namespace instead; None for nothing at all.
    held
        Namespaces in which nothing that is made from something gets a volume.
    given_up
        Namespaces in which no volume is made for a node that was chosen without a pod.
    """

    def __init__(self, api: Api, node: str = "") -> None:
        self._api = api
        self._node = node
        self.given_up: set[str] = set()
        self.errors: dict[str, str | None] = {}
        self.held: set[str] = set()
        self._ended = Event()
        self._thread = Thread(target=self._tend_all, name="snapshotter")

    def __enter__(self) -> Self:
        mode = {"volumeBindingMode": "WaitForFirstConsumer"} if self._node else {}
        self._api.create(STORAGE_CLASSES, "", {"metadata": {"name": CLASS}, "provisioner": DRIVER, **mode})
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
        if self._node and not self._is_used(claim) and not self._is_chosen(claim):
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
            **(on_node(self._node) if self._node else {}),
        }
        if self._api.find(VOLUMES, "", name) is None:
            self._api.create(VOLUMES, "", {"metadata": {"name": name}, "spec": volume})

    def _is_used(self, claim: Json) -> bool:
        """Whether a pod on a node waits for a claim."""
        for pod in self._api.list(PODS, claim["metadata"]["namespace"])["items"]:
            volumes = pod["spec"].get("volumes") or ()
            names = {each.get("persistentVolumeClaim", {}).get("claimName") for each in volumes}
            if pod["spec"].get("nodeName") and claim["metadata"]["name"] in names:
                return True
        return False

    def _is_chosen(self, claim: Json) -> bool:
        """Whether a claim is to be made for the node; one that is given up loses what says so."""
        metadata = claim["metadata"]
        if (metadata.get("annotations") or {}).get(CHOSEN) != self._node:
            return False
        if metadata["namespace"] not in self.given_up:
            return True
        taken: Json = {"metadata": {"annotations": {CHOSEN: None}}}
        self._api.merge(CLAIMS, metadata["namespace"], metadata["name"], taken)
        return False

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


def on_node(name: str) -> Json:
    """Part of a PersistentVolume's spec: it is on one node alone."""
    hosts = [{"key": "kubernetes.io/hostname", "operator": "In", "values": [name]}]
    return {"nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": hosts}]}}}


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
