"""Conditions of a SandboxDiff."""

from typing import Final

from . import Aspect, Reason

_REASONS: Final = (
    Reason("Pending", "Just created."),
    Reason("Preparing", "The snapshot of the sandbox as it is now is taken, or the copies are made."),
    Reason("Comparing", "The pod reads both copies."),
    Reason("Ready", "Nothing: the answer is in `status.summary`, and all of it in the pod's log."),
    Reason("SnapshotNotFound", "A snapshot, or what is behind it, is not there.", "Making it."),
    Reason("SnapshotNotReady", "A snapshot is under way, or failed; the message has its words.", "When it is ready."),
    Reason("SandboxNotFound", "The sandbox to compare with is not there.", "Making it."),
    Reason("NoStorageClass", "The copies have no StorageClass, and the cluster has no default.", "A StorageClass."),
    Reason(
        "StorageClassNotFound",
        "The StorageClass that the copies are to become volumes of is not there.",
        "The StorageClass.",
    ),
    Reason("VolumePending", "A copy is long in coming; the message has its provisioner's words.", "What they say."),
    Reason("Unschedulable", "No node takes the pod; the message has the scheduler's words.", "Room."),
    Reason("ImagePullFailed", "The guest's image can't be pulled.", "The kubelet tries again."),
    Reason("QuotaExceeded", "A quota has no room for the pod, a claim or the snapshot.", "Room."),
    Reason("PolicyDenied", "The API server refused one of them; the message has its words.", "What they say."),
    Reason(
        "Conflict",
        "An object that is not the diff's has the name of its pod, its claims or its snapshot.",
        "Deleting that one, or another name.",
    ),
    Reason(
        "Failed",
        "The pod failed, or the API server took one of the objects for invalid; the message says why.",
        "The pod is made again after 10 and after 20 seconds. The third failure is the last one (`Stalled`), and its "
        "pod stays for its log.",
    ),
)

CONDITIONS: Final = (
    Aspect("Ready", "Whether the answer is there.", _REASONS),
    Aspect("Reconciling", "There while the operator is at it. Its reason is that of `Ready`."),
    Aspect("Stalled", "There once it has failed for good. Its reason is that of `Ready`."),
)
