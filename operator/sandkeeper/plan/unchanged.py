"""Whether a workspace is as its last copy has it. In doubt it is not, and is copied.

Without a pod nothing writes to it, and the operator alone makes pods. Where a pod runs, it is unchanged as long as the
sandbox counts as idle since before the copy began: what an idle pod writes all the same is in the copy that is made
once it has worked again, or has fallen asleep, as it does in the end. One that never falls asleep is never called idle.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sandkeeper.plan.lifecycle import Life, Phase, asleep_since
from sandkeeper.plan.pod_state import parse_time
from sandkeeper.plan.retention import created, newest_ready

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from sandkeeper.plan.observed import Observed

Json = dict[str, Any]


def why_unchanged(observed: Observed, life: Life, own: Iterable[Json]) -> str:
    """Say why another copy would hold nothing new; empty where it may.

    Parameters
    ----------
    own
        Snapshots of the schedule, the newest first.
    """
    if observed.claim is None:
        return "There is no workspace to copy yet."
    last = newest_ready(own)
    if last is None or not _is_of(last, observed, observed.claim):
        return ""
    name = last["metadata"]["name"]
    if observed.pod is None:
        since = asleep_since(observed.status)
        # That it sleeps is told before its pod ends, and no copy is asked for until it has: so this one came after.
        rests = life.phase is Phase.ASLEEP and since is not None and since < created(last)
        return f"Nothing ran in it since SandboxSnapshot {name} was made." if rests else ""
    began = last["status"].get("startTime")
    quiet = life.phase is Phase.AWAKE and life.quiet_since is not None and began is not None
    idles = quiet and life.quiet_since is not None and life.quiet_since <= parse_time(began)
    return f"Nothing was done in it since SandboxSnapshot {name} was begun." if idles else ""


def _is_of(copy: Json, observed: Observed, claim: Json) -> bool:
    """Whether the last copy is of the workspace: one that a rollback asked for before it may have come after it."""
    return observed.copied_claim == claim["metadata"]["name"] and created(claim) <= created(copy)


def is_ending(observed: Observed, life: Life) -> bool:
    """Whether a sandbox is said to sleep already and its pod is still there: a copy would be taken for a later one."""
    return life.phase is Phase.ASLEEP and asleep_since(observed.status) is not None and observed.pod is not None


def settled_until(observed: Observed, now: datetime) -> datetime | None:
    """Until when it is sure that nothing changed, in a workspace of which that was known until just now.

    Returns
    -------
    datetime or None
        None where nothing is sure.
    """
    pod, usage = observed.pod, observed.usage
    if pod is None:
        return None
    moments = [parse_time(pod["metadata"]["creationTimestamp"])]
    if usage is not None:
        # The first measurement that shows work comes at most this long after the last one that shows none.
        quiet = usage.measured_at - observed.settings.idle.fresh
        moments += [quiet] if usage.first_at <= quiet else []
    return min(max(moments), now)
