"""What it means for a sandbox when the API server refuses one of its children."""

from __future__ import annotations

import re
from typing import Final

from sandkeeper.plan.pod_state import PodState

_LONGEST = 700
QUOTA_EXCEEDED: Final = "QuotaExceeded"
_QUOTA: Final = re.compile(r"exceeded quota: (\S+), requested: (\S+), used: (\S+), limited: (\S+)")


def refusal_state(kind: str, status: int, message: str) -> PodState | None:
    """State of a sandbox whose child was refused.

    Parameters
    ----------
    kind
        Kind of the child.
    status
        HTTP status code.
    message
        The API server's sentence, which names what is allowed.

    Returns
    -------
    PodState or None
        None where it says nothing about the sandbox: an overloaded server, a lost race, a namespace on its way out.
    """
    if namespace_ends(status, message):
        return None
    said = f"The API server refused the {kind}: {' '.join(message.split())[:_LONGEST]}"
    if status == 403 and "exceeded quota" in message:
        return PodState(QUOTA_EXCEEDED, _no_room(kind, message) or said, wrong=True)
    if status == 403 and "RuntimeClass" in message and "not found" in message:
        return PodState("RuntimeClassNotFound", said, wrong=True)
    if status == 403 or _without_judgement(message):
        return PodState("PolicyDenied", said, wrong=True)
    if status in {400, 422}:
        # Nothing but another spec mends an object that is not valid.
        return PodState("Failed", said, wrong=True, stalled=True)
    return None


def _no_room(kind: str, message: str) -> str:
    """Sentence on what is asked for, used and allowed by a quota; empty where the API server does not say."""
    found = _QUOTA.search(message)
    if found is None:
        return ""
    name, asked, used, hard = found.groups()
    return (
        f"ResourceQuota {name} has no room for the {kind}: asked for {asked}, used {used}, hard {hard}; it goes on as "
        "soon as there is."
    )


def namespace_ends(status: int, message: str) -> bool:
    """Whether an API server's refusal says that the namespace is on its way out, which nothing turns back."""
    return status == 403 and "is being terminated" in message


def _without_judgement(message: str) -> bool:
    """Whether an admission policy could not even be asked, as while the kind of its parameter is new to the server.

    That is told as if the object were not valid, but another spec would not help, and time may.
    """
    return "denied request: failed to configure " in message
