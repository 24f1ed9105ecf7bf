"""Settings of the gateway's processes, from the environment; the chart sets one variable per value."""

from __future__ import annotations

import os
from typing import Annotated, Literal

from pydantic import Field, IPvAnyAddress, IPvAnyNetwork
from pydantic_settings import BaseSettings, SettingsConfigDict

from sandkeeper.gateway.places import MOST_OFFERED

Port = Annotated[int, Field(ge=1, le=65535)]


class GatewaySettings(BaseSettings):
    """Variables with the prefix ``SANDKEEPER_GATEWAY_``; a wrong value ends the process with a sentence about it."""

    model_config = SettingsConfigDict(env_prefix="SANDKEEPER_GATEWAY_", frozen=True)

    namespace: str = Field(
        default="", description="Namespace of the gateway's Services; empty for that of its own service account."
    )
    pod_name: str = Field(default="gateway", min_length=1, description="Identity of this replica; the pod's name.")
    ports: tuple[Port, ...] = Field(
        default=(22, 5432, 3306, 6379, 8443, 9418), max_length=MOST_OFFERED,
        description="Ports beside those of the web that sandboxes can be allowed, in the chart's order, as JSON.",
    )  # fmt: skip
    workers: int = Field(default=0, ge=0, le=64, description="Processes that share the ports; 0: one a core.")
    metrics_port: int = Field(default=8080, ge=0, le=65535, description="Port of /metrics.")
    probes_port: int = Field(default=8081, ge=0, le=65535, description="Port of /healthz and /readyz.")
    activity_port: int = Field(default=8082, ge=0, le=65535, description="Port of /activity, which the operator asks.")
    port_offset: int = Field(
        default=0, ge=0, le=40000, description="Added to every port that sandboxes reach; for several on one machine."
    )
    resolvers_port: Port = Field(default=53, description="Port of those that are given.")
    resolvers: tuple[IPvAnyAddress, ...] = Field(
        default=(), description="Addresses of the name servers to ask, as a JSON list; empty: those of the pod."
    )
    cluster_networks: tuple[IPvAnyNetwork, ...] = Field(
        default=(), description="Networks of pods, Services and nodes, which no name may lead to, as a JSON list."
    )
    wait_seconds: float = Field(default=1.0, ge=0.0, le=10.0, description="Most that an unknown source is waited for.")
    drain_delay_seconds: float = Field(
        default=5.0, ge=0.0, description="How long connections are still taken after the pod was told to stop."
    )
    drain_seconds: float = Field(default=30.0, ge=0.0, description="How long those that are open may then go on.")
    audit_stdout: bool = Field(default=True, description="Write audit records to standard output, one a line.")
    audit_otlp_endpoint: str = Field(
        default="", description="URL that audit records are sent to as OTLP logs over HTTP; empty for nowhere."
    )
    events: bool = Field(default=True, description="Tell of what was refused by Events on the Sandbox.")
    log_format: Literal["json", "console"] = Field(default="json", description="One JSON object a line, or for people.")
    log_level: Literal["debug", "info", "warning", "error"] = Field(default="info", description="Least that is logged.")

    @property
    def processes(self) -> int:
        """How many workers there are."""
        return self.workers or len(os.sched_getaffinity(0))
