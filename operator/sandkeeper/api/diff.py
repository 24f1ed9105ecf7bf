"""The kind SandboxDiff: what changed between a snapshot of a sandbox and another one, or the sandbox as it is now."""

from typing import Final

from pydantic import ConfigDict, Field

from .conditions import Condition
from .lifecycle import PositiveDuration
from .metadata import ObjectMeta
from .model import Model, checks, rule, unchanging
from .source import SandboxReference, SnapshotReference

_ONE: Final = rule(
    "[has(self.snapshotRef), has(self.sandboxRef)].filter(each, each).size() == 1",
    "names what it is compared with: exactly one of snapshotRef and sandboxRef",
)
_WHY: Final = "a diff is made once; make another one"


class DiffFrom(Model):
    """The earlier state."""

    snapshot_ref: SnapshotReference = Field(description="A SandboxSnapshot.")


class DiffTo(Model):
    """The later state."""

    model_config = ConfigDict(json_schema_extra=checks(_ONE))

    snapshot_ref: SnapshotReference | None = Field(default=None, description="A SandboxSnapshot. Default: none.")
    sandbox_ref: SandboxReference | None = Field(
        default=None,
        description="A sandbox that runs or sleeps, as it is now: a snapshot of it is taken on the way. Default: none.",
    )


class SandboxDiffSpec(Model):
    """What is compared with what, and how long the answer is kept."""

    model_config = ConfigDict(json_schema_extra=checks(*(unchanging(field, _WHY) for field in ("from", "to"))))

    from_: DiffFrom = Field(alias="from", description="The earlier state.")
    to: DiffTo | None = Field(
        default=None, description="The later state. Default: the sandbox that from is a snapshot of, as it is now."
    )
    expires_after: PositiveDuration | None = Field(
        default=None,
        description="Delete the diff this long after it was ready, or had failed for good; one that comes to no end, "
        "this long after it was made. Default: 1h.",
    )


class Changes(Model):
    """How many paths are different, and by how much."""

    added: int = Field(description="Paths that were not there before.")
    changed: int = Field(description="Paths with another content, kind, owner or mode.")
    deleted: int = Field(description="Paths that are not there any more.")
    bytes_added: int = Field(description="Bytes of what was added, and by which files grew.")
    bytes_deleted: int = Field(description="Bytes of what was deleted, and by which files shrank.")


class PackageNames(Model):
    """Packages that changed in one way."""

    count: int = Field(description="How many they are.")
    names: tuple[str, ...] = Field(
        default=(), description="The first of them, as NAME=VERSION, or NAME=OLD->NEW of another version."
    )


class PackageChanges(Model):
    """Packages of one package manager; what did not happen is absent."""

    added: PackageNames | None = Field(default=None, description="Installed since.")
    changed: PackageNames | None = Field(default=None, description="Of another version since.")
    removed: PackageNames | None = Field(default=None, description="Gone since.")


class GitState(Model):
    """A checkout."""

    branch: str | None = Field(default=None, description="Branch that is checked out; absent for none.")
    commit: str | None = Field(default=None, description="Commit that is checked out.")


class GitChange(Model):
    """The checkout in the workspace."""

    old: GitState | None = Field(default=None, description="As it was; absent for none.")
    new: GitState | None = Field(default=None, description="As it is now; absent for none.")


class DiffSummary(Model):
    """What changed, in figures. It was read from what tenants wrote, and says nothing but what they did."""

    workspace: Changes = Field(description="In the workspace.")
    system: Changes | None = Field(
        default=None,
        description="Outside of the workspace, as it was kept when the sandbox was copied; absent where that can't be "
        "read.",
    )
    packages: dict[str, PackageChanges] | None = Field(
        default=None, description="Packages by their manager; absent where none changed."
    )
    git: GitChange | None = Field(default=None, description="The checkout, where it is another one.")
    unread: int = Field(description="Paths that could not be compared; the log tells which.")


class SandboxDiffStatus(Model):
    """What the operator observed."""

    observed_generation: int | None = Field(default=None, description="Generation of the spec that was acted on.")
    conditions: tuple[Condition, ...] = Field(
        default=(),
        description="Ready, whose reason is Preparing, Comparing, Ready, or what is the matter.",
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]},
    )
    to: str | None = Field(default=None, description="What it is compared with, in words.")
    pod_name: str | None = Field(default=None, description="Pod whose log lists every change, a JSON object a line.")
    summary: DiffSummary | None = Field(default=None, description="What changed, in figures.")
    failures: int | None = Field(default=None, description="Pods that failed.")
    completion_time: str | None = Field(default=None, description="When it was ready, or had failed for good.")
    duration_seconds: float | None = Field(default=None, description="Seconds from its making until then.")
    expires_at: str | None = Field(default=None, description="When it is deleted.")


class SandboxDiff(Model):
    """What changed between a snapshot of a sandbox and another one, or the sandbox as it is now."""

    metadata: ObjectMeta
    spec: SandboxDiffSpec = Field(description="What is compared with what, and how long the answer is kept.")
    status: SandboxDiffStatus = Field(default=SandboxDiffStatus(), description="What the operator observed.")
