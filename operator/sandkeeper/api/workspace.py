"""The directory that the agent works in."""

from typing import Final

from pydantic import Field

from .directories import WORKSPACE_PATH
from .model import WHOLE_BYTES, JsonSchema, Model, Quantity, checks, object_name, rule

PERSISTENT: Final = "Persistent"
EPHEMERAL: Final = "Ephemeral"
RETAIN: Final = "Retain"

_SMALLER: Final = (
    "!has(oldSelf.size) || !has(self.size) || !isQuantity(string(self.size)) || !isQuantity(string(oldSelf.size)) "
    "|| (has(self.type) && self.type == 'Ephemeral') "
    "|| quantity(string(self.size)).compareTo(quantity(string(oldSelf.size))) >= 0"
)


def _persistent(name: str, check: str, why: str) -> JsonSchema:
    """Build the rule of a field that makes no sense for a directory on the node's disk."""
    return rule(
        f"!has(self.type) || self.type != 'Ephemeral' || {check}",
        f"{why}; leave it out, or make the type Persistent",
        fieldPath=f".{name}",
        reason="FieldValueForbidden",
    )


def kept(name: str, why: str, unchanged: str) -> JsonSchema:
    """Build the rule of the spec that a field of the workspace stays as it is, written or not."""
    had, has = (f"(has({each}.workspace) && has({each}.workspace.{name}))" for each in ("oldSelf", "self"))
    return rule(
        unchanged.format(had=had, has=has),
        f"can't be changed: {why}",
        fieldPath=f".workspace.{name}",
        reason="FieldValueForbidden",
    )


SAME_TYPE: Final = "({had} && oldSelf.workspace.type == 'Ephemeral') == ({has} && self.workspace.type == 'Ephemeral')"

WORKSPACE_RULES: Final = (
    rule(_SMALLER, "can't be made smaller: no volume shrinks", fieldPath=".size", reason="FieldValueForbidden"),
    rule(
        "!has(oldSelf.path) || !has(self.path) || self.path == oldSelf.path",
        "can't be changed: what was set up there names files by the old path",
        fieldPath=".path",
        reason="FieldValueForbidden",
    ),
    _persistent("storageClassName", "!has(self.storageClassName)", "an Ephemeral workspace has no volume"),
    _persistent(
        "keepPackages",
        "!has(self.keepPackages) || !self.keepPackages",
        "an Ephemeral workspace has no volume to keep them on",
    ),
    _persistent(
        "reclaimPolicy",
        "!has(self.reclaimPolicy) || self.reclaimPolicy == 'Delete'",
        "an Ephemeral workspace can't be retained",
    ),
)
"""Rules over the workspace."""
WORKSPACE_KEPT: Final = (
    kept("type", "what is in it can't follow; make another sandbox", SAME_TYPE),
    kept(
        "storageClassName",
        "a volume stays in its class; make another sandbox",
        "{had} == {has} && (!{has} || self.workspace.storageClassName == oldSelf.workspace.storageClassName)",
    ),
)
"""Rules over the whole spec, since a workspace that was not written at all has a type and a class too."""


class Workspace(Model):
    """The directory that the agent works in."""

    path: str | None = Field(
        default=None,
        description="Absolute path that the workspace is mounted at, outside of the system's own directories. Default: "
        "/workspace.",
        json_schema_extra=WORKSPACE_PATH,
    )
    type: str | None = Field(
        default=None,
        description="Persistent: on a volume of its own, which outlives the pod. Ephemeral: on the node's disk, and "
        "lost with the pod. Default: Persistent.",
        json_schema_extra=checks(enum=[PERSISTENT, EPHEMERAL]),
    )
    size: Quantity | None = Field(
        default=None,
        description="Size of the volume; it can grow where its StorageClass allows that, never shrink. Of an Ephemeral "
        "workspace the most that it may hold: the pod is evicted when it grows beyond. Default: 10Gi.",
        json_schema_extra=checks(WHOLE_BYTES),
    )
    storage_class_name: str | None = Field(
        default=None,
        description="StorageClass of the volume. Default: the cluster's default class.",
        json_schema_extra=object_name("fast-ssd"),
    )
    keep_packages: bool | None = Field(
        default=None,
        description="Whether what changed outside of the workspace, such as installed packages, is kept on the volume "
        "through sleep and restarts. With false, packages and setup are run anew at each start. Only where the sandbox "
        "is root and its root file system writable. Default: true for a Persistent workspace.",
    )
    reclaim_policy: str | None = Field(
        default=None,
        description="What becomes of the volume when the sandbox is deleted or expires. Delete: it goes too. Retain: "
        "it stays, and the next sandbox of this name takes it over. Default: Delete.",
        json_schema_extra=checks(enum=["Delete", RETAIN]),
    )


class EffectiveWorkspace(Model):
    """A workspace with nothing left open but the cluster's default class; the size is a canonical quantity."""

    path: str = Field(description="Absolute path that the workspace is mounted at.")
    type: str = Field(description="Persistent: on a volume of its own. Ephemeral: on the node's disk.")
    size: str = Field(description="Size of the volume, or the most that an Ephemeral workspace may hold.")
    storage_class_name: str | None = Field(
        default=None, description="StorageClass of the volume; absent for the cluster's default."
    )
    keep_packages: bool | None = Field(
        default=None,
        description="Whether changes outside of the workspace are kept; absent where nothing can keep them.",
    )
    reclaim_policy: str | None = Field(default=None, description="What becomes of the volume after the sandbox.")

    @property
    def persistent(self) -> bool:
        """Whether the workspace is on a volume of its own."""
        return self.type == PERSISTENT
