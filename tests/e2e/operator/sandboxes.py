"""Sandboxes as tests write and read them, through kubectl."""

import json
import time
from collections.abc import Callable
from typing import Any, TypeVar

from api.kubectl import Kubectl

T = TypeVar("T")

SMALL = {"limits": {"cpu": "500m", "memory": "128Mi", "ephemeral-storage": "1Gi"}, "requests": {"cpu": "20m"}}
"""Several fit on the two cores that a test machine has."""
EPHEMERAL = {"type": "Ephemeral"}
PERSISTENT = {"type": "Persistent", "size": "64Mi"}


class Sandboxes:
    """The sandboxes of one namespace.

    Parameters
    ----------
    kubectl
        As the cluster's administrator.
    namespace
        Theirs.
    """

    def __init__(self, kubectl: Kubectl, namespace: str) -> None:
        self._kubectl = kubectl
        self.namespace = namespace

    def kubectl(self, *arguments: str, given: str | None = None) -> str:
        """Run kubectl in the namespace."""
        return self._kubectl("-n", self.namespace, *arguments, given=given)

    def apply(self, name: str, **spec: Any) -> None:
        """Apply a sandbox, small and without a volume unless resources and workspace are given."""
        self.kubectl("apply", "-f", "-", given=json.dumps(self.manifest(name, **spec)))

    def manifest(self, name: str, **spec: Any) -> dict[str, Any]:
        """Write a sandbox down."""
        return {
            "apiVersion": "sandkeeper.dev/v1alpha1",
            "kind": "Sandbox",
            "metadata": {"name": name},
            "spec": {"resources": SMALL, "workspace": EPHEMERAL, **spec},
        }

    def get(self, kind: str, name: str) -> dict[str, Any]:
        """Read an object; empty where it is not there."""
        text = self.kubectl("get", kind, name, "--ignore-not-found", "-o", "json")
        found: dict[str, Any] = json.loads(text) if text else {}
        return found

    def pod(self, name: str) -> dict[str, Any]:
        """Read the pod of a sandbox."""
        return self.get("pod", f"sbx-{name}")

    def wait(self, name: str, condition: str = "Ready") -> None:
        """Wait as a user does."""
        self.kubectl("wait", f"sandbox/{name}", f"--for=condition={condition}", "--timeout=120s")

    def ready(self, name: str) -> dict[str, str]:
        """Read the condition Ready."""
        conditions = self.get("sandbox", name).get("status", {}).get("conditions", [])
        return next((each for each in conditions if each["type"] == "Ready"), {})

    def change(self, name: str, **spec: Any) -> None:
        """Change the spec of a sandbox."""
        self.kubectl("patch", "sandbox", name, "--type=merge", "-p", json.dumps({"spec": spec}))

    def reaches(self, name: str, reason: str) -> dict[str, Any]:
        """Wait until a sandbox, of its present generation, is Ready or not for a reason, and return its status."""

        def read() -> dict[str, Any]:
            sandbox = self.get("sandbox", name)
            status: dict[str, Any] = sandbox.get("status", {})
            current = status.get("observedGeneration") == sandbox["metadata"]["generation"]
            return status if current else {}

        def has_reason(status: dict[str, Any]) -> bool:
            return any(each["type"] == "Ready" and each["reason"] == reason for each in status.get("conditions", []))

        return eventually(read, has_reason)

    def sleep(self, name: str) -> dict[str, Any]:
        """Put a sandbox to sleep, wait until it sleeps without a pod, and return its status."""
        self.change(name, lifecycle={"state": "Sleeping"})
        status = self.reaches(name, "Sleeping")
        eventually(lambda: self.pod(name), lambda pod: not pod)
        return status

    def wake(self, name: str) -> dict[str, Any]:
        """Wake a sandbox, wait until it runs, and return its status."""
        self.change(name, lifecycle={"state": "Running"})
        return self.reaches(name, "Running")

    def exec(self, name: str, *command: str) -> str:
        """Run a command in a sandbox."""
        return self.kubectl("exec", f"sbx-{name}", "--", *command)

    def sh(self, name: str, script: str) -> str:
        """Run a shell script that has to succeed in a sandbox."""
        return self.exec(name, "sh", "-ec", script)

    def run(self, name: str, image: str, *command: str) -> str:
        """Run a command in an ordinary pod of the namespace to its end and return what it printed.

        Not attached: what is printed before ``kubectl run -i`` has attached may be lost.
        """
        self.kubectl("run", name, f"--image={image}", "--restart=Never", "--command", "--", *command)
        try:
            self.kubectl("wait", f"pod/{name}", "--for=jsonpath={.status.phase}=Succeeded", "--timeout=120s")
        finally:
            printed = self.kubectl("logs", name)
            self.kubectl("delete", "pod", name, "--now")
        return printed


def eventually(read: Callable[[], T], expected: Callable[[T], object], seconds: float = 120.0) -> T:
    """Read until it is as expected, and say what was read last where it never is."""
    deadline = time.monotonic() + seconds
    while True:
        value = read()
        if expected(value):
            return value
        assert time.monotonic() < deadline, f"not within {seconds:.0f} s; last seen: {value!r}"
        time.sleep(0.3)
