"""Settings of the operator's process, from the environment; the chart sets one variable per value."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from sandkeeper.canary.attempts import Attempt
from sandkeeper.plan.canary import CanarySettings
from sandkeeper.plan.observed import Settings
from sandkeeper.runtime.connection import own_namespace


class ExtraTarget(BaseModel):
    """An address that the platform team adds to what canaries try."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(min_length=1)
    host: str = Field(min_length=1)
    port: int = Field(ge=1, le=65535)


class OperatorSettings(BaseSettings):
    """Variables with the prefix ``SANDKEEPER_``; a wrong value ends the process with a sentence that names it."""

    model_config = SettingsConfigDict(env_prefix="SANDKEEPER_", frozen=True)

    namespace: str = Field(
        default_factory=lambda: own_namespace("sandkeeper-system"), description="Namespace of the operator's Leases."
    )
    pod_name: str = Field(default="operator", min_length=1, description="Identity of this replica; the pod's name.")
    shards: int = Field(default=4, ge=1, le=256, description="Parts that namespaces are divided into for replicas.")
    workers: int = Field(default=16, ge=1, le=1024, description="Most passes at once.")
    lease_seconds: float = Field(default=15.0, ge=3.0, description="After which a silent replica is replaced.")
    metrics_port: int = Field(default=8080, ge=0, le=65535, description="Port of /metrics.")
    probes_port: int = Field(default=8081, ge=0, le=65535, description="Port of /healthz and /readyz.")
    priority_class: str = Field(default="", description="PriorityClass of sandbox pods; empty for none.")
    pod_labels: dict[str, str] = Field(default_factory=dict, description="Labels of every sandbox pod, as JSON.")
    pod_annotations: dict[str, str] = Field(default_factory=dict, description="Annotations of every sandbox pod.")
    user_namespaces: Literal["Auto", "Never"] = Field(
        default="Auto", description="Auto: a user namespace where all nodes that may run the pod have them."
    )
    require_enforcement: bool = Field(
        default=True, description="Make no sandbox pod before a canary has shown that the fence holds."
    )
    canary_image: str = Field(default="", description="The operator's own image, for canaries; empty runs none.")
    canary_pull_policy: Literal["Always", "IfNotPresent", "Never"] = Field(
        default="IfNotPresent", description="When canaries pull it."
    )
    canary_pull_secrets: tuple[str, ...] = Field(
        default=(), description="Secrets of the operator's namespace to pull it with, as a JSON list."
    )
    canary_interval_seconds: float = Field(default=3600.0, ge=60.0, description="Between two runs of the canary.")
    canary_extra_targets: tuple[ExtraTarget, ...] = Field(
        default=(), description="Further addresses that no sandbox may reach by TCP, as a JSON list."
    )
    log_format: Literal["json", "console"] = Field(default="json", description="One JSON object a line, or for people.")
    log_level: Literal["debug", "info", "warning", "error"] = Field(default="info", description="Least that is logged.")

    def for_plans(self) -> Settings:
        """Give the part that decisions depend on."""
        return Settings(
            priority_class=self.priority_class,
            pod_labels=self.pod_labels,
            pod_annotations=self.pod_annotations,
            user_namespaces=self.user_namespaces,
            require_enforcement=self.require_enforcement,
        )

    def for_canaries(self) -> CanarySettings:
        """Give the part that canary pods are made by."""
        return CanarySettings(
            image=self.canary_image,
            pull_policy=self.canary_pull_policy,
            pull_secrets=self.canary_pull_secrets,
            labels=self.pod_labels,
            annotations=self.pod_annotations,
            extra_targets=tuple(Attempt(each.name, "tcp", each.host, each.port) for each in self.canary_extra_targets),
        )
