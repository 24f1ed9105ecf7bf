"""The network fence: one policy per namespace leaves every sandbox the gateway alone; a sandbox's own adds to it.

Beside it stands its sign, a Fence of the same name, which tells an admission policy that a namespace has one. The
NetworkPolicy itself would tell as well, but kube-apiserver reads parameters of its own kinds from a cache that it can't
start a second time: once no admission policy asked for NetworkPolicies any more, those that ask again see no new one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sandkeeper.api.names import (
    API_VERSION,
    FENCE_KIND,
    FENCE_NAME,
    MANAGED_LABEL,
    MANAGED_VALUE,
    ROLE_LABEL,
    SANDBOX_LABEL,
    SANDBOX_ROLE,
    WIDENS_ANNOTATION,
    child_labels,
    ports_policy_name,
)
from sandkeeper.plan.gateway import gateway_egress
from sandkeeper.plan.ownership import is_managed, owner_of, owner_reference

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sandkeeper.api.environment import Environment
    from sandkeeper.api.sandbox import Sandbox
    from sandkeeper.plan.observed import EgressGateway

Json = dict[str, Any]


def fence_policy(namespace: str, gateway: EgressGateway | None) -> Json:
    """NetworkPolicy that closes every sandbox of a namespace in both directions, but for the way to the gateway.

    It is the namespace's, owned by no sandbox, and made before the first pod.

    Parameters
    ----------
    gateway
        None where there is none.
    """
    policy = _policy(_metadata(namespace), {ROLE_LABEL: SANDBOX_ROLE}, ["Ingress", "Egress"])
    if gateway is not None:
        policy["spec"]["egress"] = [gateway_egress(gateway)]
    return policy


def fence_sign(namespace: str) -> Json:
    """Fence that tells admission of a namespace's fence; made before it, and ended after it."""
    return {"apiVersion": API_VERSION, "kind": FENCE_KIND, "metadata": _metadata(namespace)}


def is_fence(child: Json) -> bool:
    """Whether a child is a namespace's fence or its sign, rather than one sandbox's own."""
    return bool(child["kind"] in {"NetworkPolicy", FENCE_KIND} and child["metadata"]["name"] == FENCE_NAME)


def ports_policy(sandbox: Sandbox, environment: Environment) -> Json | None:
    """NetworkPolicy of a sandbox's own; None where it needs none.

    It lets pods of the same namespace reach the sandbox's ports, and the sandbox the networks of its egress.
    """
    opened = {"ingress": _to_ports(environment), "egress": _to_networks(environment)}
    if not any(opened.values()):
        return None
    name = sandbox.metadata.name
    policy = _policy(
        {
            "name": ports_policy_name(name),
            "namespace": sandbox.metadata.namespace,
            "labels": child_labels(name),
            "ownerReferences": [owner_reference(sandbox)],
        },
        {ROLE_LABEL: SANDBOX_ROLE, SANDBOX_LABEL: name},
        [kind.capitalize() for kind, rules in opened.items() if rules],
    )
    policy["spec"] |= {kind: rules for kind, rules in opened.items() if rules}
    return policy


def _to_ports(environment: Environment) -> list[Json]:
    ports = [{"port": port.port, "protocol": "TCP"} for port in environment.ports]
    return [{"from": [{"podSelector": {}}], "ports": ports}] if ports else []


def _to_networks(environment: Environment) -> list[Json]:
    rules = []
    for each in environment.egress.cidrs:
        ports = [{"port": port, "protocol": protocol} for port in each.ports for protocol in ("TCP", "UDP")]
        rules.append({"to": [{"ipBlock": {"cidr": each.cidr}}], **({"ports": ports} if ports else {})})
    return rules


def is_foreign(policy: Json) -> bool:
    """Whether a NetworkPolicy is nobody's of ours: not by its label alone, which anyone can write."""
    if is_fence(policy):
        return False
    owner = owner_of(policy) if is_managed(policy) else None
    return owner is None or policy["metadata"]["name"] != ports_policy_name(owner["name"])


def allows(policy: Json) -> bool:
    """Whether a NetworkPolicy allows anything; policies add up, so one that only denies opens nothing."""
    spec = policy["spec"]
    types = spec.get("policyTypes") or ("Ingress", "Egress")
    return any(spec.get(each.lower()) for each in types)


def widening(policies: Iterable[Json], labels: Mapping[str, str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Name the foreign policies that open a pod which the fence closes.

    Parameters
    ----------
    policies
        NetworkPolicies of the pod's namespace that are not ours.
    labels
        The pod's.

    Returns
    -------
    tuple
        Names of those that do it on purpose, and of the others.
    """
    opening = [each["metadata"] for each in policies if allows(each) and _selects(each["spec"], labels)]
    meant = {each["name"]: each.get("annotations", {}).get(WIDENS_ANNOTATION) == "true" for each in opening}
    return tuple(sorted(name for name in meant if meant[name])), tuple(
        sorted(name for name in meant if not meant[name])
    )


def _selects(spec: Json, labels: Mapping[str, str]) -> bool:
    selector = spec.get("podSelector") or {}
    wanted = selector.get("matchLabels") or {}
    return all(labels.get(name) == value for name, value in wanted.items()) and all(
        _holds(each, labels) for each in selector.get("matchExpressions") or ()
    )


def _holds(expression: Json, labels: Mapping[str, str]) -> bool:
    """Judge one requirement as the API does: ``NotIn`` holds for a label that is not there."""
    name, values = expression["key"], expression.get("values") or ()
    match expression["operator"]:
        case "In":
            return labels.get(name) in values
        case "NotIn":
            return labels.get(name) not in values
        case "Exists":
            return name in labels
        case _:
            return name not in labels


def _metadata(namespace: str) -> Json:
    return {"name": FENCE_NAME, "namespace": namespace, "labels": {MANAGED_LABEL: MANAGED_VALUE}}


def _policy(metadata: Json, selector: dict[str, str], types: list[str]) -> Json:
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": metadata,
        "spec": {"podSelector": {"matchLabels": selector}, "policyTypes": types},
    }
