"""Scheduler, kubelet and garbage collector: what happens to pods and children once they are asked for."""

from __future__ import annotations

import asyncio
import json
from random import Random
from typing import TYPE_CHECKING

from sandkeeper.runtime.resource import CLAIMS, NODES, PODS, STORAGE_CLASSES, VOLUME_SNAPSHOTS, Json

if TYPE_CHECKING:
    from unit.fakes.apiserver import FakeApiServer

NODE = "n1"
CLASS: Json = {
    "metadata": {"name": "standard", "annotations": {"storageclass.kubernetes.io/is-default-class": "true"}},
    "provisioner": "example.com/disks",
    "allowVolumeExpansion": True,
}
_NOTHING = dict.fromkeys(("added", "changed", "deleted", "bytesAdded", "bytesDeleted"), 0)
UNCHANGED = json.dumps({"workspace": _NOTHING, "unread": 0})
"""What a diff says of two volumes that are the same."""
_PROTECTION = "kubernetes.io/pvc-protection"


class FakeNode:
    """One node that takes every pod, and the controllers that a cluster has beside ours.

    Parameters
    ----------
    pace
        Most seconds that it takes to notice something.
    waits
        Whether a claim gets its volume only once a pod is there to use it, or its node is known.
    """

    def __init__(
        self, server: FakeApiServer, random: Random | None = None, pace: float = 1.0, *, waits: bool = False
    ) -> None:
        self._server = server
        self._random = random or Random(0)
        self._pace = pace
        self._waits = waits
        self.answers: dict[str, list[str] | None] = {}
        """What a part of a canary reaches, by its name; None while it is still trying."""
        self.starts = True
        """Whether containers of sandboxes start."""
        self.provides = True
        """Whether there is room for another volume."""
        self.compared: tuple[int, str] | None = (0, UNCHANGED)
        """Exit code and message of the pods of diffs; None while they are at work."""

    async def run(self) -> None:
        """Work until cancelled."""
        able = {"runtimeHandlers": [{"name": "", "features": {"userNamespaces": True}}], "conditions": ready("True")}
        self._server.create(NODES, "", {"metadata": {"name": NODE}, "status": able})
        mode = {"volumeBindingMode": "WaitForFirstConsumer"} if self._waits else {}
        self._server.create(STORAGE_CLASSES, "", {**CLASS, **mode})
        while True:
            before = self._server.version
            self._server.collect_garbage()
            for claim in self._server.all(CLAIMS):
                self._provide(claim)
            for pod in self._server.all(PODS):
                self._care(pod)
            if self._server.version == before:
                await self._server.change()
            await asyncio.sleep(self._random.random() * self._pace)

    def _provide(self, claim: Json) -> None:
        """Give a claim a volume of the size that it asks for, protect it, and let it go with its last pod."""
        size = claim["spec"]["resources"]["requests"]["storage"]
        if "deletionTimestamp" in claim["metadata"]:
            if not any(_uses(pod, claim) for pod in self._server.all(PODS)):
                self._server.remove(CLAIMS, claim)
        elif claim["status"].get("capacity") != {"storage": size} and self._can_be_made(claim):
            protected = {**claim, "metadata": {**claim["metadata"], "finalizers": [_PROTECTION]}}
            self._server.replace_status(CLAIMS, protected, {"phase": "Bound", "capacity": {"storage": size}})

    def _can_be_made(self, claim: Json) -> bool:
        """Whether a claim can get its volume: it is to be used, and what it is made from is there."""
        source = claim["spec"].get("dataSource")
        if claim["status"].get("phase") == "Bound":
            return True
        if not self.provides:
            return False
        chosen = "volume.kubernetes.io/selected-node" in claim["metadata"].get("annotations", {})
        if self._waits and not chosen and not any(_uses(pod, claim) for pod in self._server.all(PODS)):
            return False
        if source is None:
            return True
        resource = {"VolumeSnapshot": VOLUME_SNAPSHOTS, "PersistentVolumeClaim": CLAIMS}[source["kind"]]
        return self._server.find(resource, claim["metadata"]["namespace"], source["name"]) is not None

    def _care(self, pod: Json) -> None:
        """Take a pod one step further: onto the node, to readiness, or to its end."""
        if "deletionTimestamp" in pod["metadata"]:
            self._server.remove(PODS, pod)
        elif pod["status"]["phase"] == "Pending" and "nodeName" not in pod["spec"]:
            scheduled = [{"type": "PodScheduled", "status": "True"}]
            self._server.replace_status(
                PODS, pod, {"phase": "Pending", "conditions": scheduled}, spec={"nodeName": NODE}
            )
        elif pod["metadata"]["name"].startswith("sandkeeper-diff-"):
            if self.compared and pod["status"]["phase"] == "Pending":
                self._server.replace_status(PODS, pod, compared(*self.compared))
        elif pod["status"]["phase"] == "Pending" and "probe" not in pod["spec"]["containers"][0].get("args", ()):
            if self.starts:
                self._server.replace_status(PODS, pod, running(pod))
        elif pod["status"]["phase"] == "Pending":
            reached = self.answers.get(pod["metadata"]["name"].split("-")[2])
            if reached is not None:
                self._server.replace_status(PODS, pod, answered(reached))


def _uses(pod: Json, claim: Json) -> bool:
    """Whether a claim is in use: by a pod that a node has taken and that has not ended."""
    names = {each.get("persistentVolumeClaim", {}).get("claimName") for each in pod["spec"].get("volumes", ())}
    taken = "nodeName" in pod["spec"] and pod["status"]["phase"] not in {"Failed", "Succeeded"}
    return taken and claim["metadata"]["name"] in names


def compared(code: int, message: str) -> Json:
    """Status of a pod of a diff that has ended."""
    container = {"name": "diff", "state": {"terminated": {"exitCode": code, "message": message}}}
    return {"phase": "Failed" if code else "Succeeded", "containerStatuses": [container]}


def answered(reached: list[str]) -> Json:
    """Status of a canary that has ended."""
    terminated = {"exitCode": 0, "message": json.dumps({"reached": reached})}
    return {"phase": "Succeeded", "containerStatuses": [{"name": "canary", "state": {"terminated": terminated}}]}


def ready(status: str) -> list[Json]:
    """Conditions of a node or pod."""
    return [{"type": "Ready", "status": status}]


def running(pod: Json) -> Json:
    """Status of a pod that runs."""
    image = pod["spec"]["containers"][0]["image"]
    container = {
        "name": pod["spec"]["containers"][0]["name"],
        "image": image,
        "imageID": f"{image}@sha256:1",
        "restartCount": 0,
        "state": {"running": {}},
    }
    addresses = {"podIP": "10.0.0.7", "hostIP": "192.0.2.1"}
    return {"phase": "Running", **addresses, "conditions": ready("True"), "containerStatuses": [container]}
