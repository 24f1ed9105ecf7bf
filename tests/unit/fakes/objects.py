"""Builders of the objects that decisions are made on: only what a story is about has to be said."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from sandkeeper.api.resolve import resolve
from sandkeeper.api.sandbox import Sandbox
from sandkeeper.plan.claim import workspace_claim
from sandkeeper.plan.fence import fence_policy, fence_sign, ports_policy
from sandkeeper.plan.observed import Observed, Settings
from sandkeeper.plan.pod import sandbox_pod
from sandkeeper.plan.pod_state import written
from sandkeeper.plan.sandbox import Plan, plan_sandbox
from sandkeeper.plan.service import sandbox_service
from sandkeeper.plan.slim import slim_claim, slim_fence, slim_network_policy, slim_pod, slim_service
from sandkeeper.plan.storage_classes import StorageClasses
from sandkeeper.plan.user_namespace import NodeSupport
from sandkeeper.plan.workspace_choice import current_claim

Json = dict[str, Any]

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
CREATED = NOW - timedelta(seconds=2)
RUNNING = {"phase": "Running", "podIP": "10.0.0.7", "conditions": [{"type": "Ready", "status": "True"}]}
CAN = {"features": {"userNamespaces": True}}
CAN_NOT = {"features": {"userNamespaces": False}}


def sandbox(name: str = "a", *, uid: str = "uid-a", generation: int = 1, **spec: Any) -> Sandbox:
    """Make a Sandbox in namespace ``team``; spec fields under their JSON names."""
    return Sandbox.model_validate(
        {
            "metadata": {
                "name": name,
                "namespace": "team",
                "uid": uid,
                "generation": generation,
                "resourceVersion": "10",
                "creationTimestamp": CREATED.isoformat(),
            },
            "spec": spec,
        }
    )


def stored(obj: Json, uid: str = "uid-child", version: int = 20) -> Json:
    """Give an object what the API server adds."""
    given = {"uid": uid, "resourceVersion": str(version), "creationTimestamp": written(CREATED)}
    return {**obj, "metadata": {**obj["metadata"], **given}}


def pod_of(
    owner: Sandbox,
    status: Json | None = None,
    *,
    settings: Settings | None = None,
    node: str = "n1",
    user_namespace: bool = False,
    **metadata: Any,
) -> Json:
    """Make the pod that was created for a sandbox, as the store keeps it."""
    pod = sandbox_pod(owner, resolve(owner.spec), settings or Settings(), user_namespace=user_namespace)
    pod = stored(pod)
    pod["metadata"] |= metadata
    pod["spec"]["nodeName"] = node
    return slim_pod({**pod, "status": RUNNING if status is None else status})


def claim_of(owner: Sandbox, status: Json | None = None, *, created: datetime = CREATED, **metadata: Any) -> Json:
    """Make the claim of a sandbox's workspace, as the store keeps it: bound, unless another status is given."""
    claim = stored(workspace_claim(owner, resolve(owner.spec)))
    claim["metadata"] |= {"creationTimestamp": created.isoformat(), **metadata}
    claim["spec"].setdefault("storageClassName", "standard")
    size = claim["spec"]["resources"]["requests"]["storage"]
    return slim_claim({**claim, "status": {"phase": "Bound", "capacity": {"storage": size}} | (status or {})})


def classes(*, grows: bool = True, default: str = "standard", more: tuple[str, ...] = ("fast",)) -> StorageClasses:
    """Make the cluster's StorageClasses; without a name none is the default."""
    names = filter(None, (default, *more))
    return StorageClasses({name: {"default": name == default, "grows": grows} for name in names})


def service_of(owner: Sandbox) -> Json:
    """Make the Service of a sandbox, as the store keeps it."""
    service = sandbox_service(owner, resolve(owner.spec))
    assert service
    return slim_service(stored(service))


def ports_policy_of(owner: Sandbox) -> Json:
    """Make the NetworkPolicy of a sandbox's ports, as the store keeps it."""
    policy = ports_policy(owner, resolve(owner.spec))
    assert policy
    return slim_network_policy(stored(policy))


def fence() -> Json:
    """Make the fence of namespace ``team``, as the store keeps it."""
    return slim_network_policy(stored(fence_policy("team", None)))


def sign() -> Json:
    """Make the sign of that fence, as the store keeps it."""
    return slim_fence(stored(fence_sign("team")))


def observe(owner: Sandbox, **known: Any) -> Observed:
    """Observe a sandbox whose fence and claim stand; everything else as given, or else absent."""
    defaults: Json = {"status": {}, "settings": Settings(), "nodes": NodeSupport(), "fence": fence()}
    defaults |= {"fence_sign": sign(), "classes": classes()}
    given = defaults | known
    if "claims" in given:
        found = current_claim(owner, given["claims"], given.get("pod"), given["status"], given["classes"])
        given.setdefault("claim", found)
    else:
        given.setdefault("claim", claim_of(owner))
    return Observed(sandbox=owner, **given)


def plan(owner: Sandbox, now: datetime = NOW, **known: Any) -> Plan:
    """Decide on a sandbox of which so much is known."""
    return plan_sandbox(observe(owner, **known), now)


def told(plan: Plan) -> dict[str, tuple[str, str]]:
    """Status and reason of each condition that a plan writes, but the one that speaks of the cluster."""
    written = [each for each in plan.status.get("conditions", ()) if each["type"] != "EgressEnforced"]
    return {each["type"]: (each["status"], each["reason"]) for each in written}


def egress(plan: Plan) -> tuple[str, str]:
    """Status and reason of the condition EgressEnforced that a plan writes."""
    (found,) = (each for each in plan.status["conditions"] if each["type"] == "EgressEnforced")
    return found["status"], found["reason"]


def node(name: str = "n1", *, ready: str = "True", labels: Json | None = None, handlers: Json | None = None) -> Json:
    """Make a node; ``handlers`` maps a runtime handler to what it can do."""
    offered = [{"name": handler, **features} for handler, features in (handlers or {}).items()]
    return {
        "kind": "Node",
        "metadata": {"name": name, "uid": f"uid-{name}", "resourceVersion": "1", "labels": labels or {}},
        "status": {"conditions": [{"type": "Ready", "status": ready}], "runtimeHandlers": offered},
    }


def waiting(reason: str, message: str = "", *, restarts: int = 0, last: Json | None = None) -> Json:
    """Pod status in which the container waits for a reason."""
    return _container({"waiting": {"reason": reason, "message": message}}, restarts, last)


def terminated(reason: str, code: int, *, message: str = "") -> Json:
    """Pod status in which the container just ended."""
    return _container({"terminated": {"reason": reason, "exitCode": code, "message": message}}, 0, None)


def _container(state: Json, restarts: int, last: Json | None) -> Json:
    container: Json = {"name": "sandbox", "image": "ubuntu:22.04", "restartCount": restarts, "state": state}
    if last:
        container["lastState"] = {"terminated": last}
    return {"phase": "Pending", "containerStatuses": [container]}
