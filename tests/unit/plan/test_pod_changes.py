"""A changed sandbox and its running pod: what changes in place, and what takes a new pod."""

from typing import Any

import pytest

from sandkeeper.plan.observed import Settings
from sandkeeper.plan.pod import TEMPLATE_KEYS_ANNOTATION
from sandkeeper.plan.writes import Delete, Patch
from unit.fakes.objects import NOW, Json, plan, pod_of, sandbox, told

NATIVE = {"cpu": "2", "memory": "4Gi", "ephemeral-storage": "10Gi"}


def labelled(labels: Json | None = None, annotations: Json | None = None) -> Json:
    return {"podTemplate": {"metadata": {"labels": labels or {}, "annotations": annotations or {}}}}


def limits(**changed: str) -> Json:
    return {"resources": {"limits": {name.replace("_", "-"): value for name, value in changed.items()}}}


EPHEMERAL: Json = {"workspace": {"type": "Ephemeral"}}
REPLACED: list[tuple[str, Json, Json, str]] = [
    ("image", {}, {"image": "debian:12"}, "the environment changed"),
    ("command", {}, {"command": ["/app"]}, "the environment changed"),
    ("args", {"command": ["/app"]}, {"command": ["/app"], "args": ["-v"]}, "the environment changed"),
    ("env", {}, {"env": [{"name": "A", "value": "1"}]}, "the environment changed"),
    ("workspace", {}, {"workspace": {"path": "/data"}}, "the environment changed"),
    ("disk's workspace", EPHEMERAL, {"workspace": {"type": "Ephemeral", "size": "20Gi"}}, "the environment changed"),
    ("runtime class", {}, {"security": {"runtimeClassName": "gvisor"}}, "the environment changed"),
    ("node selector", {}, {"podTemplate": {"spec": {"nodeSelector": {"a": "b"}}}}, "the environment changed"),
    ("QoS class", {}, {"resources": {"requests": NATIVE}}, "the resources change the pod's QoS class"),
    ("disk", {}, limits(ephemeral_storage="20Gi"), "limits.ephemeral-storage can't be changed on a running pod"),
    ("GPU", limits(**{"example.com/gpu": "1"}), {}, "limits.example.com/gpu can't be changed on a running pod"),
]


@pytest.mark.parametrize(("before", "after", "why"), [row[1:] for row in REPLACED], ids=[row[0] for row in REPLACED])
def test_what_a_running_pod_can_not_take_replaces_it(before: Json, after: Json, why: str) -> None:
    pod = pod_of(sandbox(**before))

    changed = plan(sandbox(generation=2, **after), pod=pod, status={"observedGeneration": 1})

    assert changed.writes == (Delete(pod),)
    assert told(changed)["Reconciling"] == ("True", "Starting")
    assert changed.state.message == f"The pod is being replaced: {why}."


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({}, {"image": "ubuntu:22.04", "workspace": {"path": "/workspace", "type": "Persistent", "size": "10Gi"}}),
        ({"env": []}, {}),
        (limits(cpu="2"), limits(cpu="2000m", memory="4096Mi")),
        ({}, {"resources": {"limits": NATIVE}}),
    ],
)
def test_saying_the_same_in_other_words_changes_nothing(before: Json, after: Json) -> None:
    assert plan(sandbox(**after), pod=pod_of(sandbox(**before))).writes == ()


def resized(plan_writes: tuple[Any, ...]) -> Json:
    (write,) = plan_writes
    assert isinstance(write, Patch)
    assert write.subresource == "resize"
    (container,) = write.patch["spec"]["containers"]
    assert container["name"] == "sandbox"
    return dict(container["resources"])


@pytest.mark.parametrize(
    ("after", "changes"),
    [
        (
            limits(cpu="4"),
            {"limits": {"cpu": "4", "memory": "4Gi"}, "requests": {"cpu": "1", "memory": "1Gi"}},
        ),
        (
            {"resources": {"requests": {"cpu": "1"}}},
            {"requests": {"cpu": "1", "memory": "1Gi"}},
        ),
        (
            limits(memory="8Gi"),
            {"limits": {"cpu": "2", "memory": "8Gi"}, "requests": {"cpu": "500m", "memory": "2Gi"}},
        ),
    ],
)
def test_cpu_and_memory_change_in_place(after: Json, changes: Json) -> None:
    assert resized(plan(sandbox(**after), pod=pod_of(sandbox())).writes) == changes


def relabelled(plan_writes: tuple[Any, ...]) -> Json:
    (write,) = plan_writes
    assert isinstance(write, Patch)
    assert write.subresource == ""
    metadata: Json = write.patch["metadata"]
    return {
        "labels": metadata["labels"],
        "annotations": {k: v for k, v in metadata["annotations"].items() if k != TEMPLATE_KEYS_ANNOTATION},
    }


RELABELLED: list[tuple[str, Json, Json, Json]] = [
    ("added", {}, labelled({"app": "x"}, {"note": "y"}), {"labels": {"app": "x"}, "annotations": {"note": "y"}}),
    ("changed", labelled({"app": "x"}), labelled({"app": "z"}), {"labels": {"app": "z"}, "annotations": {}}),
    ("removed", labelled({"app": "x"}, {"n": "y"}), {}, {"labels": {"app": None}, "annotations": {"n": None}}),
    ("moved", labelled({"a": "x"}), labelled({"b": "x"}), {"labels": {"a": None, "b": "x"}, "annotations": {}}),
]


@pytest.mark.parametrize(("before", "after", "patch"), [row[1:] for row in RELABELLED], ids=[r[0] for r in RELABELLED])
def test_labels_and_annotations_change_in_place(before: Json, after: Json, patch: Json) -> None:
    assert relabelled(plan(sandbox(**after), pod=pod_of(sandbox(**before))).writes) == patch


def test_labels_that_others_put_on_the_pod_stay() -> None:
    pod = pod_of(sandbox(**labelled({"app": "x"})))
    pod["metadata"]["labels"]["injected"] = "yes"

    assert relabelled(plan(sandbox(), pod=pod).writes)["labels"] == {"app": None}


def test_what_the_installation_sets_stays_when_a_sandbox_no_longer_asks_for_it_too() -> None:
    settings = Settings(pod_labels={"mesh": "off"})
    pod = pod_of(sandbox(**labelled({"mesh": "off", "app": "x"})), settings=settings)

    assert relabelled(plan(sandbox(), pod=pod, settings=settings).writes)["labels"] == {"app": None}


def test_two_changes_are_made_one_after_the_other_each_on_the_version_of_the_last() -> None:
    after = labelled({"app": "x"}) | limits(cpu="4")

    both = plan(sandbox(**after), pod=pod_of(sandbox()), status={"observedGeneration": 1})

    assert relabelled(both.writes)
    assert both.look_again == NOW
    assert resized(plan(sandbox(**after), pod=pod_of(sandbox(**labelled({"app": "x"})))).writes)


def test_what_is_being_replaced_is_not_changed_as_well() -> None:
    pod = pod_of(sandbox())

    assert plan(sandbox(image="debian:12", **labelled({"a": "b"})), pod=pod).writes == (Delete(pod),)


def test_a_resize_that_the_node_puts_off_shows_in_up_to_date() -> None:
    status = {
        "phase": "Running",
        "conditions": [
            {"type": "Ready", "status": "True"},
            {"type": "PodResizePending", "status": "True", "reason": "Deferred", "message": "node is full"},
        ],
    }

    seen = plan(sandbox(), pod=pod_of(sandbox(), status))

    assert told(seen)["UpToDate"] == ("False", "ResizePending")
    assert told(seen)["Ready"] == ("True", "Running")


@pytest.mark.parametrize(
    "settings",
    [
        Settings(priority_class="sandkeeper-low"),
        Settings(pod_labels={"team": "x"}),
        Settings(pod_annotations={"cluster-autoscaler.kubernetes.io/safe-to-evict": "false"}),
    ],
)
def test_new_settings_of_the_installation_wait_for_the_next_start_and_restart_nothing(settings: Settings) -> None:
    seen = plan(sandbox(), pod=pod_of(sandbox()), settings=settings)

    assert seen.writes == ()
    assert told(seen)["UpToDate"] == ("False", "RenderingChanged")
    assert told(seen)["Ready"] == ("True", "Running")


def test_up_to_date_is_said_of_running_sandboxes_alone() -> None:
    assert "UpToDate" not in told(plan(sandbox(), pod=pod_of(sandbox(), {"phase": "Failed"})))
