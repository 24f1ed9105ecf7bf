"""What the local cluster's node does with pods."""

import json

import pytest

from e2e.cluster.conftest import Pods
from localcluster.process import wait_until


def test_root_in_a_pod_with_a_user_namespace_is_nobody_on_the_node(pods: Pods) -> None:
    pods.run("sandboxed", hostUsers=False)

    inside, outside, count = (int(word) for word in pods.inside("sandboxed", "cat", "/proc/self/uid_map").split())

    assert inside == 0
    assert outside >= 65536
    assert count == 65536


@pytest.mark.parametrize("name", ["runc", "runc-alt"])
def test_each_runtime_class_runs_pods(pods: Pods, name: str) -> None:
    pods.run("classy", runtimeClassName=name, hostUsers=False)

    assert pods.inside("classy", "echo", "hello") == "hello\n"


def test_a_runtime_class_without_a_handler_on_the_node_runs_none(pods: Pods) -> None:
    pods.apply(
        {
            "apiVersion": "node.k8s.io/v1",
            "kind": "RuntimeClass",
            "metadata": {"name": pods.namespace},
            "handler": "no-such-handler",
        }
    )
    try:
        pods.create("stuck", runtimeClassName=pods.namespace)

        def refused() -> bool:
            events = json.loads(pods("get", "events", "-o", "json"))["items"]
            return any("no-such-handler" in event["message"] for event in events)

        wait_until(refused, "the node's refusal", 50.0, interval=0.5)
    finally:
        pods("delete", "runtimeclass", pods.namespace)
