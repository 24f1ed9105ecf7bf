"""Pods of the tests' own, in a cluster that need not have the operator."""

import json
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from api.kubectl import Kubectl
from localcluster.images.catalogue import BUSYBOX
from localcluster.native.driver import NativeDriver
from localcluster.selection import choose

# Another cluster's network and volumes are its own, and no concern of these tests.
NATIVE = ["test_policy_daemon.py", "test_storage.py", "test_csi_sanity.py"]
collect_ignore = [] if isinstance(choose(), NativeDriver) else NATIVE


class Pods:
    """Pods in a namespace of their own.

    Parameters
    ----------
    kubectl
        The cluster's administrator.
    namespace
        The namespace.
    """

    def __init__(self, kubectl: Kubectl, namespace: str) -> None:
        self._kubectl = kubectl
        self.namespace = namespace

    def create(self, name: str, command: str = "sleep 1000", **spec: Any) -> None:
        """Create a pod that runs a shell command; the label ``app`` has its name."""
        container = {"name": "main", "image": BUSYBOX, "command": ["sh", "-c", command]}
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name, "labels": {"app": name}},
            "spec": {"containers": [container], "terminationGracePeriodSeconds": 0, **spec},
        }
        self.apply(pod)

    def run(self, name: str, command: str = "sleep 1000", **spec: Any) -> None:
        """Create a pod and wait until it is ready."""
        self.create(name, command, **spec)
        self("wait", "--for=condition=Ready", f"pod/{name}", "--timeout=50s")

    def apply(self, content: dict[str, Any]) -> None:
        """Apply an object in the namespace."""
        self("apply", "-f", "-", given=json.dumps(content))

    def inside(self, name: str, *command: str) -> str:
        """Run a command in a pod and return what it prints."""
        return self("exec", name, "--", *command)

    def refused(self, *arguments: str) -> str:
        """Run kubectl in the namespace for what has to fail, and return what it says."""
        return self._kubectl.refused("--namespace", self.namespace, *arguments)

    def __call__(self, *arguments: str, given: str | None = None) -> str:
        """Run kubectl in the namespace."""
        return self._kubectl("--namespace", self.namespace, *arguments, given=given)


@pytest.fixture
def pods(kubectl: Kubectl) -> Iterator[Pods]:
    """Pods in a namespace that is removed after the test."""
    namespace = f"cluster-{uuid.uuid4().hex[:8]}"
    kubectl("create", "namespace", namespace)
    yield Pods(kubectl, namespace)
    kubectl("delete", "namespace", namespace, "--wait=false")
