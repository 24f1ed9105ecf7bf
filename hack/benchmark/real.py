"""A real cluster for what simulated nodes can't show: this checkout's, with the operator installed by its chart."""

import subprocess
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client.parser import text_string_to_metric_families

from benchmark.errors import BenchmarkError
from installation import NAMESPACE, Installation
from localcluster.driver import Driver
from localcluster.images.guest import build_guest_image, guest_image_name
from localcluster.images.operator import build_operator_image, operator_image_name
from localcluster.progress import step
from localcluster.selection import choose
from localcluster.tools import tool
from sandkeeper.runtime.resource import Json

_CALLS = "sandkeeper_api_request_seconds_count"
_WRITES = ("create", "patch", "update", "delete", "exec")


class RealCluster:
    """The cluster that ``hack/cluster up`` brought up, or that this brings up.

    Attributes
    ----------
    namespace
        Where everything that is measured goes; removed in the end.
    """

    def __init__(self, driver: Driver) -> None:
        self.driver = driver
        self.namespace = f"benchmark-{uuid.uuid4().hex[:8]}"

    def kubectl(self, *arguments: str, given: bytes | None = None) -> str:
        """Run kubectl as the cluster's administrator."""
        command = [str(tool("kubectl")), f"--kubeconfig={self.driver.kubeconfig}", *arguments]
        done = subprocess.run(command, input=given, capture_output=True, check=False)
        if done.returncode:
            raise BenchmarkError(f"kubectl {' '.join(arguments[:3])} failed: {done.stderr.decode().strip()}")
        return done.stdout.decode()

    def exec(self, pod: str, script: str, given: bytes | None = None) -> str:
        """Run a shell script in a pod."""
        return self.kubectl("-n", self.namespace, "exec", "-i", pod, "--", "sh", "-ec", script, given=given)

    def writes(self) -> Counter[str]:
        """Count what the operator has asked the apiserver to change so far, by verb and kind."""
        counts: Counter[str] = Counter()
        for pod in self.kubectl("-n", NAMESPACE, "get", "pods", "-o", "name").split():
            name = pod.removeprefix("pod/")
            page = self.kubectl("get", "--raw", f"/api/v1/namespaces/{NAMESPACE}/pods/{name}:8080/proxy/metrics")
            counts.update(writes_in(page))
        return counts


def writes_in(page: str) -> Counter[str]:
    """Read the changes that were asked for from a page of the operator's metrics."""
    counts: Counter[str] = Counter()
    for family in text_string_to_metric_families(page):
        for sample in family.samples:
            if sample.name == _CALLS and sample.labels["verb"] in _WRITES:
                counts[f"{sample.labels['verb']} {sample.labels['resource']}"] += round(sample.value)
    return counts


@contextmanager
def real_cluster() -> Iterator[RealCluster]:
    """Bring the cluster up with this checkout's operator, and give a namespace in it."""
    driver = choose()
    with step("bringing the cluster up, with this checkout's operator"):
        driver.up()
        driver.load(str(build_operator_image()))
        driver.load(str(build_guest_image()))
        Installation(driver.kubeconfig, operator_image_name(), guest_image_name(), driver.chart_values).install()
    cluster = RealCluster(driver)
    cluster.kubectl("create", "namespace", cluster.namespace)
    try:
        yield cluster
    finally:
        cluster.kubectl("delete", "namespace", cluster.namespace, "--wait=false")


def small_sandbox(name: str, namespace: str, **spec: object) -> Json:
    """Return a sandbox with a workspace on a volume, small enough that several fit on one machine."""
    resources = {"requests": {"cpu": "20m"}, "limits": {"cpu": "2", "memory": "1Gi", "ephemeral-storage": "3Gi"}}
    workspace = {"type": "Persistent", "size": "2Gi"}
    return {
        "apiVersion": "sandkeeper.dev/v1alpha1",
        "kind": "Sandbox",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"resources": resources, "workspace": workspace, **spec},
    }
