"""The kind Sandbox: one isolated, stateful machine for one agent."""

from typing import Annotated

from pydantic import ConfigDict, Field

from .compute import EffectiveResources, Resources
from .conditions import Condition
from .containers import IMAGE, PORTS, EnvVar, Port
from .egress import Egress
from .exclusions import ENVIRONMENT_EXCLUSIONS, EXCLUSIONS
from .git import Git, GitStatus
from .lifecycle import Lifecycle
from .metadata import ObjectMeta
from .model import Model, checks, rule
from .packages import Packages
from .pod_template import PodTemplate
from .schedule import Snapshots
from .secrets import SECRETS, SECRETS_APART, Secret
from .security import Security
from .source import SOURCE_RULES, Source
from .template_reference import TemplateReference
from .workspace import WORKSPACE_KEPT, WORKSPACE_RULES, EffectiveWorkspace, Workspace

_WORD = Annotated[str, Field(json_schema_extra=checks(maxLength=65536))]


class EnvironmentSpec(Model):
    """What makes an environment, as templates and sandboxes write it."""

    model_config = ConfigDict(json_schema_extra=checks(*ENVIRONMENT_EXCLUSIONS, *SECRETS_APART))

    image: str | None = Field(
        default=None,
        description="Container image: [REGISTRY/]NAME[:TAG][@DIGEST]. Default: ubuntu:22.04.",
        json_schema_extra=IMAGE,
    )
    command: tuple[_WORD, ...] | None = Field(
        default=None,
        description="Program to run, and its arguments; not run in a shell. Default: the sandbox is kept alive for "
        "exec, or with args the image's own entry point runs.",
        json_schema_extra=checks(
            rule(
                "self.size() > 0 && self[0] != ''",
                "is empty but must begin with a program; leave it out to keep the sandbox alive for exec",
            ),
            maxItems=256,
        ),
    )
    args: tuple[_WORD, ...] | None = Field(
        default=None,
        description="Arguments of the command. Default: none.",
        json_schema_extra=checks(maxItems=256),
    )
    working_dir: str | None = Field(
        default=None,
        description="Absolute path of the directory that the command and every exec start in. Default: the workspace's "
        "path.",
        json_schema_extra=checks(
            rule("self.startsWith('/')", "must be an absolute path, such as /workspace/app"), maxLength=1024
        ),
    )
    env: tuple[EnvVar, ...] | None = Field(
        default=None,
        description="Environment variables, merged by name. Default: none but the image's own.",
        json_schema_extra=checks(maxItems=256)
        | {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
    )
    secrets: tuple[Secret, ...] | None = Field(
        default=None,
        description="Secrets that the sandbox gets as variables or files, merged by name; the sandbox's own replace "
        "all that were captured with its source. Where env has a variable of the same name, that one counts. Default: "
        "none.",
        json_schema_extra=SECRETS,
    )
    ports: tuple[Port, ...] | None = Field(
        default=None,
        description="Ports that the namespace may reach, by a Service named like the sandbox; merged by name. Default: "
        "none, and no Service.",
        json_schema_extra=PORTS,
    )
    egress: Egress | None = Field(
        default=None,
        description="What the sandbox may reach, by name through the gateway; changed while it runs. Default: nothing.",
    )
    resources: Resources | None = Field(
        default=None,
        description="What the sandbox may use and what is set aside for it. Default: limits of 2 CPUs, 4Gi of memory "
        "and 10Gi of ephemeral storage, and a quarter of that as requests.",
    )
    packages: Packages | None = Field(
        default=None,
        description="What the image's own package managers install before the sandbox is ready; each list is replaced "
        "as a whole. Default: nothing.",
    )
    setup: str | None = Field(
        default=None,
        description="Shell script that is run once the packages are installed and before the sandbox is ready, as "
        "`sh -eu` unless it begins with #!. Default: none.",
        json_schema_extra=checks(maxLength=65536),
    )
    workspace: Workspace | None = Field(
        default=None,
        description="The directory that the agent works in. Default: a volume of 10Gi at /workspace, of the cluster's "
        "default StorageClass, which goes with the sandbox.",
        json_schema_extra=checks(*WORKSPACE_RULES),
    )
    git: Git | None = Field(
        default=None,
        description="The repository that is cloned into the workspace, and the branch that the work is on. Default: "
        "none.",
    )
    security: Security | None = Field(
        default=None,
        description="How strongly the sandbox is walled off from its node, and what it may do inside. Default: by the "
        "container runtime's own means, with root in a user namespace where all nodes that may run the pod have it.",
    )
    pod_template: PodTemplate | None = Field(
        default=None, description="What is added to the sandbox's pod. Default: nothing."
    )


class SandboxSpec(EnvironmentSpec):
    """What the sandbox should be. Whatever is left out takes the default that its description names."""

    model_config = ConfigDict(json_schema_extra=checks(*EXCLUSIONS, *WORKSPACE_KEPT, *SECRETS_APART))

    template_ref: TemplateReference | None = Field(
        default=None,
        description="The SandboxTemplate that gives what the spec leaves out of its environment. Default: none.",
    )
    lifecycle: Lifecycle | None = Field(
        default=None, description="When the sandbox runs, sleeps, and ends. Default: it sleeps after 15 idle minutes."
    )
    source: Source | None = Field(
        default=None,
        description="What the workspace is made from. On a sandbox that is there, another source or revision rolls it "
        "back in place; taking it away changes nothing. What else the spec leaves out comes from there too. Default: "
        "nothing, and it begins empty.",
        json_schema_extra=checks(*SOURCE_RULES),
    )
    snapshots: Snapshots | None = Field(
        default=None, description="When the sandbox is copied by itself, and which copies are kept. Default: never."
    )


class EffectiveStatus(Model):
    """Main fields of the environment that all layers resolve to."""

    image: str | None = Field(default=None, description="Container image.")
    resources: EffectiveResources | None = Field(default=None, description="Limits and requests.")
    workspace: EffectiveWorkspace | None = Field(default=None, description="The directory that the agent works in.")
    runtime_class_name: str | None = Field(
        default=None, description="RuntimeClass of the pod; absent for the container runtime's own."
    )


class UsedTemplate(Model):
    """The template that the environment is of."""

    name: str = Field(description="Its name.")
    generation: int = Field(description="Its generation: a newer one counts once the pod is started anew.")


class FenceCheck(Model):
    """What a canary found when the sandbox asked for one."""

    request: str = Field(description="Value of the annotation sandkeeper.dev/check-fence that it answers.")
    result: str = Field(description="Verified, NotEnforced or CanaryBroken.")
    message: str = Field(description="One sentence for people.")


class Pack(Model):
    """What of the root file system was packed onto the volume."""

    time: str = Field(description="When it was packed.")
    entries: int = Field(description="Files, directories, links and deletions in it.")
    bytes: int = Field(description="Its size on the volume.")


class Asleep(Model):
    """That a sandbox sleeps."""

    since: str = Field(description="When it fell asleep.")
    cause: str = Field(
        description="Requested: by spec.lifecycle.state. Idle: by its idleTimeout.",
        json_schema_extra={"enum": ["Requested", "Idle"]},
    )
    generation: int = Field(description="Generation of the spec that it fell asleep with.")
    activity: str | None = Field(
        default=None, description="Value of the annotation sandkeeper.dev/last-activity that it fell asleep with."
    )


class Idle(Model):
    """That nothing is done in a sandbox, as measured."""

    since: str = Field(description="When its pod was last seen to work.")
    cpu_seconds: float = Field(description="CPU time that the pod had used by then.")


class SnapshotsStatus(Model):
    """What the schedule of copies did, and does next."""

    schedule: str = Field(description="The schedule and its time zone as they are acted on.")
    since: str = Field(description="Since when they are; runs before this are not made.")
    last_schedule_time: str | None = Field(
        default=None, description="The last run that is done with: made, or not needed."
    )
    last_snapshot_name: str | None = Field(default=None, description="Name of the SandboxSnapshot that was made last.")
    next_schedule_time: str | None = Field(
        default=None,
        description="When the next run is due. Each sandbox waits for its own part of the half minute after that.",
    )
    skipped: str | None = Field(
        default=None, description="Why runs that are due make no copy, in one sentence; absent while they do."
    )


class SandboxStatus(Model):
    """What the operator observed."""

    observed_generation: int | None = Field(default=None, description="Generation of the spec that was acted on.")
    conditions: tuple[Condition, ...] = Field(
        default=(),
        description="State by aspect: Ready, Running, EgressEnforced, with a schedule SnapshotsUpToDate, and while "
        "they hold UpToDate, WorkspaceFull, Reconciling and Stalled.",
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]},
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
        description="Cold: from the image. Wake: from what was kept while it was asleep. Snapshot: from its source.",
        json_schema_extra={"enum": ["Cold", "Wake", "Snapshot"]},
    )
    workspace_claim_name: str | None = Field(
        default=None, description="Name of the PersistentVolumeClaim that holds the workspace."
    )
    previous_claim_name: str | None = Field(
        default=None, description="Name of the claim that the last rollback replaced, where it was to be kept."
    )
    pack: Pack | None = Field(
        default=None, description="What of the root file system is kept beside the workspace; absent for nothing."
    )
    git: GitStatus | None = Field(
        default=None, description="The checkout in the workspace as it fell asleep; absent while it does not sleep."
    )
    asleep: Asleep | None = Field(default=None, description="Since when and why it sleeps; absent while it does not.")
    idle: Idle | None = Field(
        default=None, description="Since when its pod does nothing; absent while it works, or is not measured."
    )
    last_activity_time: str | None = Field(
        default=None, description="When something was last done in it, as far as it is known to be idle since."
    )
    sleeps_at: str | None = Field(
        default=None, description="When it falls asleep if nothing is done; absent while something is."
    )
    expires_at: str | None = Field(default=None, description="When it expires or did expire.")
    fence_check: FenceCheck | None = Field(
        default=None, description="What a canary found in the namespace, where the sandbox asked for one."
    )
    snapshots: SnapshotsStatus | None = Field(
        default=None, description="What the schedule of copies did, and does next; absent without one."
    )
    setup_environment: str | None = Field(
        default=None, description="Hash of what was installed last, for which the setup domains are not opened again."
    )
    template: UsedTemplate | None = Field(
        default=None, description="The SandboxTemplate that the environment is of; absent for none."
    )
    startup_seconds: float | None = Field(default=None, description="Seconds from creation to Running.")
    effective: EffectiveStatus | None = Field(
        default=None, description="Main fields of the environment that all layers resolve to."
    )


class Sandbox(Model):
    """One isolated, stateful machine for one agent."""

    metadata: ObjectMeta
    spec: SandboxSpec = Field(default=SandboxSpec(), description="What the sandbox should be.")
    status: SandboxStatus = Field(default=SandboxStatus(), description="What the operator observed.")
