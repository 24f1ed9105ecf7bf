"""Forking a sandbox: a snapshot of it is taken on the way, and shared by forks that are asked for together.

A fork is of a moment after it was asked for: it takes another one's snapshot only if that says, since it began, that it
stands for this fork too. No clocks are compared for that. A snapshot that began earlier is waited for, since whoever
copies one sandbox twice at once makes both slower.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from sandkeeper.api.names import (
    API_VERSION,
    FORK_LABEL,
    IN_USE_FINALIZER,
    SNAPSHOT_KIND,
    child_labels,
    fork_snapshot_name,
)
from sandkeeper.api.workspace import EPHEMERAL
from sandkeeper.plan.pod_state import RESTORING, PodState, condition, parse_time
from sandkeeper.plan.workspace_choice import asked_name
from sandkeeper.plan.writes import Create

if TYPE_CHECKING:
    from datetime import datetime

    from sandkeeper.api.sandbox import Sandbox
    from sandkeeper.plan.observed import Observed

Json = dict[str, Any]

_GATHERED_AFTER: Final = timedelta(milliseconds=100)
"""When nobody came any more that would share a snapshot: whoever asks for many asks for one right after the other."""
_LONGEST_WAIT: Final = timedelta(seconds=1)
"""For others that may share a snapshot: beyond it, the one who waits takes one."""
_KEPT_FOR: Final = "10m"


def fork_snapshot(observed: Observed) -> Json | None:
    """Find the snapshot that a fork is made from, once it is over; None where it has still to come."""
    chosen = _chosen(observed)
    return chosen if chosen is not None and _is_over(chosen) else None


def fork_step(observed: Observed, source: str) -> tuple[PodState, Create | None, datetime | None]:
    """Decide on a fork whose snapshot has still to come.

    Parameters
    ----------
    source
        Name of the sandbox that is forked.

    Returns
    -------
    tuple
        What is said of it, the snapshot to make, if any, and when that may begin; None for now.
    """
    going = [each for each in observed.source.forks if _is_own(observed, each) and _is_going(each)]
    early = [each for each in observed.source.forks if not _is_over(each)]
    chosen = next(iter((*filter(None, (_chosen(observed),)), *going, *early)), None)
    if chosen is not None and not _has_nothing(observed, source):
        message = f"Waiting for SandboxSnapshot {chosen['metadata']['name']} of Sandbox {source}{_why(chosen)}."
        return PodState(RESTORING, message), None, None
    lacking = _lacking(observed, source)
    if lacking:
        return PodState(*lacking, wrong=True), None, None
    message = f"Taking a snapshot of Sandbox {source} to fork it."
    return PodState(RESTORING, message), Create(_snapshot(observed, source)), _gathered(observed)


def snapshot_name(fork: Sandbox) -> str:
    """Name of the snapshot that a fork takes, if no other one stands for it.

    It changes with the source that is asked for, and with the uid: a deleted sandbox of this name is another one.
    """
    metadata = fork.metadata
    return fork_snapshot_name(metadata.name, asked_name(fork), metadata.uid)


def _why(snapshot: Json) -> str:
    """What a snapshot waits for, which is told only where it is slow: it may take somebody to mend that."""
    said = condition(snapshot, "Ready")
    return f": {str(said.get('message', '')).rstrip('.')}" if said.get("reason") in {"Pending", "Copying"} else ""


def _chosen(observed: Observed) -> Json | None:
    """Snapshot of this very fork, or one of another that stands for it; None where there is none."""
    mine, shared = snapshot_name(observed.sandbox), None
    for each in observed.source.forks:
        if _is_going(each):
            continue
        if _is_own(observed, each):
            return each
        if not _failed(each) and _may_share(each, mine):
            shared = shared or each
    return shared


def _is_own(observed: Observed, snapshot: Json) -> bool:
    """Whether a snapshot was taken for this very fork, rather than for a deleted sandbox of its name."""
    metadata, made = snapshot["metadata"], observed.sandbox.metadata.creation_timestamp
    late = made is None or parse_time(metadata["creationTimestamp"]) >= made
    return late and bool(metadata.get("labels", {}).get(FORK_LABEL) == asked_name(observed.sandbox))


def _is_going(snapshot: Json) -> bool:
    return "deletionTimestamp" in snapshot["metadata"]


def _may_share(snapshot: Json, mine: str) -> bool:
    """Whether a snapshot stands for a fork whose own would have this name, or has still to begin, and will."""
    status = snapshot["status"]
    return "startTime" not in status or mine in status.get("standsFor", ())


def _gathered(observed: Observed) -> datetime | None:
    """When a snapshot may begin that all forks share which come with this one; None for now."""
    mine = observed.first_seen
    if mine is None:
        return None
    return min(max(observed.source.heard, default=mine) + _GATHERED_AFTER, mine + _LONGEST_WAIT)


def is_there(observed: Observed) -> bool:
    """Whether the sandbox that is forked is there, and stays."""
    forked = observed.source.sandbox
    return forked is not None and "deletionTimestamp" not in forked["metadata"]


def _lacking(observed: Observed, source: str) -> tuple[str, str] | None:
    forked = observed.source.sandbox
    if forked is None or not is_there(observed):
        gone = "is being deleted" if forked else "is not there"
        return "SandboxNotFound", f"spec.source.sandboxRef.name: Sandbox {source} {gone}."
    if _has_nothing(observed, source):
        return "SandboxNotFound", (
            f"spec.source.sandboxRef.name: Sandbox {source} is this one, which has no workspace yet; name another."
        )
    if ((forked["spec"].get("workspace") or {}).get("type")) == EPHEMERAL:
        return "WorkspaceNotPersistent", (
            f"spec.source.sandboxRef.name: Sandbox {source} has an Ephemeral workspace, of which there is no snapshot."
        )
    return None


def _has_nothing(observed: Observed, source: str) -> bool:
    """Whether a sandbox forks itself without a workspace, for which each snapshot that is on its way waits too."""
    return source == observed.sandbox.metadata.name and not observed.claims


def _is_over(snapshot: Json) -> bool:
    return condition(snapshot, "Ready").get("status") == "True" or _failed(snapshot)


def _failed(snapshot: Json) -> bool:
    """Whether a snapshot is not going to be ready by itself, rather than on its way."""
    said = condition(snapshot, "Ready")
    return said.get("status") == "False" and said.get("reason") not in {"Pending", "Quiescing", "Copying"}


def _snapshot(observed: Observed, source: str) -> Json:
    return {
        "apiVersion": API_VERSION,
        "kind": SNAPSHOT_KIND,
        "metadata": {
            "name": snapshot_name(observed.sandbox),
            "namespace": observed.sandbox.metadata.namespace,
            "labels": {**child_labels(source), FORK_LABEL: asked_name(observed.sandbox)},
            # Held for all forks from the start: as each came to hold it, all but one would lose, and try again.
            "finalizers": [IN_USE_FINALIZER],
        },
        "spec": {"sandboxRef": {"name": source}, "expiresAfter": _KEPT_FOR},
    }
