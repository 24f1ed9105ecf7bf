"""What becomes of a sandbox's repository while its pod starts.

What stands in a termination message may be the words of a server that nobody has to trust.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from sandkeeper.api.names import WORKTREE_CONTAINER
from sandkeeper.plan.pod_state import PodState, restarts
from sandkeeper.plan.tenant_text import harmless

if TYPE_CHECKING:
    from sandkeeper.api.environment import Environment
    from sandkeeper.api.git import EffectiveGit

Json = dict[str, Any]

_LONGEST: Final = 400


class _Ended(BaseModel):
    """Message of a repository that could not be brought."""

    model_config = ConfigDict(strict=True)

    worktree: Literal["GitFailed"]
    reason: str


def git_state(pod: Json, environment: Environment) -> PodState | None:
    """State of a pod whose repository is being brought into the workspace, or could not be; None where it is there."""
    git, status = environment.git, _status(pod)
    if git is None or status is None:
        return None
    state = status.get("state", {})
    last = state.get("terminated") or status.get("lastState", {}).get("terminated") or {}
    if last.get("exitCode"):
        text = f"{git.repository} can't be brought into the workspace: {_why(last, pod)} ({restarts(status)})."
        return PodState("GitFailed", text, wrong=True)
    if "running" in state:
        return PodState(
            "Starting", f"Bringing {git.repository} into the workspace; {_log(pod, '-f ')}shows how it goes."
        )
    return None


def missing_secret(news: str, git: EffectiveGit | None) -> PodState | None:
    """State of a pod that waits for the Secret of its repository, as the kubelet tells it; None where it has it."""
    secret = git.credentials_secret if git else None
    if not secret or f'secret "{secret}" not found' not in news:
        return None
    text = f"Secret {secret}, which spec.git.credentialsSecret names, is not there; the start goes on once it is."
    return PodState("SecretMissing", text, wrong=True)


def _status(pod: Json) -> Json | None:
    found = pod.get("status", {}).get("initContainerStatuses") or ()
    return next((each for each in found if each["name"] == WORKTREE_CONTAINER), None)


def _why(terminated: Json, pod: Json) -> str:
    if terminated.get("reason") == "OOMKilled":
        return "it takes more memory than spec.resources.limits.memory"
    try:
        said = _Ended.model_validate_json(terminated.get("message", ""))
    except ValidationError:
        return f"it ended with exit code {terminated['exitCode']}, and {_log(pod)}shows why"
    return harmless(said.reason, _LONGEST).rstrip(".")


def _log(pod: Json, option: str = "") -> str:
    metadata = pod["metadata"]
    return f"kubectl logs -n {metadata['namespace']} {metadata['name']} -c {WORKTREE_CONTAINER} {option}"
