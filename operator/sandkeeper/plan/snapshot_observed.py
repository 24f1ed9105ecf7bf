"""What a decision on a snapshot is made on, and what it comes to."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from sandkeeper.plan.base import Base
from sandkeeper.plan.pod_state import condition, parse_time
from sandkeeper.plan.snapshot_classes import SnapshotClasses
from sandkeeper.plan.storage_classes import StorageClasses

if TYPE_CHECKING:
    from datetime import datetime

    from sandkeeper.api.sandbox import Sandbox
    from sandkeeper.api.snapshot import SandboxSnapshot
    from sandkeeper.plan.packing import PackResult
    from sandkeeper.plan.writes import Write

Json = dict[str, Any]

SLOW_AFTER: Final = timedelta(seconds=15)
"""What goes well is over by then."""
PENDING: Final = "Pending"
QUIESCING: Final = "Quiescing"


@dataclass(frozen=True)
class SnapshotState:
    """What a snapshot says of itself.

    Attributes
    ----------
    reason, message
        For the condition ``Ready``.
    ready
        It can be restored.
    wrong
        Something a person may have to mend.
    begins
        Quiescing begins with this word.
    look_again
        When time alone changes the state.
    """

    reason: str
    message: str
    ready: bool = False
    wrong: bool = False
    begins: bool = False
    look_again: datetime | None = None


@dataclass(frozen=True)
class SnapshotPlan:
    """Outcome of a decision.

    Attributes
    ----------
    writes
        What to write, in this order, before the status.
    status
        Merge patch of the status; empty where nothing is to be written.
    look_again
        When time alone may change the decision.
    """

    state: SnapshotState
    writes: tuple[Write, ...] = ()
    status: Json = field(default_factory=dict)
    look_again: datetime | None = None


@dataclass(frozen=True)
class ObservedSnapshot:
    """Everything one pass looks at.

    Attributes
    ----------
    snapshot, raw
        The object as parsed, and as it is kept.
    sandbox, sandbox_status
        The one that it is of; None where it is not there.
    pod, node, claim
        The sandbox's pod, the node that it is on, and the claim that its workspace is on now.
    volume_node
        Node that the claim's volume is on, where it is on that one alone; empty where it is not, or is not asked for.
    volume_snapshot
        The VolumeSnapshot of the name that this snapshot's has, ours or not.
    classes, snapshot_classes
        The cluster's StorageClasses and VolumeSnapshotClasses.
    packing
        Whether the sandbox's pod is being packed for a reason of its own.
    quiescing, quiesced
        Whether a guest is being asked for this snapshot, and what became of it when that was last done.
    readers
        Sandboxes with a claim that is being made from this snapshot.
    awaited
        Sandboxes that are to be made from it and have no claim of it yet.
    diffs
        SandboxDiffs that it is being copied for.
    forks
        Names that the snapshots of those forks would have which wait for this one; known until it begins.
    base
        What lies below the sandbox's own spec.
    """

    snapshot: SandboxSnapshot
    raw: Json
    sandbox: Sandbox | None = None
    sandbox_status: Json = field(default_factory=dict)
    pod: Json | None = None
    node: Json | None = None
    claim: Json | None = None
    volume_node: str = ""
    volume_snapshot: Json | None = None
    classes: StorageClasses = field(default_factory=StorageClasses)
    snapshot_classes: SnapshotClasses = field(default_factory=SnapshotClasses)
    packing: bool = False
    quiescing: bool = False
    quiesced: PackResult | None = None
    readers: tuple[str, ...] = ()
    awaited: tuple[str, ...] = ()
    diffs: tuple[str, ...] = ()
    forks: tuple[str, ...] = ()
    base: Base = field(default_factory=Base)

    @property
    def status(self) -> Json:
        """Its present status."""
        return dict(self.raw.get("status") or {})

    @property
    def said(self) -> Json:
        """The condition Ready that it has."""
        return condition(self.raw, "Ready")

    @property
    def sandbox_name(self) -> str:
        """Name of the sandbox that it is of."""
        return self.snapshot.spec.sandbox_ref.name

    @property
    def started(self) -> datetime | None:
        """When quiescing began; None before."""
        found = self.status.get("startTime")
        return parse_time(found) if found else None
