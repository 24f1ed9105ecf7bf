"""What a decision on a SandboxDiff is made on: the object, its two sides, and its pod."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sandkeeper.api.names import API_VERSION, DIFF_KIND
from sandkeeper.plan.ownership import Ownership

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sandkeeper.api.diff import SandboxDiff
    from sandkeeper.plan.observed import Settings
    from sandkeeper.plan.storage_classes import StorageClasses
    from sandkeeper.plan.user_namespace import NodeSupport

Json = dict[str, Any]


@dataclass(frozen=True)
class Side:
    """One of the two states that are compared.

    Attributes
    ----------
    role
        ``old`` or ``new``.
    name
        Of its SandboxSnapshot; empty as long as nobody can tell.
    snapshot, volume_snapshot
        The SandboxSnapshot and the VolumeSnapshot behind it; None where absent.
    claim
        The PersistentVolumeClaim of the name that its copy's has, ours or not.
    """

    role: str
    name: str
    snapshot: Json | None = None
    volume_snapshot: Json | None = None
    claim: Json | None = None


@dataclass(frozen=True)
class ObservedDiff:
    """Everything one pass over a SandboxDiff looks at.

    Attributes
    ----------
    diff
        The object as parsed.
    status
        Its present ``status`` as JSON.
    old, new
        What is compared.
    sandbox
        Name of the sandbox that is compared as it is now; empty where it is another snapshot, or nobody can tell.
    has_sandbox
        Whether it is there.
    pod
        Object of the name that the diff's pod has, ours or not.
    node
        The node that the pod is on.
    nodes, classes
        What the cluster's nodes can do, and its StorageClasses.
    """

    diff: SandboxDiff
    status: Json
    settings: Settings
    nodes: NodeSupport
    classes: StorageClasses
    old: Side
    new: Side
    sandbox: str = ""
    has_sandbox: bool = False
    pod: Json | None = None
    node: Json | None = None

    @property
    def is_of_now(self) -> bool:
        """Whether the later state is that of a sandbox, of which a snapshot is taken on the way."""
        to = self.diff.spec.to
        return to is None or to.snapshot_ref is None

    @property
    def children(self) -> Iterator[Json]:
        """What there is under the names of what is made on the way."""
        taken = self.new.snapshot if self.is_of_now else None
        yield from filter(None, (taken, self.old.claim, self.new.claim, self.pod))

    def whose(self, child: Json) -> Ownership:
        """Tell whose a child is: this diff's, that of a deleted one of its name, or neither's."""
        for owner in child["metadata"].get("ownerReferences") or ():
            if owner.get("controller") and owner["kind"] == DIFF_KIND and owner["apiVersion"] == API_VERSION:
                if owner["uid"] == self.diff.metadata.uid:
                    return Ownership.OURS
                if owner["name"] == self.diff.metadata.name:
                    return Ownership.FORMER
        return Ownership.FOREIGN
