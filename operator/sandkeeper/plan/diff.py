"""What becomes of a SandboxDiff: copies of both sides, a pod that compares them, its summary, and the end.

What there is tells how far it is. The pod of an attempt carries its number, and one that failed goes only after the
status counted it, so that no restart of the operator adds an attempt.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from sandkeeper.api.names import ATTEMPT_ANNOTATION, diff_pod_name
from sandkeeper.plan.diff_pod import diff_pod, kept_for
from sandkeeper.plan.diff_sides import COPYING, PREPARING, copies, in_the_way, leftovers, unbound
from sandkeeper.plan.diff_summary import in_words, summary_of
from sandkeeper.plan.made_from import readable_layer
from sandkeeper.plan.pod_state import PodState, condition, ending, has_failed, parse_time, state_of, written
from sandkeeper.plan.status import dated_condition
from sandkeeper.plan.tenant_text import harmless
from sandkeeper.plan.writes import Create, Delete, merge_patch

if TYPE_CHECKING:
    from datetime import datetime

    from sandkeeper.api.sandbox import SandboxSpec
    from sandkeeper.plan.diff_observed import ObservedDiff
    from sandkeeper.plan.writes import Write

Json = dict[str, Any]

COMPARING: Final = "Comparing"
READY: Final = "Ready"
MOST_ATTEMPTS: Final = 3
_COPIED: Final = PodState(PREPARING, f"{COPYING}.")
_FIRST_PAUSE: Final = timedelta(seconds=10)
_LOOKS: Final = timedelta(minutes=1)
"""How often one is looked at that waits for what somebody has to do."""
_LONGEST: Final = 500
_PROGRESS: Final = frozenset({"Running", "Starting", "CrashLooping"})
"""States of a sandbox's pod that mean nothing of one that is to end."""


@dataclass(frozen=True)
class DiffPlan:
    """What is to be done for a SandboxDiff.

    Attributes
    ----------
    state
        For the condition ``Ready``.
    status
        Merge patch of the status; empty where it is as it should be.
    over
        Whether it is ready, or has failed for good.
    expired
        Whether the SandboxDiff itself is to be deleted.
    """

    state: PodState
    writes: tuple[Write, ...] = ()
    status: Json = field(default_factory=dict)
    over: bool = False
    expired: bool = False
    look_again: datetime | None = None


@dataclass(frozen=True)
class _Step:
    state: PodState
    writes: tuple[Write, ...] = ()
    facts: Json = field(default_factory=dict)
    over: bool = False


def plan_diff(observed: ObservedDiff, now: datetime) -> DiffPlan:
    """Decide on one SandboxDiff."""
    if now >= _expires(observed, observed.status):
        return DiffPlan(PodState("Expired", "It is kept no longer."), expired=True)
    if is_over(observed.status):
        return _kept(observed)
    step = _step(observed, now)
    return _planned(observed, step, now)


def stopped(observed: ObservedDiff, state: PodState, now: datetime) -> DiffPlan:
    """Tell why nothing could be written for a SandboxDiff."""
    return _planned(observed, _Step(state), now)


def is_over(status: Json) -> bool:
    """Whether a SandboxDiff is ready, or has failed for good."""
    return "completionTime" in status


def _kept(observed: ObservedDiff) -> DiffPlan:
    """Keep what was found, and end what is not needed any more."""
    ready = condition({"status": observed.status}, "Ready")
    expires = _expires(observed, observed.status)
    generation = observed.diff.metadata.generation
    status = {**observed.status, "observedGeneration": generation, "expiresAt": written(expires)}
    patch = merge_patch(observed.status, status)
    state = PodState(ready.get("reason", READY), ready.get("message", ""))
    return DiffPlan(state, leftovers(observed), patch, over=True, look_again=expires)


def _step(observed: ObservedDiff, now: datetime) -> _Step:
    held_up = in_the_way(observed)
    if held_up:
        return _Step(held_up)
    pod = observed.pod
    if pod is not None and has_failed(pod) and "deletionTimestamp" not in pod["metadata"]:
        return _ended(observed, pod, now)
    waits, writes = copies(observed)
    if pod is not None:
        return _Step(_at_work(observed, pod, now), writes)
    if waits:
        return _Step(waits, writes)
    return _Step(_COPIED, (*writes, Create(_next_pod(observed, writes))))


def _next_pod(observed: ObservedDiff, writes: tuple[Write, ...]) -> Json:
    made = [each.obj for each in writes if isinstance(each, Create)]
    read = [*(side.claim for side in (observed.old, observed.new) if side.claim), *made]
    # What a sandbox without root wrote can be read without root, which is all that some namespaces allow.
    root = not all(_is_rootless(readable_layer(each)) for each in read)
    found = observed.nodes.candidates("", None)
    able = observed.settings.user_namespaces != "Never" and found.able > 0 and not found.unable
    attempt = int(observed.status.get("failures", 0)) + 1
    return diff_pod(observed.diff, observed.settings, attempt=attempt, root=root, user_namespace=able)


def _is_rootless(layer: SandboxSpec | None) -> bool:
    return layer is not None and layer.security is not None and layer.security.root is False


def _at_work(observed: ObservedDiff, pod: Json, now: datetime) -> PodState:
    """State of a pod that has not ended."""
    if "deletionTimestamp" in pod["metadata"]:
        going = ending(pod, now)
        return going if going.wrong else PodState(PREPARING, going.message, look_again=going.look_again)
    state = state_of(pod, observed.node)
    if state.reason == "Unschedulable" or not pod["spec"].get("nodeName"):
        return unbound(observed) or (_COPIED if state.reason == "Starting" else state)
    if state.reason in _PROGRESS:
        metadata = pod["metadata"]
        follow = f"kubectl logs -n {metadata['namespace']} {metadata['name']} -f shows what it finds"
        return PodState(COMPARING, f"Pod {metadata['name']} compares the two; {follow}.")
    return state


def _ended(observed: ObservedDiff, pod: Json, now: datetime) -> _Step:
    said = _terminated(pod)
    summary = summary_of(said.get("message", "")) if pod["status"]["phase"] == "Succeeded" else None
    if summary is None:
        return _failed(observed, pod, said, now)
    metadata = pod["metadata"]
    message = f"{in_words(summary)}; kubectl logs -n {metadata['namespace']} {metadata['name']} lists them all."
    return _Step(PodState(READY, message, at_rest=True), facts={"summary": summary.to_json()}, over=True)


def _failed(observed: ObservedDiff, pod: Json, said: Json, now: datetime) -> _Step:
    attempt = _attempt(pod)
    why = f"Pod {pod['metadata']['name']} {_why(pod, said)}"
    facts = {"failures": attempt}
    if attempt >= MOST_ATTEMPTS:
        state = PodState("Failed", f"{why}; it was tried {attempt} times.", wrong=True, stalled=True)
        return _Step(state, facts=facts, over=True)
    began = said.get("finishedAt") or pod["status"].get("startTime") or pod["metadata"]["creationTimestamp"]
    again = parse_time(began) + _FIRST_PAUSE * 2.0 ** (attempt - 1)
    state = PodState("Failed", f"{why}; it is tried again, {attempt + 1} of {MOST_ATTEMPTS}.", look_again=again)
    counted = observed.status.get("failures") == attempt
    return _Step(state, (Delete(pod),) if counted and now >= again else (), facts)


def _why(pod: Json, said: Json) -> str:
    status = pod["status"]
    if status.get("reason"):
        return f"ended ({status['reason']}): {harmless(status.get('message', ''), _LONGEST)}".rstrip(".: ")
    if said.get("reason") == "OOMKilled":
        return "ran out of memory"
    if status["phase"] == "Succeeded":
        return "ended without a summary that can be read"
    told = harmless(said.get("message", ""), _LONGEST).rstrip(".")
    return f"ended with exit code {said.get('exitCode', 'unknown')}" + (f": {told}" if told else "")


def _terminated(pod: Json) -> Json:
    for status in pod["status"].get("containerStatuses") or ():
        return dict(status.get("state", {}).get("terminated") or {})
    return {}


def _attempt(pod: Json) -> int:
    noted = pod["metadata"].get("annotations", {}).get(ATTEMPT_ANNOTATION, "")
    return int(noted) if noted.isdecimal() else MOST_ATTEMPTS


def _expires(observed: ObservedDiff, status: Json) -> datetime:
    metadata = observed.diff.metadata
    since = parse_time(status["completionTime"]) if "completionTime" in status else metadata.creation_timestamp
    if since is None:
        raise ValueError(f"SandboxDiff {metadata.name} has no creationTimestamp")
    return since + kept_for(observed.diff)


def _planned(observed: ObservedDiff, step: _Step, now: datetime) -> DiffPlan:
    status = _status(observed, step, now)
    expires = _expires(observed, status)
    status["expiresAt"] = written(expires)
    looks = [expires, step.state.look_again or now + _LOOKS]
    patch = merge_patch(observed.status, status)
    return DiffPlan(step.state, step.writes, patch, over=step.over, look_again=min(looks))


def _status(observed: ObservedDiff, step: _Step, now: datetime) -> Json:
    before, created = observed.status, observed.diff.metadata.creation_timestamp
    has_pod = observed.pod is not None or any(_makes_pod(each) for each in step.writes)
    status: Json = {
        "observedGeneration": observed.diff.metadata.generation,
        "conditions": _conditions(observed, step, now),
        "to": _to(observed),
        "podName": diff_pod_name(observed.diff.metadata.name) if has_pod else None,
        "failures": before.get("failures"),
        **step.facts,
    }
    if step.over and created is not None:
        status["completionTime"] = written(now)
        status["durationSeconds"] = round(max(0.0, (now - created).total_seconds()), 1)
    return {name: value for name, value in status.items() if value is not None}


def _makes_pod(write: Write) -> bool:
    return isinstance(write, Create) and write.obj["kind"] == "Pod"


def _to(observed: ObservedDiff) -> str | None:
    """Say what it is compared with."""
    if not observed.is_of_now:
        return observed.new.name
    return f"{observed.sandbox} (now)" if observed.sandbox else observed.status.get("to")


def _conditions(observed: ObservedDiff, step: _Step, now: datetime) -> list[Json]:
    state, generation = step.state, observed.diff.metadata.generation
    wanted = [("Ready", "True" if state.reason == READY else "False", state.reason, state.message)]
    if state.stalled:
        wanted.append(("Stalled", "True", state.reason, state.message))
    elif state.reason != READY:
        wanted.append(("Reconciling", "True", state.reason, state.message))
    return [dated_condition(observed.status, generation, now, *each) for each in wanted]
