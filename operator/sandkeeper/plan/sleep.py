"""How a sandbox falls asleep and how it ends: what it did is safe before its pod goes."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from sandkeeper.api.workspace import RETAIN
from sandkeeper.plan.claim import keep_claim
from sandkeeper.plan.lifecycle import EXPIRED, asleep_since
from sandkeeper.plan.ownership import Ownership, ownership
from sandkeeper.plan.packing import FRESH, can_be_asked, only_tells, packed_first, worth_packing
from sandkeeper.plan.pod_state import PodState, condition, ending, is_lost, state_of
from sandkeeper.plan.volume import must_stay
from sandkeeper.plan.writes import Delete, Pack, Write

if TYPE_CHECKING:
    from datetime import datetime

    from sandkeeper.api.environment import Environment
    from sandkeeper.plan.lifecycle import Life
    from sandkeeper.plan.observed import Observed

Json = dict[str, Any]
Decision = tuple[PodState, tuple[Write, ...]]

SLEEPING: Final = "Sleeping"
_LOST: Final = " What changed in it since it was last packed is lost"
_CAUSES: Final = {"Requested": "as its spec asks", "Idle": "since nothing was done in it"}


def fall_asleep(observed: Observed, life: Life, now: datetime) -> Decision:
    """Decide how a sandbox that is to sleep gets there, or stays.

    Its status says that it sleeps before its pod is deleted: whoever finds the pod gone knows why.
    """
    pod, since = observed.pod, asleep_since(observed.status)
    resting = _resting(observed, life)
    if pod is None:
        # Once it is recorded since when, it may be known when it expires.
        return (resting if since else replace(resting, look_again=now)), ()
    if "deletionTimestamp" in pod["metadata"]:
        end = ending(pod, now)
        return (end if end.wrong else replace(resting, look_again=end.look_again)), ()
    if ownership(pod, observed.sandbox) is Ownership.FORMER:
        return resting, (Delete(pod),)
    return _put_to_sleep(observed, pod, life, resting, now)


def _resting(observed: Observed, life: Life) -> PodState:
    """State of one that sleeps; what it lost on the way is told for as long as it does."""
    was = condition({"status": observed.status}, "Ready")
    said = str(was.get("message", "")) if was.get("reason") == SLEEPING else ""
    _, lost, how = said.partition(_LOST)
    return PodState(SLEEPING, f"It sleeps, {_CAUSES[life.cause]}.{lost}{how}", at_rest=True)


def _with_loss(observed: Observed, resting: PodState) -> PodState:
    """Tell of a container that ended before it was packed: its root file system is gone, and nothing is left to do."""
    result = observed.pack_result
    if result is None or not result.reason:
        return resting
    how = f"its container ended before that could be packed. {result.reason}: {result.message}"
    return replace(resting, message=f"{resting.message}{_LOST}: {how}")


def _put_to_sleep(observed: Observed, pod: Json, life: Life, resting: PodState, now: datetime) -> Decision:
    if is_lost(observed.node):
        # Nobody can be asked to pack, and nobody would know whether the pod has ended.
        return state_of(pod, observed.node), ()
    if must_stay(observed):
        return replace(state_of(pod, observed.node), wrong=True), ()
    if asleep_since(observed.status):
        return resting, (Delete(pod),)
    if only_tells(pod) and (can_be_asked(pod) or observed.packing):
        return _told(observed, pod, resting, now)
    # What becomes of a pack under way is waited for, whatever became of the container.
    if not worth_packing(pod) and not observed.packing:
        return replace(_with_loss(observed, resting), look_again=now), ()
    return _packed(observed, pod, life, resting, now)


def _told(observed: Observed, pod: Json, resting: PodState, now: datetime) -> Decision:
    """Have one that keeps nothing tell where its checkout stands; whatever becomes of that, it sleeps then."""
    result = observed.pack_result
    if result is not None and now < result.finished + FRESH:
        return replace(resting, look_again=now), ()
    return state_of(pod, observed.node), () if observed.packing else (Pack(pod),)


def _packed(observed: Observed, pod: Json, life: Life, resting: PodState, now: datetime) -> Decision:
    first = packed_first(observed, pod, f"It is to sleep, {_CAUSES[life.cause]}.", now)
    if first is None:
        return replace(resting, look_again=now), ()
    state, writes = first
    # One that falls asleep by itself is as its spec asks until it does.
    return (state_of(pod, observed.node) if life.cause == "Idle" and not state.wrong else state), writes


def end(observed: Observed, environment: Environment, life: Life, now: datetime) -> Decision:
    """Decide how a sandbox that has expired loses all that it has, but for a workspace that is to be retained."""
    if life.deletes:
        return PodState("Expired", "It is being deleted."), (Delete(_itself(observed)),)
    resting = PodState(EXPIRED, "It has lived as long as its spec allows, and all that it had is gone.", at_rest=True)
    pod = observed.pod
    if pod is not None and "deletionTimestamp" in pod["metadata"]:
        going = ending(pod, now)
        resting = going if going.wrong else replace(resting, look_again=going.look_again)
    retained = environment.workspace.reclaim_policy == RETAIN
    claims = () if retained else observed.claims or (observed.claim,)
    children = (pod, observed.service, observed.ports_policy, *claims)
    gone = [Delete(child) for child in children if child is not None and _is_to_go(child, observed)]
    return resting, (*gone, *(keep_claim(observed, environment) if retained else ()))


def _itself(observed: Observed) -> Json:
    metadata = observed.sandbox.metadata
    known = {"uid": metadata.uid, "resourceVersion": metadata.resource_version}
    return {"kind": "Sandbox", "metadata": {"name": metadata.name, "namespace": metadata.namespace, **known}}


def _is_to_go(child: Json, observed: Observed) -> bool:
    return "deletionTimestamp" not in child["metadata"] and ownership(child, observed.sandbox) is not Ownership.FOREIGN
