"""Something happens to a sandbox's pod: the sandbox says what, and heals without help."""

from typing import Any

import pytest

from api.operator.kubelet import Kubelet, add_node
from api.operator.kubernetes_api import Json
from api.operator.operator_process import OperatorProcess
from api.operator.team import IMAGE, Team, condition
from api.operator.waiting import eventually
from sandkeeper.runtime.resource import NODES, PODS

OUT_OF_SERVICE = {"key": "node.kubernetes.io/out-of-service", "value": "nodeshutdown", "effect": "NoExecute"}


def running(team: Team, **spec: Any) -> Json:
    """Create a sandbox, wait until it runs, and return its pod."""
    team.create(**spec)
    team.await_running()
    return team.pod()


def uid(obj: Json) -> str:
    return str(obj["metadata"]["uid"])


def told(sandbox: Json) -> str:
    return str(condition(sandbox, "Ready")["message"])


def test_a_deleted_pod_comes_back(operator: OperatorProcess, team: Team) -> None:
    before = running(team)

    team.api.delete(PODS, team.namespace, "sbx-agent")

    after = team.await_pod(other_than=uid(before))
    eventually(lambda: team.await_reason("Running")["status"]["podIP"] != before["status"]["podIP"], "new address")
    assert uid(team.pod()) == uid(after)


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        ({"reason": "Evicted", "message": "The node was low on resource: memory."}, "Evicted"),
        ({"reason": "Terminated", "message": "Pod was terminated in response to imminent node shutdown."}, "Failed"),
    ],
)
def test_a_failed_pod_is_replaced(
    operator: OperatorProcess, team: Team, kubelet: Kubelet, status: Json, reason: str
) -> None:
    before = running(team)

    kubelet.report(before, {"phase": "Failed", **status})

    team.await_pod(other_than=uid(before))
    team.await_reason("Running")
    said = eventually(lambda: team.events(reason), f"event {reason}")
    assert status["message"].rstrip(".") in said[0]["note"]
    assert said[0]["type"] == "Warning"


def test_pods_that_fail_one_after_another_are_replaced_ever_slower(
    operator: OperatorProcess, team: Team, kubelet: Kubelet
) -> None:
    first = running(team)
    kubelet.report(first, {"phase": "Failed", "reason": "Evicted", "message": "The node was low on memory."})
    second = team.await_pod(other_than=uid(first))
    team.await_reason("Running")

    kubelet.report(second, {"phase": "Failed", "reason": "Evicted", "message": "The node was low on memory."})

    eventually(lambda: "A new pod is made at" in told(team.await_reason("Evicted")), "pause before the next pod")
    assert team.condition("Reconciling")["status"] == "True"
    team.await_pod(other_than=uid(second))
    team.await_reason("Running")


def test_a_pod_that_no_node_takes(operator: OperatorProcess, team: Team, kubelet: Kubelet) -> None:
    kubelet.leave(team.namespace)
    team.create()
    pod = team.await_pod()

    message = "0/3 nodes are available: 3 Insufficient cpu."
    refused = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}
    kubelet.report(pod, {"conditions": [refused]})

    assert told(team.await_reason("Unschedulable")) == message
    assert eventually(lambda: team.events("Unschedulable"), "event")[0]["note"] == message
    kubelet.resume(team.namespace)
    team.await_reason("Running")
    assert uid(team.pod()) == uid(pod)


def test_an_image_that_cannot_be_pulled_at_first(operator: OperatorProcess, team: Team, kubelet: Kubelet) -> None:
    kubelet.leave(team.namespace)
    team.create()
    pod = team.await_pod()
    kubelet.bind(pod)

    kubelet.report_waiting(pod, "ErrImagePull", f'failed to pull "{IMAGE}": not found')

    first = team.await_reason("ImagePullFailed")
    assert f"Image {IMAGE} can't be pulled" in told(first)
    assert "not found" in told(first)
    kubelet.resume(team.namespace)
    team.await_reason("Running")
    assert uid(team.pod()) == uid(pod)


def test_a_missing_secret_is_named(operator: OperatorProcess, team: Team, kubelet: Kubelet) -> None:
    kubelet.leave(team.namespace)
    team.create(env=[{"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "openai", "key": "key"}}}])
    pod = team.await_pod()
    kubelet.bind(pod)

    kubelet.report_waiting(pod, "CreateContainerConfigError", 'secret "openai" not found')

    assert told(team.await_reason("SecretMissing")) == "Secret openai is not there; the start goes on once it is."
    kubelet.resume(team.namespace)
    team.await_reason("Running")


def test_a_container_that_ran_out_of_memory(operator: OperatorProcess, team: Team, kubelet: Kubelet) -> None:
    pod = running(team)
    kubelet.leave(team.namespace)

    ended = {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}
    waiting = {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 10s"}}
    container = pod["status"]["containerStatuses"][0] | {"ready": False, "restartCount": 1}
    kubelet.report(
        pod,
        {
            "conditions": [{"type": "Ready", "status": "False"}],
            "containerStatuses": [container | {"state": waiting, "lastState": ended}],
        },
    )

    assert "memory limit" in told(team.await_reason("OOMKilled"))
    kubelet.report_running(team.pod())
    team.await_reason("Running")
    assert uid(team.pod()) == uid(pod)


def test_a_node_that_does_not_answer_is_named(operator: OperatorProcess, team: Team, kubelet: Kubelet) -> None:
    kubelet.leave(team.namespace)
    add_node(team.api, "node-silent")
    try:
        team.create()
        pod = team.await_pod()
        kubelet.bind(pod, "node-silent")
        kubelet.report_running(pod)
        team.await_reason("Running")

        silent = {"conditions": [{"type": "Ready", "status": "Unknown"}]}
        team.api.merge(NODES, "", "node-silent", {"status": silent}, sub="status")
        kubelet.report(pod, {"conditions": [{"type": "Ready", "status": "False"}]})

        assert "node-silent" in told(team.await_reason("NodeLost"))
    finally:
        team.api.delete(NODES, "", "node-silent")


def test_a_pod_that_does_not_end_is_lost_with_its_node_until_an_admin_says_so(
    operator: OperatorProcess, team: Team, kubelet: Kubelet
) -> None:
    kubelet.leave(team.namespace)
    add_node(team.api, "node-dead")
    try:
        team.create(podTemplate={"spec": {"terminationGracePeriodSeconds": 1}})
        pod = team.await_pod()
        kubelet.bind(pod, "node-dead")
        kubelet.report_running(pod)
        team.await_reason("Running")

        team.api.delete(PODS, team.namespace, "sbx-agent")

        assert "node-dead" in told(team.await_reason("NodeLost"))
        assert uid(team.pod()) == uid(pod), "a pod that may still run must not be deleted by force"
        silent = {"conditions": [{"type": "Ready", "status": "Unknown"}]}
        team.api.merge(NODES, "", "node-dead", {"status": silent}, sub="status")
        team.api.merge(NODES, "", "node-dead", {"spec": {"taints": [OUT_OF_SERVICE]}})
        kubelet.resume(team.namespace)
        team.await_pod(other_than=uid(pod))
        team.await_reason("Running")
    finally:
        team.api.delete(NODES, "", "node-dead")


@pytest.mark.slow
def test_a_sandbox_whose_node_was_deleted_starts_on_another(
    operator: OperatorProcess, team: Team, kubelet: Kubelet
) -> None:
    kubelet.leave(team.namespace)
    add_node(team.api, "node-doomed")
    team.create()
    pod = team.await_pod()
    kubelet.bind(pod, "node-doomed")
    kubelet.report_running(pod)
    team.await_reason("Running")
    kubelet.resume(team.namespace)

    team.api.delete(NODES, "", "node-doomed")

    # The pod garbage collector makes sure for 40 s that the node is gone.
    def successor() -> Json | None:
        found = team.find(PODS, "sbx-agent")
        return found if found and uid(found) != uid(pod) else None

    after = eventually(successor, "new pod", seconds=180)
    # Until its successor's creation is in the status, that still tells of the former one.
    eventually(lambda: team.await_reason("Running")["status"]["nodeName"] == "node-a", "running on the other node")
    assert uid(team.pod()) == uid(after)
