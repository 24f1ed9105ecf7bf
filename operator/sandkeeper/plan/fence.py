"""The network fence: one policy per namespace denies every sandbox everything; a sandbox's own adds its ports."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sandkeeper.api.names import (
    FENCE_NAME,
    MANAGED_LABEL,
    MANAGED_VALUE,
    ROLE_LABEL,
    SANDBOX_LABEL,
    SANDBOX_ROLE,
    child_labels,
    ports_policy_name,
)
from sandkeeper.plan.ownership import owner_reference

if TYPE_CHECKING:
    from sandkeeper.api.environment import Environment
    from sandkeeper.api.sandbox import Sandbox

Json = dict[str, Any]


def fence_policy(namespace: str) -> Json:
    """NetworkPolicy that closes every sandbox of a namespace in both directions.

    It is the namespace's, owned by no sandbox, and made before the first pod.
    """
    return _policy(
        {"name": FENCE_NAME, "namespace": namespace, "labels": {MANAGED_LABEL: MANAGED_VALUE}},
        {ROLE_LABEL: SANDBOX_ROLE},
        ["Ingress", "Egress"],
    )


def is_fence(child: Json) -> bool:
    """Whether a child is a namespace's fence rather than one sandbox's own."""
    return bool(child["kind"] == "NetworkPolicy" and child["metadata"]["name"] == FENCE_NAME)


def ports_policy(sandbox: Sandbox, environment: Environment) -> Json | None:
    """NetworkPolicy that lets pods of the same namespace reach the sandbox's ports; None where it has none."""
    if not environment.ports:
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
        ["Ingress"],
    )
    ports = [{"port": port.port, "protocol": "TCP"} for port in environment.ports]
    policy["spec"]["ingress"] = [{"from": [{"podSelector": {}}], "ports": ports}]
    return policy


def _policy(metadata: Json, selector: dict[str, str], types: list[str]) -> Json:
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": metadata,
        "spec": {"podSelector": {"matchLabels": selector}, "policyTypes": types},
    }
