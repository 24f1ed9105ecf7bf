"""Builders of snapshots and of the claims that are made from them, as the stores keep them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from sandkeeper.api.names import child_labels
from sandkeeper.api.resolve import captured_layer, resolve
from sandkeeper.api.sandbox import SandboxSpec
from sandkeeper.plan.claim import workspace_claim
from sandkeeper.plan.layers import layers_of
from sandkeeper.plan.new_claim import NewClaim, claim_to_make
from sandkeeper.plan.observed import SourceFacts
from sandkeeper.plan.pod import Volume, sandbox_pod
from sandkeeper.plan.slim import slim_claim, slim_pod, slim_snapshot, slim_volume_snapshot
from unit.fakes.objects import RUNNING, observe, stored

if TYPE_CHECKING:
    from sandkeeper.api.sandbox import Sandbox

Json = dict[str, Any]

READY = {"conditions": [{"type": "Ready", "status": "True", "reason": "Ready", "message": "It is ready."}]}
COPYING = {"conditions": [{"type": "Ready", "status": "False", "reason": "Copying", "message": "It is copied."}]}


def captured(**spec: Any) -> str:
    """JSON of what is captured of a sandbox with this spec."""
    return json.dumps(captured_layer(SandboxSpec.model_validate(spec)).to_json())


def snapshot(name: str = "good", status: Json | None = None, *, of: str = "a", **metadata: Any) -> Json:
    """Make a SandboxSnapshot that is ready."""
    made: Json = {
        "metadata": {"name": name, "namespace": "team", **metadata},
        "spec": {"sandboxRef": {"name": of}},
        "status": READY if status is None else status,
    }
    return slim_snapshot(stored(made, f"uid-{name}"))


def volume_snapshot(name: str = "good", text: str = "", *, size: str = "10Gi", ready: bool = True) -> Json:
    """Make the VolumeSnapshot behind a SandboxSnapshot."""
    annotations = {"sandkeeper.dev/captured": text or captured(image="debian:12")}
    made: Json = {
        "metadata": {
            "name": f"sbx-{name}",
            "namespace": "team",
            "labels": child_labels("a"),
            "annotations": annotations,
        },
        "spec": {"source": {"persistentVolumeClaimName": "sbx-a"}, "volumeSnapshotClassName": "copies"},
        "status": {"readyToUse": ready, "restoreSize": size},
    }
    return slim_volume_snapshot(stored(made, f"uid-sbx-{name}"))


def source(name: str = "good", text: str = "", *, driver: str = "", **volume: Any) -> SourceFacts:
    """All that is known of a snapshot that is ready."""
    volumes = {name: volume_snapshot(name, text, **volume)}
    return SourceFacts(snapshot=snapshot(name), volume_snapshots=volumes, drivers={"copies": driver} if driver else {})


def made_claim(owner: Sandbox, facts: SourceFacts | None = None, *, bound: bool = True, **known: Any) -> Json:
    """Make the claim that a sandbox's source asks for, as it is once the API server has it."""
    made = claim_to_make(observe(owner, source=facts or source(), **({"claims": ()} | known)))
    assert isinstance(made, NewClaim), made
    name = made.claim["metadata"]["name"]
    size = made.claim["spec"]["resources"]["requests"]["storage"]
    status = {"phase": "Bound", "capacity": {"storage": size}} if bound else {"phase": "Pending"}
    made.claim["spec"].setdefault("storageClassName", "standard")
    return slim_claim({**stored(made.claim, f"uid-{name}"), "status": status})


def plain_claim(owner: Sandbox, **metadata: Any) -> Json:
    """Make the claim of a workspace that began empty; labels are added to its own."""
    claim = workspace_claim(owner, claims_environment(owner))
    claim["metadata"]["labels"] |= metadata.pop("labels", {})
    claim["metadata"] |= metadata
    claim["spec"].setdefault("storageClassName", "standard")
    size = claim["spec"]["resources"]["requests"]["storage"]
    return slim_claim({**stored(claim, "uid-plain"), "status": {"phase": "Bound", "capacity": {"storage": size}}})


def claims_environment(owner: Sandbox, *claims: Json) -> Any:
    """Environment of a sandbox that is on a claim."""

    return resolve(*layers_of(observe(owner, claims=claims)))


def pod_on(owner: Sandbox, claim: Json, status: Json | None = None, *, node: str = "n1") -> Json:
    """Make the pod of a sandbox that is on a claim."""
    observed = observe(owner, claims=(claim,), claim=claim)

    environment = resolve(*layers_of(observed))
    volume = Volume(claim["metadata"]["name"])
    pod = stored(sandbox_pod(owner, environment, observed.settings, user_namespace=False, workspace=volume), "uid-pod")
    pod["spec"]["nodeName"] = node
    return slim_pod({**pod, "status": RUNNING if status is None else status})
