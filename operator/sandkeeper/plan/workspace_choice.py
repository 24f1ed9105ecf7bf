"""Which claims are a sandbox's: the one that its workspace is on, the one that it is to be on, and what is left over.

Told from the claims themselves and the pod. The status is asked only where both leave it open, so that a sandbox that
comes back from a backup without one is on the same claim as before, and rolls nothing back. A claim that was made for a
rollback names the one that it replaces, which stays until a pod was ready on the new one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sandkeeper.api.names import CLAIM_ANNOTATION, PREVIOUS_LABEL, claim_name
from sandkeeper.plan.claim_state import claim_ownership, is_bound, is_going, is_placed
from sandkeeper.plan.made_from import note_of, source_key
from sandkeeper.plan.ownership import Ownership, ownership
from sandkeeper.plan.pod_state import PodState, is_ready

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sandkeeper.api.sandbox import Sandbox
    from sandkeeper.plan.observed import Observed
    from sandkeeper.plan.storage_classes import StorageClasses

Json = dict[str, Any]


def asked_name(sandbox: Sandbox) -> str:
    """Name of the claim that a spec asks for: of its source, or the plain one."""
    source = sandbox.spec.source
    return claim_name(sandbox.metadata.name, *(source_key(source) if source else ()))


def pods_claim(pod: Json, sandbox: str) -> str:
    """Name of the claim that a pod's workspace is on, if it is on one."""
    return str((pod.get("metadata", {}).get("annotations") or {}).get(CLAIM_ANNOTATION, claim_name(sandbox)))


def current_claim(
    sandbox: Sandbox, claims: Iterable[Json], pod: Json | None, status: Json, classes: StorageClasses
) -> Json | None:
    """Find the claim that a sandbox's workspace is on.

    Parameters
    ----------
    claims
        All that are labelled as the sandbox's.

    Returns
    -------
    dict or None
        Where none is ours, what has the name that ours would have.
    """
    every = {each["metadata"]["name"]: each for each in claims}
    if pod is not None and ownership(pod, sandbox) is Ownership.OURS:
        return every.get(pods_claim(pod, sandbox.metadata.name))
    ours = _workspaces(every.values(), sandbox)
    if not ours:
        return _namesake(every, sandbox)
    asked = ours.get(asked_name(sandbox)) if sandbox.spec.source else None
    if asked is not None and _can_take_pod(asked, classes):
        return asked
    known = ours.get(str(status.get("workspaceClaimName", "")))
    found = known or _told_by_claims(ours, asked, claim_name(sandbox.metadata.name))
    # Without a source one goes back from where no pod was ready, as `target_name` says while there is a pod.
    return found if sandbox.spec.source else _before(ours, found) or found


def _namesake(every: dict[str, Json], sandbox: Sandbox) -> Json | None:
    """Claim of the name that ours would have, which may be another one's; never one that is kept to undo a rollback."""
    names = (asked_name(sandbox), claim_name(sandbox.metadata.name))
    found = (every[name] for name in names if name in every)
    return next((each for each in found if not _is_kept(each)), None)


def _told_by_claims(ours: dict[str, Json], asked: Json | None, plain: str) -> Json:
    """Tell, of claims alone, which one a pod ran on last: the one that an unfinished one is to replace, before all."""
    return ours.get(str(note_of(asked).get("replaces"))) or asked or ours.get(plain) or ours[min(ours)]


def _can_take_pod(claim: Json, classes: StorageClasses) -> bool:
    """Whether a claim has its volume, or gets it as soon as a pod asks for it."""
    if is_going(claim):
        return False
    return is_bound(claim) or (classes.waits(claim["spec"].get("storageClassName")) and not is_placed(claim))


def _workspaces(claims: Iterable[Json], sandbox: Sandbox) -> dict[str, Json]:
    """Claims of a sandbox by name, but for those that are kept to undo a rollback, or not its own."""
    return {
        each["metadata"]["name"]: each
        for each in claims
        if not _is_kept(each) and claim_ownership(each, sandbox) is Ownership.OURS
    }


def _is_kept(claim: Json) -> bool:
    return PREVIOUS_LABEL in claim["metadata"].get("labels", {})


def workspaces(observed: Observed) -> dict[str, Json]:
    """Claims that are, were or shall be the workspace, by name."""
    return _workspaces(observed.claims, observed.sandbox)


def kept_claims(observed: Observed) -> list[Json]:
    """Claims that are kept to undo a rollback."""
    return [
        each
        for each in observed.claims
        if _is_kept(each) and claim_ownership(each, observed.sandbox) is Ownership.OURS and not is_going(each)
    ]


def taken(observed: Observed, name: str) -> PodState | None:
    """State of a sandbox whose new claim would have the name of one that is kept; None where it is free."""
    if name not in {each["metadata"]["name"] for each in kept_claims(observed)}:
        return None
    message = (
        f"PersistentVolumeClaim {name} is kept so that a rollback can be undone: write spec.source.claimRef.name: "
        f"{name} to undo it, or another spec.source.revision."
    )
    return PodState("Conflict", message, wrong=True, stalled=True)


def workspace_name(observed: Observed) -> str:
    """Name of the claim that a pod's workspace is on, or would be."""
    if observed.claim is not None:
        return str(observed.claim["metadata"]["name"])
    return asked_name(observed.sandbox)


def unproven(observed: Observed) -> Json | None:
    """Claim that the current one is to replace, and that is kept until a pod was ready on that; None for none."""
    return _before(workspaces(observed), observed.claim) if observed.claim is not None else None


def _before(ours: dict[str, Json], claim: Json) -> Json | None:
    before = ours.get(str(note_of(claim).get("replaces")))
    if before is None or before["metadata"]["uid"] == claim["metadata"]["uid"]:
        return None
    return None if is_going(before) or _replaces(before, claim) else before


def _replaces(claim: Json, other: Json) -> bool:
    """Whether a claim is to replace another one that once replaced a claim of its name: who rolls back and forth."""
    since, others = (str(each["metadata"]["creationTimestamp"]) for each in (claim, other))
    return note_of(claim).get("replaces") == other["metadata"]["name"] and since > others


def is_rolling_back(observed: Observed) -> bool:
    """Whether the workspace is another one than before, on which no pod was ready yet."""
    return len(observed.claims) > 1 and unproven(observed) is not None


def target_name(observed: Observed) -> str:
    """Name of the claim that the workspace is to be on.

    One whose source was taken away stays where it is, or goes back to what it was before a rollback that is not over.
    """
    if observed.sandbox.spec.source:
        return asked_name(observed.sandbox)
    before = unproven(observed)
    if before is None or runs_on_it(observed):
        return workspace_name(observed)
    return str(before["metadata"]["name"])


def last_good(observed: Observed) -> str:
    """Name of the claim that a pod was last ready on, as far as claims tell; empty for none."""
    before = unproven(observed)
    found = before if before is not None and not runs_on_it(observed) else observed.claim or _newest_other(observed)
    return str(found["metadata"]["name"]) if found is not None else ""


def _newest_other(observed: Observed) -> Json | None:
    """Claim that was there before one that is lost."""
    asked = asked_name(observed.sandbox)
    others = [each for name, each in workspaces(observed).items() if name != asked and not is_going(each)]
    return max(others, key=lambda each: str(each["metadata"]["creationTimestamp"]), default=None)


def runs_on_it(observed: Observed) -> bool:
    """Whether a ready pod is on the current claim; one of a deleted sandbox of this name is on another one's."""
    pod = observed.pod
    if pod is None or observed.claim is None or ownership(pod, observed.sandbox) is not Ownership.OURS:
        return False
    return is_ready(pod)


def abandoned(observed: Observed) -> list[Json]:
    """Claims that were made for a rollback that is not asked for any more, and on which nothing runs.

    One that replaces nothing was somebody's first workspace, and never only a wish. While it is not known which claim
    the sandbox is on, none is.
    """
    if observed.claim is None:
        return []
    needed = {workspace_name(observed), target_name(observed), last_good(observed)}
    before = unproven(observed)
    if before is not None:
        # What becomes of it is decided once the rollback is over: it may be kept.
        needed.add(str(before["metadata"]["name"]))
    needed.update(observed.uncopied.values())
    found = workspaces(observed).items()
    return [each for name, each in found if name not in needed and note_of(each).get("replaces") and not is_going(each)]
