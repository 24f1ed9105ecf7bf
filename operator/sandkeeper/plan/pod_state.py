"""Reads a pod as a person would: does it run, and if not, what is the matter?"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from sandkeeper.api.names import GUEST_CONTAINER
from sandkeeper.plan.secrets import missing_variable

Json = dict[str, Any]

SECRET_MISSING: Final = "SecretMissing"  # noqa: S105
WAKING: Final = "Waking"
RESTORING: Final = "Restoring"
ROLLING_BACK: Final = "RollingBack"

NODE_LOST_AFTER: Final = timedelta(seconds=30)
"""Beyond the deadline that the pod was given to end; kubelets report the end within a few seconds."""

_IMAGE_REASONS: Final = frozenset({
    "ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "ImageInspectError",
    "RegistryUnavailable", "SignatureValidationFailed",
})  # fmt: skip
_CREATE_REASONS: Final = frozenset({"CreateContainerError", "RunContainerError", "CreatePodSandboxError"})


@dataclass(frozen=True)
class PodState:
    """State of a sandbox as far as its pod tells.

    Attributes
    ----------
    reason, message
        For the condition ``Ready``.
    running
        The pod is ready.
    wrong
        Something a person may have to mend, to be told at once; otherwise it is progress. Of a pod that is ready, that
        it is not what its spec asks for.
    stalled
        No retry heals it: the spec, or an object in the way, has to change.
    at_rest
        No pod is wanted: the sandbox sleeps, or has expired.
    look_again
        When time alone changes the state.
    """

    reason: str
    message: str
    running: bool = False
    wrong: bool = False
    stalled: bool = False
    at_rest: bool = False
    look_again: datetime | None = None

    @property
    def ready(self) -> bool:
        """Whether all is as asked for."""
        return (self.running or self.at_rest) and not self.wrong


def parse_time(text: str) -> datetime:
    """Read a timestamp of the API (RFC 3339, UTC)."""
    return datetime.fromisoformat(text)


def written(moment: datetime) -> str:
    """Write a timestamp of the API: RFC 3339, UTC, whole seconds."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def condition(obj: Json, kind: str) -> Json:
    """Read a condition of an object's status; empty where it is not there."""
    for found in obj.get("status", {}).get("conditions") or ():
        if found["type"] == kind:
            return dict(found)
    return {}


def is_ready(pod: Json) -> bool:
    """Whether the kubelet calls the pod ready."""
    return condition(pod, "Ready").get("status") == "True" and "deletionTimestamp" not in pod["metadata"]


def is_lost(node: Json | None) -> bool:
    """Whether a node does not answer."""
    return node is not None and condition(node, "Ready").get("status") not in {"True", None}


def has_failed(pod: Json) -> bool:
    """Whether the pod has ended for good; with restartPolicy Always only the node ends it: eviction, shutdown."""
    return pod.get("status", {}).get("phase") in {"Failed", "Succeeded"}


def ending(pod: Json, now: datetime) -> PodState:
    """State while the pod ends: on its way, or lost with its node.

    A pod that outlives its deadline may still run on a node that nobody hears of, so it is never force-deleted; it goes
    when the node's object goes or is tainted out-of-service (the pod garbage collector's part, KEP-2268).
    """
    name, node = pod["metadata"]["name"], pod["spec"].get("nodeName", "")
    lost_at = parse_time(pod["metadata"]["deletionTimestamp"]) + NODE_LOST_AFTER
    if node and now >= lost_at:
        message = (
            f"Pod {name} does not end; node {node} may be lost. It goes on when the node answers, is deleted, "
            "or is tainted node.kubernetes.io/out-of-service."
        )
        return PodState("NodeLost", message, wrong=True)
    return PodState("Starting", f"Waiting for pod {name} to end before a new one is made.", look_again=lost_at)


def failed(pod: Json) -> tuple[str, str]:
    """Reason and sentence for a pod that has failed."""
    status = pod.get("status", {})
    reason = status.get("reason") or "Failed"
    detail = status.get("message") or _last_exit(pod) or "the pod ended"
    if status.get("phase") == "Succeeded" and not status.get("reason"):
        # The kubelet ended it, since nothing else does, and kept its reason only in an Event of the pod.
        detail = f"the node ended it, as it does beyond a disk limit, short of memory and on shutdown. {detail}"
    return ("Evicted" if reason == "Evicted" else "Failed"), f"Pod failed ({reason}): {_sentence(detail)}"


def state_of(pod: Json, node: Json | None) -> PodState:
    """State of a live pod."""
    node_name = pod["spec"].get("nodeName", "")
    if is_ready(pod):
        return PodState("Running", f"Running on node {node_name}." if node_name else "Running.", running=True)
    scheduled = condition(pod, "PodScheduled")
    if scheduled.get("status") == "False":
        return PodState("Unschedulable", _sentence(scheduled.get("message", "No node takes the pod.")), wrong=True)
    if is_lost(node):
        return PodState("NodeLost", f"Node {node_name} is not ready; the pod can't be reached.", wrong=True)
    return _container_state(pod) or PodState("Starting", _progress(pod, node_name))


def _progress(pod: Json, node_name: str) -> str:
    if not node_name:
        return "Waiting for a node."
    image = pod["spec"]["containers"][0]["image"]
    return f"Starting on node {node_name}: getting image {image} and starting the container."


def _container_state(pod: Json) -> PodState | None:
    """What the kubelet says of the containers, where it says that something is wrong."""
    status = pod.get("status", {})
    found = [_held_up(each) or _uncopied(each) for each in status.get("initContainerStatuses") or ()]
    found += [_held_up(each) or _ended(each) for each in status.get("containerStatuses") or ()]
    return next(filter(None, found), None)


def _held_up(status: Json) -> PodState | None:
    waiting = status.get("state", {}).get("waiting") or {}
    reason, message = waiting.get("reason", ""), waiting.get("message", "")
    if reason in _IMAGE_REASONS:
        return PodState("ImagePullFailed", _pull_message(status["image"], reason, message), wrong=True)
    if reason == "CreateContainerConfigError":
        missing = SECRET_MISSING if "secret" in message.lower() else "ConfigMissing"
        return PodState(missing, missing_variable(message) or _sentence(message), wrong=True)
    if reason in _CREATE_REASONS:
        return PodState("Failed", _sentence(f"The container can't be started: {message}"), wrong=True)
    return None


def _uncopied(status: Json) -> PodState | None:
    if status["name"] != GUEST_CONTAINER:
        return None
    failed = (status.get("state", {}).get("terminated") or {}).get("exitCode", 0) or status.get("restartCount")
    return PodState("Failed", f"Copying the guest failed; {restarts(status)}.", wrong=True) if failed else None


def _ended(status: Json) -> PodState | None:
    return _crashed(status) if status.get("restartCount") or status.get("state", {}).get("terminated") else None


def _crashed(status: Json) -> PodState:
    last = status.get("state", {}).get("terminated") or status.get("lastState", {}).get("terminated") or {}
    if last.get("reason") == "OOMKilled":
        return PodState("OOMKilled", f"The sandbox ran out of its memory limit; {restarts(status)}.", wrong=True)
    if last.get("reason") in {"StartError", "ContainerCannotRun"}:
        return PodState("Failed", _sentence(f"The container can't be started: {last.get('message', '')}"), wrong=True)
    return PodState("CrashLooping", f"{_exit(last)}; {restarts(status)}.", wrong=True)


def restarts(status: Json) -> str:
    """Say how often the kubelet started a container anew."""
    count = status.get("restartCount", 0)
    if not count:
        return "it is about to be restarted"
    return f"restarted {'once' if count == 1 else f'{count} times'} so far, with a growing pause"


def _exit(terminated: Json) -> str:
    return f"The command ended with exit code {terminated.get('exitCode', 'unknown')}"


def _last_exit(pod: Json) -> str:
    for status in pod.get("status", {}).get("containerStatuses") or ():
        terminated = status.get("state", {}).get("terminated")
        if terminated:
            return _exit(terminated)
    return ""


def _pull_message(image: str, reason: str, message: str) -> str:
    """One sentence that stays the same while the kubelet alternates between trying and backing off."""
    detail = message.partition(f'Back-off pulling image "{image}": ')[2] or message
    detail = detail.removeprefix("ErrImagePull: ").removeprefix(f'failed to pull and unpack image "{image}": ')
    if detail.startswith("Back-off"):
        detail = ""
    return _sentence(f"Image {image} can't be pulled: {detail or reason}")


def _sentence(text: str) -> str:
    """First 500 characters on one line, ending as a sentence does."""
    line = " ".join(text.split())[:500].rstrip()
    return line if line.endswith((".", "!", "?")) else f"{line}."
