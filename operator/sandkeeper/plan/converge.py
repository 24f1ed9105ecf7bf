"""Children other than pod and claim: they are simply brought to what they should be."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sandkeeper.plan.fence import fence_policy, fence_sign, ports_policy
from sandkeeper.plan.ownership import Ownership, ownership
from sandkeeper.plan.service import sandbox_service
from sandkeeper.plan.writes import Create, Delete, Patch, Write, merge_patch

if TYPE_CHECKING:
    from sandkeeper.api.environment import Environment
    from sandkeeper.plan.observed import Observed

Json = dict[str, Any]


def raise_fence(observed: Observed) -> tuple[Write, ...]:
    """Make the fence and, before it, the sign by which admission keeps others from opening it."""
    namespace = observed.sandbox.metadata.namespace
    sign = () if observed.fence_sign else (Create(fence_sign(namespace)),)
    return (*sign, *_converge(observed, observed.fence, fence_policy(namespace, observed.settings.gateway)))


def _converge(observed: Observed, present: Json | None, desired: Json | None) -> tuple[Write, ...]:
    """Write that brings a child other than the pod to what it should be."""
    if present is None:
        return (Create(desired),) if desired else ()
    if "deletionTimestamp" in present["metadata"]:
        return ()
    owned = bool(present["metadata"].get("ownerReferences"))
    if desired is None or (owned and ownership(present, observed.sandbox) is Ownership.FORMER):
        return (Delete(present),)
    spec = {name: present["spec"].get(name) for name in desired["spec"]}
    patch = merge_patch({"spec": spec}, {"spec": desired["spec"]})
    extra = {name: None for name in ("ingress", "egress") if name in present["spec"] and name not in desired["spec"]}
    if extra:
        patch.setdefault("spec", {}).update(extra)
    return (Patch(present, patch),) if patch else ()


def offer(observed: Observed, environment: Environment) -> tuple[Write, ...]:
    """Offer the pod to others: by a Service, and a policy that lets them reach it."""
    service = _converge(observed, observed.service, sandbox_service(observed.sandbox, environment))
    return (*service, *_converge(observed, observed.ports_policy, ports_policy(observed.sandbox, environment)))


def narrow(observed: Observed, environment: Environment) -> tuple[Write, ...]:
    """Keep a policy of a sandbox's own to its environment, whatever else the sandbox is kept from; make none."""
    present = observed.ports_policy
    if present is None or ownership(present, observed.sandbox) is not Ownership.OURS:
        return ()
    return _converge(observed, present, ports_policy(observed.sandbox, environment))
