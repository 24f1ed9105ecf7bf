"""The operator on the rights that the chart grants and no others: it does its work and is never refused."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path

import pytest

from api.kubectl import Kubectl
from localcluster.controlplane import ControlPlane
from localcluster.process import wait_until
from unit.chart.rendering import CHART, CHECKOUT, Helm

NAMESPACE = "sandkeeper-system"
ACCOUNT = f"system:serviceaccount:{NAMESPACE}:sandkeeper-operator"
GROUPS = ("system:serviceaccounts", f"system:serviceaccounts:{NAMESPACE}", "system:authenticated")


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[ControlPlane]:
    """Run a control plane with the chart installed, but none of its pods."""
    with ControlPlane(tmp_path / "control-plane") as control_plane:
        helm = Helm(tmp_path, control_plane.kubeconfig)
        options = ("--namespace", NAMESPACE, "--create-namespace", "--set", "replicaCount=0")
        done = helm("install", "sandkeeper", CHART, *options)
        assert done.returncode == 0, done.stderr
        yield control_plane


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def page(port: int, path: str) -> str:
    """Return what the operator answers, or nothing where it does not."""
    connection = HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.read().decode() if answer.status == 200 else ""
    except OSError:
        return ""
    finally:
        connection.close()


@pytest.fixture
def metrics_port(cluster: ControlPlane, tmp_path: Path) -> Iterator[int]:
    """Run the operator as its service account, and return where its metrics are."""
    metrics, probes = free_port(), free_port()
    settings = {
        "KUBECONFIG": str(cluster.credentials(ACCOUNT, GROUPS)),
        "PYTHONPATH": str(CHECKOUT / "operator"),
        "SANDKEEPER_NAMESPACE": NAMESPACE,
        "SANDKEEPER_METRICS_PORT": str(metrics),
        "SANDKEEPER_PROBES_PORT": str(probes),
        "SANDKEEPER_PRIORITY_CLASS": "sandkeeper-sandbox",
        "SANDKEEPER_REQUIRE_ENFORCEMENT": "false",
    }
    with (tmp_path / "operator.log").open("w") as log:
        command = [sys.executable, "-m", "sandkeeper", "operator"]
        operator = subprocess.Popen(command, env={**os.environ, **settings}, stdout=log, stderr=log)
        try:
            wait_until(lambda: bool(page(probes, "/readyz")), "the operator", seconds=60)
            yield metrics
        finally:
            operator.terminate()
            operator.wait(30)


def test_the_operator_is_never_refused(cluster: ControlPlane, metrics_port: int, tmp_path: Path) -> None:
    kubectl = Kubectl(cluster.kubeconfig, tmp_path / "kubectl")
    sandbox = {"apiVersion": "sandkeeper.dev/v1alpha1", "kind": "Sandbox", "metadata": {"name": "hello"}}
    spec = {"ports": [{"name": "web", "port": 8080}], "workspace": {"type": "Ephemeral"}}
    kubectl("apply", "-f", "-", given=json.dumps({**sandbox, "spec": spec}))
    fence = ("networkpolicy/sandkeeper-fence", "fence/sandkeeper-fence")
    for child in ("pod/sbx-hello", "service/hello", "networkpolicy/sbx-hello", *fence):
        kubectl("wait", "--for=create", child, "--timeout=30s")

    kubectl("delete", "pod", "sbx-hello", "--timeout=30s")
    kubectl("wait", "--for=create", "pod/sbx-hello", "--timeout=60s")
    kubectl("patch", "sandbox", "hello", "--type=merge", "-p", '{"spec": {"ports": []}}')
    kubectl("wait", "--for=delete", "service/hello", "networkpolicy/sbx-hello", "--timeout=30s")
    kubectl("delete", "sandbox", "hello", "--timeout=30s")
    kubectl("wait", "--for=delete", "pod/sbx-hello", "--timeout=30s")

    calls = page(metrics_port, "/metrics")
    assert 'resource="pods"' in calls
    assert 'code="403"' not in calls
