"""The claim of a workspace: made before the first pod, kept as the spec says, and never deleted from here.

Garbage collection alone ends it, with the sandbox that owns it. One that is to be retained has no owner: its label says
whose it was, and the next sandbox of that name takes it over with all that is in it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sandkeeper.api.names import RETAINED_LABEL, RETAINED_VALUE, SANDBOX_LABEL, child_labels, claim_name
from sandkeeper.api.quantities import parsed
from sandkeeper.api.workspace import RETAIN
from sandkeeper.plan.ownership import Ownership, is_managed, owner_reference, ownership
from sandkeeper.plan.pod_state import PodState
from sandkeeper.plan.writes import Create, Patch

if TYPE_CHECKING:
    from sandkeeper.api.environment import Environment
    from sandkeeper.api.sandbox import Sandbox
    from sandkeeper.plan.observed import Observed
    from sandkeeper.plan.storage_classes import StorageClasses

Json = dict[str, Any]

_WRITABLE: Final = frozenset({"ReadWriteOnce", "ReadWriteMany", "ReadWriteOncePod"})


def workspace_claim(sandbox: Sandbox, environment: Environment) -> Json:
    """Render the claim of a sandbox with a Persistent workspace.

    Its access mode is ReadWriteOnce, which every provisioner has. There is one pod of a name at a time, so
    ReadWriteOncePod would protect from nothing, but shut out who mounts a volume to rescue or to back up what is on it.
    """
    name, workspace = sandbox.metadata.name, environment.workspace
    spec: Json = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": workspace.size}}}
    if workspace.storage_class_name:
        spec["storageClassName"] = workspace.storage_class_name
    metadata: Json = {"name": claim_name(name), "namespace": sandbox.metadata.namespace, "labels": child_labels(name)}
    if _retained(environment):
        metadata["labels"][RETAINED_LABEL] = RETAINED_VALUE
    else:
        metadata["ownerReferences"] = [owner_reference(sandbox)]
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": metadata, "spec": spec}


def claim_ownership(claim: Json, sandbox: Sandbox) -> Ownership:
    """Tell whose a claim is: one without an owner is for the sandbox that its label names."""
    metadata = claim["metadata"]
    if any(owner.get("controller") for owner in metadata.get("ownerReferences") or ()):
        return ownership(claim, sandbox)
    meant = is_managed(claim) and metadata["labels"].get(SANDBOX_LABEL) == sandbox.metadata.name
    return Ownership.OURS if meant else Ownership.FOREIGN


def unfit(claim: Json) -> str:
    """Say why a claim can't hold a workspace, as one that somebody made by hand may not; empty where it can."""
    spec = claim["spec"]
    modes = spec.get("accessModes") or ()
    if spec.get("volumeMode", "Filesystem") != "Filesystem":
        return f"its volumeMode is {spec['volumeMode']} and has to be Filesystem"
    if not _WRITABLE.intersection(modes):
        return f"its accessModes are {', '.join(modes)} and have to let a pod write, as ReadWriteOnce does"
    return ""


def is_going(claim: Json | None) -> bool:
    """Whether a claim was deleted; it is there until the last pod that uses it has ended (pvc-protection)."""
    return claim is not None and "deletionTimestamp" in claim["metadata"]


def create_claim(observed: Observed, environment: Environment) -> tuple[PodState | None, tuple[Create, ...]]:
    """Decide on the claim of a pod that is about to be made.

    Returns
    -------
    tuple
        What the pod has to wait for, if anything, and the claim's creation, if it is not there.
    """
    claim = observed.claim
    if not environment.workspace.persistent:
        return None, ()
    if claim is None:
        missing = observed.classes.missing(environment.workspace.storage_class_name)
        if missing:
            return PodState(*missing, wrong=True), ()
        return None, (Create(workspace_claim(observed.sandbox, environment)),)
    if claim_ownership(claim, observed.sandbox) is Ownership.FORMER:
        return PodState("Starting", "The workspace of a deleted sandbox of this name is being removed."), ()
    if is_going(claim):
        message = (
            f"PersistentVolumeClaim {claim['metadata']['name']} was deleted; once it is gone, the sandbox starts with "
            "a new, empty workspace."
        )
        return PodState("WorkspaceDeleting", message, wrong=True), ()
    return None, ()


def keep_claim(observed: Observed, environment: Environment) -> tuple[Create | Patch, ...]:
    """Bring the claim of a pod that is there to what the spec asks for.

    Returns
    -------
    tuple
        The claim anew where a pod that no node has taken yet lost it, a patch of what differs, or nothing.
    """
    claim, pod = observed.claim, observed.pod
    if not environment.workspace.persistent or is_going(claim):
        return ()
    if claim is None:
        waits = pod is not None and "deletionTimestamp" not in pod["metadata"] and not pod["spec"].get("nodeName")
        return (Create(workspace_claim(observed.sandbox, environment)),) if waits else ()
    if claim_ownership(claim, observed.sandbox) is not Ownership.OURS or unfit(claim):
        return ()
    patch = _ownership_patch(claim, observed.sandbox, environment)
    if is_smaller(claim, environment) and expands(claim, observed.classes):
        patch["spec"] = {"resources": {"requests": {"storage": environment.workspace.size}}}
    return (Patch(claim, patch),) if patch else ()


def takes_over(patch: Json) -> bool:
    """Whether a patch of a claim gives it an owner, with whom it will end."""
    return bool(patch.get("metadata", {}).get("ownerReferences"))


def requested(claim: Json) -> str:
    """Size that a claim asks for."""
    return str(claim["spec"].get("resources", {}).get("requests", {}).get("storage", "0"))


def is_smaller(claim: Json, environment: Environment) -> bool:
    """Whether a claim asks for less than its sandbox."""
    return parsed(requested(claim)) < parsed(environment.workspace.size)


def expands(claim: Json, classes: StorageClasses) -> bool:
    """Whether a claim can be made to ask for more: only one that has a volume, of a class that allows it."""
    return claim["status"].get("phase") == "Bound" and classes.grows(claim["spec"].get("storageClassName"))


def _ownership_patch(claim: Json, sandbox: Sandbox, environment: Environment) -> Json:
    """Patch that lets a claim end with its sandbox, or outlive it; empty where it is so."""
    present = claim["metadata"].get("ownerReferences") or []
    others = [owner for owner in present if not owner.get("controller")]
    wanted = others if _retained(environment) else [*others, owner_reference(sandbox)]
    metadata: Json = {}
    if {owner["uid"] for owner in wanted} != {owner["uid"] for owner in present}:
        metadata["ownerReferences"] = wanted
    mark = RETAINED_VALUE if _retained(environment) else None
    if claim["metadata"]["labels"].get(RETAINED_LABEL) != mark:
        metadata["labels"] = {RETAINED_LABEL: mark}
    return {"metadata": metadata} if metadata else {}


def _retained(environment: Environment) -> bool:
    return environment.workspace.reclaim_policy == RETAIN
