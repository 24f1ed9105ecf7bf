"""What the workspace of a sandbox is made from, where it does not begin empty."""

from typing import Final

from pydantic import Field

from .model import Model, checks, object_name, rule

REINSTALL: Final = "Reinstall"

_ONE: Final = rule(
    "[has(self.snapshotRef), has(self.sandboxRef), has(self.claimRef)].filter(each, each).size() == 1",
    "names what the workspace is made from: exactly one of snapshotRef, sandboxRef and claimRef",
)
_REVISION: Final = rule(
    "self.matches('^[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$')",
    "must be at most 63 letters, digits, '-', '_' and '.', with a letter or digit at both ends, such as 2 or "
    "2026-03-01",
)


class SnapshotReference(Model):
    """A SandboxSnapshot of the namespace."""

    name: str = Field(description="Its name.", json_schema_extra=object_name("after-data-processing"))


class SandboxReference(Model):
    """A sandbox of the namespace."""

    name: str = Field(description="Its name.", json_schema_extra=object_name("leads-agent"))


class ClaimReference(Model):
    """A PersistentVolumeClaim of the namespace that was the workspace of a sandbox."""

    name: str = Field(description="Its name.", json_schema_extra=object_name("sbx-leads-agent"))


class Source(Model):
    """What the workspace is made from."""

    snapshot_ref: SnapshotReference | None = Field(
        default=None,
        description="A SandboxSnapshot: files, installed packages and environment are those of the snapshot. Default: "
        "none.",
    )
    sandbox_ref: SandboxReference | None = Field(
        default=None,
        description="A sandbox that runs or sleeps, to be forked: a snapshot of it is taken on the way. Default: none.",
    )
    claim_ref: ClaimReference | None = Field(
        default=None,
        description="A workspace that a rollback replaced and keepPrevious kept (status.previousClaimName), to undo "
        "it. Default: none.",
    )
    revision: str | None = Field(
        default=None,
        description="Any word; another one makes the workspace anew from the same source. Default: none.",
        json_schema_extra=checks(_REVISION, maxLength=63),
    )
    keep_previous: bool | None = Field(
        default=None,
        description="Whether the workspace that a rollback replaces is kept, so that it can be undone. Default: false.",
    )
    packages: str | None = Field(
        default=None,
        description="Keep: what was installed or changed outside of the workspace comes along. Reinstall: nothing but "
        "the workspace does; packages and setup are run anew. Default: Keep.",
        json_schema_extra=checks(enum=["Keep", REINSTALL]),
    )

    def words(self) -> tuple[str, str]:
        """Kind and name of what the workspace is made from."""
        if self.snapshot_ref:
            return "SandboxSnapshot", self.snapshot_ref.name
        if self.sandbox_ref:
            return "Sandbox", self.sandbox_ref.name
        return "PersistentVolumeClaim", self.claim_ref.name if self.claim_ref else ""


SOURCE_RULES: Final = (_ONE,)
"""Rules over the source."""
