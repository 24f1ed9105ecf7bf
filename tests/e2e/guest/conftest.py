"""Pods whose first process is the guest, without the operator."""

import json
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from api.kubectl import Kubectl
from e2e.conftest import hack_cluster
from localcluster.process import wait_until

DEBIAN = "docker.io/library/debian:12"
GUEST = "/.sandkeeper/bin/guest"
SYSTEM = "/.sandkeeper/system"


class Guests:
    """Pods with the guest in them, in a namespace of their own.

    Parameters
    ----------
    kubectl
        The cluster's administrator.
    namespace
        The namespace.
    guest_image
        The image that the guest comes from.
    """

    def __init__(self, kubectl: Kubectl, namespace: str, guest_image: str) -> None:
        self._kubectl = kubectl
        self.namespace = namespace
        self.guest_image = guest_image

    def create(
        self,
        name: str,
        *command: str,
        image: str = DEBIAN,
        settings: dict[str, Any] | None = None,
        by_init: bool = False,
        once: bool = False,
        system: dict[str, Any] | None = None,
        **container: Any,
    ) -> None:
        """Create a pod; ``system`` is the volume that packs are kept on, an emptyDir where none is said."""
        mounts = [{"name": "guest", "mountPath": "/.sandkeeper/bin", "readOnly": True}]
        mounts += [{"name": "system", "mountPath": SYSTEM}, {"name": "workspace", "mountPath": "/workspace"}]
        first = [GUEST, "run", "--settings", json.dumps(settings or {}), "--", *command]
        main = {"name": "main", "image": image, "command": first, "volumeMounts": mounts, "startupProbe": PROBE}
        spec = {
            "hostUsers": False,
            "terminationGracePeriodSeconds": 10,
            "restartPolicy": "Never" if once else "Always",
            "containers": [main | container],
            "volumes": [{"name": "system", **(system or {"emptyDir": {}})}, {"name": "workspace", "emptyDir": {}}],
        }
        self._bring_guest(spec, by_init=by_init)
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}
        self("apply", "-f", "-", given=json.dumps(pod))

    def _bring_guest(self, spec: dict[str, Any], *, by_init: bool) -> None:
        volume: dict[str, Any] = {"image": {"reference": self.guest_image, "pullPolicy": "IfNotPresent"}}
        if by_init:
            volume = {"emptyDir": {}}
            mounts = [{"name": "guest", "mountPath": "/to"}]
            command = ["/guest", "install", "/to"]
            init = {"name": "guest", "image": self.guest_image, "command": command, "volumeMounts": mounts}
            spec["initContainers"] = [init]
        spec["volumes"].append({"name": "guest", **volume})

    def run(self, name: str, *command: str, **how: Any) -> None:
        """Create a pod and wait until it is ready."""
        self.create(name, *command, **how)
        self("wait", "--for=condition=Ready", f"pod/{name}", "--timeout=60s")

    def inside(self, name: str, script: str) -> str:
        """Run a shell script in a pod and return what it prints."""
        return self("exec", name, "--", "sh", "-c", script)

    def pack(self, name: str) -> dict[str, Any]:
        """Pack by exec, as the operator does, and return what is told."""
        return dict(json.loads(self("exec", name, "--", GUEST, "pack")))

    def quiesce(self, name: str) -> dict[str, Any]:
        """Pack where something is kept, and sync the volumes; return what is told."""
        return dict(json.loads(self("exec", name, "--", GUEST, "quiesce")))

    def end(self, name: str) -> dict[str, Any]:
        """Wait until the container of a pod has ended, and return how."""
        return self._state(name, "terminated")

    def restart(self, name: str, script: str = "kill 1") -> None:
        """Have a container end by a script in it, and wait until the next one is ready."""
        before = self._status(name)["restartCount"]
        self.inside(name, f"({script}) >/dev/null 2>&1 &")

        def restarted() -> bool:
            status = self._status(name)
            return bool(status["restartCount"] > before and status["ready"])

        wait_until(restarted, f"the restart of {name}", 60.0, interval=0.2)

    def _state(self, name: str, kind: str) -> dict[str, Any]:
        wait_until(lambda: kind in self._status(name)["state"], f"{name} to be {kind}", 60.0, interval=0.2)
        return dict(self._status(name)["state"][kind])

    def _status(self, name: str) -> dict[str, Any]:
        statuses = json.loads(self("get", "pod", name, "-o", "json"))["status"].get("containerStatuses")
        return dict(statuses[0]) if statuses else {"state": {}, "restartCount": 0, "ready": False}

    def refused(self, *arguments: str) -> str:
        """Run kubectl in the namespace, where it has to fail, and return what it says."""
        return self._kubectl.refused("--namespace", self.namespace, *arguments)

    def __call__(self, *arguments: str, given: str | None = None) -> str:
        """Run kubectl in the namespace."""
        return self._kubectl("--namespace", self.namespace, *arguments, given=given)


PROBE = {"exec": {"command": [GUEST, "ready"]}, "periodSeconds": 1, "failureThreshold": 60}


@pytest.fixture(scope="session")
def guest_image(kubeconfig: object) -> str:
    """The guest's image of this checkout, on the cluster's nodes."""
    assert kubeconfig
    return hack_cluster("load", "guest").strip()


@pytest.fixture
def guests(kubectl: Kubectl, guest_image: str) -> Iterator[Guests]:
    """Pods with the guest, in a namespace that is removed after the test."""
    namespace = f"guest-{uuid.uuid4().hex[:8]}"
    kubectl("create", "namespace", namespace)
    yield Guests(kubectl, namespace, guest_image)
    kubectl("delete", "namespace", namespace, "--wait=false")
