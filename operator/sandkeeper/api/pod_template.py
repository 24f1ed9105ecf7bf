"""What a user may add to the sandbox's pod: labels, annotations, and where and how it is scheduled."""

from typing import Annotated, Any

from pydantic import Field

from .labels import POD_ANNOTATIONS, POD_LABELS, SELECTOR
from .model import MAX_NAME, Model, checks, object_name, rule
from .names import PRIORITY_CLASS_PREFIX
from .scheduling import Toleration, TopologySpreadConstraint

_ANNOTATION = Annotated[str, Field(json_schema_extra=checks(maxLength=65536))]
_LABEL_VALUE = Annotated[str, Field(json_schema_extra=checks(maxLength=63))]
_HOST_NAME = Annotated[
    str,
    Field(
        json_schema_extra=checks(
            rule(
                "!format.dns1123Subdomain().validate(self).hasValue()",
                "must be a host name: lower-case letters, digits, '-' and '.', such as db.example.com",
            ),
            maxLength=MAX_NAME,
        )
    ),
]


class PodMetadata(Model):
    """Labels and annotations of the pod."""

    labels: dict[str, _LABEL_VALUE] | None = Field(
        default=None,
        description="Labels of the pod, changed in place. Those below sandkeeper.dev, kubernetes.io and k8s.io are "
        "reserved, except app.kubernetes.io. Default: none.",
        json_schema_extra=POD_LABELS,
    )
    annotations: dict[str, _ANNOTATION] | None = Field(
        default=None,
        description="Annotations of the pod, changed in place. Reserved are those of sandkeeper.dev and those that "
        "would weaken the sandbox: security profiles and further networks. Default: none.",
        json_schema_extra=POD_ANNOTATIONS,
    )


class LocalObjectReference(Model):
    """An object of the sandbox's namespace."""

    name: str = Field(
        description="Name of the object, in the sandbox's namespace.",
        json_schema_extra=object_name("registry-login"),
    )


class HostAlias(Model):
    """A line of /etc/hosts."""

    ip: str = Field(
        description="IPv4 or IPv6 address.",
        json_schema_extra=checks(
            rule("isIP(self)", "must be an IPv4 or IPv6 address, such as 10.0.0.7 or fd00::7"), maxLength=45
        ),
    )
    hostnames: tuple[_HOST_NAME, ...] = Field(
        description="Names that lead to the address.",
        json_schema_extra=checks(rule("self.size() > 0", "must name at least one host"), maxItems=16),
    )


class PodSpec(Model):
    """The allow-list of core/v1 PodSpec."""

    node_selector: dict[str, _LABEL_VALUE] | None = Field(
        default=None,
        description="Labels that the node must have. Default: any node.",
        json_schema_extra=SELECTOR,
    )
    tolerations: tuple[Toleration, ...] | None = Field(
        default=None,
        description="Taints that are tolerated. Default: none but those that every pod tolerates.",
        json_schema_extra=checks(maxItems=32),
    )
    affinity: dict[str, Any] | None = Field(
        default=None,
        description="Affinity and anti-affinity to nodes and pods, as in core/v1. Default: none.",
        json_schema_extra={"x-kubernetes-preserve-unknown-fields": True},
    )
    topology_spread_constraints: tuple[TopologySpreadConstraint, ...] | None = Field(
        default=None,
        description="How the pod is spread, with others, over zones or nodes. Default: as the cluster does.",
        json_schema_extra=checks(maxItems=8)
        | {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["topologyKey", "whenUnsatisfiable"]},
    )
    image_pull_secrets: tuple[LocalObjectReference, ...] | None = Field(
        default=None,
        description="Secrets with the credentials of image registries. Default: none.",
        json_schema_extra=checks(maxItems=16)
        | {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
    )
    host_aliases: tuple[HostAlias, ...] | None = Field(
        default=None,
        description="Lines added to /etc/hosts. Default: none.",
        json_schema_extra=checks(maxItems=32) | {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["ip"]},
    )
    termination_grace_period_seconds: int | None = Field(
        default=None,
        description="How long processes may take to end before they are killed. Default: 30 seconds.",
        json_schema_extra=checks(rule("self >= 0", "must be zero or more seconds"), format="int64"),
    )
    priority_class_name: str | None = Field(
        default=None,
        description=f"PriorityClass of the pod, one whose name begins with {PRIORITY_CLASS_PREFIX}. Default: the one "
        "that the operator was installed with.",
        json_schema_extra=checks(
            rule(
                f"self.matches('^{PRIORITY_CLASS_PREFIX}[a-z0-9]([-a-z0-9.]*[a-z0-9])?$')",
                f"must be a PriorityClass for sandboxes, whose name begins with {PRIORITY_CLASS_PREFIX}",
            ),
            maxLength=MAX_NAME,
        ),
    )


class PodTemplate(Model):
    """What is added to the sandbox's pod."""

    metadata: PodMetadata | None = Field(default=None, description="Labels and annotations of the pod.")
    spec: PodSpec | None = Field(
        default=None,
        description="Where and how the pod runs: a list of core/v1 PodSpec fields that can't weaken the sandbox.",
    )
