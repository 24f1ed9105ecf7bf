"""Settings of the operator's process, from the environment; the chart sets one variable per value."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from sandkeeper.api.domains import WEB_PORTS, domain
from sandkeeper.api.quantities import parsed
from sandkeeper.canary.attempts import Attempt
from sandkeeper.controllers.turns import PackLimits
from sandkeeper.gateway.places import MOST_OFFERED
from sandkeeper.plan.canary import CanarySettings
from sandkeeper.plan.idle import IdleRule
from sandkeeper.plan.observed import EgressGateway, GuestSettings, Settings
from sandkeeper.runtime.connection import own_namespace


class ExtraTarget(BaseModel):
    """An address that the platform team adds to what canaries try."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(min_length=1)
    host: str = Field(min_length=1)
    port: int = Field(ge=1, le=65535)


def _whole_bytes(text: str) -> str:
    if not Decimal(1) <= parsed(text) == parsed(text).to_integral_value():
        raise ValueError("must be a whole number of bytes, such as 4Gi")
    return text


def _setup_domain(text: str) -> str:
    asked = domain(text)
    if asked.port is not None and asked.port not in WEB_PORTS:
        raise ValueError(f'"{text}" must have the port 80 or 443, or none for both')
    return text


SetupDomain = Annotated[str, AfterValidator(_setup_domain)]
Quantity = Annotated[str, AfterValidator(_whole_bytes)]


class OperatorSettings(BaseSettings):
    """Variables with the prefix ``SANDKEEPER_``; a wrong value ends the process with a sentence that names it."""

    model_config = SettingsConfigDict(env_prefix="SANDKEEPER_", frozen=True)

    namespace: str = Field(
        default_factory=lambda: own_namespace("sandkeeper-system"), description="Namespace of the operator's Leases."
    )
    pod_name: str = Field(default="operator", min_length=1, description="Identity of this replica; the pod's name.")
    shards: int = Field(default=8, ge=1, le=256, description="Parts that namespaces are divided into for replicas.")
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
    require_policy: bool = Field(
        default=False, description="Make no sandbox pod in a namespace without a SandboxPolicy named default."
    )
    guest_image: str = Field(default="sandkeeper/guest", min_length=1, description="Image of the sandboxes' guest.")
    guest_pull_policy: Literal["Always", "IfNotPresent", "Never"] = Field(
        default="IfNotPresent", description="When nodes pull it."
    )
    guest_pull_secrets: tuple[str, ...] = Field(
        default=(), description="Secrets of the sandboxes' namespaces to pull it with, as a JSON list."
    )
    guest_delivery: Literal["Auto", "ImageVolume", "InitContainer"] = Field(
        default="Auto", description="Auto: by an image volume where all nodes have them."
    )
    guest_install_seconds: float = Field(default=1800.0, ge=1.0, description="Most that installing may take.")
    guest_pack_limit: Quantity = Field(default="4Gi", description="Most that is kept beside a workspace.")
    restart_on_secret_change: bool = Field(
        default=False, description="Watch the metadata of all Secrets, for sandboxes that a change is to restart."
    )
    packs: int = Field(default=32, ge=1, le=256, description="Sandboxes that are packed at once.")
    packs_per_node: int = Field(default=4, ge=1, le=256, description="Of them on one node.")
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
    idle_account: str = Field(
        default="", description="ServiceAccount of the same namespace to ask kubelets as; empty measures no sandbox."
    )
    idle_interval_seconds: float = Field(default=60.0, ge=1.0, description="Between two looks at a node.")
    idle_threshold: float = Field(default=0.01, gt=0.0, description="Cores that an idle sandbox may use on average.")
    idle_kubelet_ca: str = Field(
        default="", description="File with the authorities of the kubelets' certificates; empty: the API server's own."
    )
    idle_kubelet_verify: bool = Field(default=True, description="Believe kubelets only behind such a certificate.")
    gateway_selector: str = Field(
        default="", pattern="^([^=,]+=[^=,]*(,[^=,]+=[^=,]*)*)?$",
        description="Labels of the gateway's pods, in the operator's namespace; empty where there is none.",
    )  # fmt: skip
    gateway_ports: tuple[Annotated[int, Field(ge=1, le=65535)], ...] = Field(
        default=(), max_length=MOST_OFFERED, description="Ports that it offers beside 80 and 443, as a JSON list."
    )
    gateway_setup_domains: tuple[SetupDomain, ...] = Field(
        default=(), max_length=128, description="Domains that sandboxes may reach while they install, as a JSON list."
    )
    gateway_activity_port: int = Field(
        default=8082, ge=1, le=65535, description="Where each of them tells of which sandboxes it had traffic."
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
            require_policy=self.require_policy,
            guest=GuestSettings(
                image=self.guest_image,
                pull_policy=self.guest_pull_policy,
                pull_secrets=self.guest_pull_secrets,
                delivery=self.guest_delivery,
                install_timeout=timedelta(seconds=self.guest_install_seconds),
                pack_limit=int(parsed(self.guest_pack_limit)),
            ),
            idle=self.idle_rule,
            secrets_watched=self.restart_on_secret_change,
            gateway=self.gateway,
        )

    @property
    def gateway(self) -> EgressGateway | None:
        """The egress gateway; None where there is none."""
        if not self.gateway_selector:
            return None
        return EgressGateway(
            namespace=self.namespace,
            labels=dict(each.split("=", 1) for each in self.gateway_selector.split(",")),
            ports=self.gateway_ports,
            setup_domains=self.gateway_setup_domains,
        )

    def for_packs(self) -> PackLimits:
        """Give the part that says how much is packed at once."""
        return PackLimits(overall=self.packs, per_node=self.packs_per_node)

    @property
    def idle_rule(self) -> IdleRule:
        """How often sandboxes are measured, and what counts as idle."""
        return IdleRule(self.idle_threshold, timedelta(seconds=self.idle_interval_seconds))

    def for_canaries(self) -> CanarySettings:
        """Give the part that canary pods are made by."""
        return CanarySettings(
            image=self.canary_image,
            pull_policy=self.canary_pull_policy,
            pull_secrets=self.canary_pull_secrets,
            labels=self.pod_labels,
            annotations=self.pod_annotations,
            extra_targets=tuple(Attempt(each.name, "tcp", each.host, each.port) for each in self.canary_extra_targets),
            gateway=self.gateway,
        )
