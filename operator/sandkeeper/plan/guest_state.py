"""What the guest in a pod is doing, or why it gave up.

Whatever stands in a termination message was written in the sandbox: it tells its tenant something, and nothing else.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sandkeeper.plan.git_state import git_state
from sandkeeper.plan.pod_state import PodState, parse_time, restarts, state_of
from sandkeeper.plan.tenant_text import harmless, telling

if TYPE_CHECKING:
    from sandkeeper.api.environment import Environment
    from sandkeeper.plan.observed import GuestSettings

Json = dict[str, Any]

_LONGEST: Final = 400
_LONGEST_OF_PACK: Final = 1600
"""Of a pack that is too large, the ten biggest paths are told."""
_NAMED: Final = 3
_INSTALLERS: Final = frozenset({"apt", "apk", "pip", "npm", "setup"})
_STEPS: Final = {
    "unpack": "What was changed and installed before could not be unpacked",
    "pack": "What was installed could not be packed",
    "command": "The command can't be started",
}
_KILLED: Final = frozenset({137, 143})
_GRACE: Final = timedelta(minutes=2)
"""Within which a container has ended that the kubelet gave up."""


class _Ended(BaseModel):
    """Message with which a guest ends that could not bring a sandbox up."""

    model_config = ConfigDict(strict=True)

    guest: Literal["SetupFailed"]
    step: str = Field(pattern="^[a-z]{1,16}$")
    exit_code: int = Field(alias="exitCode", ge=0, le=255)
    lines: str = ""


def sandbox_state(pod: Json, node: Json | None, environment: Environment, settings: GuestSettings) -> PodState:
    """State of a live pod, with what its guest says."""
    state = state_of(pod, node)
    if state.reason == "CrashLooping":
        return _gave_up(pod, settings) or state
    if state.reason == "ImagePullFailed":
        return _unpulled(pod, settings) or state
    if state.reason == "Starting":
        return git_state(pod, environment) or _at_work(pod, environment) or state
    return state


def _unpulled(pod: Json, settings: GuestSettings) -> PodState | None:
    """Tell of the guest's own image, where the kubelet speaks of it at the container that mounts it."""
    message = str((_status(pod).get("state", {}).get("waiting") or {}).get("message", ""))
    _, found, detail = message.partition(f'image "{settings.image}": ')
    if not found:
        return None
    said = harmless(detail.rpartition(f'image "{settings.image}": ')[2], _LONGEST).rstrip(".")
    return PodState("ImagePullFailed", f"Image {settings.image} of the guest can't be pulled: {said}.", wrong=True)


def _at_work(pod: Json, environment: Environment) -> PodState | None:
    status = _status(pod)
    if "running" not in status.get("state", {}) or status.get("started") is not False:
        return None
    if environment.installs:
        return PodState("Installing", f"Installing {_wanted(environment)}; {_to_follow(pod)}")
    return unpacks(pod)


def unpacks(pod: Json) -> PodState:
    """State of a pod whose guest unpacks."""
    return PodState("Starting", f"Unpacking what was changed and installed before; {_to_follow(pod)}")


def _to_follow(pod: Json) -> str:
    metadata = pod["metadata"]
    return f"kubectl logs -n {metadata['namespace']} {metadata['name']} -f shows how it goes."


def _wanted(environment: Environment) -> str:
    parts = []
    for manager, names in environment.packages.model_dump().items():
        more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
        if names:
            parts.append(f"{', '.join(names[:_NAMED])}{more} by {manager}")
    if environment.setup:
        parts.append("what setup says")
    return harmless(", ".join(parts), _LONGEST)


def _gave_up(pod: Json, settings: GuestSettings) -> PodState | None:
    status = _status(pod)
    last = status.get("state", {}).get("terminated") or status.get("lastState", {}).get("terminated") or {}
    said = _said(last)
    if _overdue(last, settings):
        minutes = settings.install_timeout.total_seconds() / 60
        detail = f"It took longer than {minutes:g} minutes (guest.installTimeoutSeconds of the chart){_lines(said)}"
    elif said is not None:
        detail = f"{_step(said)}{_lines(said)}"
    else:
        return None
    reason = "Failed" if said and said.step == "command" else "SetupFailed"
    return PodState(reason, f"{detail} ({restarts(status)}).", wrong=True)


def _said(terminated: Json) -> _Ended | None:
    try:
        return _Ended.model_validate_json(terminated.get("message", ""))
    except ValidationError:
        return None


def _step(said: _Ended) -> str:
    if said.step in _INSTALLERS:
        return f"{said.step} ended with exit code {said.exit_code}"
    return _STEPS.get(said.step, "The guest could not bring the sandbox up")


def _lines(said: _Ended | None) -> str:
    if said is None:
        return ""
    longest = _LONGEST_OF_PACK if said.step == "pack" else _LONGEST
    lines = harmless(" | ".join(telling(said.lines)), longest)
    return f": {lines}" if lines else ""


def _overdue(terminated: Json, settings: GuestSettings) -> bool:
    """Whether the kubelet ended a container because its guest did not get ready in time."""
    if terminated.get("exitCode") not in _KILLED or not terminated.get("startedAt") or not terminated.get("finishedAt"):
        return False
    took = parse_time(terminated["finishedAt"]) - parse_time(terminated["startedAt"])
    return settings.install_timeout <= took <= settings.install_timeout + _GRACE


def _status(pod: Json) -> Json:
    for status in pod.get("status", {}).get("containerStatuses") or ():
        return dict(status)
    return {}
