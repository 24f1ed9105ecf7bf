"""The claim of a workspace: made before the first pod, and kept as the spec says.

Garbage collection ends it, with the sandbox that owns it, or a rollback that replaced it. One that is to be retained
has no owner: its label says whose it was, and the next sandbox of that name takes it over with all that is in it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sandkeeper.api.names import RETAINED_LABEL, RETAINED_VALUE, child_labels, claim_name
from sandkeeper.api.quantities import parsed
from sandkeeper.api.workspace import RETAIN
from sandkeeper.plan.claim_state import claim_ownership, is_bound, is_going, requested
from sandkeeper.plan.ownership import Ownership, owner_reference
from sandkeeper.plan.writes import Create, Patch

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sandkeeper.api.environment import Environment
    from sandkeeper.api.sandbox import Sandbox
    from sandkeeper.plan.observed import Observed
    from sandkeeper.plan.storage_classes import StorageClasses
    from sandkeeper.plan.writes import Write

Json = dict[str, Any]

_WRITABLE: Final = frozenset({"ReadWriteOnce", "ReadWriteMany", "ReadWriteOncePod"})


def workspace_claim(sandbox: Sandbox, environment: Environment, called: str = "") -> Json:
    """Render the claim of a sandbox with a Persistent workspace.

    Parameters
    ----------
    called
        Its name, if it is made from something.

    Its access mode is ReadWriteOnce, which every provisioner has. There is one pod of a name at a time, so
    ReadWriteOncePod would protect from nothing, but shut out who mounts a volume to rescue or to back up what is on it.
    """
    name, workspace = sandbox.metadata.name, environment.workspace
    spec: Json = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": workspace.size}}}
    if workspace.storage_class_name:
        spec["storageClassName"] = workspace.storage_class_name
    namespace = sandbox.metadata.namespace
    metadata: Json = {"name": called or claim_name(name), "namespace": namespace, "labels": child_labels(name)}
    if _retained(environment):
        metadata["labels"][RETAINED_LABEL] = RETAINED_VALUE
    else:
        metadata["ownerReferences"] = [owner_reference(sandbox)]
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": metadata, "spec": spec}


def unfit(claim: Json) -> str:
    """Say why a claim can't hold a workspace, as one that somebody made by hand may not; empty where it can."""
    spec = claim["spec"]
    modes = spec.get("accessModes") or ()
    if spec.get("volumeMode", "Filesystem") != "Filesystem":
        return f"its volumeMode is {spec['volumeMode']} and has to be Filesystem"
    if not _WRITABLE.intersection(modes):
        return f"its accessModes are {', '.join(modes)} and have to let a pod write, as ReadWriteOnce does"
    return ""


def keep_claim(observed: Observed, environment: Environment, going: Iterable[Write] = ()) -> tuple[Patch, ...]:
    """Bring the claims of a sandbox to what its spec asks for: the workspace's size, and whom they all end with.

    Parameters
    ----------
    going
        What is written of claims already.
    """
    claim = observed.claim
    if not environment.workspace.persistent:
        return ()
    uid = claim["metadata"]["uid"] if claim else ""
    touched = {uid, *(each.child["metadata"]["uid"] for each in going if not isinstance(each, Create))}
    others = [each for each in observed.claims if each["metadata"]["uid"] not in touched]
    patches = [Patch(each, _patch(each, observed, environment, grows=False)) for each in others]
    if claim is not None:
        patches.insert(0, Patch(claim, _patch(claim, observed, environment, grows=True)))
    return tuple(each for each in patches if each.patch)


def _patch(claim: Json, observed: Observed, environment: Environment, *, grows: bool) -> Json:
    if is_going(claim) or claim_ownership(claim, observed.sandbox) is not Ownership.OURS or unfit(claim):
        return {}
    patch = _ownership_patch(claim, observed.sandbox, environment)
    if grows and is_smaller(claim, environment) and expands(claim, observed.classes):
        patch["spec"] = {"resources": {"requests": {"storage": environment.workspace.size}}}
    return patch


def takes_over(patch: Json) -> bool:
    """Whether a patch of a claim gives it an owner, with whom it will end."""
    return bool(patch.get("metadata", {}).get("ownerReferences"))


def is_smaller(claim: Json, environment: Environment) -> bool:
    """Whether a claim asks for less than its sandbox."""
    return parsed(requested(claim)) < parsed(environment.workspace.size)


def expands(claim: Json, classes: StorageClasses) -> bool:
    """Whether a claim can be made to ask for more: only one that has a volume, of a class that allows it."""
    return is_bound(claim) and classes.grows(claim["spec"].get("storageClassName"))


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
