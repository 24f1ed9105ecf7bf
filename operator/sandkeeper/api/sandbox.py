"""The kind Sandbox: one isolated, stateful machine for one agent."""

from datetime import datetime

from pydantic import Field

from .compute import Resources
from .containers import EnvVar, Port
from .model import Model, Quantity
from .pod_template import PodTemplate


class Workspace(Model):
    """The directory that the agent works in."""

    path: str | None = Field(default=None, description="Where the workspace is mounted. Default: /workspace.")
    type: str | None = Field(
        default=None,
        description="Ephemeral: lives on the node and is lost with the pod. Default: Ephemeral.",
        json_schema_extra={"enum": ["Ephemeral"]},
    )
    size: Quantity | None = Field(default=None, description="Most that it may hold. Default: 10Gi.")


class Security(Model):
    """How strongly the sandbox is walled off from its node."""

    runtime_class_name: str | None = Field(
        default=None,
        description="RuntimeClass of the pod, such as one of gVisor or Kata Containers. Default: the cluster's own.",
    )


class SandboxSpec(Model):
    """What the sandbox should be. Whatever is left out takes the default that its description names."""

    image: str | None = Field(default=None, description="Container image. Default: ubuntu:22.04.")
    command: tuple[str, ...] | None = Field(
        default=None, description="Program and arguments to run. Default: the sandbox is kept alive for exec."
    )
    args: tuple[str, ...] | None = Field(default=None, description="Arguments of the command. Default: none.")
    working_dir: str | None = Field(
        default=None, description="Directory that the command and exec start in. Default: the workspace's path."
    )
    env: tuple[EnvVar, ...] | None = Field(
        default=None, description="Environment variables, merged by name. Default: none."
    )
    ports: tuple[Port, ...] | None = Field(
        default=None,
        description="Ports offered to the namespace by a Service of the same name. Default: none, and no Service.",
    )
    resources: Resources | None = Field(default=None, description="Limits and requests.")
    workspace: Workspace | None = Field(default=None, description="The directory that the agent works in.")
    security: Security | None = Field(default=None, description="How the sandbox is walled off from its node.")
    pod_template: PodTemplate | None = Field(default=None, description="What is added to the sandbox's pod.")


class Condition(Model):
    """One aspect of the sandbox's state, as metav1.Condition."""

    type: str = Field(description="The aspect: Ready, Running, Reconciling, Stalled.")
    status: str = Field(description="True, False or Unknown.")
    reason: str = Field(description="One word for programs and the first column.")
    message: str = Field(description="One sentence for people.")
    last_transition_time: str = Field(description="When the status last changed.")
    observed_generation: int | None = Field(default=None, description="Generation of the spec that it speaks of.")


class EffectiveStatus(Model):
    """Main fields of the environment that all layers resolve to."""

    image: str | None = Field(default=None, description="Container image.")
    resources: Resources | None = Field(default=None, description="Limits and requests.")
    workspace: Workspace | None = Field(default=None, description="The directory that the agent works in.")
    runtime_class_name: str | None = Field(default=None, description="RuntimeClass of the pod.")


class SandboxStatus(Model):
    """What the operator observed."""

    observed_generation: int | None = Field(default=None, description="Generation of the spec that was acted on.")
    conditions: tuple[Condition, ...] = Field(
        default=(), description="Ready, Running, and while true Reconciling, Stalled."
    )
    pod_name: str | None = Field(default=None, description="Name of the sandbox's pod.")
    pod_ip: str | None = Field(default=None, alias="podIP", description="Address of the pod.")
    node_name: str | None = Field(default=None, description="Node that the pod runs on.")
    service_name: str | None = Field(default=None, description="Name of the Service that offers the ports.")
    image_digest: str | None = Field(default=None, description="Digest of the image that runs.")
    user_namespace: bool | None = Field(
        default=None, description="Whether root in the sandbox is an unprivileged user on the node."
    )
    started_from: str | None = Field(
        default=None,
        description="Cold: from the image.",
        json_schema_extra={"enum": ["Cold"]},
    )
    startup_seconds: float | None = Field(default=None, description="Seconds from creation to Running.")
    effective: EffectiveStatus | None = Field(
        default=None, description="Main fields of the environment that all layers resolve to."
    )


class ObjectMeta(Model):
    """The part of metav1.ObjectMeta that the operator reads."""

    name: str
    namespace: str = ""
    uid: str = ""
    generation: int = 0
    resource_version: str = ""
    creation_timestamp: datetime | None = None
    deletion_timestamp: datetime | None = None
    labels: dict[str, str] = Field(default={})
    annotations: dict[str, str] = Field(default={})


class Sandbox(Model):
    """One isolated, stateful machine for one agent."""

    metadata: ObjectMeta
    spec: SandboxSpec = Field(default=SandboxSpec(), description="What the sandbox should be.")
    status: SandboxStatus = Field(default=SandboxStatus(), description="What the operator observed.")
