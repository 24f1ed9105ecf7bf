"""The pod and the claims of a diff: two copies that nothing writes to, read by our own program and by no one else.

What they hold was a tenant's to write, so the pod is held as a sandbox's is: behind the fence, without a token of the
API server, without any privilege that it does not need to read files of every owner.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import orjson

from sandkeeper.api.lifecycle import seconds
from sandkeeper.api.names import (
    API_VERSION,
    ATTEMPT_ANNOTATION,
    CAPTURED_ANNOTATION,
    DIFF_KIND,
    ROLE_LABEL,
    SANDBOX_ROLE,
    SOURCE_ANNOTATION,
    diff_claim_name,
    diff_labels,
    diff_pod_name,
    diff_snapshot_name,
)
from sandkeeper.api.quantities import parsed
from sandkeeper.api.workspace import Workspace
from sandkeeper.plan.made_from import readable_layer
from sandkeeper.plan.pod_security import USER, least_rights

if TYPE_CHECKING:
    from sandkeeper.api.diff import SandboxDiff
    from sandkeeper.plan.observed import Settings

Json = dict[str, Any]

DIFF_CONTAINER: Final = "diff"
OLD: Final = "old"
NEW: Final = "new"
_KEPT: Final = timedelta(hours=1)
"""How long an answer is kept where nothing else is asked for, and how long it may take to find one."""
_SNAPSHOT_KEPT: Final = "1h"
"""Of the snapshot that is taken on the way, which the operator deletes itself as soon as it was read."""
_UNKNOWN: Final = "1Gi"
RESOURCES: Final[Json] = {
    "requests": {"cpu": "100m", "memory": "64Mi", "ephemeral-storage": "64Mi"},
    "limits": {"cpu": "1", "memory": "512Mi", "ephemeral-storage": "256Mi"},
}


def diff_owner(diff: SandboxDiff) -> Json:
    """Reference that all that is made on the way carries, so that garbage collection ends it with the diff."""
    return {
        "apiVersion": API_VERSION,
        "kind": DIFF_KIND,
        "name": diff.metadata.name,
        "uid": diff.metadata.uid,
        "controller": True,
        "blockOwnerDeletion": True,
    }


def diff_snapshot(diff: SandboxDiff, sandbox: str) -> Json:
    """Render the SandboxSnapshot of a sandbox as it is now."""
    name = diff_snapshot_name(diff.metadata.name, diff.metadata.uid)
    return {
        "apiVersion": API_VERSION,
        "kind": "SandboxSnapshot",
        "metadata": _metadata(diff, name),
        "spec": {"sandboxRef": {"name": sandbox}, "expiresAfter": _SNAPSHOT_KEPT},
    }


def diff_claim(diff: SandboxDiff, side: str, snapshot: Json, volume_snapshot: Json) -> Json:
    """Render the claim of one side.

    Parameters
    ----------
    snapshot, volume_snapshot
        What it is made from.
    """
    metadata = _metadata(diff, diff_claim_name(diff.metadata.name, side))
    source = {"snapshot": snapshot["metadata"]["name"], "uid": snapshot["metadata"]["uid"]}
    noted = volume_snapshot["metadata"].get("annotations", {}).get(CAPTURED_ANNOTATION, "{}")
    metadata["annotations"] = {SOURCE_ANNOTATION: orjson.dumps(source).decode(), CAPTURED_ANNOTATION: noted}
    layer = readable_layer(volume_snapshot)
    workspace = (layer and layer.workspace) or Workspace()
    size = volume_snapshot["status"].get("restoreSize") or "0"
    spec: Json = {
        "accessModes": ["ReadWriteOnce"],
        # A driver may not know the size.
        "resources": {"requests": {"storage": size if parsed(size) else workspace.size or _UNKNOWN}},
        "dataSource": {
            "apiGroup": "snapshot.storage.k8s.io",
            "kind": "VolumeSnapshot",
            "name": volume_snapshot["metadata"]["name"],
        },
    }
    if workspace.storage_class_name:
        spec["storageClassName"] = workspace.storage_class_name
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": metadata, "spec": spec}


def diff_pod(diff: SandboxDiff, settings: Settings, *, attempt: int, root: bool, user_namespace: bool) -> Json:
    """Render the pod that compares.

    Parameters
    ----------
    attempt
        Which one it is, from 1.
    root
        Whether it reads files of every owner; otherwise only those that a sandbox without root can have made.
    user_namespace
        Whether its root is to be an unprivileged user of the node.
    """
    metadata = _metadata(diff, diff_pod_name(diff.metadata.name))
    metadata["labels"] = {**settings.pod_labels, **metadata["labels"], ROLE_LABEL: SANDBOX_ROLE}
    metadata["annotations"] = {**settings.pod_annotations, ATTEMPT_ANNOTATION: str(attempt)}
    spec: Json = {
        "hostname": DIFF_CONTAINER,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "restartPolicy": "Never",
        "activeDeadlineSeconds": max(1, int(kept_for(diff).total_seconds())),
        "terminationGracePeriodSeconds": 1,
        "nodeSelector": {"kubernetes.io/os": "linux"},
        "securityContext": _pod_security(root=root),
        "imagePullSecrets": [{"name": name} for name in settings.guest.pull_secrets],
        "containers": [_container(settings, root=root)],
        "volumes": [_volume(diff, side) for side in (OLD, NEW)],
    }
    if settings.priority_class:
        spec["priorityClassName"] = settings.priority_class
    if user_namespace:
        spec["hostUsers"] = False
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def kept_for(diff: SandboxDiff) -> timedelta:
    """How long a diff is kept after its end, or without one after its beginning."""
    return seconds(diff.spec.expires_after) or _KEPT


def _metadata(diff: SandboxDiff, name: str) -> Json:
    return {
        "name": name,
        "namespace": diff.metadata.namespace,
        "labels": diff_labels(diff.metadata.name),
        "ownerReferences": [diff_owner(diff)],
    }


def _pod_security(*, root: bool) -> Json:
    context: Json = {"seccompProfile": {"type": "RuntimeDefault"}}
    user = 0 if root else USER
    return {**context, "runAsUser": user, "runAsGroup": user, "runAsNonRoot": not root}


def _container(settings: Settings, *, root: bool) -> Json:
    # DAC_READ_SEARCH would be enough, but the Pod Security Standard baseline lets nobody have it: by it a process opens
    # any file of its node by a handle. DAC_OVERRIDE opens none, and finds nothing here that could be written to.
    rights = ("DAC_OVERRIDE",) if root else ()
    message = "/dev/termination-log"
    return {
        "name": DIFF_CONTAINER,
        "image": settings.guest.image,
        "imagePullPolicy": settings.guest.pull_policy,
        "command": ["/guest", "diff", "--summary-file", message, f"/{OLD}", f"/{NEW}"],
        "resources": RESOURCES,
        "securityContext": least_rights(*rights),
        "terminationMessagePath": message,
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": [{"name": side, "mountPath": f"/{side}", "readOnly": True} for side in (OLD, NEW)],
    }


def _volume(diff: SandboxDiff, side: str) -> Json:
    return {
        "name": side,
        "persistentVolumeClaim": {"claimName": diff_claim_name(diff.metadata.name, side), "readOnly": True},
    }
