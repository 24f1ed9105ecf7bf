"""Which changes of state are worth an Event: trouble, its end, and a restart; never an ordinary start."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from sandkeeper.plan.pod_state import RESTORING, ROLLING_BACK, WAKING, condition
from sandkeeper.plan.schedule import CONDITION as SNAPSHOTS_UP_TO_DATE
from sandkeeper.plan.writes import Create

if TYPE_CHECKING:
    from sandkeeper.plan.observed import Observed
    from sandkeeper.plan.pod_state import PodState
    from sandkeeper.plan.writes import Write

Json = dict[str, Any]
_PROGRESS = frozenset({"Pending", "Starting", "Installing", "Packing", "Unverified", WAKING, RESTORING, ROLLING_BACK})


def worth_an_event(before: Json, state: PodState) -> Literal["Normal", "Warning"] | None:
    """Tell how a change of state is to be announced.

    Parameters
    ----------
    before
        The condition Ready that is being replaced.

    Returns
    -------
    str or None
        None where the start goes as it should: it costs a sandbox no write.
    """
    was = before.get("reason", "Pending")
    if was == state.reason:
        return None
    if state.wrong:
        return None if state.reason == ROLLING_BACK else "Warning"
    if state.at_rest:
        return "Normal"
    if state.reason == "Packing":
        return None
    return None if was in _PROGRESS else "Normal"


def newly_opened(before: Json, after: Json) -> str:
    """Sentence about a sandbox whose fence somebody opened just now; empty where nobody did.

    Parameters
    ----------
    before, after
        The whole status. Where the sandbox is not started for this reason, Ready says it already.
    """
    was, now = (condition({"status": each}, "EgressEnforced") for each in (before, after))
    told = condition({"status": after}, "Ready").get("reason") == "Widened"
    return str(now["message"]) if now.get("reason") == "Widened" != was.get("reason") and not told else ""


def newly_full(before: Json, after: Json) -> str:
    """Sentence about a workspace that has become full just now; empty where it was, or is not.

    Parameters
    ----------
    before, after
        The whole status.
    """
    was, now = (condition({"status": each}, "WorkspaceFull") for each in (before, after))
    return "" if was else str(now.get("message", ""))


def newly_uncopied(before: Json, after: Json) -> tuple[str, str]:
    """Reason and sentence about a schedule that just ceased to make copies; empty where it did not.

    Parameters
    ----------
    before, after
        The whole status.
    """
    was, now = (condition({"status": each}, SNAPSHOTS_UP_TO_DATE) for each in (before, after))
    if now.get("status") != "False" or was.get("reason") == now["reason"]:
        return "", ""
    return str(now["reason"]), str(now["message"])


def lost_workspace(observed: Observed, write: Write) -> str:
    """Sentence about a write that makes a workspace anew, in place of the one that the status names; empty for others.

    One that is made beside another is a rollback's.
    """
    before = observed.status
    if (
        not isinstance(write, Create)
        or write.obj["kind"] != "PersistentVolumeClaim"
        or "workspaceClaimName" not in before
        or observed.claim is not None
    ):
        return ""
    return (
        f"PersistentVolumeClaim {before['workspaceClaimName']} was deleted by somebody, and what was in the workspace "
        f"with it; the sandbox goes on with a new{'' if observed.sandbox.spec.source else ', empty'} one."
    )
