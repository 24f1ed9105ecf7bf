"""Scheduler, kubelet and garbage collector: what happens to pods and children once they are asked for."""

from __future__ import annotations

import asyncio
import json
from random import Random
from typing import TYPE_CHECKING

from sandkeeper.runtime.resource import CLAIMS, NODES, PODS, STORAGE_CLASSES, VOLUME_SNAPSHOTS, VOLUMES, Json

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
_CHOSEN = "volume.kubernetes.io/selected-node"


class FakeNode:
    """One node that takes every pod, and the controllers that a cluster has beside ours.

    Parameters
    ----------
    pace
        Most seconds that it takes to notice something.
    waits
        Whether a claim gets its volume only once a pod is there to use it, or its node is known; on that node alone.
    """

    def __init__(
        self, server: FakeApiServer, random: Random | None = None, pace: float = 1.0, *, waits: bool = False
    ) -> None:
        self._server = server
        self._random = random or Random(0)
        self._pace = pace
        self._waits = waits
        self.held = False
        """Whether nothing that is made from something gets its volume."""
        self.gives_up = False
        """Whether it makes no volume for a node that was chosen without a pod, and gives such a claim back."""
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
        elif self.gives_up and _CHOSEN in claim["metadata"].get("annotations", {}) and not self._used(claim):
            if claim["status"].get("phase") != "Bound":
                chosen: Json = {"metadata": {"annotations": {_CHOSEN: None}}}
                self._server.patch(CLAIMS, claim["metadata"]["namespace"], claim["metadata"]["name"], chosen)
        elif claim["status"].get("capacity") != {"storage": size} and self._can_be_made(claim):
            protected = {**claim, "metadata": {**claim["metadata"], "finalizers": [_PROTECTION]}}
            status = {"phase": "Bound", "capacity": {"storage": size}}
            self._server.replace_status(CLAIMS, protected, status, spec=self._volume(claim))

    def _volume(self, claim: Json) -> Json:
        """Make the volume of a class that waits, on the node, and name it; of others nobody asks where they are."""
        name = f"pvc-{claim['metadata']['uid']}"
        if self._waits and self._server.find(VOLUMES, "", name) is None:
            self._server.create(VOLUMES, "", {"metadata": {"name": name}, "spec": on_nodes(NODE)})
        return {"volumeName": name} if self._waits else {}

    def _used(self, claim: Json) -> bool:
        return any(_uses(pod, claim) for pod in self._server.all(PODS))

    def _can_be_made(self, claim: Json) -> bool:
        """Whether a claim can get its volume: it is to be used, and what it is made from is there."""
        source = claim["spec"].get("dataSource")
        if claim["status"].get("phase") == "Bound":
            return True
        if not self.provides:
            return False
        chosen = _CHOSEN in claim["metadata"].get("annotations", {})
        if self._waits and not chosen and not self._used(claim):
            return False
        if source is None:
            return True
        if self.held:
            return False
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


def on_nodes(*names: str, key: str = "kubernetes.io/hostname", **more: Json) -> Json:
    """Spec of a PersistentVolume that is reached from where a label has one of these values."""
    terms = [{"matchExpressions": [{"key": key, "operator": "In", "values": list(names)}]}]
    return {"nodeAffinity": {"required": {"nodeSelectorTerms": terms}}, **more}


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
