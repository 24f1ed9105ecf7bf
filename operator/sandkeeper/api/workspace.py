"""The directory that the agent works in."""

from pydantic import Field

from .directories import WORKSPACE_PATH
from .model import WHOLE_BYTES, Model, Quantity, checks


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
        description="Ephemeral: on the node's disk, and lost with the pod. Default: Ephemeral.",
        json_schema_extra=checks(enum=["Ephemeral"]),
    )
    size: Quantity | None = Field(
        default=None,
        description="Most that the workspace may hold; the pod is evicted when it grows beyond. Default: 10Gi.",
        json_schema_extra=checks(WHOLE_BYTES),
    )


class EffectiveWorkspace(Model):
    """A workspace with nothing left open; the size is a canonical quantity."""

    path: str = Field(description="Absolute path that the workspace is mounted at.")
    type: str = Field(description="Ephemeral: on the node's disk, and lost with the pod.")
    size: str = Field(description="Most that the workspace may hold.")
