"""What a decision is made on: one sandbox, its children, and what the cluster can do."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal

from sandkeeper.plan.base import Base
from sandkeeper.plan.idle import IdleRule, Usage

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from sandkeeper.api.policy import SandboxPolicySpec
    from sandkeeper.api.sandbox import Sandbox
    from sandkeeper.plan.enforcement import Verdict
    from sandkeeper.plan.packing import PackResult
    from sandkeeper.plan.pod_state import PodState
    from sandkeeper.plan.storage_classes import StorageClasses
    from sandkeeper.plan.user_namespace import NodeSupport
    from sandkeeper.plan.volume_usage import VolumeUsage

Json = dict[str, Any]


@dataclass(frozen=True)
class GuestSettings:
    """How guests come into sandboxes, and what holds for them all.

    Attributes
    ----------
    image, pull_policy
        Image of a single layer that holds the program.
    pull_secrets
        Names of Secrets to pull it with, in the namespaces of sandboxes.
    delivery
        ``Auto`` uses image volumes where all nodes have them.
    install_timeout
        Within which packages and setup are installed, or what was packed is unpacked.
    pack_limit
        Most bytes of a pack.
    """

    image: str = "sandkeeper/guest"
    pull_policy: str = "IfNotPresent"
    pull_secrets: tuple[str, ...] = ()
    delivery: Literal["Auto", "ImageVolume", "InitContainer"] = "Auto"
    install_timeout: timedelta = timedelta(minutes=30)
    pack_limit: int = 4 * 1024**3


@dataclass(frozen=True)
class EgressGateway:
    """The egress gateway of an installation.

    Attributes
    ----------
    namespace, labels
        Where its pods are, and what they are selected by.
    ports
        Ports beside those of the web that it offers.
    setup_domains
        Patterns of domains that sandboxes may reach while they install.
    """

    namespace: str
    labels: Mapping[str, str]
    ports: tuple[int, ...] = ()
    setup_domains: tuple[str, ...] = ()


@dataclass(frozen=True)
class Settings:
    """What the platform team sets for all sandboxes of an installation.

    Attributes
    ----------
    priority_class
        PriorityClass of sandbox pods; empty for none.
    pod_labels, pod_annotations
        Put on every sandbox pod, below what the sandbox itself asks for.
    user_namespaces
        ``Auto`` uses them where all nodes that may run the pod can.
    require_enforcement
        Make no pod before a canary has shown that the fence holds.
    require_policy
        Make no pod in a namespace without a policy.
    guest
        How guests are brought.
    idle
        What counts as idle.
    secrets_watched
        Whether the operator may see that a Secret changed.
    gateway
        The egress gateway; None where there is none.
    """

    priority_class: str = ""
    pod_labels: Mapping[str, str] = field(default_factory=dict)
    pod_annotations: Mapping[str, str] = field(default_factory=dict)
    user_namespaces: Literal["Auto", "Never"] = "Auto"
    require_enforcement: bool = False
    require_policy: bool = False
    guest: GuestSettings = GuestSettings()
    idle: IdleRule = field(default_factory=IdleRule)
    secrets_watched: bool = False
    gateway: EgressGateway | None = None


@dataclass(frozen=True)
class Failure:
    """The last pod that ended in a way that a new pod may heal.

    Attributes
    ----------
    reason, message
        For the condition, while no new pod is there.
    not_before
        When a new pod may be made: repeated failures back off.
    """

    reason: str
    message: str
    not_before: datetime


@dataclass(frozen=True)
class SourceFacts:
    """What is known of that which a workspace is to be made from, while it is not made yet.

    Attributes
    ----------
    snapshot
        SandboxSnapshot that the spec names.
    sandbox
        Sandbox that the spec forks.
    forks
        SandboxSnapshots of that sandbox that were taken on the way to forks.
    volume_snapshots
        VolumeSnapshots behind any of these, by the names of the SandboxSnapshots.
    heard
        When the sandboxes were first heard of that wait for such a snapshot, as this one does; without those that were
        there before this process was.
    drivers
        Drivers of VolumeSnapshotClasses, by name.
    nodes
        Nodes by name, of those that alone have what is behind a VolumeSnapshot.
    """

    snapshot: Json | None = None
    sandbox: Json | None = None
    forks: tuple[Json, ...] = ()
    volume_snapshots: Mapping[str, Json] = field(default_factory=dict)
    heard: tuple[datetime, ...] = ()
    drivers: Mapping[str, str] = field(default_factory=dict)
    nodes: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True)
class Observed:
    """Everything one pass looks at.

    Attributes
    ----------
    sandbox
        The object as parsed.
    status
        Its present ``status`` as JSON, to be compared with the planned one.
    pod, service, ports_policy, fence, fence_sign
        Objects of the names that this sandbox's children have, ours or not; None where absent.
    node
        The node that the pod is on, as far as the operator keeps nodes.
    nodes
        What the cluster's nodes can do.
    classes
        The cluster's StorageClasses.
    claim
        The PersistentVolumeClaim that the workspace is on now, ours or not; None where there is none.
    claims
        All claims that are labelled as the sandbox's: a rollback makes another one.
    source
        What is known of that which the workspace is to be made from.
    volume_news
        What controllers or the kubelet said last of a volume that is long in coming; empty where nobody was asked.
    failure
        Set while a failed pod is being replaced.
    first_seen
        When the operator learned of the sandbox, more exact than the creation's whole seconds.
    cluster_verdict
        What the last canary beside the operator found; None where none ran lately.
    namespace_verdict
        What a canary in the sandbox's own namespace found since this process started.
    policies
        NetworkPolicies of the namespace that are not the operator's.
    packing
        Whether the pod is being packed.
    pack_result
        What became of the last pack of this pod in this process.
    quiesced_at
        When the pod was last quiesced for a snapshot: now while it is; None where it was not, or long ago.
    usage
        What measurements of the pod say; None where there are none.
    volume
        How full the workspace's volume is; None where nobody measured it.
    base
        What lies below the sandbox's own spec.
    policy
        Rules of the namespace's SandboxPolicy; None where it has none.
    secrets
        Versions of the namespace's Secrets, by name; empty where none are watched.
    gateway
        Addresses of the egress gateway's Service; empty while there are none.
    used_at
        When a client last used the sandbox, as its annotation says; at most when that was first seen.
    snapshots
        SandboxSnapshots of the sandbox.
    snapshots_in_use
        Names of those that the workspace of a sandbox is still to be made from.
    copied_claim
        Claim that the newest ready snapshot of the schedule is of; empty where there is none, or nobody knows.
    uncopied
        Claims by the names of snapshots that are begun and not copied yet; empty where it is not said yet which claim.
    snapshot_refusal
        What the API server said when the schedule's last snapshot was to be made, and when that is tried again.
    """

    sandbox: Sandbox
    status: Json
    settings: Settings
    nodes: NodeSupport
    classes: StorageClasses
    claim: Json | None = None
    claims: tuple[Json, ...] = ()
    source: SourceFacts = field(default_factory=SourceFacts)
    volume_news: str = ""
    pod: Json | None = None
    service: Json | None = None
    ports_policy: Json | None = None
    fence: Json | None = None
    fence_sign: Json | None = None
    node: Json | None = None
    failure: Failure | None = None
    first_seen: datetime | None = None
    cluster_verdict: Verdict | None = None
    namespace_verdict: Verdict | None = None
    policies: tuple[Json, ...] = ()
    packing: bool = False
    pack_result: PackResult | None = None
    quiesced_at: datetime | None = None
    usage: Usage | None = None
    used_at: datetime | None = None
    volume: VolumeUsage | None = None
    snapshots: tuple[Json, ...] = ()
    snapshots_in_use: frozenset[str] = frozenset()
    copied_claim: str = ""
    uncopied: Mapping[str, str] = field(default_factory=dict)
    snapshot_refusal: PodState | None = None
    base: Base = field(default_factory=Base)
    policy: SandboxPolicySpec | None = None
    secrets: Mapping[str, str] = field(default_factory=dict)
    gateway: tuple[str, ...] = ()
