"""The condition of a SandboxSnapshot."""

from typing import Final

from . import Aspect, Reason

_REASONS: Final = (
    Reason(
        "Pending",
        "It waits for the sandbox's pod to run or to end, or for its workspace; after 15 seconds the message says for "
        "which.",
    ),
    Reason(
        "Quiescing",
        "The sandbox is being brought onto its volume; a copy that takes less than five seconds is not told of.",
    ),
    Reason(
        "Copying",
        "The driver copies; after 15 seconds the message says if the cluster's snapshot-controller has not even "
        "begun, or the driver not answered.",
    ),
    Reason("Ready", "Nothing: it can be restored."),
    Reason("SandboxNotFound", "There is no such sandbox.", "Making it."),
    Reason(
        "TemplateNotFound",
        "The sandbox sleeps, and its [template](../templates.md#when-a-template-is-not-there) is not there.",
        "The template.",
    ),
    Reason(
        "WorkspaceNotPersistent",
        "The workspace is on no volume.",
        "Another sandbox: the type of a workspace is fixed.",
    ),
    Reason(
        "NoSnapshotSupport",
        "No VolumeSnapshots in the cluster, no class for the driver, several and none of them the default, or the "
        "class that is named is not there or of another driver.",
        "What the message says.",
    ),
    Reason(
        "Failed",
        "What changed could not be packed (`TooLarge`, `VolumeFull`, `Failed`, or `Unreachable`).",
        "As for [sleep](sandbox.md#ready) (`PackFailed`); it is tried again after half a minute, a minute, … ten "
        "minutes.",
    ),
    Reason("Failed", "The driver could not copy; the message has its words.", "The driver tries again by itself."),
    Reason(
        "Failed",
        "The VolumeSnapshot was deleted by hand.",
        "Nothing: it is not taken anew. Delete it and make another one.",
    ),
    Reason(
        "Failed",
        "A backup brought the snapshot back, and its VolumeSnapshot not yet or not at all.",
        "[Restoring that too](../snapshots.md#backup). It is not taken anew.",
    ),
    Reason("Failed", "The sandbox has expired, and its workspace is gone.", "Another sandbox."),
    Reason(
        "Failed",
        "The spec is longer than the 200 KiB that can be noted on a VolumeSnapshot.",
        "A shorter spec.",
    ),
    Reason(
        "Conflict",
        "A VolumeSnapshot of this name belongs to somebody else.",
        "Deleting that one, or another name.",
    ),
    Reason(
        "QuotaExceeded", "A quota has no room for the VolumeSnapshot; the message has the API server's words.", "Room."
    ),
    Reason("PolicyDenied", "The API server refused the VolumeSnapshot; the message has its words.", "What they say."),
    Reason("Deleting", "It was deleted, and a sandbox is being restored from it.", "The end of that restore."),
)

CONDITIONS: Final = (
    Aspect(
        "Ready",
        "Whether it can be restored. `Ready`, and whatever is the matter, is told by an Event too.",
        _REASONS,
    ),
)

EVENTS: Final = (Reason("Expired", "It was deleted, for its time is over."),)
"""Beside those of the condition's reasons."""
