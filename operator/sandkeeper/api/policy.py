"""The kind SandboxPolicy: the platform team's guard rails for a namespace, and what its sandboxes may use together."""

from typing import Annotated, Final

from pydantic import ConfigDict, Field

from .compute import BOUND_PER_RESOURCE
from .conditions import Condition
from .domains import DomainPattern
from .exclusions import ENVIRONMENT_EXCLUSIONS
from .images import ImagePattern
from .lifecycle import Duration, PositiveDuration
from .metadata import ObjectMeta
from .model import MAX_NAME, Bound, BoundOfBytes, Model, checks, rule
from .pod_template import PodSpec
from .sandbox import EnvironmentSpec
from .secrets import SECRETS_APART

POD_FIELDS: Final = tuple(sorted(field.alias or name for name, field in PodSpec.model_fields.items()))
"""What a podTemplate's spec may have at all."""

_RuntimeClass = Annotated[
    str,
    Field(
        json_schema_extra=checks(
            rule(
                "self == '' || !format.dns1123Subdomain().validate(self).hasValue()",
                "must be the name of a RuntimeClass, such as gvisor, or empty for the container runtime's own",
            ),
            maxLength=MAX_NAME,
        )
    ),
]
_PodField = Annotated[str, Field(json_schema_extra=checks(enum=list(POD_FIELDS)))]
_COUNT: Final = checks(rule("self >= 0", "must be zero or more"), format="int32")
_LONGEST_CLASS: Final = MAX_NAME - len(".storageclass.storage.k8s.io")
"""Of a class whose claims a ResourceQuota can count."""
_CLASSES: Final = checks(
    rule(
        f"self.all(name, name.size() <= {_LONGEST_CLASS} && !format.dns1123Subdomain().validate(name).hasValue())",
        f"every key must be the name of a StorageClass, of at most {_LONGEST_CLASS} characters, such as sandbox-fast",
    ),
    maxProperties=16,
)


class Quota(Model):
    """What all sandboxes of the namespace may have together."""

    cpu: Bound | None = Field(default=None, description="Sum of the CPU limits of those that run. Default: no bound.")
    memory: BoundOfBytes | None = Field(
        default=None, description="Sum of the memory limits of those that run. Default: no bound."
    )
    running: int | None = Field(
        default=None,
        description="How many run; those that sleep do not count. Default: no bound.",
        json_schema_extra=_COUNT,
    )
    sandboxes: int | None = Field(
        default=None, description="How many there are, asleep or not. Default: no bound.", json_schema_extra=_COUNT
    )
    snapshots: int | None = Field(
        default=None, description="How many SandboxSnapshots there are. Default: no bound.", json_schema_extra=_COUNT
    )
    storage: dict[str, BoundOfBytes] | None = Field(
        default=None,
        description="Sum of what claims ask for, by StorageClass. All claims of that class in the namespace count, so "
        "sandboxes are best given a class of their own. Default: no bound.",
        json_schema_extra=_CLASSES,
    )


class DefaultLifecycle(Model):
    """What lifecycle sandboxes have that write none."""

    idle_timeout: Duration | None = Field(
        default=None, description="Sleep after this long without activity; 0s for never. Default: 15m."
    )
    ttl: PositiveDuration | None = Field(
        default=None, description="Expire this long after the sandbox was created. Default: maxTTL."
    )
    delete_after_sleep: PositiveDuration | None = Field(
        default=None, description="Expire this long after the sandbox fell asleep. Default: never."
    )
    expiry_policy: str | None = Field(
        default=None,
        description="Retain: an expired sandbox stays as Expired. Delete: it is deleted. Default: Retain.",
        json_schema_extra=checks(enum=["Retain", "Delete"]),
    )


class PolicyDefaults(EnvironmentSpec):
    """What sandboxes get that neither they, nor their template, nor their snapshot say anything else of."""

    model_config = ConfigDict(json_schema_extra=checks(*ENVIRONMENT_EXCLUSIONS, *SECRETS_APART))

    lifecycle: DefaultLifecycle | None = Field(
        default=None, description="When a sandbox sleeps and ends. Default: as without a policy."
    )


class SandboxPolicySpec(Model):
    """What sandboxes of the namespace may be, and what they get by default. What is left out bounds nothing."""

    quota: Quota | None = Field(
        default=None,
        description="What all sandboxes may have together; one that finds no room waits until there is. Default: no "
        "bound.",
    )
    allowed_images: tuple[ImagePattern, ...] | None = Field(
        default=None,
        description="Images that sandboxes may run, as patterns in which * never crosses a '/'. Default: all.",
        json_schema_extra=checks(maxItems=64),
    )
    allowed_domains: tuple[DomainPattern, ...] | None = Field(
        default=None,
        description="Domains that sandboxes may ask for, as they would write them. A wildcard allows names below it, "
        "and narrower wildcards. Default: all.",
        json_schema_extra=checks(maxItems=256),
    )
    allowed_runtime_classes: tuple[_RuntimeClass, ...] | None = Field(
        default=None,
        description="RuntimeClasses that sandboxes may run with; an empty name is the container runtime's own, which a "
        "sandbox has that names none. Default: all.",
        json_schema_extra=checks(maxItems=32),
    )
    allowed_pod_template_fields: tuple[_PodField, ...] | None = Field(
        default=None,
        description=f"Fields of podTemplate.spec that sandboxes may write, of {', '.join(POD_FIELDS)}. Default: all of "
        "these.",
        json_schema_extra=checks(maxItems=16),
    )
    max_ttl: PositiveDuration | None = Field(
        default=None,
        alias="maxTTL",
        description="Longest time to live: a sandbox that asks for none expires this long after it was created. "
        "Default: no bound.",
    )
    max_resources: dict[str, Bound] | None = Field(
        default=None,
        description="Most that one sandbox may use, per resource: cpu, memory, ephemeral-storage, or an extended one. "
        "Zero, of an extended resource, is none at all. It lowers the built-in defaults too. Default: no bound.",
        json_schema_extra=BOUND_PER_RESOURCE,
    )
    defaults: PolicyDefaults | None = Field(
        default=None,
        description="What sandboxes get that neither they, nor their template, nor their snapshot say anything else "
        "of. Default: nothing.",
    )


class QuotaUse(Model):
    """How much of one bound is used."""

    resource: str = Field(description="As in spec.quota: cpu, memory, running, sandboxes, snapshots, or storage/CLASS.")
    used: str = Field(description="How much is used.")
    hard: str = Field(description="How much may be.")


class SandboxPolicyStatus(Model):
    """What the operator observed."""

    observed_generation: int | None = Field(default=None, description="Generation of the spec that was acted on.")
    conditions: tuple[Condition, ...] = Field(
        default=(),
        description="Ready: whether it is in force; NoEffect for one that is not named default.",
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]},
    )
    quota: tuple[QuotaUse, ...] = Field(
        default=(),
        description="How much of the quota is used, a few seconds late.",
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["resource"]},
    )
    usage: str | None = Field(default=None, description="The same for people, such as running 3/50.")


class SandboxPolicy(Model):
    """The platform team's guard rails for a namespace; the one named default takes effect."""

    metadata: ObjectMeta
    spec: SandboxPolicySpec = Field(description="What sandboxes of the namespace may be, and what they get by default.")
    status: SandboxPolicyStatus = Field(default=SandboxPolicyStatus(), description="What the operator observed.")
