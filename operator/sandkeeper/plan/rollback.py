"""Rolling a sandbox back in place: the new claim is made beside the old one, and the pod swapped once it has a volume.

Until a pod was ready on the new claim the old one stays as it is, and until the new one has a volume its pod runs on:
what goes wrong on the way is told, and costs nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import orjson

from sandkeeper.api.names import (
    CHOSEN_ANNOTATION,
    PREVIOUS_LABEL,
    PREVIOUS_VALUE,
    RETAINED_LABEL,
    SELECTED_NODE_ANNOTATION,
    SOURCE_ANNOTATION,
)
from sandkeeper.api.resolve import resolve
from sandkeeper.plan.claim import unfit
from sandkeeper.plan.claim_state import claim_ownership, is_bound, is_going, is_placed
from sandkeeper.plan.conflict import CONFLICT, conflict_state, not_captured
from sandkeeper.plan.denial import denial
from sandkeeper.plan.enforcement import gate
from sandkeeper.plan.made_from import in_words, is_restored, layers_on, note_of
from sandkeeper.plan.new_claim import NewClaim, claim_to_make
from sandkeeper.plan.origin import Awaited
from sandkeeper.plan.ownership import Ownership, ownership
from sandkeeper.plan.packing import packed_first, worth_packing
from sandkeeper.plan.pod_state import ROLLING_BACK, PodState, has_failed, is_lost, parse_time, written
from sandkeeper.plan.policy import policy_denial
from sandkeeper.plan.volume import awaited_volume
from sandkeeper.plan.workspace_choice import (
    abandoned,
    kept_claims,
    last_good,
    pods_claim,
    runs_on_it,
    target_name,
    unproven,
    workspace_name,
    workspaces,
)
from sandkeeper.plan.writes import Delete, Patch, Write

if TYPE_CHECKING:
    from datetime import datetime

    from sandkeeper.plan.observed import Observed

Json = dict[str, Any]
Decision = tuple[PodState, tuple[Write, ...]]

_CHOOSE_AGAIN: Final = timedelta(seconds=30)
_COPIES: Final = timedelta(seconds=1)


@dataclass(frozen=True)
class Rollback:
    """A rollback that is asked for and not done.

    Attributes
    ----------
    state
        What is said of it.
    writes
        What brings the new claim nearer.
    ready
        Whether a pod can be put on it.
    """

    state: PodState
    writes: tuple[Write, ...] = ()
    ready: bool = False


def rollback_of(observed: Observed, now: datetime) -> Rollback | None:
    """Find the rollback that a sandbox is to go through; None where its workspace is the one that is asked for."""
    target = target_name(observed)
    if target == _present(observed):
        return None
    claim = next((each for each in observed.claims if each["metadata"]["name"] == target), None)
    if claim is None or (_is_kept(observed, claim) and not is_going(claim)):
        return _begun(observed, claim, now)
    owner = claim_ownership(claim, observed.sandbox)
    if owner is Ownership.FORMER or is_going(claim):
        message = f"Waiting for PersistentVolumeClaim {target}, which is on its way out."
        return Rollback(PodState(ROLLING_BACK, message))
    if owner is Ownership.FOREIGN:
        return Rollback(conflict_state(claim))
    return _provisioned(observed, claim, now)


def _present(observed: Observed) -> str:
    """Name of the claim that the sandbox is on; where that is lost, of the one that its pod is on."""
    if observed.claim is None and observed.pod is not None:
        return pods_claim(observed.pod, observed.sandbox.metadata.name)
    return workspace_name(observed)


def _is_kept(observed: Observed, claim: Json) -> bool:
    return any(claim["metadata"]["uid"] == each["metadata"]["uid"] for each in kept_claims(observed))


def _begun(observed: Observed, kept: Json | None, now: datetime) -> Rollback:
    """Begin a rollback.

    Parameters
    ----------
    kept
        Claim of the name of the new one, from when the sandbox was last made from the same: it is never used again, and
        what is kept of this rollback takes its place.
    """
    made = claim_to_make(observed)
    if isinstance(made, NewClaim) and kept is not None:
        return Rollback(_under_way(made.claim), (_let_go(kept),))
    if isinstance(made, NewClaim):
        return Rollback(_under_way(made.claim), made.writes)
    if isinstance(made, Awaited):
        state, writes = made.at(now)
        return Rollback(state if state.wrong else replace(state, reason=ROLLING_BACK), writes)
    return Rollback(PodState(ROLLING_BACK, "The workspace that it is to go back to is gone."))


def _provisioned(observed: Observed, claim: Json, now: datetime) -> Rollback:
    if is_bound(claim):
        stale = _noted_anew(observed, claim)
        return Rollback(_under_way(claim), stale, ready=not stale)
    if not observed.classes.waits(claim["spec"].get("storageClassName")):
        return Rollback(_volume_to_come(observed, claim, now))
    node = observed.pod["spec"].get("nodeName") if observed.pod else None
    if not node:
        # No pod that runs would be lost: the volume is made for the one that comes.
        return Rollback(_under_way(claim), ready=True)
    return _on_node(observed, claim, node, now)


def _on_node(observed: Observed, claim: Json, node: str, now: datetime) -> Rollback:
    """Have the volume made for a node. A provisioner that can't takes it away: it is asked again after a while."""
    told, notes = _volume_to_come(observed, claim, now), claim["metadata"].get("annotations") or {}
    if is_placed(claim):
        return Rollback(told)
    again = parse_time(notes[CHOSEN_ANNOTATION]) + _CHOOSE_AGAIN if CHOSEN_ANNOTATION in notes else now
    if now < again:
        return Rollback(replace(told, look_again=min(filter(None, (told.look_again, again)))))
    chosen = {SELECTED_NODE_ANNOTATION: node, CHOSEN_ANNOTATION: written(now)}
    return Rollback(told, (Patch(claim, {"metadata": {"annotations": chosen}}),))


def _noted_anew(observed: Observed, claim: Json) -> tuple[Patch, ...]:
    """Let a claim name what it replaces, where a pod became ready on another one since it was made."""
    good, note = last_good(observed), note_of(claim)
    back = good == claim["metadata"]["name"] or note_of(observed.claim).get("replaces") == claim["metadata"]["name"]
    if not good or back or note.get("replaces") == good or observed.sandbox.spec.source is None:
        return ()
    text = orjson.dumps({**note, "replaces": good}).decode()
    return (Patch(claim, {"metadata": {"annotations": {SOURCE_ANNOTATION: text}}}),)


def _volume_to_come(observed: Observed, claim: Json, now: datetime) -> PodState:
    said = awaited_volume(observed, claim, "", now)
    return said if said.wrong else replace(_under_way(claim), look_again=said.look_again)


def _under_way(claim: Json) -> PodState:
    source = in_words(note_of(claim)) if is_restored(claim) else f"PersistentVolumeClaim {claim['metadata']['name']}"
    return PodState(ROLLING_BACK, f"Making a workspace from {source}; until then it stays as it is.")


def runs(observed: Observed) -> bool:
    """Whether there is a pod that a rollback replaces, rather than one that has failed or ends anyway."""
    pod = observed.pod
    if pod is None or ownership(pod, observed.sandbox) is not Ownership.OURS:
        return False
    return "deletionTimestamp" not in pod["metadata"] and not has_failed(pod)


def swap(observed: Observed, rollback: Rollback, live: PodState, now: datetime) -> Decision:
    """Decide on a pod that is on the old claim: it stays until the new one is ready for it.

    Parameters
    ----------
    live
        What the pod says.
    """
    pod = observed.pod or {}
    held = (_held(observed, pod) or _copied_first(observed, now)) if rollback.ready else None
    told = _beside(live, held or rollback.state)
    if held or not rollback.ready:
        return told, rollback.writes
    first = _packed(observed, pod, now)
    if first:
        state, writes = first
        return (_beside(live, state) if state.wrong else state), writes
    return told, (Delete(pod),)


def beside(state: PodState, rollback: Rollback) -> PodState:
    """State of a sandbox with no pod that a rollback could replace."""
    told = rollback.state
    return replace(told, running=state.running, at_rest=state.at_rest) if told.wrong else state


def _beside(live: PodState, told: PodState) -> PodState:
    """What is said of a rollback while a pod runs on, which is not what its spec asks for."""
    return replace(told, running=live.running, wrong=told.wrong or live.running)


def _held(observed: Observed, pod: Json) -> PodState | None:
    """What is against a pod on the new claim; what runs is worth more than a successor that may not start."""
    name = target_name(observed)
    claim = workspaces(observed)[name]
    lost = not_captured(claim)
    if lost:
        return lost
    if unfit(claim):
        message = f"PersistentVolumeClaim {name} can't hold a workspace: {unfit(claim)}."
        return PodState(CONFLICT, message, wrong=True, stalled=True)
    environment = resolve(*layers_on(claim, observed.sandbox.spec, observed.base.used.layers))
    denied = denial(environment, observed.settings) or policy_denial(observed, environment)
    return denied or gate(observed, pod["metadata"].get("labels", {}))


def _copied_first(observed: Observed, now: datetime) -> PodState | None:
    """What keeps a pod that is being brought onto its volume, for a snapshot that was asked for before it goes."""
    name = next((name for name, claim in observed.uncopied.items() if not claim), None)
    if name is None:
        return None
    message = f"Waiting for SandboxSnapshot {name}, which is of the workspace as it is now."
    return PodState(ROLLING_BACK, message, look_again=now + _COPIES)


def _packed(observed: Observed, pod: Json, now: datetime) -> Decision | None:
    """Pack a pod whose workspace is kept, so that it can be gone back to with all that was installed."""
    if not _keeps_previous(observed) or not worth_packing(pod) or is_lost(observed.node) or unproven(observed):
        return None
    return packed_first(observed, pod, "The workspace is rolled back, and what it was is kept.", now)


def _keeps_previous(observed: Observed) -> bool:
    source = observed.sandbox.spec.source
    if source is not None:
        return bool(source.keep_previous)
    return bool(note_of(observed.claim).get("keepPrevious"))


def settle(observed: Observed) -> tuple[Write, ...]:
    """Let go of what a rollback leaves: what was made and is not asked for, and once a pod is ready, the old claim.

    The old one goes last: as long as it is there, the rollback is not over.
    """
    if len(observed.claims) <= 1:
        return ()
    left = tuple(map(_let_go, abandoned(observed)))
    before = unproven(observed)
    # Over once it runs, whatever else is asked for by now; but where that is the old claim, it is gone back to.
    if before is None or not runs_on_it(observed) or before["metadata"]["name"] == target_name(observed):
        return left
    if before["metadata"]["name"] in observed.uncopied.values():
        # The end of that is told by the snapshot.
        return left
    older = tuple(map(_let_go, kept_claims(observed)))
    if any(isinstance(each, Patch) for each in older):
        return (*left, *older)
    kept = Patch(before, {"metadata": {"labels": {PREVIOUS_LABEL: PREVIOUS_VALUE}}})
    return (*left, *older, kept if _keeps_previous(observed) else _let_go(before))


def _let_go(claim: Json) -> Write:
    """Delete a claim; one that is to be retained has to lose its mark first, which admission keeps us from deleting."""
    if RETAINED_LABEL in claim["metadata"].get("labels", {}):
        return Patch(claim, {"metadata": {"labels": {RETAINED_LABEL: None}}})
    return Delete(claim)


def finishes(observed: Observed, write: Write) -> str:
    """Sentence about a write that ends a rollback; empty for any other."""
    before = unproven(observed)
    child = write.child if isinstance(write, (Delete, Patch)) else None
    if before is None or child is None or child["metadata"].get("uid") != before["metadata"]["uid"]:
        return ""
    if isinstance(write, Patch) and PREVIOUS_LABEL not in write.patch.get("metadata", {}).get("labels", {}):
        return ""
    kept = "is kept" if isinstance(write, Patch) else "goes"
    return (
        f"The workspace is PersistentVolumeClaim {workspace_name(observed)} now, made from "
        f"{in_words(note_of(observed.claim))}; {before['metadata']['name']}, which it was before, {kept}."
    )
