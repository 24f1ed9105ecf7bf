"""Whether the fence holds: what canaries found, what other policies open, and what that means for one sandbox.

Nothing is taken for closed that was not seen to be: a canary whose unfenced half reached nothing either proves nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal, get_args

from sandkeeper.api.names import CHECK_FENCE_ANNOTATION, ROLE_LABEL, WIDENS_ANNOTATION
from sandkeeper.plan.canary import ALLOWED, API, DNS, NEIGHBOUR, POD
from sandkeeper.plan.fence import widening
from sandkeeper.plan.pod_state import PodState, parse_time

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import datetime, timedelta

    from sandkeeper.canary.attempts import Attempt
    from sandkeeper.plan.observed import Observed

Json = dict[str, Any]
Result = Literal["Verified", "NotEnforced", "CanaryBroken"]
_RESULTS: Final[dict[str, Result]] = {each: each for each in get_args(Result)}

_INSTALL: Final = (
    "Install a network plugin that enforces NetworkPolicies, such as Cilium or Calico, or turn on your cloud's"
)
_WITHOUT: Final = "the chart's value requireEnforcement: false starts sandboxes without"
LONGEST_REQUEST: Final = 128


@dataclass(frozen=True)
class Verdict:
    """What a canary found. The sentence stays the same from run to run, so that no status changes for nothing.

    Attributes
    ----------
    requests
        Values of the annotation ``check-fence`` that it answers.
    """

    result: Result
    message: str
    requests: frozenset[str] = field(default=frozenset(), compare=False)


def judge(tried: Sequence[Attempt], control: Collection[str], fenced: Collection[str]) -> Verdict:
    """Compare the two halves of a canary.

    Parameters
    ----------
    tried
        All attempts, in the order in which they are told.
    control, fenced
        Names of those that reached something without the fence and behind it.
    """
    got_out = list(dict.fromkeys(each.name for each in tried if each.name in fenced and each.name != ALLOWED))
    if NEIGHBOUR in control:
        got_out.append("a sandbox from outside")
    if got_out:
        return Verdict("NotEnforced", f"A canary got through the fence: it reached {_listed(got_out)}. {_INSTALL}.")
    unreached = [name for name in (POD, API) if name not in control]
    if not set(DNS) & set(control):
        unreached.append("the cluster's DNS")
    if unreached:
        return broken(
            f"its half without a fence could not reach {_listed(unreached)} either. Look for NetworkPolicies in the "
            "operator's namespace and for trouble with the network"
        )
    if all(each.name != ALLOWED for each in tried):
        return Verdict("Verified", "A canary behind the fence reached nothing; one without it did.")
    if ALLOWED not in fenced:
        return broken(
            f"the egress gateway has no address for {ALLOWED} either. Look at the gateway's pods, and for "
            "NetworkPolicies in their namespace"
        )
    return Verdict("Verified", f"A canary behind the fence reached nothing but {ALLOWED}; one without it did.")


def broken(why: str) -> Verdict:
    """Give the verdict of a canary that says nothing."""
    return Verdict("CanaryBroken", f"The canary that tries the fence proves nothing: {why}.")


def current(record: dict[str, str], now: datetime, interval: timedelta) -> Verdict | None:
    """Read the cluster's verdict from the data of its ConfigMap; None where none is younger than two intervals."""
    try:
        verdict = Verdict(_RESULTS[record["result"]], record["message"])
        return verdict if now - parse_time(record["at"]) <= 2 * interval else None
    except (KeyError, TypeError, ValueError):  # it is not there yet, or not as we write it
        return None


def overturns(new: Verdict, standing: Verdict | None) -> bool:
    """Whether a verdict replaces the standing one: a broken canary is no argument against a proof that still counts."""
    return not (new.result == "CanaryBroken" and standing is not None and standing.result == "Verified")


def request_of(annotations: dict[str, str]) -> str:
    """Value of a sandbox's annotation ``check-fence``; empty where it asks for nothing."""
    return annotations.get(CHECK_FENCE_ANNOTATION, "")[:LONGEST_REQUEST]


def fence_check(observed: Observed) -> Json | None:
    """Part of the status that holds what a canary found in the sandbox's own namespace; None where it asks for none."""
    request, verdict = request_of(observed.sandbox.metadata.annotations), observed.namespace_verdict
    if not request:
        return None
    if verdict is not None and request in verdict.requests:
        return {"request": request, "result": verdict.result, "message": verdict.message}
    present = observed.status.get("fenceCheck")
    return dict(present) if present else None


def unanswered(observed: Observed) -> str:
    """Request of a sandbox that no canary has answered well, and that is not being worked on; empty where none is."""
    request, check = request_of(observed.sandbox.metadata.annotations), fence_check(observed)
    if check and check["request"] == request and (check["result"] == "Verified" or observed.namespace_verdict):
        return ""
    return request


def egress_condition(observed: Observed, labels: dict[str, str]) -> tuple[str, str, str]:
    """Status, reason and message of ``EgressEnforced``.

    Parameters
    ----------
    labels
        Of the sandbox's pod, the one that is there or else the one that is to be made.
    """
    cluster, check = observed.cluster_verdict, fence_check(observed)
    if cluster is not None and cluster.result == "NotEnforced":
        return "False", cluster.result, cluster.message
    on_purpose, by_chance = widening(observed.policies, labels)
    if on_purpose or by_chance:
        return "False", "Widened", _widened((*on_purpose, *by_chance))
    if check and check["result"] != "Verified":
        return _truth(check["result"]), check["result"], f"In this namespace: {check['message']}"
    if cluster is None:
        return "Unknown", "Unverified", "No canary has tried the fence of this cluster yet."
    return _truth(cluster.result), cluster.result, cluster.message


def gate(observed: Observed, labels: dict[str, str]) -> PodState | None:
    """State of a sandbox whose pod may not be made because its fence might not hold; None where it may."""
    if not observed.settings.require_enforcement:
        return None
    cluster, check = observed.cluster_verdict, fence_check(observed)
    if check and check["result"] == "NotEnforced":
        cluster = Verdict("NotEnforced", f"In this namespace: {check['message']}")
    if cluster is None:
        message = f"No pod is made before a canary has tried the fence of this cluster; {_WITHOUT}."
        return PodState("Unverified", message)
    if cluster.result != "Verified":
        message = f"{cluster.message} No pod is made until a canary has seen the fence hold; {_WITHOUT}."
        return PodState(cluster.result, message, wrong=True)
    _, by_chance = widening(observed.policies, labels)
    if by_chance:
        return PodState("Widened", f"{_widened(by_chance)} No pod is made while it is. {exclusion()}", wrong=True)
    return None


def opened_by_labels(observed: Observed, pod: Json, desired: Json) -> str:
    """Sentence on policies that new labels would let open a pod that runs; empty where the labels may be set."""
    _, before = widening(observed.policies, pod["metadata"].get("labels", {}))
    _, after = widening(observed.policies, desired["metadata"]["labels"])
    names = sorted(set(after) - set(before))
    if not names:
        return ""
    by = policies_named(names)
    return f"The labels of spec.podTemplate are not set: by them {by} would open the fence. {exclusion()}"


def _widened(names: Sequence[str]) -> str:
    return f"The fence is opened by {policies_named(names)}."


def policies_named(names: Sequence[str]) -> str:
    """Name policies in a sentence."""
    return f"{'NetworkPolicies' if len(names) > 1 else 'NetworkPolicy'} {_listed(names)}"


def exclusion() -> str:
    """Say how a policy is kept from opening sandboxes."""
    return (
        f"Exclude sandboxes by podSelector.matchExpressions [{{key: {ROLE_LABEL}, operator: DoesNotExist}}], or let an "
        f'administrator annotate it with {WIDENS_ANNOTATION}: "true".'
    )


def _truth(result: str) -> str:
    return {"Verified": "True", "NotEnforced": "False"}.get(result, "Unknown")


def _listed(names: Sequence[str]) -> str:
    *most, last = names
    return f"{', '.join(most)} and {last}" if most else last
