"""Reasons of a Sandbox whose workspace is made from a source."""

from typing import Final

from . import Reason

OF_SOURCES: Final = (
    Reason("Restoring", "It is being made from its source, or waits for the snapshot of a fork."),
    Reason("RollingBack", "It is being rolled back; `Running` tells whether the old pod still runs."),
    Reason(
        "SnapshotNotFound",
        "The snapshot, or the VolumeSnapshot behind it, is not there.",
        "Making it, or another `source`.",
    ),
    Reason(
        "SnapshotNotReady",
        "The snapshot is under way, or failed; the message has its words.",
        "When it is ready; another `source`.",
    ),
    Reason(
        "SandboxNotFound",
        "The sandbox to fork is not there, is being deleted, or is this one, without a workspace yet.",
        "Making it, or another `source`.",
    ),
    Reason("WorkspaceNotPersistent", "The workspace of either is on no volume.", "Another `source`."),
    Reason("ClaimNotFound", "The claim is none that was kept for this sandbox.", "A name that the message tells."),
    Reason("SizeTooSmall", "`workspace.size` is less than the snapshot takes.", "A larger one."),
    Reason(
        "StorageClassMismatch",
        "The class is of a driver that can't restore it.",
        "A class of the driver that the message names.",
    ),
    Reason("CapturedUnreadable", "What was captured is no environment.", "Another `source`."),
    Reason(
        "PolicyDenied",
        "What was captured asks for what is reserved or denied.",
        "Another `source`, or saying otherwise in the spec.",
    ),
    Reason(
        "Conflict",
        "The claim's name is that of one that is kept, and the workspace itself is lost.",
        "`claimRef`, or another `revision`.",
    ),
)
