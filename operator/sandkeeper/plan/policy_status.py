"""What a SandboxPolicy says of itself, and what has to be done for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sandkeeper.api.names import PODS_QUOTA, POLICY_NAME
from sandkeeper.plan.quota import counted, in_force, in_words, quotas_of, uses
from sandkeeper.plan.status import dated_condition
from sandkeeper.plan.writes import Create, Delete, Patch, Write, merge_patch

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from sandkeeper.api.policy import SandboxPolicy

Json = dict[str, Any]


@dataclass(frozen=True)
class PolicyPlan:
    """Outcome of a decision on a policy.

    Attributes
    ----------
    reason, message
        For the condition ``Ready``.
    writes
        ResourceQuotas to write, before the status.
    status
        Merge patch of the status; empty where nothing is to be written.
    """

    reason: str
    message: str
    writes: tuple[Write, ...]
    status: Json


def plan_policy(
    policy: SandboxPolicy,
    status: Json,
    quotas: Mapping[str, Json],
    priority_class: str,
    now: datetime,
    *,
    refused: str = "",
) -> PolicyPlan:
    """Decide on one policy.

    Parameters
    ----------
    quotas
        The operator's ResourceQuotas of the namespace, by name; nothing for one that has no effect.
    priority_class
        Of sandboxes' pods; empty for none.
    refused
        Why a write that was planned before could not be carried out; empty where all could.
    """
    effective = policy.metadata.name == POLICY_NAME
    desired = {each["metadata"]["name"]: each for each in quotas_of(policy, priority_class)} if effective else {}
    writes = [_written(quotas.get(name), desired.get(name)) for name in sorted({*quotas, *desired})]
    reason, message = _said(policy, desired, quotas, priority_class) if effective else _of_no_effect(policy)
    if refused:
        reason, message = "QuotaRefused", f"{refused} What that would bound is not bounded."
    used = uses(policy.spec.quota, quotas) if effective else []
    ready = "True" if reason == "InForce" else "False"
    generation = policy.metadata.generation
    after = {
        "observedGeneration": generation,
        "conditions": [dated_condition(status, generation, now, "Ready", ready, reason, message)],
        **({"quota": used, "usage": in_words(used)} if used else {}),
    }
    return PolicyPlan(reason, message, tuple(filter(None, writes)), merge_patch(status, after))


def _of_no_effect(policy: SandboxPolicy) -> tuple[str, str]:
    message = (
        f'metadata.name: "{policy.metadata.name}" has no effect: of the SandboxPolicies of a namespace only the one '
        f"named {POLICY_NAME} is in force."
    )
    return "NoEffect", message


def _said(
    policy: SandboxPolicy, desired: Mapping[str, Json], quotas: Mapping[str, Json], priority_class: str
) -> tuple[str, str]:
    if not priority_class and counted(policy.spec.quota)[PODS_QUOTA]:
        return (
            "NoPriorityClass",
            "spec.quota: cpu, memory and running are not counted, since sandboxes of this installation have no "
            "PriorityClass (sandboxPriorityClass of its chart) by which Kubernetes could tell their pods from others.",
        )
    if all(in_force(each, quotas.get(name)) for name, each in desired.items()):
        return "InForce", "Sandboxes of the namespace are held to it."
    return "Pending", "Waiting until Kubernetes counts by the quota."


def _written(present: Json | None, desired: Json | None) -> Write | None:
    if present is None:
        return Create(desired) if desired else None
    if "deletionTimestamp" in present["metadata"]:
        return None
    if desired is None or _owner(present) != _owner(desired):
        # A former policy's would go with that one; it is made anew once it has gone.
        return Delete(present)
    patch = merge_patch({"spec": present["spec"]}, {"spec": desired["spec"]})
    return Patch(present, patch) if patch else None


def _owner(quota: Json) -> str:
    return next((str(each["uid"]) for each in quota["metadata"].get("ownerReferences", ())), "")
