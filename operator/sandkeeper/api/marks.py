"""Labels, annotations and finalizers that people and other programs may set or read: where, by whom, what they say."""

from dataclasses import dataclass
from typing import Final

from . import names

USERS: Final = "users"
OPERATOR: Final = "the operator"


@dataclass(frozen=True)
class Mark:
    """A key of an object's metadata.

    Attributes
    ----------
    form
        ``annotation``, ``label`` or ``finalizer``.
    kind
        Kind whose page explains it.
    on
        What carries it.
    by
        Who sets it.
    meaning
        What it says, as Markdown whose links begin in docs/reference.
    """

    key: str
    form: str
    kind: str
    on: str
    by: str
    meaning: str


def _of_sandboxes(key: str, form: str, on: str, meaning: str, by: str = OPERATOR) -> Mark:
    return Mark(key, form, names.SANDBOX_KIND, on, by, meaning)


def _of_snapshots(key: str, form: str, on: str, meaning: str) -> Mark:
    return Mark(key, form, names.SNAPSHOT_KIND, on, OPERATOR, meaning)


_SET_BY_USERS: Final = (
    _of_sandboxes(
        names.ACTIVITY_ANNOTATION,
        "annotation",
        "the Sandbox",
        "When it was last used (RFC 3339; a time in the future counts as now): [wakes one that was idle, and keeps one "
        "awake](../concepts.md#sleep-and-wake). What is no time counts for nothing, and an Event says so "
        "(`ActivityUnreadable`).",
        USERS,
    ),
    _of_sandboxes(
        names.RESTART_ANNOTATION,
        "annotation",
        "the Sandbox",
        "Another word asks for [a new pod](../concepts.md#what-a-change-does).",
        USERS,
    ),
    _of_sandboxes(
        names.CHECK_FENCE_ANNOTATION,
        "annotation",
        "the Sandbox",
        "Another word lets [a canary](../operations.md#the-canary-is-the-fence-enforced) try the fence of the "
        "namespace; `status.fenceCheck` has the answer.",
        USERS,
    ),
    _of_sandboxes(
        names.WIDENS_ANNOTATION,
        "annotation",
        "a NetworkPolicy",
        '`"true"` says that the policy [opens sandboxes on purpose](../security.md#open-a-fence-on-purpose).',
        "whoever has the verb `widen` on sandboxes",
    ),
)

_ON_CHILDREN: Final = (
    _of_sandboxes(names.MANAGED_LABEL, "label", "every child", "`true`: the operator made it."),
    _of_sandboxes(names.SANDBOX_LABEL, "label", "every child", "Name of its sandbox."),
    _of_sandboxes(
        names.ROLE_LABEL,
        "label",
        "sandboxes' pods",
        "`sandbox`: what the fence selects, and what [other policies "
        "exclude](../security.md#network-policies-beside-the-fence).",
    ),
    _of_sandboxes(
        names.EGRESS_ANNOTATION,
        "annotation",
        "sandboxes' pods",
        "What it [may reach](../egress.md#how-it-works) now, as JSON; absent for nothing.",
    ),
    _of_sandboxes(
        names.BASE_ANNOTATION,
        "annotation",
        "sandboxes' pods",
        "What [its template](../templates.md#when-a-template-changes) and its policy gave when it was made, as JSON.",
    ),
    _of_sandboxes(
        names.RETAINED_LABEL,
        "label",
        "claims",
        "`true`: it outlives its sandbox (`workspace.reclaimPolicy: Retain`), and the next one of the name takes it "
        "over.",
    ),
    _of_sandboxes(
        names.PREVIOUS_LABEL,
        "label",
        "claims",
        "`true`: a [rollback](../snapshots.md#rollback) replaced it, and `keepPrevious` kept it.",
    ),
    _of_sandboxes(
        names.SOURCE_ANNOTATION,
        "annotation",
        "claims",
        "What the workspace was made from, as JSON; absent for one that began empty.",
    ),
)

_OF_COPIES: Final = (
    _of_snapshots(
        names.SCHEDULED_LABEL,
        "label",
        "the SandboxSnapshot",
        "`true`: the [schedule](../snapshots.md#snapshots-on-a-schedule) of its sandbox made it, and ends it.",
    ),
    _of_snapshots(
        names.FORK_LABEL,
        "label",
        "the SandboxSnapshot",
        "It was taken on the way to a [fork](../snapshots.md#fork): the claim that it is for.",
    ),
    _of_snapshots(
        names.IN_USE_FINALIZER,
        "finalizer",
        "the SandboxSnapshot",
        "A sandbox is being restored from it; it goes once that is done.",
    ),
    _of_snapshots(
        names.CAPTURED_ANNOTATION,
        "annotation",
        "the VolumeSnapshot, and claims made from it",
        "What environment was [captured](../snapshots.md#backup), as JSON.",
    ),
    _of_snapshots(
        names.MOMENT_ANNOTATION,
        "annotation",
        "the VolumeSnapshot",
        "When and how it was taken, as JSON.",
    ),
    Mark(
        names.RESTORED_LABEL,
        "label",
        names.SNAPSHOT_KIND,
        "the SandboxSnapshot",
        "Velero",
        "It came [from a backup](../snapshots.md#backup): where its VolumeSnapshot is not there, none is taken anew.",
    ),
    Mark(
        names.DIFF_LABEL,
        "label",
        names.DIFF_KIND,
        "its pod, its claims and its snapshot",
        OPERATOR,
        "Name of the SandboxDiff.",
    ),
)

MARKS: Final = (*_SET_BY_USERS, *_ON_CHILDREN, *_OF_COPIES)
