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

    def exec(self, name: str, *command: str) -> str:
        """Run a command in a sandbox."""
        return self.kubectl("exec", f"sbx-{name}", "--", *command)

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
