"""Conditions of a Sandbox."""

from typing import Final

from . import Aspect, Reason
from .sandbox_faults import FAULTS
from .sandbox_sources import OF_SOURCES

_REST: Final = (
    Reason(
        "Pending",
        "Just created, less than 15 seconds ago. A start that goes well is written once, when the pod is ready.",
    ),
    Reason(
        "Starting",
        "A pod is on its way, one is being replaced, or what a former one had installed is being unpacked. The message "
        "says what it began with, and which step it is at once that takes more than 15 seconds.",
    ),
    Reason(
        "Installing",
        "Packages are being installed or `setup` runs, for more than 15 seconds where nothing ran before; the message "
        "says how to follow it.",
    ),
    Reason("Running", "Nothing: the pod is ready."),
    Reason(
        "Packing",
        "The pod is to be replaced, or the spec asks for sleep, and what changed in its root file system is packed "
        "first.",
    ),
    Reason(
        "Sleeping",
        "Nothing: the pod is gone, what it kept is there; the message says whether the spec or idleness asked for it.",
        "[Waking it](../concepts.md#sleep-and-wake).",
    ),
    Reason("Waking", "Its pod is being started again."),
    Reason(
        "Expired",
        "Its time is over, and pod, Service and workspace are gone.",
        "A later `ttl`, or none: it starts with an empty workspace.",
    ),
)

_FENCE: Final = (
    Reason("Verified", "A canary tried the fence and got out nowhere."),
    Reason(
        "NotEnforced",
        "A canary got through the fence; the message says where to.",
        "[A network plugin that enforces NetworkPolicies](../operations.md#what-to-do-about-it).",
    ),
    Reason(
        "Unverified", "No canary has tried it yet, or the last result is older than two intervals.", "The next run."
    ),
    Reason("CanaryBroken", "The canary proves nothing; the message says why.", "As for `Ready`."),
    Reason(
        "Widened",
        "A NetworkPolicy of the namespace opens the sandbox, on purpose or not; the message names it.",
        "[Either of two ways](../operations.md#policies-that-open-sandboxes), where it is not meant.",
    ),
)

_UP_TO_DATE: Final = (
    Reason("UpToDate", "Nothing is missing."),
    Reason(
        "RenderingChanged",
        "The operator, or the chart's settings, give new pods something else.",
        "The next start, such as sleep and wake.",
    ),
    Reason(
        "TemplateChanged",
        "Its [template](../templates.md#when-a-template-changes) changed; the message names the fields.",
        "The next start; `rollout: Immediate` takes changes at once.",
    ),
    Reason("PolicyChanged", "Its policy's `defaults` changed; the message names the fields.", "The next start."),
    Reason("TemplateNotFound", "Its template is gone. No other pod is made before it is back.", "The template."),
    Reason("ResizePending", "The kubelet has not applied new resources; the message says why.", "Room on the node."),
    Reason("VolumeResizing", "The volume is growing to its new size."),
    Reason(
        "VolumeResizeFailed",
        "The volume can't grow; the message has the words of who could not grow it.",
        "As the message says.",
    ),
    Reason(
        "WorkspaceNotExpandable",
        "The StorageClass lets no volume grow.",
        "`allowVolumeExpansion` of the StorageClass, or the former size.",
    ),
    Reason(
        "WorkspaceLarger", "The volume has more than the spec asks for, as one that was taken over may.", "Nothing."
    ),
)

_SCHEDULE: Final = (
    Reason("Scheduled", "Copies are made as the schedule asks."),
    Reason(
        "QuotaExceeded",
        "The API server refused the SandboxSnapshot for a quota; it is tried again every minute.",
        "Room in the quota.",
    ),
    Reason(
        "PolicyDenied",
        "The API server refused the SandboxSnapshot; the message has its words. It is tried again every minute.",
        "As the message says.",
    ),
    Reason("Conflict", "Something else has the name of the run's snapshot.", "Deleting that."),
    Reason(
        "InvalidSchedule",
        "No moment fits, such as the 30th of February, or the operator does not know the zone.",
        "Another schedule.",
    ),
    Reason(
        "Failed",
        "The last SandboxSnapshot failed. Its [other reasons](sandboxsnapshot.md#ready) are told here too.",
        "The next run tries again.",
    ),
    Reason(
        "Delayed",
        "A run waits for more than an hour: for the copy before it, or for the sandbox's pod to end. The message says "
        "for which.",
        "The end of that, or deleting that copy.",
    ),
)

CONDITIONS: Final = (
    Aspect(
        "Ready",
        "Whether it is as its spec asks, so True also while it sleeps or has expired by its `lifecycle`. Its reason "
        "is the first column of `kubectl get sandboxes`. Trouble is written at once, and announced by an Event.",
        (*_REST, *FAULTS, *OF_SOURCES),
    ),
    Aspect(
        "Running", "Whether its pod is ready: what clients wait for. Its reason is that of `Ready` where it is False."
    ),
    Aspect("Reconciling", "There while the operator is at it. Its reason is that of `Ready`."),
    Aspect(
        "Stalled",
        "There while nothing but a change of the spec, or of what is in the way, helps. Its reason is that of `Ready`.",
    ),
    Aspect(
        "EgressEnforced",
        "Whether its fence holds: a [canary](../operations.md#the-canary-is-the-fence-enforced) tried it on this "
        "cluster, and no other policy opens it.",
        _FENCE,
    ),
    Aspect(
        "UpToDate",
        "There while it runs: whether pod and volume have all that spec, operator and settings ask for.",
        _UP_TO_DATE,
    ),
    Aspect(
        "SnapshotsUpToDate",
        "There with `spec.snapshots`: whether the [schedule](../snapshots.md#snapshots-on-a-schedule) does its work. "
        "The sandbox itself stays Ready where it does not.",
        _SCHEDULE,
    ),
    Aspect(
        "WorkspaceFull",
        "There only while True; read every five minutes, where the storage driver measures.",
        (
            Reason(
                "VolumeFull",
                "Nothing more fits on the volume.",
                "Deleting something there, or a larger `workspace.size`.",
            ),
        ),
    ),
)

EVENTS: Final = (
    Reason(
        "Denied", "The gateway refused a name or a connection; the message names it.", "[Allowing it](../egress.md)."
    ),
    Reason("Widened", "A NetworkPolicy of the namespace opens the sandbox since now (`EgressEnforced`)."),
    Reason("WorkspaceFull", "Nothing more fits on the volume since now."),
    Reason("WorkspaceLost", "Somebody deleted the claim of the workspace, and the sandbox goes on with a new one."),
    Reason("RolledBack", "The workspace is another one; the message says from what to what it went."),
    Reason("ActivityUnreadable", "The annotation `sandkeeper.dev/last-activity` is no time, and counts for nothing."),
)
"""Beside those of the conditions' reasons."""
