"""What a user may add to the sandbox's pod: labels, annotations, and where and how it is scheduled."""

from typing import Any

from pydantic import Field

from .model import Model


class PodMetadata(Model):
    """Labels and annotations of the pod."""

    labels: dict[str, str] | None = Field(default=None, description="Labels of the pod. Changed in place.")
    annotations: dict[str, str] | None = Field(default=None, description="Annotations of the pod. Changed in place.")


class Toleration(Model):
    """A taint that the pod tolerates, as in core/v1."""

    key: str | None = Field(default=None, description="Key of the taint. Default: every taint.")
    operator: str | None = Field(default=None, description="Exists or Equal. Default: Equal.")
    value: str | None = Field(default=None, description="Value of the taint, for Equal. Default: empty.")
    effect: str | None = Field(
        default=None, description="NoSchedule, PreferNoSchedule or NoExecute. Default: every effect."
    )
    toleration_seconds: int | None = Field(
        default=None, description="How long a NoExecute taint is tolerated. Default: for ever."
    )


class LabelSelectorRequirement(Model):
    """One condition on a label."""

    key: str = Field(description="Key of the label.")
    operator: str = Field(description="In, NotIn, Exists or DoesNotExist.")
    values: tuple[str, ...] | None = Field(default=None, description="Values for In and NotIn.")


class LabelSelector(Model):
    """Which pods are counted."""

    match_labels: dict[str, str] | None = Field(default=None, description="Labels that a pod must have.")
    match_expressions: tuple[LabelSelectorRequirement, ...] | None = Field(
        default=None, description="Conditions that a pod's labels must meet."
    )


class TopologySpreadConstraint(Model):
    """How pods are spread over zones, nodes or other domains, as in core/v1."""

    max_skew: int = Field(description="Most pods that one domain may have more than another.")
    topology_key: str = Field(description="Label of the nodes that tells their domain.")
    when_unsatisfiable: str = Field(description="DoNotSchedule or ScheduleAnyway.")
    label_selector: LabelSelector | None = Field(default=None, description="Pods that are counted. Default: none.")
    match_label_keys: tuple[str, ...] | None = Field(
        default=None, description="Labels whose values the counted pods share with this one."
    )
    min_domains: int | None = Field(default=None, description="Fewest domains to spread over. Default: 1.")
    node_affinity_policy: str | None = Field(default=None, description="Honor or Ignore. Default: Honor.")
    node_taints_policy: str | None = Field(default=None, description="Honor or Ignore. Default: Ignore.")


class LocalObjectReference(Model):
    """An object of the sandbox's namespace."""

    name: str = Field(description="Name of the object, in the sandbox's namespace.")


class HostAlias(Model):
    """A line of /etc/hosts."""

    ip: str = Field(description="IPv4 or IPv6 address.")
    hostnames: tuple[str, ...] = Field(description="Names that lead to the address.")


class PodSpec(Model):
    """The allow-list of core/v1 PodSpec. The platform team can widen it in the namespace's policy."""

    node_selector: dict[str, str] | None = Field(
        default=None, description="Labels that the node must have. Default: any node."
    )
    tolerations: tuple[Toleration, ...] | None = Field(
        default=None, description="Taints that are tolerated. Default: none."
    )
    affinity: dict[str, Any] | None = Field(
        default=None,
        description="Affinity and anti-affinity to nodes and pods, as in core/v1. Default: none.",
        json_schema_extra={"x-kubernetes-preserve-unknown-fields": True},
    )
    topology_spread_constraints: tuple[TopologySpreadConstraint, ...] | None = Field(
        default=None, description="How sandboxes are spread over zones or nodes. Default: as the cluster does."
    )
    image_pull_secrets: tuple[LocalObjectReference, ...] | None = Field(
        default=None, description="Secrets with credentials of image registries. Default: none."
    )
    host_aliases: tuple[HostAlias, ...] | None = Field(
        default=None, description="Lines added to /etc/hosts. Default: none."
    )
    termination_grace_period_seconds: int | None = Field(
        default=None, description="How long processes may take to end before they are killed. Default: 30 seconds."
    )
    priority_class_name: str | None = Field(
        default=None,
        description="PriorityClass of the pod, one whose name begins with sandkeeper-. Default: the installation's.",
    )


class PodTemplate(Model):
    """What is added to the sandbox's pod."""

    metadata: PodMetadata | None = Field(default=None, description="Labels and annotations of the pod.")
    spec: PodSpec | None = Field(default=None, description="Where and how the pod runs.")
