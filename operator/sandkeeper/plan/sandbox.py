"""The whole decision for one sandbox: which children to write, what to say, and when to look again."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from sandkeeper.api.source import REINSTALL
from sandkeeper.plan.claim import keep_claim
from sandkeeper.plan.conflict import CONFLICT, conflict, conflict_state, not_captured
from sandkeeper.plan.converge import narrow, offer, raise_fence
from sandkeeper.plan.denial import denial
from sandkeeper.plan.egress import as_far_as_reachable, grant_of
from sandkeeper.plan.enforcement import gate, opened_by_labels
from sandkeeper.plan.gateway import without_gateway
from sandkeeper.plan.guest import by_image_volume, has_work_first
from sandkeeper.plan.guest_state import sandbox_state
from sandkeeper.plan.lifecycle import Life, Phase, life_of
from sandkeeper.plan.made_from import new_mark, reinstall_mark
from sandkeeper.plan.new_claim import create_claim, remake_claim
from sandkeeper.plan.nudge import nudged
from sandkeeper.plan.ownership import Ownership, is_managed, ownership
from sandkeeper.plan.packing import before_replacement
from sandkeeper.plan.pod import Volume, sandbox_pod
from sandkeeper.plan.pod_changes import outdated, regrant, relabel, replacement_cause, resize
from sandkeeper.plan.pod_state import PodState, ending, failed, has_failed, is_ready
from sandkeeper.plan.policy import permitted, policy_denial
from sandkeeper.plan.rollback import Rollback, beside, rollback_of, runs, settle, swap
from sandkeeper.plan.schedule import plan_copies
from sandkeeper.plan.sleep import end, fall_asleep
from sandkeeper.plan.start import postponed, worded
from sandkeeper.plan.status import status_of
from sandkeeper.plan.template import environment_of, newer_base, remember, without_template
from sandkeeper.plan.user_namespace import NO_USER_NAMESPACE, UserNamespace, stranded, user_namespace
from sandkeeper.plan.volume import must_stay, outdated_volume, volume_state
from sandkeeper.plan.workspace_choice import workspace_name
from sandkeeper.plan.writes import Create, Delete, Write, merge_patch

if TYPE_CHECKING:
    from sandkeeper.api.environment import Environment
    from sandkeeper.plan.observed import Observed

Json = dict[str, Any]

_FREED: Final = timedelta(seconds=30)
_FIRST_PAUSE: Final = timedelta(seconds=5)
_LONGEST_PAUSE: Final = timedelta(minutes=5)


@dataclass(frozen=True)
class Plan:
    """Outcome of a decision.

    Attributes
    ----------
    state
        What the sandbox is doing.
    writes
        Children to write, in this order, before the status.
    status
        Merge patch of the status; empty where nothing is to be written.
    look_again
        When time alone may change the decision.
    copies
        SandboxSnapshots to make and to delete, for the schedule; what becomes of them changes nothing else.
    """

    state: PodState
    writes: tuple[Write, ...] = ()
    status: Json = field(default_factory=dict)
    look_again: datetime | None = None
    copies: tuple[Write, ...] = ()


def pause_after(failures: int) -> timedelta:
    """How long to wait before a pod is made after so many failed ones in a row: nothing, 5 s, 10 s, ... 5 minutes."""
    if failures <= 1:
        return timedelta()
    return min(_FIRST_PAUSE * 2.0 ** min(failures - 2, 10), _LONGEST_PAUSE)


def plan_sandbox(observed: Observed, now: datetime) -> Plan:
    """Decide on one sandbox.

    Returns
    -------
    Plan
        With no writes and no status where everything is as it should be.
    """
    environment = environment_of(observed)
    life = life_of(observed, now)
    isolation = _user_namespace(observed, environment)
    desired = sandbox_pod(
        observed.sandbox,
        environment,
        observed.settings,
        user_namespace=isolation.used,
        avoided=isolation.avoided,
        image_volumes=by_image_volume(observed),
        work_first=has_work_first(observed, environment),
        workspace=_volume(observed),
        secrets=observed.secrets,
        grant=grant_of(observed, environment, now),
        gateway=observed.gateway,
        lower=observed.base.used,
    )
    state, writes = _granted(observed, desired, *_decide(observed, environment, desired, life, now), now)
    state = as_far_as_reachable(observed, environment, state)
    late = _late(observed, environment, desired) if observed.pod and state.running else None
    return finish(observed, environment, life, state, writes, now, late=late)


def _granted(
    observed: Observed, desired: Json, state: PodState, writes: tuple[Write, ...], now: datetime
) -> tuple[PodState, tuple[Write, ...]]:
    """Let nothing else come before what a pod may reach; whatever is the matter with it, and unless it ends."""
    pod = observed.pod
    if pod is None or "deletionTimestamp" in pod["metadata"] or ownership(pod, observed.sandbox) is not Ownership.OURS:
        return state, writes
    changed = regrant(pod, desired)
    if changed is None or any(isinstance(each, Delete) and each.child is pod for each in writes):
        return state, writes
    # One change a pass: each is decided on the version that the other one made.
    others = tuple(each for each in writes if isinstance(each, Create) or each.child is not pod)
    return replace(state, look_again=now), (changed, *others)


def _volume(observed: Observed) -> Volume:
    """Where the workspace of a pod is, or would be."""
    name, source = workspace_name(observed), observed.sandbox.spec.source
    if observed.claim is None and source is not None and source.packages == REINSTALL:
        return Volume(name, new_mark(observed.sandbox.metadata.uid, name))
    return Volume(name, reinstall_mark(observed.claim))


def _late(observed: Observed, environment: Environment, desired: Json) -> tuple[str, str] | None:
    volume = outdated_volume(observed.claim, environment, observed.classes)
    newer = newer_base(observed, environment)
    return newer or (outdated(observed.pod, desired) if observed.pod else None) or volume


def finish(
    observed: Observed,
    environment: Environment,
    life: Life,
    state: PodState,
    writes: tuple[Write, ...],
    now: datetime,
    *,
    late: tuple[str, str] | None = None,
) -> Plan:
    """Put the status to a decision, or the moment when it is worth writing."""
    if state.wrong and _runs(observed):
        # Clients wait for a ready pod, whatever is the matter beside it.
        state = replace(state, running=True)
    state = worded(observed, life, state, writes, now)
    wait, copying = postponed(observed, state, now), plan_copies(observed, life, now)
    # What is in the way may be nobody's whom its end would wake.
    freed = now + _FREED if state.reason == CONFLICT else None
    moments = (wait, state.look_again, life.look_again, copying.look_again, freed)
    look_again = min(filter(None, moments), default=None)
    if wait or (life.phase is Phase.ENDED and life.deletes):
        return Plan(state, writes, {}, look_again, copying.writes)
    status = status_of(observed, environment, life, state, late, copying, now)
    return Plan(state, writes, merge_patch(observed.status, status), look_again, copying.writes)


def _runs(observed: Observed) -> bool:
    pod = observed.pod
    return pod is not None and ownership(pod, observed.sandbox) is Ownership.OURS and is_ready(pod)


def refused(observed: Observed, state: PodState, now: datetime) -> Plan:
    """Decide on a sandbox after the API server refused one of its children."""
    environment = environment_of(observed)
    return finish(observed, environment, life_of(observed, now), state, (), now)


def _user_namespace(observed: Observed, environment: Environment) -> UserNamespace:
    """Whether the pod is to have a user namespace; a pod that is there keeps what it started with."""
    if observed.pod is not None:
        return UserNamespace(used=observed.pod["spec"].get("hostUsers") is False)
    return user_namespace(environment, observed.nodes, observed.settings)


def _decide(
    observed: Observed, environment: Environment, desired: Json, life: Life, now: datetime
) -> tuple[PodState, tuple[Write, ...]]:
    if observed.base.missing:
        return without_template(observed, environment, life, now)
    if life.phase is Phase.ENDED:
        return end(observed, environment, life, now)
    if observed.fence is not None and not is_managed(observed.fence):
        return conflict_state(observed.fence), ()
    # The fence stands before the first pod, whatever is the matter with this one sandbox.
    fence = raise_fence(observed)
    persistent = environment.workspace.persistent
    # Claims that a former sandbox of this name left to be retained are none of an Ephemeral one's.
    rollback, left = (rollback_of(observed, now), settle(observed)) if persistent else (None, ())
    claims = (*keep_claim(observed, environment, (*left, *(rollback.writes if rollback else ()))), *left)
    denied = not_captured(observed.claim) or denial(environment, observed.settings)
    if life.phase is Phase.AWAKE:
        # One that falls asleep takes nothing that its policy forbids, and has to be able to.
        denied = denied or policy_denial(observed, environment)
    obstacle = conflict(observed, environment) or (None if rollback and runs(observed) else denied)
    allowed = permitted(environment, observed.policy)
    if obstacle:
        return obstacle, (*fence, *narrow(observed, allowed), *claims, *(rollback.writes if rollback else ()))
    state, writes = _decide_life(observed, environment, desired, life, rollback, now)
    # What offers the pod to others may follow it.
    return state, (*fence, *writes, *claims, *offer(observed, allowed))


def _decide_life(
    observed: Observed, environment: Environment, desired: Json, life: Life, rollback: Rollback | None, now: datetime
) -> tuple[PodState, tuple[Write, ...]]:
    if life.phase is not Phase.ASLEEP and rollback and runs(observed):
        return swap(observed, rollback, _live(observed, observed.pod or {}, environment), now)
    if life.phase is Phase.ASLEEP:
        state, writes = fall_asleep(observed, life, now)
    else:
        state, writes = _decide_pod(observed, environment, desired, now)
        writes = (*writes, *remake_claim(observed, environment, now))
    state, writes = nudged(observed, volume_state(observed, environment, state, now), writes, now)
    return (beside(state, rollback), (*writes, *rollback.writes)) if rollback else (state, writes)


def _decide_pod(
    observed: Observed, environment: Environment, desired: Json, now: datetime
) -> tuple[PodState, tuple[Write, ...]]:
    pod = observed.pod
    if pod is None:
        return _without_pod(observed, environment, desired, now)
    if "deletionTimestamp" in pod["metadata"]:
        return ending(pod, now), ()
    if ownership(pod, observed.sandbox) is Ownership.FORMER:
        return PodState("Starting", "The pod of a deleted sandbox of this name is being removed."), (Delete(pod),)
    if has_failed(pod):
        reason, message = failed(pod)
        return PodState(reason, f"{message} It is being replaced.", wrong=True), (Delete(pod),)
    cause = replacement_cause(pod, desired) or stranded(environment, pod, observed.node, observed.nodes)
    if cause:
        return _replace(observed, environment, pod, desired, cause, now)
    return _change_in_place(observed, pod, desired, environment, now)


def _change_in_place(
    observed: Observed, pod: Json, desired: Json, environment: Environment, now: datetime
) -> tuple[PodState, tuple[Write, ...]]:
    state, labels = _live(observed, pod, environment), relabel(pod, desired, environment)
    opened = opened_by_labels(observed, pod, desired) if labels else ""
    if opened:
        return replace(state, reason="Widened", message=opened, wrong=True), ()
    changes = tuple(filter(None, (labels, resize(pod, desired), remember(pod, observed))))
    # One change a pass: each is decided on the version that the other one made.
    return (replace(state, look_again=now), changes[:1]) if len(changes) > 1 else (state, changes)


def _live(observed: Observed, pod: Json, environment: Environment) -> PodState:
    return sandbox_state(pod, observed.node, environment, observed.settings.guest)


def _replace(
    observed: Observed, environment: Environment, pod: Json, desired: Json, cause: str, now: datetime
) -> tuple[PodState, tuple[Write, ...]]:
    if must_stay(observed):
        return replace(_live(observed, pod, environment), wrong=True), ()
    held = gate(observed, pod["metadata"].get("labels", {})) or without_gateway(observed)
    if held:
        # What runs is worth more than a successor that may not start.
        message = f"The pod is to be replaced: {cause}. {held.message}"
        return replace(_live(observed, pod, environment), reason=held.reason, message=message, wrong=True), ()
    first = before_replacement(observed, pod, desired, cause, now)
    return first or (PodState("Starting", f"The pod is being replaced: {cause}."), (Delete(pod),))


def _without_pod(
    observed: Observed, environment: Environment, desired: Json, now: datetime
) -> tuple[PodState, tuple[Write, ...]]:
    if observed.fence is not None and "deletionTimestamp" in observed.fence["metadata"]:
        return PodState("Starting", "Waiting for the namespace's former fence to end before a pod is made."), ()
    missing = _user_namespace(observed, environment).missing
    if missing:
        return PodState(NO_USER_NAMESPACE, missing, wrong=True), ()
    failure = observed.failure
    if failure and now < failure.not_before:
        message = f"{failure.message} A new pod is made at {failure.not_before:%H:%M:%S} UTC."
        return PodState(failure.reason, message, wrong=True, look_again=failure.not_before), ()
    held = gate(observed, desired["metadata"]["labels"]) or without_gateway(observed)
    if held:
        return held, ()
    awaited, claim = create_claim(observed, environment, now)
    if awaited:
        return awaited, claim
    return PodState("Starting", "The pod is being created."), (*claim, Create(desired))
