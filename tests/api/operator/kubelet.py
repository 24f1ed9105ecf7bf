"""A kubelet and scheduler in one that runs nothing: it binds every pod to its node and says that it is ready.

A test that wants something else to happen to the pods of its namespace takes them into its own hands. Canaries
and the pods of diffs end with the answers that a test gives them.
"""

import itertools
import json
import time
from datetime import UTC, datetime
from threading import Event, Thread
from types import TracebackType
from typing import Self

import urllib3

from api.operator.kubernetes_api import Api, Json, RefusedError
from sandkeeper.runtime.resource import LEASES, NODES, PODS

_ROUND_SECONDS = 3
DIGEST = "sha256:" + "5a" * 32
_NOTHING = dict.fromkeys(("added", "changed", "deleted", "bytesAdded", "bytesDeleted"), 0)
UNCHANGED = json.dumps({"workspace": _NOTHING, "system": _NOTHING, "unread": 0})


class Kubelet:
    """Tends the pods of a node."""

    def __init__(self, api: Api, node: str = "node-a") -> None:
        self._api = api
        self._node = node
        self._by_hand: set[str] = set()
        self.answers: dict[str, list[str] | None] = {}
        """What a part of a canary reached, by its name; None while it is still trying."""
        self.comparisons: dict[str, tuple[int, str]] = {}
        """Exit code and message of the pods of diffs, by their namespace; where it is absent, nothing changed."""
        self._addresses = itertools.count(1)
        self._ended = Event()
        self._thread = Thread(target=self._tend_all, name=f"kubelet of {node}")

    def __enter__(self) -> Self:
        add_node(self._api, self._node)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()

    def leave(self, namespace: str) -> None:
        """Do nothing more to the pods of a namespace."""
        self._by_hand.add(namespace)

    def resume(self, namespace: str) -> None:
        """Tend the pods of a namespace again."""
        self._by_hand.discard(namespace)
        for pod in self._api.list(PODS, namespace)["items"]:
            self._tend(pod)

    def bind(self, pod: Json, node: str | None = None) -> None:
        """Put a pod on a node."""
        target = {"metadata": {"name": pod["metadata"]["name"]}, "target": {"kind": "Node", "name": node or self._node}}
        namespace, name = pod["metadata"]["namespace"], pod["metadata"]["name"]
        self._api.create(PODS, namespace, {**target, "apiVersion": "v1", "kind": "Binding"}, name=name, sub="binding")

    def report(self, pod: Json, status: Json) -> None:
        """Report a pod's state."""
        self._api.merge(PODS, pod["metadata"]["namespace"], pod["metadata"]["name"], {"status": status}, sub="status")

    def report_running(self, pod: Json) -> None:
        """Report that a pod runs and is ready."""
        self.report(pod, self._running(pod))

    def report_waiting(self, pod: Json, reason: str, message: str) -> None:
        """Report that a pod's container does not start."""
        container = self._container(pod) | {
            "ready": False,
            "state": {"waiting": {"reason": reason, "message": message}},
        }
        self.report(pod, {"phase": "Pending", "containerStatuses": [container]})

    def _tend_all(self) -> None:
        while not self._ended.is_set():
            try:
                self._heartbeat()
                listed = self._api.list(PODS)
                for pod in listed["items"]:
                    self._tend(pod)
                for event in self._api.watch(PODS, listed["metadata"]["resourceVersion"], _ROUND_SECONDS):
                    if event["type"] in {"ADDED", "MODIFIED"}:
                        self._tend(event["object"])
            except (urllib3.exceptions.HTTPError, RefusedError):
                time.sleep(0.1)

    def _tend(self, pod: Json) -> None:
        if pod["metadata"]["namespace"] in self._by_hand:
            return
        try:
            self._bring_on(pod)
        except RefusedError as error:
            # Gone meanwhile, or tended by a test at the same moment.
            if error.status not in {404, 409}:
                raise

    def _bring_on(self, pod: Json) -> None:
        node = pod["spec"].get("nodeName")
        if not node and "deletionTimestamp" not in pod["metadata"]:
            self.bind(pod)
        elif node == self._node and "deletionTimestamp" in pod["metadata"]:
            # What it heard may be old, and a successor of the same name be there.
            metadata = pod["metadata"]
            self._api.delete(PODS, metadata["namespace"], metadata["name"], grace=0, uid=metadata["uid"])
        elif node == self._node and pod["status"]["phase"] == "Pending":
            self._start(pod)

    def _start(self, pod: Json) -> None:
        part = pod["metadata"]["name"].removeprefix("sandkeeper-canary-").rpartition("-")[0]
        if pod["metadata"]["name"].startswith("sandkeeper-diff-"):
            self.report(pod, self._exited(pod, *self.comparisons.get(pod["metadata"]["namespace"], (0, UNCHANGED))))
        elif pod["spec"]["containers"][0].get("args", [""])[0] != "probe":
            self.report_running(pod)
        elif (reached := self.answers.get(part)) is not None:
            self.report(pod, self._exited(pod, 0, json.dumps({"reached": reached})))

    def _exited(self, pod: Json, code: int, message: str) -> Json:
        ended = {"exitCode": code, "reason": "Error" if code else "Completed", "message": message}
        state = {"terminated": ended | {"startedAt": _now(fraction=False), "finishedAt": _now(fraction=False)}}
        phase = "Failed" if code else "Succeeded"
        return {"phase": phase, "containerStatuses": [self._container(pod) | {"ready": False, "state": state}]}

    def _running(self, pod: Json) -> Json:
        address = f"10.1.{next(self._addresses) % 65536 // 256}.{next(self._addresses) % 256}"
        return {
            "phase": "Running",
            "podIP": address,
            "podIPs": [{"ip": address}],
            "hostIP": "192.0.2.1",
            "hostIPs": [{"ip": "192.0.2.1"}],
            "conditions": [{"type": kind, "status": "True"} for kind in ("PodScheduled", "ContainersReady", "Ready")],
            "containerStatuses": [
                self._container(pod)
                | {"ready": True, "started": True, "state": {"running": {"startedAt": _now(fraction=False)}}}
            ],
        }

    def _container(self, pod: Json) -> Json:
        container = pod["spec"]["containers"][0]
        return {
            "name": container["name"],
            "image": container["image"],
            "imageID": f"{container['image']}@{DIGEST}",
            # Without them the apiserver believes that the node can't resize.
            "resources": container["resources"],
            "allocatedResources": container["resources"].get("requests", {}),
            "restartCount": 0,
        }

    def _heartbeat(self) -> None:
        """Renew the node's Lease, without which the controller manager gives it up after 50 s."""
        spec = {"holderIdentity": self._node, "leaseDurationSeconds": 40, "renewTime": _now()}
        try:
            self._api.merge(LEASES, "kube-node-lease", self._node, {"spec": spec})
        except RefusedError as error:
            if error.status != 404:
                raise
            self._api.create(LEASES, "kube-node-lease", {"metadata": {"name": self._node}, "spec": spec})


def add_node(api: Api, name: str) -> None:
    """Register a node that is ready and has user namespaces."""
    api.create(NODES, "", {"metadata": {"name": name}})
    status = {
        "conditions": [{"type": "Ready", "status": "True", "lastHeartbeatTime": _now(fraction=False)}],
        "capacity": {"cpu": "1000", "memory": "1000Gi", "pods": "1000"},
        "allocatable": {"cpu": "1000", "memory": "1000Gi", "pods": "1000"},
        "runtimeHandlers": [{"name": "", "features": {"userNamespaces": True}}],
    }
    api.merge(NODES, "", name, {"status": status}, sub="status")


def _now(*, fraction: bool = True) -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ" if fraction else "%Y-%m-%dT%H:%M:%SZ")
