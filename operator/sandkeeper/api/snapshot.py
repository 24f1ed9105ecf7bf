"""The kind SandboxSnapshot: a point-in-time copy of a sandbox, and the source for rollback, fork and clone."""

from typing import Any, Final

from pydantic import ConfigDict, Field

from .conditions import Condition
from .git import GitStatus
from .lifecycle import PositiveDuration
from .metadata import ObjectMeta
from .model import Model, checks, object_name, rule, unchanging
from .source import SandboxReference

RETAIN: Final = "Retain"

_IMMUTABLE: Final = ("sandboxRef", "volumeSnapshotClassName", "deletionPolicy", "processes")
_WHY: Final = "a snapshot is of one moment; make another one"


class SandboxSnapshotSpec(Model):
    """What is to be copied, and how long the copy is kept."""

    model_config = ConfigDict(json_schema_extra=checks(*(unchanging(field, _WHY) for field in _IMMUTABLE)))

    sandbox_ref: SandboxReference = Field(description="The sandbox, which may run or sleep.")
    volume_snapshot_class_name: str | None = Field(
        default=None,
        description="VolumeSnapshotClass to copy with. Default: the default class of the workspace's CSI driver.",
        json_schema_extra=object_name("fast-snapshots"),
    )
    expires_after: PositiveDuration | None = Field(
        default=None, description="Delete the snapshot this long after it was made. Default: never."
    )
    deletion_policy: str | None = Field(
        default=None,
        description="What becomes of the VolumeSnapshot when this object is deleted. Delete: it goes too. Retain: it "
        "stays. Default: Delete.",
        json_schema_extra=checks(enum=["Delete", RETAIN]),
    )
    processes: bool | None = Field(
        default=None,
        description="Whether running processes are captured too, which can't be had yet. Default: false.",
        json_schema_extra=checks(
            rule(
                "!self",
                "running processes can't be brought back yet, so they are not captured; leave it out",
                reason="FieldValueForbidden",
            )
        ),
    )


class CapturedGit(GitStatus):
    """State of the checkout in the workspace, and of which repository it was."""

    repository: str | None = Field(default=None, description="URL of the repository.")


class Captured(Model):
    """What a sandbox was when it was copied. References to Secrets are kept, their values never."""

    environment: dict[str, Any] | None = Field(
        default=None,
        description="The fields of a Sandbox's spec that make its environment, resolved.",
        json_schema_extra={"x-kubernetes-preserve-unknown-fields": True},
    )
    image_digest: str | None = Field(default=None, description="Digest of the image that ran.")
    egress_hash: str | None = Field(
        default=None, description="Hash of what could be reached: the same for the same domains and networks."
    )
    git: CapturedGit | None = Field(default=None, description="The checkout in the workspace; absent for none.")


class SandboxSnapshotStatus(Model):
    """What the operator observed."""

    observed_generation: int | None = Field(default=None, description="Generation of the spec that was acted on.")
    conditions: tuple[Condition, ...] = Field(
        default=(),
        description="Ready, whose reason is Quiescing, Copying, Ready, or what is the matter.",
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]},
    )
    start_time: str | None = Field(default=None, description="When quiescing the sandbox began, to the microsecond.")
    stands_for: tuple[str, ...] | None = Field(
        default=None,
        description="Of one that is on the way to forks: the names that those of all forks would have which waited "
        "when it began. They share it.",
        json_schema_extra={"x-kubernetes-list-type": "set"},
    )
    creation_time: str | None = Field(default=None, description="When the volume was copied, as its driver says.")
    restore_size: str | None = Field(default=None, description="Least size of a volume that is made from it.")
    volume_snapshot_name: str | None = Field(default=None, description="Name of the VolumeSnapshot that holds it.")
    duration_seconds: float | None = Field(default=None, description="Seconds from its beginning until it was ready.")
    pause_seconds: float | None = Field(
        default=None,
        description="Seconds for which the sandbox's writes may have been held up, as its guest measured; absent where "
        "no pod ran.",
    )
    expires_at: str | None = Field(default=None, description="When it is deleted.")
    captured: Captured | None = Field(default=None, description="What the sandbox was.")


class SandboxSnapshot(Model):
    """A point-in-time copy of a sandbox; the source for rollback, fork and clone."""

    metadata: ObjectMeta
    spec: SandboxSnapshotSpec = Field(description="What is to be copied, and how long the copy is kept.")
    status: SandboxSnapshotStatus = Field(default=SandboxSnapshotStatus(), description="What the operator observed.")
