"""What of each child is kept in memory: the fields that decisions read, a seventh of what the API server sends."""

from __future__ import annotations

from sys import intern
from typing import TYPE_CHECKING, Any, Final

import orjson

from sandkeeper.api.names import (
    ACTIVITY_ANNOTATION,
    BASE_ANNOTATION,
    CAPTURED_ANNOTATION,
    CHECK_FENCE_ANNOTATION,
    CHOSEN_ANNOTATION,
    DIFF_KIND,
    FENCE_KIND,
    GUEST_CONTAINER,
    MOMENT_ANNOTATION,
    POLICY_KIND,
    RESTART_ANNOTATION,
    SELECTED_NODE_ANNOTATION,
    SNAPSHOT_KIND,
    SOURCE_ANNOTATION,
    TEMPLATE_KIND,
    WIDENS_ANNOTATION,
    WORKTREE_CONTAINER,
)
from sandkeeper.plan.base import layer_text
from sandkeeper.plan.diff_pod import DIFF_CONTAINER
from sandkeeper.plan.pod import CONTAINER
from sandkeeper.plan.policy import default_layer

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet

Json = dict[str, Any]

_METADATA: Final = (
    "name", "namespace", "uid", "resourceVersion", "labels", "annotations", "ownerReferences", "deletionTimestamp",
)  # fmt: skip
_POD_METADATA: Final = (*_METADATA, "creationTimestamp")
_CONTAINER: Final = ("name", "image", "resources")
_SANDBOX_METADATA: Final = (
    "name", "namespace", "uid", "generation", "resourceVersion", "creationTimestamp", "deletionTimestamp",
)  # fmt: skip
_SANDBOX_NOTES: Final = (CHECK_FENCE_ANNOTATION, ACTIVITY_ANNOTATION, RESTART_ANNOTATION)
_POD_STATUS: Final = ("phase", "reason", "message", "podIP", "startTime")
_CONTAINER_STATUS: Final = ("name", "image", "imageID", "restartCount", "state", "lastState", "started")
_TELLING: Final = frozenset({"Ready", "PodScheduled", "PodResizePending", "PodReadyToStartContainers"})
_CLAIM_METADATA: Final = (
    "name", "namespace", "uid", "resourceVersion", "labels", "ownerReferences", "creationTimestamp",
    "deletionTimestamp",
)  # fmt: skip
_CLAIM_NOTES: Final = (SOURCE_ANNOTATION, CAPTURED_ANNOTATION, SELECTED_NODE_ANNOTATION, CHOSEN_ANNOTATION)
_CLAIM_STATUS: Final = ("phase", "capacity", "allocatedResourceStatuses")
_DEFAULT_CLASS: Final = "storageclass.kubernetes.io/is-default-class"
_DEFAULT_SNAPSHOT_CLASS: Final = "snapshot.storage.kubernetes.io/is-default-class"
_SNAPSHOT_METADATA: Final = (
    "name", "namespace", "uid", "generation", "resourceVersion", "creationTimestamp", "deletionTimestamp", "labels",
    "finalizers", "ownerReferences",
)  # fmt: skip
_OURS: Final = frozenset({CONTAINER, DIFF_CONTAINER})
_BEFORE: Final = frozenset({GUEST_CONTAINER, WORKTREE_CONTAINER})
_CONDITION: Final = ("type", "status", "reason", "message")


_TEMPLATE_METADATA: Final = ("name", "namespace", "uid", "generation", "resourceVersion")


def slim_template(template: Json) -> Json:
    """Keep of a SandboxTemplate what pods remember of it, as the one text that they share."""
    metadata = _picked(template["metadata"], _TEMPLATE_METADATA)
    return {"kind": TEMPLATE_KIND, "metadata": metadata, "layer": layer_text(template)}


def slim_policy(policy: Json) -> Json:
    """Keep of a SandboxPolicy its rules, as the one text by which they are read, and what it gives to all."""
    spec = policy.get("spec", {})
    return {
        "kind": POLICY_KIND,
        "metadata": _picked(policy["metadata"], (*_TEMPLATE_METADATA, "deletionTimestamp")),
        "rules": orjson.dumps(spec, option=orjson.OPT_SORT_KEYS).decode(),
        "layer": default_layer(spec),
        "status": policy.get("status", {}),
    }


def slim_quota(quota: Json) -> Json:
    """Keep of a ResourceQuota what it bounds and what is used."""
    return {
        "kind": "ResourceQuota",
        "metadata": _picked(quota["metadata"], _METADATA),
        "spec": quota.get("spec", {}),
        "status": _picked(quota.get("status", {}), ("hard", "used")),
    }


def slim_pod(pod: Json) -> Json:
    """Keep of a pod what tells its state and what can change in place."""
    spec, status = pod["spec"], pod.get("status", {})
    return {
        "kind": "Pod",
        "metadata": _sharing(_picked(pod["metadata"], _POD_METADATA)),
        "spec": {
            **_picked(spec, ("nodeName", "hostUsers")),
            "containers": [_picked(each, _CONTAINER) for each in sorted(spec["containers"], key=_not_ours)[:1]],
        },
        "status": {
            **_picked(status, _POD_STATUS),
            "conditions": [
                _picked(each, _CONDITION) for each in status.get("conditions") or () if each["type"] in _TELLING
            ],
            "initContainerStatuses": _statuses(status, "initContainerStatuses", _BEFORE),
            "containerStatuses": _statuses(status, "containerStatuses", _OURS),
        },
    }


def _sharing(metadata: Json) -> Json:
    """Keep the text that all pods of a template have in common once: a thousand of them would fill the memory."""
    text = metadata.get("annotations", {}).get(BASE_ANNOTATION)
    if text is None:
        return metadata
    return {**metadata, "annotations": {**metadata["annotations"], BASE_ANNOTATION: intern(text)}}


def _statuses(status: Json, kind: str, names: AbstractSet[str]) -> list[Json]:
    return [_picked(each, _CONTAINER_STATUS) for each in status.get(kind) or () if each["name"] in names]


def slim_service(service: Json) -> Json:
    """Keep of a Service what its sandbox decides."""
    spec = _picked(service["spec"], ("type", "selector"))
    # A nodePort of 0 and the like never stand in a ClusterIP Service; what is left is what we wrote.
    spec["ports"] = [
        _picked(port, ("name", "port", "targetPort", "protocol")) for port in service["spec"].get("ports") or ()
    ]
    return {"kind": "Service", "metadata": _picked(service["metadata"], _METADATA), "spec": spec}


def slim_network_policy(policy: Json) -> Json:
    """Keep a NetworkPolicy's whole spec: any difference in it matters."""
    metadata = _annotated(policy["metadata"], _METADATA, WIDENS_ANNOTATION)
    return {"kind": "NetworkPolicy", "metadata": metadata, "spec": policy["spec"]}


def slim_fence(fence: Json) -> Json:
    """Keep of a Fence that it is there, which is all that it says."""
    return {"kind": FENCE_KIND, "metadata": _picked(fence["metadata"], _METADATA)}


def slim_claim(claim: Json) -> Json:
    """Keep of a PersistentVolumeClaim whose it is, what it was made from, what it asks for, and what it has got."""
    spec, status = claim["spec"], claim.get("status", {})
    return {
        "kind": "PersistentVolumeClaim",
        "metadata": _annotated(claim["metadata"], _CLAIM_METADATA, *_CLAIM_NOTES),
        "spec": _picked(spec, ("storageClassName", "resources", "accessModes", "volumeMode", "volumeName")),
        "status": {
            **_picked(status, _CLAIM_STATUS),
            "conditions": [_picked(each, _CONDITION) for each in status.get("conditions") or ()],
        },
    }


def slim_snapshot(snapshot: Json) -> Json:
    """Keep of a SandboxSnapshot its spec and its status, and of the metadata what tells which one, for whom."""
    return {
        "kind": SNAPSHOT_KIND,
        "metadata": _picked(snapshot["metadata"], _SNAPSHOT_METADATA),
        "spec": snapshot.get("spec", {}),
        "status": snapshot.get("status", {}),
    }


def slim_diff(diff: Json) -> Json:
    """Keep of a SandboxDiff its spec and its status, and of the metadata what tells which one."""
    return {
        "kind": DIFF_KIND,
        "metadata": _picked(diff["metadata"], _SANDBOX_METADATA),
        "spec": diff.get("spec", {}),
        "status": diff.get("status", {}),
    }


def slim_volume_snapshot(snapshot: Json) -> Json:
    """Keep of a VolumeSnapshot what it is of, what was captured with it, and how far it is."""
    return {
        "kind": "VolumeSnapshot",
        "metadata": _annotated(snapshot["metadata"], _METADATA, CAPTURED_ANNOTATION, MOMENT_ANNOTATION),
        "spec": _picked(snapshot["spec"], ("source", "volumeSnapshotClassName")),
        "status": snapshot.get("status") or {},
    }


def slim_volume_snapshot_class(snapshot_class: Json) -> Json:
    """Keep of a VolumeSnapshotClass its driver, and whether it is the default of that."""
    metadata = snapshot_class["metadata"]
    return {
        "kind": "VolumeSnapshotClass",
        "metadata": _picked(metadata, ("name", "uid", "resourceVersion")),
        "default": (metadata.get("annotations") or {}).get(_DEFAULT_SNAPSHOT_CLASS) == "true",
        "driver": snapshot_class["driver"],
    }


def slim_storage_class(storage_class: Json) -> Json:
    """Keep of a StorageClass its driver, whether it is the cluster's default, when it binds, and if volumes grow."""
    metadata = storage_class["metadata"]
    return {
        "kind": "StorageClass",
        "metadata": _picked(metadata, ("name", "uid", "resourceVersion")),
        "default": (metadata.get("annotations") or {}).get(_DEFAULT_CLASS) == "true",
        "grows": bool(storage_class.get("allowVolumeExpansion")),
        "driver": storage_class.get("provisioner", ""),
        "waits": storage_class.get("volumeBindingMode") == "WaitForFirstConsumer",
    }


def slim_node(node: Json) -> Json:
    """Keep of a node whether it is ready, what its runtime can do, and where its kubelet listens."""
    status = node.get("status", {})
    ready = [_picked(each, ("type", "status")) for each in status.get("conditions") or () if each["type"] == "Ready"]
    own = [each for each in status.get("addresses") or () if each["type"] == "InternalIP"][:1]
    return {
        "kind": "Node",
        "metadata": _picked(node["metadata"], ("name", "uid", "resourceVersion", "labels")),
        "status": {
            "conditions": ready,
            "runtimeHandlers": status.get("runtimeHandlers") or [],
            "nodeInfo": _picked(status.get("nodeInfo") or {}, ("kubeletVersion", "containerRuntimeVersion")),
            "addresses": own,
            **_picked(status, ("daemonEndpoints",)),
        },
    }


def slim_runtime_class(runtime_class: Json) -> Json:
    """Keep of a RuntimeClass its handler."""
    return {
        "kind": "RuntimeClass",
        "metadata": _picked(runtime_class["metadata"], ("name", "uid", "resourceVersion")),
        "handler": runtime_class["handler"],
    }


def slim_sandbox(sandbox: Json) -> Json:
    """Keep of a Sandbox its spec, its status, and of the metadata what tells which sandbox at which version."""
    return {
        "metadata": _annotated(sandbox["metadata"], _SANDBOX_METADATA, *_SANDBOX_NOTES),
        "spec": sandbox.get("spec", {}),
        "status": sandbox.get("status", {}),
    }


def slim_secret(secret: Json) -> Json:
    """Keep of a Secret which one it is and at which version, and nothing of what it holds, should that ever be sent."""
    return {"kind": "Secret", "metadata": _picked(secret["metadata"], ("name", "namespace", "uid", "resourceVersion"))}


def slim_config_map(config_map: Json) -> Json:
    """Keep of a ConfigMap its data."""
    metadata = _picked(config_map["metadata"], ("name", "namespace", "uid", "resourceVersion"))
    return {"kind": "ConfigMap", "metadata": metadata, "data": config_map.get("data") or {}}


def _annotated(metadata: Json, names: tuple[str, ...], *annotations: str) -> Json:
    """Keep of an object's annotations those that are read alone: users' tools write whole manifests into others."""
    kept = {name: metadata[name] for name in names if name in metadata and name != "annotations"}
    noted = _picked(metadata.get("annotations") or {}, annotations)
    return {**kept, "annotations": noted} if noted else kept


def _picked(obj: Json, names: tuple[str, ...]) -> Json:
    return {name: obj[name] for name in names if name in obj}


def _not_ours(container: Json) -> bool:
    """Sort key that puts our own container before any that was injected."""
    return container["name"] not in _OURS
