"""What a SandboxPolicy means for a sandbox: judged on what all layers resolve to, before each pod.

Admission has judged what was written. It saw neither template nor snapshot, nor a policy that was tightened later.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import orjson

from sandkeeper.api.domains import within
from sandkeeper.api.egress import EffectiveEgress
from sandkeeper.api.images import allows
from sandkeeper.api.lifecycle import EffectiveLifecycle, Lifecycle, seconds
from sandkeeper.api.names import PODS_QUOTA, POLICY_NAME
from sandkeeper.api.policy import SandboxPolicySpec
from sandkeeper.api.quantities import parsed
from sandkeeper.api.resolve import BUILT_IN
from sandkeeper.api.sandbox import SandboxSpec
from sandkeeper.plan.pod_state import PodState
from sandkeeper.plan.quota import counted
from sandkeeper.plan.tenant_text import harmless

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sandkeeper.api.environment import Environment
    from sandkeeper.plan.observed import Observed, Settings

Json = dict[str, Any]

_LONGEST: Final = 1000
_LONGEST_VALUE: Final = 200
_WHOSE: Final = "by SandboxPolicy default"


@lru_cache(maxsize=1024)
def policy_in(text: str) -> SandboxPolicySpec:
    """Read the spec of a policy, as the store keeps it."""
    return SandboxPolicySpec.model_validate_json(text)


def default_layer(spec: Json) -> str:
    """Write down what a policy gives to all sandboxes, as pods remember it: its defaults, within its own bounds.

    A built-in limit above what one sandbox may use would forbid all that write none.

    Returns
    -------
    str
        JSON of a layer; empty where the policy gives nothing.
    """
    given = {name: value for name, value in (spec.get("defaults") or {}).items() if name != "lifecycle"}
    most, built_in = spec.get("maxResources") or {}, (BUILT_IN.resources and BUILT_IN.resources.limits) or {}
    lowered = {
        name: str(most[name])
        for name, limit in built_in.items()
        if name in most and parsed(str(most[name])) < parsed(limit)
    }
    if lowered:
        resources = given.get("resources") or {}
        given["resources"] = {**resources, "limits": {**lowered, **(resources.get("limits") or {})}}
    return orjson.dumps(given, option=orjson.OPT_SORT_KEYS).decode() if given else ""


def default_lifecycle(policy: SandboxPolicySpec | None) -> SandboxSpec | None:
    """Layer of the lifecycle that a policy gives to all sandboxes; None for none."""
    given = policy.defaults.lifecycle if policy and policy.defaults else None
    return SandboxSpec(lifecycle=Lifecycle(**given.model_dump(exclude_none=True))) if given else None


def bounded(lifecycle: EffectiveLifecycle, policy: SandboxPolicySpec | None) -> EffectiveLifecycle:
    """Let a sandbox live at most as long as its policy says, whatever it asks for."""
    most = seconds(policy.max_ttl) if policy else None
    if most is None or (lifecycle.ttl is not None and lifecycle.ttl <= most):
        return lifecycle
    return lifecycle.model_copy(update={"ttl": most})


def lacks_policy(observed: Observed) -> bool:
    """Whether a sandbox has no policy, where each is to have one."""
    return observed.settings.require_policy and observed.policy is None


def policy_denial(observed: Observed, environment: Environment) -> PodState | None:
    """State of a sandbox that resolves to what its policy forbids, or has none where it is to have one.

    Returns
    -------
    PodState or None
        None where it is allowed.
    """
    message = ""
    if observed.policy:
        message = next(_faults(environment, observed.policy, observed.settings), "")
    elif lacks_policy(observed):
        message = (
            f"metadata.namespace: {observed.sandbox.metadata.namespace} has no SandboxPolicy named {POLICY_NAME}, "
            "without which no sandbox starts in this installation (requirePolicy of its chart)."
        )
    return PodState("PolicyDenied", harmless(message, _LONGEST), wrong=True, stalled=True) if message else None


def _faults(environment: Environment, policy: SandboxPolicySpec, settings: Settings) -> Iterator[str]:
    images, classes = policy.allowed_images, policy.allowed_runtime_classes
    if images is not None and not any(allows(each, environment.image) for each in images):
        yield _not_allowed("image", environment.image, images)
    runtime = environment.security.runtime_class_name or ""
    if classes is not None and runtime not in classes:
        yield _not_allowed("security.runtimeClassName", runtime or "none, the container runtime's own,", classes)
    if policy.allowed_pod_template_fields is not None:
        allowed = policy.allowed_pod_template_fields
        for name in environment.pod_template.spec.to_json():
            if name not in allowed:
                yield _not_allowed("podTemplate.spec", name, allowed)
    yield from _unreachable(environment, policy)
    yield from _beyond(environment, policy)
    yield from _uncounted(environment, policy, settings)


def _beyond(environment: Environment, policy: SandboxPolicySpec) -> Iterator[str]:
    """Sentences on what is more than one sandbox may use; no request is above its limit."""
    for name, most in (policy.max_resources or {}).items():
        asked = environment.resources.limits.get(name)
        if asked is not None and parsed(asked) > parsed(most):
            yield f"resources.limits.{name}: {asked} is above {most}, the most that is allowed {_WHOSE}."


def _uncounted(environment: Environment, policy: SandboxPolicySpec, settings: Settings) -> Iterator[str]:
    """Sentence on a PriorityClass by which the quota of the policy would not count the pod."""
    asked = environment.pod_template.spec.priority_class_name
    if counted(policy.quota)[PODS_QUOTA] and asked is not None and asked != settings.priority_class:
        yield (
            f"podTemplate.spec.priorityClassName: {asked} is not counted by the quota of SandboxPolicy default; "
            f"allowed: {settings.priority_class or 'none'}."
        )


def permitted(environment: Environment, policy: SandboxPolicySpec | None) -> Environment:
    """Give what a sandbox resolves to with no more egress than its policy allows.

    Where domains are bounded no network is reached by address, or any domain could be.
    """
    if policy is None or policy.allowed_domains is None:
        return environment
    egress = EffectiveEgress(domains=within(environment.egress.domains, policy.allowed_domains))
    return environment.model_copy(update={"egress": egress})


def _unreachable(environment: Environment, policy: SandboxPolicySpec) -> Iterator[str]:
    """Sentences on what is to be reached and may not be."""
    asked, reached = environment.egress, permitted(environment, policy).egress
    for each in asked.domains:
        if each not in reached.domains:
            yield _not_allowed("egress.domains", each, policy.allowed_domains or ())
    if not reached.cidrs:
        for network in asked.cidrs:
            yield f"egress.cidrs: {network.cidr} is not allowed {_WHOSE}, since it bounds domains; allowed: none."


def _not_allowed(field: str, value: str, allowed: Iterable[str]) -> str:
    named = ", ".join(each or '""' for each in allowed)
    return f"{field}: {harmless(value, _LONGEST_VALUE)} is not allowed {_WHOSE}; allowed: {named or 'none'}."
