"""Every name that the outside sees: the API group, labels, annotations, and what children are called."""

from hashlib import sha256
from typing import Final

GROUP: Final = "sandkeeper.dev"
VERSION: Final = "v1alpha1"
API_VERSION: Final = f"{GROUP}/{VERSION}"
CATEGORY: Final = "sandkeeper"
"""No kind's own name: kubectl takes a word for a category first, and would delete snapshots with all sandboxes."""

SANDBOX_KIND: Final = "Sandbox"
SANDBOX_PLURAL: Final = "sandboxes"
SANDBOX_SINGULAR: Final = "sandbox"
SANDBOX_SHORT: Final = "sbx"

SNAPSHOT_KIND: Final = "SandboxSnapshot"
SNAPSHOT_PLURAL: Final = "sandboxsnapshots"
SNAPSHOT_SINGULAR: Final = "sandboxsnapshot"
SNAPSHOT_SHORT: Final = "sbxsnap"

DIFF_KIND: Final = "SandboxDiff"
DIFF_PLURAL: Final = "sandboxdiffs"
DIFF_SINGULAR: Final = "sandboxdiff"
DIFF_SHORT: Final = "sbxdiff"

TEMPLATE_KIND: Final = "SandboxTemplate"
TEMPLATE_PLURAL: Final = "sandboxtemplates"
TEMPLATE_SINGULAR: Final = "sandboxtemplate"
TEMPLATE_SHORT: Final = "sbxt"

POLICY_KIND: Final = "SandboxPolicy"
POLICY_PLURAL: Final = "sandboxpolicies"
POLICY_SINGULAR: Final = "sandboxpolicy"
POLICY_SHORT: Final = "sbxpol"
POLICY_NAME: Final = "default"
"""Of the one SandboxPolicy of a namespace that takes effect."""

FENCE_KIND: Final = "Fence"
FENCE_PLURAL: Final = "fences"
FENCE_SINGULAR: Final = "fence"

LABEL_PREFIX: Final = f"{GROUP}/"
"""Labels and annotations below this prefix belong to the operator; users can't set them on pods."""
MANAGED_LABEL: Final = f"{GROUP}/managed"
MANAGED_VALUE: Final = "true"
"""On every child, so that the informers' selectors see our children and nothing else."""
SANDBOX_LABEL: Final = f"{GROUP}/sandbox"
"""On every child: the name of its sandbox."""
CANARY_LABEL: Final = f"{GROUP}/canary"
"""On every canary pod: the namespace whose fence it tries. Such a pod is no sandbox's, and carries no managed label."""
CHECK_FENCE_ANNOTATION: Final = f"{GROUP}/check-fence"
"""On a Sandbox, by anyone who may write it: a new value lets a canary try the fence of its namespace."""
ACTIVITY_ANNOTATION: Final = f"{GROUP}/last-activity"
"""On a Sandbox, by its clients: when it was last used (RFC 3339); wakes one that sleeps and keeps one awake."""
RESTART_ANNOTATION: Final = f"{GROUP}/restart"
"""On a Sandbox, by anyone who may write it: a new value asks for a new pod; on the pod: the value it was made for."""
ROLE_LABEL: Final = f"{GROUP}/role"
SANDBOX_ROLE: Final = "sandbox"
"""On every sandbox pod: what the fence selects."""
EGRESS_ANNOTATION: Final = f"{GROUP}/egress"
"""On a sandbox pod: an EgressGrant as JSON, by which the gateway knows what it may reach; absent for nothing."""
ENVIRONMENT_ANNOTATION: Final = f"{GROUP}/environment"
"""On the pod: the digest of the environment that it was made from."""
BASE_ANNOTATION: Final = f"{GROUP}/base"
"""On the pod: what lay below its sandbox's own spec when it was made, as JSON; absent for nothing."""
GATEWAY_SLOT_LABEL: Final = f"gateway.{GROUP}/slot"
"""On the Services of an egress gateway: which of its addresses each is, by the number of its slot.

Its prefix is another one: what begins with ours is given by the operator alone, and these come with the chart.
"""
GUEST_ANNOTATION: Final = f"{GROUP}/guest"
GUEST_KEEPS: Final = "keep"
GUEST_RUNS: Final = "run"
"""On the pod: whether its guest packs what changed, or only runs; absent where there is no guest."""
GUEST_CONTAINER: Final = "guest"
"""Init container that copies the guest, where it does not come by an image volume."""
WORKTREE_CONTAINER: Final = "worktree"
"""Init container that brings the repository into the workspace."""
SECRETS_ANNOTATION: Final = f"{GROUP}/secrets"
"""On a pod: the versions of the Secrets that it started with and is replaced for, as JSON; absent for none."""
WIDENS_ANNOTATION: Final = f"{GROUP}/widens-sandboxes"
"""On a NetworkPolicy, by those who may: "true" says that it opens sandboxes on purpose."""

SOURCE_ANNOTATION: Final = f"{GROUP}/source"
"""On a workspace's claim: what it was made from, as JSON; absent for one that began empty."""
CAPTURED_ANNOTATION: Final = f"{GROUP}/captured"
"""On a VolumeSnapshot and the claims made from it: what environment was captured, so that no status is relied on."""
MOMENT_ANNOTATION: Final = f"{GROUP}/moment"
"""On a VolumeSnapshot: when and how it was taken, as JSON, so that no status is relied on for that either."""
CLAIM_ANNOTATION: Final = f"{GROUP}/claim"
"""On a pod: the claim that its workspace is on; absent for the one that is named like the pod."""
PREVIOUS_LABEL: Final = f"{GROUP}/previous"
PREVIOUS_VALUE: Final = "true"
"""On a workspace's claim that a rollback replaced, and that is kept so that it can be undone."""
SCHEDULED_LABEL: Final = f"{GROUP}/scheduled"
SCHEDULED_VALUE: Final = "true"
"""On a SandboxSnapshot: the schedule of its sandbox made it, and ends it."""
FORK_LABEL: Final = f"{GROUP}/fork"
"""On a SandboxSnapshot that was taken on the way to a fork: the claim that it is for."""
SELECTED_NODE_ANNOTATION: Final = "volume.kubernetes.io/selected-node"
"""On a claim whose class waits for its first consumer: the node that its volume is to be reached from."""
CHOSEN_ANNOTATION: Final = f"{GROUP}/node-chosen"
"""On such a claim: when the operator chose that node anew, for its provisioner had given it up (RFC 3339)."""
NUDGED_ANNOTATION: Final = f"{GROUP}/nudged"
"""On a pod: when its kubelet was made to look again at the claim of its workspace (RFC 3339)."""
IN_USE_FINALIZER: Final = f"{GROUP}/in-use"
"""On a SandboxSnapshot that a restore reads: it goes once that is done."""
RESTORED_LABEL: Final = "velero.io/restore-name"
"""On all that Velero has brought back from a backup, which is without its status."""
DIFF_LABEL: Final = f"{GROUP}/diff"
"""On what is made on the way to a SandboxDiff, which is no sandbox's: the name of that."""
ATTEMPT_ANNOTATION: Final = f"{GROUP}/attempt"
"""On the pod of a SandboxDiff: how many were made for it, with this one."""

RETAINED_LABEL: Final = f"{GROUP}/retained"
RETAINED_VALUE: Final = "true"
"""On a workspace's claim: it outlives its sandbox, and the next one of the same name takes it over."""

NAME_PATTERN: Final = "^[a-z]([-a-z0-9]{0,50}[a-z0-9])?$"
"""At most 52 characters: with the pods' prefix a child's name still fits a label value and a host name (63)."""
CHILD_PREFIX: Final = "sbx-"
FENCE_NAME: Final = "sandkeeper-fence"
"""Of the NetworkPolicy that closes a namespace's sandboxes, and of the Fence that tells admission of it."""
CANARY_PREFIX: Final = "sandkeeper-canary-"
DIFF_PREFIX: Final = "sandkeeper-diff-"
"""Of pods and claims of SandboxDiffs: no sandbox's child begins with it, whatever its name."""
PODS_QUOTA: Final = "sandkeeper-pods"
OBJECTS_QUOTA: Final = "sandkeeper-objects"
"""Of the ResourceQuotas of a SandboxPolicy: of what runs, and of what is there."""
PRIORITY_CLASS_PREFIX: Final = "sandkeeper-"
ENFORCEMENT_NAME: Final = "sandkeeper-enforcement"
"""ConfigMap in the operator's namespace that holds what the last canary found."""


def pod_name(sandbox: str) -> str:
    """Name of the sandbox's pod."""
    return CHILD_PREFIX + sandbox


def service_name(sandbox: str) -> str:
    """Name of the sandbox's Service, which is also the host name that its clients use."""
    return sandbox


def ports_policy_name(sandbox: str) -> str:
    """Name of the NetworkPolicy that lets the namespace reach the sandbox's ports."""
    return CHILD_PREFIX + sandbox


def claim_name(sandbox: str, *made_from: str) -> str:
    """Name of the PersistentVolumeClaim that holds the sandbox's workspace.

    Parameters
    ----------
    made_from
        Kind, name and revision of its source; nothing for a workspace that begins empty.
    """
    if not made_from:
        return CHILD_PREFIX + sandbox
    digest = sha256(repr((sandbox, *made_from)).encode()).hexdigest()[:8]
    # With two characters less of the longest names it fits a label's value.
    return f"{CHILD_PREFIX}{sandbox[:50]}-{digest}"


def volume_snapshot_name(snapshot: str) -> str:
    """Name of the VolumeSnapshot behind a SandboxSnapshot."""
    return CHILD_PREFIX + snapshot


def diff_pod_name(diff: str) -> str:
    """Name of the pod that compares what a SandboxDiff asks for."""
    return DIFF_PREFIX + diff


def diff_claim_name(diff: str, side: str) -> str:
    """Name of the claim that holds a copy of one side of a SandboxDiff, ``old`` or ``new``."""
    return f"{DIFF_PREFIX}{diff}-{side}"


def fork_snapshot_name(fork: str, claim: str, uid: str) -> str:
    """Name of the SandboxSnapshot that a fork takes, for the claim that it asks for, and for no later one of its name.

    It is a name that somebody could have given: of at most 52 characters.
    """
    return f"{fork[:43]}-{sha256(repr((fork, claim, uid)).encode()).hexdigest()[:8]}"


def diff_snapshot_name(diff: str, uid: str) -> str:
    """Name of the SandboxSnapshot that is taken for one SandboxDiff, and for no later one of its name."""
    return f"diff-{diff[:38].rstrip('-')}-{sha256(uid.encode()).hexdigest()[:8]}"


def diff_labels(diff: str) -> dict[str, str]:
    """Labels of all that is made on the way to a SandboxDiff."""
    return {MANAGED_LABEL: MANAGED_VALUE, DIFF_LABEL: diff}


def child_labels(sandbox: str) -> dict[str, str]:
    """Labels that every child of a sandbox carries."""
    return {MANAGED_LABEL: MANAGED_VALUE, SANDBOX_LABEL: sandbox}
