"""A raw pod is the pod that a sandbox gets, as a client would have to write it."""

from benchmark.objects import RAW_LABEL, is_true, raw_from, raw_pods, sandboxes
from sandkeeper.runtime.resource import Key

SERVED = {
    "metadata": {
        "name": "sbx-a",
        "namespace": "team",
        "uid": "1",
        "resourceVersion": "7",
        "labels": {"sandkeeper.dev/managed": "true", "app": "x"},
        "annotations": {"sandkeeper.dev/environment": "abc"},
        "ownerReferences": [{"kind": "Sandbox", "name": "a"}],
    },
    "spec": {
        "nodeName": "simulated-001",
        "priority": 0,
        "priorityClassName": "sandkeeper-sandbox",
        "schedulerName": "default-scheduler",
        "terminationGracePeriodSeconds": 5,
        "enableServiceLinks": False,
        "tolerations": [{"key": "node.kubernetes.io/not-ready"}],
        "containers": [
            {
                "name": "sandbox",
                "image": "ubuntu:22.04",
                "imagePullPolicy": "IfNotPresent",
                "terminationMessagePath": "/dev/termination-log",
                "resources": {"requests": {"cpu": "500m"}},
            }
        ],
    },
    "status": {"phase": "Running"},
}


def test_what_the_server_filled_in_is_not_sent_and_what_was_chosen_is() -> None:
    pod = raw_from(SERVED)

    assert pod["spec"] == {
        "priorityClassName": "sandkeeper-sandbox",
        "terminationGracePeriodSeconds": 5,
        "enableServiceLinks": False,
        "containers": [
            {"name": "sandbox", "image": "ubuntu:22.04", "resources": {"requests": {"cpu": "500m"}}},
        ],
    }


def test_the_operator_does_not_take_a_raw_pod_for_its_own() -> None:
    metadata = raw_from(SERVED)["metadata"]

    assert "ownerReferences" not in metadata
    assert not [name for name in {**metadata["labels"], **metadata["annotations"]} if "sandkeeper.dev" in name]
    assert metadata["labels"]["app"] == "x"
    assert metadata["labels"][RAW_LABEL] == "true"


def test_objects_differ_by_name_alone() -> None:
    target = raw_pods(raw_from(SERVED))

    one, other = (target.manifest(Key("team", name)) for name in ("a", "b"))

    assert one["metadata"] | {"name": "b"} == other["metadata"]
    assert one["spec"] is other["spec"]


def test_a_sandbox_is_gone_when_its_pod_is_too() -> None:
    resources = {part.resource.plural: part.named("a") for part in sandboxes().gone}

    assert resources == {"sandboxes": "a", "pods": "sbx-a"}


def test_only_a_condition_that_is_true_counts() -> None:
    def with_ready(status: str) -> dict[str, object]:
        return {"status": {"conditions": [{"type": "Ready", "status": status}]}}

    assert is_true(with_ready("True"), "Ready")
    assert not is_true(with_ready("Unknown"), "Ready")
    assert not is_true({"metadata": {}}, "Ready")
