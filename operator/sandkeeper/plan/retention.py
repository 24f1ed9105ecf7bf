"""Which snapshots of a schedule are deleted. The newest one that is ready never is, nor one that a restore may read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sandkeeper.api.lifecycle import seconds
from sandkeeper.api.names import IN_USE_FINALIZER, SCHEDULED_LABEL, SCHEDULED_VALUE
from sandkeeper.plan.pod_state import condition, parse_time

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from datetime import datetime

    from sandkeeper.api.sandbox import Sandbox
    from sandkeeper.api.schedule import Snapshots

Json = dict[str, Any]

_PROGRESS: Final = frozenset({"Pending", "Quiescing", "Copying"})
"""Reasons of a snapshot that is on its way."""


def own_snapshots(sandbox: Sandbox, snapshots: Iterable[Json]) -> list[Json]:
    """Choose the snapshots that the schedule of this sandbox made, the newest first.

    Those of a deleted sandbox of the same name are not: they were to outlive it.
    """
    made = sandbox.metadata.creation_timestamp
    own = [each for each in snapshots if is_scheduled(each) and (made is None or created(each) >= made)]
    return sorted(own, key=lambda each: (created(each), str(each["metadata"]["name"])), reverse=True)


def is_scheduled(snapshot: Json) -> bool:
    """Whether a schedule made a snapshot."""
    return bool(snapshot["metadata"].get("labels", {}).get(SCHEDULED_LABEL) == SCHEDULED_VALUE)


def created(snapshot: Json) -> datetime:
    """When a snapshot was asked for."""
    return parse_time(snapshot["metadata"]["creationTimestamp"])


def is_ready(snapshot: Json) -> bool:
    """Whether a snapshot can be restored."""
    return condition(snapshot, "Ready").get("status") == "True" and not _is_going(snapshot)


def has_failed(snapshot: Json) -> bool:
    """Whether something is the matter with a snapshot that never was ready; it may be yet."""
    found = condition(snapshot, "Ready")
    return found.get("status") == "False" and found["reason"] not in _PROGRESS and not _was_ready(snapshot)


def is_copying(snapshot: Json) -> bool:
    """Whether a snapshot is on its way."""
    return not (is_ready(snapshot) or has_failed(snapshot) or _was_ready(snapshot) or _is_going(snapshot))


def newest_ready(own: Iterable[Json]) -> Json | None:
    """Choose the first one that can be restored."""
    return next(filter(is_ready, own), None)


def superfluous(
    own: list[Json], wish: Snapshots, in_use: Collection[str], now: datetime
) -> tuple[list[Json], datetime | None]:
    """Choose what is to be deleted.

    Parameters
    ----------
    own
        Snapshots of the schedule, the newest first.
    in_use
        Names of those that a workspace is still to be made from.

    Returns
    -------
    tuple
        Those that go, and when time alone may add to them.
    """
    ready, failed = list(filter(is_ready, own)), list(filter(has_failed, own))
    beyond = ready[wish.keep_last :] if wish.keep_last else []
    age = seconds(wish.max_age)
    ends = {id(each): created(each) + age for each in ready[1:]} if age else {}
    old = [each for each in ready[1:] if id(each) in ends and ends[id(each)] <= now]
    # The last failure stays for what it says, until a copy succeeds after it.
    outdated = [each for each in failed if each is not failed[0] or (ready and created(each) <= created(ready[0]))]
    going = [each for each in own if any(each is other for other in (*beyond, *old, *outdated))]
    later = min((end for end in ends.values() if end > now), default=None)
    return [each for each in going if not _is_used(each, in_use) and not _is_going(each)], later


def _is_used(snapshot: Json, in_use: Collection[str]) -> bool:
    metadata = snapshot["metadata"]
    return metadata["name"] in in_use or IN_USE_FINALIZER in metadata.get("finalizers", ())


def _is_going(snapshot: Json) -> bool:
    return "deletionTimestamp" in snapshot["metadata"]


def _was_ready(snapshot: Json) -> bool:
    """Whether it could be restored once; what is the matter with it now may pass."""
    return "durationSeconds" in snapshot.get("status", {})
