"""A kubelet that was refused a claim asks again after ten seconds and more, unless its pod changes before.

It may read the claims of pods on its node alone, and often asks for one sooner than the API server's node authorizer
has heard that the pod is there: of pods that start together on a busy machine, one in some dozens.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from sandkeeper.api.names import NUDGED_ANNOTATION
from sandkeeper.plan.claim_state import is_bound
from sandkeeper.plan.pod_state import parse_time, written
from sandkeeper.plan.volume import is_mounting
from sandkeeper.plan.writes import Patch

if TYPE_CHECKING:
    from datetime import datetime

    from sandkeeper.plan.observed import Observed
    from sandkeeper.plan.pod_state import PodState
    from sandkeeper.plan.writes import Write

_NUDGED_AFTER: Final = timedelta(seconds=3)
"""A mount that goes well is over by then; the kubelet gives whole seconds."""


def nudged(
    observed: Observed, state: PodState, writes: tuple[Write, ...], now: datetime
) -> tuple[PodState, tuple[Write, ...]]:
    """Have the kubelet look again at the claim of a pod that it has not mounted yet, once.

    Returns
    -------
    tuple
        State and writes as they were, or with when to look again, or with what changes the pod.
    """
    pod, claim = observed.pod, observed.claim
    if writes or pod is None or claim is None or not is_bound(claim) or not is_mounting(pod):
        return state, writes
    if "deletionTimestamp" in pod["metadata"] or NUDGED_ANNOTATION in pod["metadata"].get("annotations", {}):
        return state, writes
    due = parse_time(pod["status"]["startTime"]) + _NUDGED_AFTER
    if now < due:
        return replace(state, look_again=min(filter(None, (state.look_again, due)))), writes
    return state, (Patch(pod, {"metadata": {"annotations": {NUDGED_ANNOTATION: written(now)}}}),)
