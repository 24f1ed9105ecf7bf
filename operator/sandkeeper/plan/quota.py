"""The ResourceQuotas of a SandboxPolicy: what its sandboxes may have together, as Kubernetes itself counts it.

What runs is counted by limits, not requests: those are what a sandbox can take from others, and a tenant could ask for
next to nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sandkeeper.api.names import (
    API_VERSION,
    GROUP,
    MANAGED_LABEL,
    MANAGED_VALUE,
    OBJECTS_QUOTA,
    PODS_QUOTA,
    POLICY_KIND,
    SANDBOX_PLURAL,
    SNAPSHOT_PLURAL,
)
from sandkeeper.api.quantities import canonical, parsed

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from decimal import Decimal

    from sandkeeper.api.policy import Quota, SandboxPolicy

Json = dict[str, Any]

_BY_PODS: Final = {"cpu": "limits.cpu", "memory": "limits.memory", "running": "pods"}
_BY_OBJECTS: Final = {
    "sandboxes": f"count/{SANDBOX_PLURAL}.{GROUP}",
    "snapshots": f"count/{SNAPSHOT_PLURAL}.{GROUP}",
}
_STORAGE: Final = ".storageclass.storage.k8s.io/requests.storage"


def counted(quota: Quota | None) -> dict[str, dict[str, str]]:
    """Give the bounds of a quota by the ResourceQuota that holds them, and there by what Kubernetes calls them."""
    asked = quota.model_dump(by_alias=True, exclude_none=True) if quota else {}
    storage = {f"{name}{_STORAGE}": canonical(size) for name, size in (asked.get("storage") or {}).items()}
    return {
        PODS_QUOTA: {called: canonical(str(asked[name])) for name, called in _BY_PODS.items() if name in asked},
        OBJECTS_QUOTA: {called: canonical(str(asked[name])) for name, called in _BY_OBJECTS.items() if name in asked}
        | storage,
    }


def quotas_of(policy: SandboxPolicy, priority_class: str) -> tuple[Json, ...]:
    """Render the ResourceQuotas of a policy.

    Parameters
    ----------
    priority_class
        By which sandboxes' pods are told from others; without one they can't be counted.
    """
    bounds = counted(policy.spec.quota)
    scope = {"matchExpressions": [{"scopeName": "PriorityClass", "operator": "In", "values": [priority_class]}]}
    made = []
    if bounds[PODS_QUOTA] and priority_class:
        made.append(_quota(policy, PODS_QUOTA, {"hard": bounds[PODS_QUOTA], "scopeSelector": scope}))
    if bounds[OBJECTS_QUOTA]:
        made.append(_quota(policy, OBJECTS_QUOTA, {"hard": bounds[OBJECTS_QUOTA]}))
    return tuple(made)


def _quota(policy: SandboxPolicy, name: str, spec: Json) -> Json:
    owner = {"apiVersion": API_VERSION, "kind": POLICY_KIND, "name": policy.metadata.name, "uid": policy.metadata.uid}
    return {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {
            "name": name,
            "namespace": policy.metadata.namespace,
            "labels": {MANAGED_LABEL: MANAGED_VALUE},
            "ownerReferences": [{**owner, "controller": True, "blockOwnerDeletion": True}],
        },
        "spec": spec,
    }


def in_force(desired: Json, present: Json | None) -> bool:
    """Whether Kubernetes has begun to count by a quota as it is to be.

    It admits nothing that it has a bound for and no count, as of a kind that it heard of less than half a minute ago.
    """
    spec, status = desired["spec"], (present or {}).get("status", {})
    counts = all(set(status.get(kind, {})) == set(spec["hard"]) for kind in ("hard", "used"))
    return present is not None and present["spec"] == spec and counts


def uses(quota: Quota | None, quotas: Mapping[str, Json]) -> list[dict[str, str]]:
    """Tell how much of each bound is used, under the names of the policy, as far as Kubernetes has counted.

    Parameters
    ----------
    quotas
        ResourceQuotas that are there, by name.
    """
    names = {called: name for name, called in (_BY_PODS | _BY_OBJECTS).items()}
    found = []
    for quota_name, bounds in counted(quota).items():
        used = quotas.get(quota_name, {}).get("status", {}).get("used", {})
        for called, hard in bounds.items():
            name = names.get(called) or f"storage/{called.removesuffix(_STORAGE)}"
            if called in used:
                found.append({"resource": name, "used": used[called], "hard": hard})
    return found


def in_words(uses: Iterable[Mapping[str, str]]) -> str:
    """Write it for people."""
    return ", ".join(f"{each['resource']} {each['used']}/{each['hard']}" for each in uses)


def frees(before: Json | None, after: Json | None) -> bool:
    """Whether a change of a ResourceQuota may give room to somebody who found none."""
    if before is None or after is None:
        return after is None
    used, hard = (_amounts(before, after, kind) for kind in ("used", "hard"))
    return any(now is None or now < was for was, now in used) or any(now is None or now > was for was, now in hard)


def _amounts(before: Json, after: Json, kind: str) -> list[tuple[Decimal, Decimal | None]]:
    """Pair what was counted with what is now; None for what no longer is."""
    was, now = (each.get("status", {}).get(kind, {}) for each in (before, after))
    return [(parsed(amount), parsed(now[name]) if name in now else None) for name, amount in was.items()]
