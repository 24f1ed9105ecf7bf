"""Reasons of a Sandbox for which it is not ready, whatever it was made from."""

from typing import Final

from . import Reason

_INSIDE: Final = (
    Reason(
        "SetupFailed",
        "A package can't be installed, `setup` ended with an error, or it took longer than the chart's "
        "`guest.installTimeoutSeconds`; the message has the installer's words, the pod's log all of it.",
        "The kubelet tries again with a growing pause; other `packages` or another `setup`.",
    ),
    Reason(
        "GitFailed",
        "The repository can't be brought into the workspace; the message has the reason, the log of the pod's "
        "container `worktree` all of it.",
        "What the message names; the kubelet tries again with a growing pause.",
    ),
    Reason(
        "PackFailed",
        "What changed could not be packed, so the pod stays as it was; the message says why, and the ten biggest paths "
        "where there is too much.",
        "Removing them, or room on the volume; it is tried again after half a minute, a minute, … ten minutes, and "
        "stays awake until then. `keepPackages: false` lets the pod go without.",
    ),
    Reason(
        "CrashLooping",
        "The command ends; the message has its exit code.",
        "The kubelet tries again with a growing pause; another `command`.",
    ),
    Reason(
        "OOMKilled",
        "It needed more memory than its limit.",
        "A higher limit, which is applied without a restart.",
    ),
    Reason(
        "Failed",
        "The command or the container can't be started; the message says why, for instance that there is no such "
        "command.",
        "The kubelet tries again; another `command` or `image`.",
    ),
)

_BEFORE: Final = (
    Reason(
        "ImagePullFailed",
        "The image can't be pulled; the message has the registry's words, and names the guest where it is that.",
        "The kubelet tries again; another `image`, or `podTemplate.spec.imagePullSecrets`.",
    ),
    Reason(
        "SecretMissing",
        "A Secret that `secrets`, `env` or `git` refers to, or a key of it, is not there; the message names both.",
        "[It, once created](../secrets.md#one-that-is-missing); for files within two minutes.",
    ),
    Reason("ConfigMissing", "The same of a ConfigMap that `env` refers to.", "It, once created."),
    Reason(
        "TemplateNotFound",
        "`templateRef` names a [template](../templates.md#when-a-template-is-not-there) that is not there.",
        "The template.",
    ),
    Reason("RuntimeClassNotFound", "`security.runtimeClassName` names none.", "The RuntimeClass."),
    Reason(
        "EgressUnavailable",
        "`egress.domains` has one that this installation can't let anybody reach, by its port or for lack of a "
        "gateway, and the sandbox runs without; or the gateway's Service has no address, and no pod is made. The "
        "message says which.",
        "[Another line](../egress.md#ports), or the chart's `gateway`; the Service, once it is there.",
    ),
    Reason(
        "QuotaExceeded",
        "A ResourceQuota of the namespace has no room; the message has what is asked for, used and allowed.",
        "Quota, as soon as it is free: those that wait [try in turn](../policies.md#quota), the oldest first.",
    ),
    Reason(
        "PolicyDenied",
        "The cluster's admission refused a child; or the sandbox resolves to what its namespace's "
        "[policy](../policies.md#where-a-rule-is-checked) forbids; or it asks for a pod label that the installation "
        "sets otherwise, requires the user namespaces that it turned off, or is to be restarted for a Secret, which "
        "[takes a setting](../secrets.md#when-one-changes).",
        "As the message says.",
    ),
    Reason(
        "Failed",
        "The API server refused a child: what was asked for makes no valid object.",
        "Another spec.",
    ),
    Reason(
        "Conflict",
        "An object that is not the sandbox's has the name of one of its children, or a claim that was left to it can "
        "hold no workspace (`volumeMode: Block`, or access modes that let no pod write).",
        "Deleting or renaming one of the two.",
    ),
)

_FENCE: Final = (
    Reason(
        "NotEnforced",
        "A canary got through the fence, so no pod is made; the message says where to.",
        "[A network plugin that enforces NetworkPolicies](../operations.md#what-to-do-about-it); `requireEnforcement: "
        "false` in the chart goes without.",
    ),
    Reason(
        "Unverified",
        "No canary has tried the fence yet, or the last result is older than two intervals.",
        "The next run, within seconds.",
    ),
    Reason(
        "CanaryBroken",
        "The canary proves nothing; the message says why.",
        "[What stands in its way](../operations.md#what-to-do-about-it); it is tried again after 15 s, 30 s, … up to "
        "the interval.",
    ),
    Reason(
        "Widened",
        "A NetworkPolicy of the namespace opens sandboxes, or would by new labels; the message names it.",
        "Excluding sandboxes from it, or marking it as meant ([both](../operations.md#policies-that-open-sandboxes)).",
    ),
)

_NODES: Final = (
    Reason(
        "NoUserNamespace",
        "`security.userNamespace` is Required, and no node that may run the pod has user namespaces; the message names "
        "nodes and RuntimeClass.",
        "[Such a node or RuntimeClass](../operations.md#what-to-do-about-it); `Auto` or `Never`.",
    ),
    Reason(
        "Unschedulable",
        "No node takes the pod; the message has the scheduler's words.",
        "Room, or another `podTemplate`.",
    ),
    Reason(
        "Evicted",
        "The node ended the pod, for its disk or its memory; of an eviction whose command then ended with exit code 0 "
        "only the pod's own Event keeps the reason.",
        "A new pod is made: at once the first time, then after 5 s, 10 s, … 5 minutes.",
    ),
    Reason("Failed", "The pod failed; the message has the node's words.", "A new pod, as for `Evicted`."),
    Reason(
        "NodeLost",
        "The node does not answer, or a pod on it does not end.",
        "The node; its deletion; the taint `node.kubernetes.io/out-of-service`. Pods are never force-deleted: two of "
        "one name might run.",
    ),
)

_STORAGE: Final = (
    Reason(
        "NoStorageClass",
        "The workspace names no StorageClass and the cluster has no default; the message lists those that are there.",
        "A default class; `workspace.storageClassName`; `workspace.type: Ephemeral`.",
    ),
    Reason(
        "StorageClassNotFound",
        "The class of the workspace is not there; the message lists those that are.",
        "The class, or another one.",
    ),
    Reason(
        "VolumePending",
        "The volume is long in coming; the message has its provisioner's words.",
        "What they say.",
    ),
    Reason("VolumeMountFailed", "The volume is not mounted; the message has the kubelet's words.", "What they say."),
    Reason(
        "WorkspaceDeleting",
        "Somebody deleted the claim, and it goes with the pod; the operator ends none that runs, so that files can be "
        "saved.",
        "Copying what is wanted, then deleting the pod: the next starts empty.",
    ),
    Reason(
        "WorkspaceLost",
        "The claim is gone while the pod runs on.",
        "Copying what is wanted, then deleting the pod: the next starts empty.",
    ),
    Reason(
        "VolumeLost",
        "The volume is gone, and with it what was in the workspace.",
        "Deleting the claim: the next pod starts empty.",
    ),
)

FAULTS: Final = (*_INSIDE, *_BEFORE, *_FENCE, *_NODES, *_STORAGE)
