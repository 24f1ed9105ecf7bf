"""Packing before a pod goes: when it is worth it, what became of it, and what that means for the sandbox.

What the guest answers was written in a sandbox, where everything may be forged: it is read strictly and never trusted
further than a tenant's word about the tenant's own data.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sandkeeper.api.names import GUEST_ANNOTATION, GUEST_KEEPS, GUEST_RUNS, WORKTREE_CONTAINER
from sandkeeper.plan.checkout import Checkout  # noqa: TC001  (the model reads it at run time)
from sandkeeper.plan.pod_state import PodState, is_lost, written
from sandkeeper.plan.tenant_text import harmless
from sandkeeper.plan.writes import Pack

if TYPE_CHECKING:
    from sandkeeper.plan.observed import Observed
    from sandkeeper.plan.writes import Write

Json = dict[str, Any]

FRESH: Final = timedelta(minutes=1)
"""How long a pack stands for what is in the root file system: the pod goes right after it, or is packed again."""
_FIRST_PAUSE: Final = timedelta(seconds=30)
_LONGEST_PAUSE: Final = timedelta(minutes=10)
_LONGEST_SENTENCE: Final = 300
_LONGEST_PATH: Final = 120
_MOST: Final = 2**62
_LONGEST_PAUSE_SECONDS: Final = 86400.0


@dataclass(frozen=True)
class PackResult:
    """What became of packing one pod.

    Attributes
    ----------
    entries, bytes
        Of the pack; no entries: nothing had changed.
    reason
        Empty where it went well; else ``TooLarge``, ``VolumeFull``, ``Failed`` or ``Unreachable``.
    message
        One sentence, with the biggest paths where there is too much.
    failures
        How often in a row it has failed by now.
    pause_seconds
        For how long writes may have been held up, where the guest was asked to quiesce.
    git
        Where the checkout stood; None where there is none, or nobody could tell.
    """

    pod_uid: str
    finished: datetime
    entries: int = 0
    bytes: int = 0
    reason: str = ""
    message: str = ""
    failures: int = 0
    pause_seconds: float | None = None
    git: Checkout | None = None

    @property
    def again_at(self) -> datetime:
        """When packing is to be tried again after failures: half a minute, a minute, ... ten minutes."""
        return self.finished + min(_FIRST_PAUSE * 2.0 ** min(max(self.failures - 1, 0), 10), _LONGEST_PAUSE)


class _Big(BaseModel):
    model_config = ConfigDict(strict=True)

    path: str
    bytes: int = Field(ge=0, le=_MOST)


class _Refusal(BaseModel):
    model_config = ConfigDict(strict=True)

    reason: Literal["TooLarge", "VolumeFull", "Failed"]
    message: str = ""
    largest: list[_Big] = Field(default=[], max_length=10)


class _Answer(BaseModel):
    model_config = ConfigDict(strict=True)

    entries: int | None = Field(default=None, ge=0, le=_MOST)
    bytes: int = Field(default=0, ge=0, le=_MOST)
    pause_seconds: float | None = Field(default=None, alias="pauseSeconds", ge=0, le=_LONGEST_PAUSE_SECONDS)
    git: Checkout | None = None
    error: _Refusal | None = None


def pack_result(pod_uid: str, exit_code: int, answer: bytes, now: datetime) -> PackResult:
    """Read what ``guest pack`` or ``guest quiesce`` printed.

    Returns
    -------
    PackResult
        One that failed where the answer is none.
    """
    try:
        parsed = _Answer.model_validate_json(answer)
    except ValidationError:
        message = f"The guest ended with exit code {exit_code} and no answer that can be read."
        return PackResult(pod_uid, now, reason="Failed", message=message)
    if parsed.error is not None:
        return PackResult(pod_uid, now, reason=parsed.error.reason, message=_told(parsed.error))
    if exit_code != 0 or parsed.entries is None:
        return PackResult(pod_uid, now, reason="Failed", message=f"The guest ended with exit code {exit_code}.")
    packed = PackResult(pod_uid, now, entries=parsed.entries, bytes=parsed.bytes)
    return replace(packed, pause_seconds=parsed.pause_seconds, git=parsed.git)


def unreachable(pod_uid: str, error: str, now: datetime) -> PackResult:
    """Tell that a guest could not be asked."""
    message = f"The guest could not be asked: {harmless(error, _LONGEST_SENTENCE)}"
    return PackResult(pod_uid, now, reason="Unreachable", message=message)


def _told(refusal: _Refusal) -> str:
    message = harmless(refusal.message, _LONGEST_SENTENCE) or "The guest gave no reason."
    biggest = [f"{harmless(each.path, _LONGEST_PATH)} ({_size(each.bytes)})" for each in refusal.largest]
    return f"{message.rstrip('.')}. The biggest: {', '.join(biggest)}." if biggest else message


def _size(count: int) -> str:
    """Write a number of bytes for people, as ``1.4 GiB``."""
    size, unit = Decimal(count), "B"
    for larger in ("KiB", "MiB", "GiB", "TiB"):
        if size < 1024:
            break
        size, unit = size / 1024, larger
    return f"{size:.1f} {unit}" if unit != "B" else f"{count} B"


def keeps(pod: Json) -> bool:
    """Whether a pod's guest packs what changed in the root file system."""
    return bool(pod["metadata"].get("annotations", {}).get(GUEST_ANNOTATION) == GUEST_KEEPS)


def worth_packing(pod: Json) -> bool:
    """Whether there is something to pack, and someone to do it: the container runs and has installed all."""
    return keeps(pod) and can_be_asked(pod)


def only_tells(pod: Json) -> bool:
    """Whether a pod's guest keeps nothing, but can tell where a checkout stands."""
    before = pod.get("status", {}).get("initContainerStatuses") or ()
    has_checkout = any(each["name"] == WORKTREE_CONTAINER for each in before)
    return has_checkout and pod["metadata"].get("annotations", {}).get(GUEST_ANNOTATION) == GUEST_RUNS


def can_be_asked(pod: Json) -> bool:
    """Whether a pod's container runs, and has begun the work that it is for."""
    statuses = pod.get("status", {}).get("containerStatuses") or ()
    runs = any("running" in (each.get("state") or {}) and each.get("started") is not False for each in statuses)
    return runs and "deletionTimestamp" not in pod["metadata"]


def pack_status(observed: Observed) -> Json | None:
    """Tell what is packed, for the status: as the last pack went, or as was known before; None for nothing."""
    result = observed.pack_result
    if result is None or result.reason:
        return observed.status.get("pack")
    kept = {"time": written(result.finished), "entries": result.entries, "bytes": result.bytes}
    return kept if result.entries else None


def git_status(observed: Observed) -> Json | None:
    """Tell where the checkout of a sandbox that sleeps stands: as the last pack had it, or as was known before."""
    result = observed.pack_result
    if result is None or result.reason:
        return observed.status.get("git")
    return result.git.to_json() if result.git else None


def before_replacement(
    observed: Observed, pod: Json, desired: Json, cause: str, now: datetime
) -> tuple[PodState, tuple[Write, ...]] | None:
    """Decide on what has to be kept of a pod that is to be replaced.

    A pack is of no use to a successor of another image, nor to one that keeps nothing. Nobody can be asked on a node
    that does not answer; where it comes back, the guest packs when it is told to end.

    Returns
    -------
    tuple or None
        None where the pod may go.
    """
    same_image = pod["spec"]["containers"][0]["image"] == desired["spec"]["containers"][0]["image"]
    if not worth_packing(pod) or not keeps(desired) or not same_image or is_lost(observed.node):
        return None
    return packed_first(observed, pod, f"The pod is to be replaced: {cause}.", now)


def packed_first(observed: Observed, pod: Json, why: str, now: datetime) -> tuple[PodState, tuple[Write, ...]] | None:
    """Decide on a pod that may go once it is packed.

    Parameters
    ----------
    why
        Sentence that says what the pod is to go for.

    Returns
    -------
    tuple or None
        None where it is packed.
    """
    result = observed.pack_result
    pack: tuple[Write, ...] = () if observed.packing else (Pack(pod),)
    if result is None or (not result.reason and now >= result.finished + FRESH):
        return PodState("Packing", f"{why} What changed in it is being packed first."), pack
    if not result.reason:
        return None
    message = f"{why} Packing what changed in it failed, so it stays. {result.reason}: {result.message}"
    state = PodState("PackFailed", message, wrong=True)
    return (replace(state, look_again=result.again_at), ()) if now < result.again_at else (state, pack)
