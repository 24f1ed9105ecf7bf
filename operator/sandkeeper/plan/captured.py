"""What is captured of a sandbox beside its files: noted on the VolumeSnapshot itself, and no Secret's value ever.

Who may create VolumeSnapshots may write these notes too, as tools for backup do: they are read as any tenant's word.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, Any, Final

import orjson
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from sandkeeper.api.names import CAPTURED_ANNOTATION, MOMENT_ANNOTATION
from sandkeeper.api.resolve import captured_layer
from sandkeeper.api.workspace import Workspace
from sandkeeper.plan.checkout import CapturedCheckout  # noqa: TC001  (the model reads it at run time)
from sandkeeper.plan.made_from import layers_on
from sandkeeper.plan.pod_state import parse_time

if TYPE_CHECKING:
    from sandkeeper.api.sandbox import Sandbox, SandboxSpec

Json = dict[str, Any]

MOST_BYTES: Final = 200 * 1024
"""Of the note; all annotations of an object share 256 KiB."""

_LONGEST_KEPT: Final = 16 * 1024


def _dated(text: str) -> str:
    if parse_time(text).tzinfo is None:
        raise ValueError("it names no time zone")
    return text


_Time = Annotated[str, AfterValidator(_dated)]


class Moment(BaseModel):
    """When and how a copy was taken.

    Attributes
    ----------
    start_time
        When quiescing began, as the status has it.
    pause_seconds
        For how long writes may have been held up; None where no guest was asked.
    image_digest
        Of the image that ran; None where none did.
    git
        Where the checkout stood; None where there is none, or nobody could tell.
    packed
        Whether something is packed beside the workspace; None where nobody could tell.
    node
        Node that the volume is on, where it is on that one alone; None where several can reach it.
    """

    model_config = ConfigDict(frozen=True, populate_by_name=True, strict=True)

    start_time: _Time | None = Field(default=None, alias="startTime", max_length=64)
    pause_seconds: float | None = Field(default=None, alias="pauseSeconds", ge=0, le=86400)
    image_digest: str | None = Field(default=None, alias="imageDigest", max_length=256)
    git: CapturedCheckout | None = None
    packed: bool | None = None
    node: str | None = Field(default=None, max_length=253)

    def to_json(self) -> Json:
        """Give it as it is noted."""
        return self.model_dump(by_alias=True, exclude_none=True)


def moment_of(obj: Json) -> Moment:
    """Read when and how a VolumeSnapshot was taken; one without a note may be anybody's."""
    text = obj["metadata"].get("annotations", {}).get(MOMENT_ANNOTATION, "{}")
    # What nobody of ours wrote is not kept.
    return _moment(text) if len(text) <= _LONGEST_KEPT else _moment.__wrapped__(text)


@lru_cache(maxsize=256)
def _moment(text: str) -> Moment:
    try:
        return Moment.model_validate_json(text)
    except ValidationError:
        return Moment()


def capture(sandbox: Sandbox, claim: Json, lower: tuple[SandboxSpec, ...] = ()) -> SandboxSpec:
    """Give what is captured of a sandbox whose workspace is on a claim: its layers, with the class of that claim.

    Parameters
    ----------
    lower
        What lies below its own spec and what was captured before: a template is captured with it.
    """
    layer = captured_layer(*layers_on(claim, sandbox.spec, lower))
    actual = {"storage_class_name": claim["spec"].get("storageClassName")}
    return layer.model_copy(update={"workspace": (layer.workspace or Workspace()).model_copy(update=actual)})


def notes(layer: SandboxSpec, moment: Moment) -> dict[str, str]:
    """Render the annotations of a VolumeSnapshot."""
    return {CAPTURED_ANNOTATION: _compact(layer.to_json()), MOMENT_ANNOTATION: _compact(moment.to_json())}


def _compact(noted: Json) -> str:
    return orjson.dumps(noted, option=orjson.OPT_SORT_KEYS).decode()


def too_big(layer: SandboxSpec) -> str:
    """Say why a layer can't be noted; empty where it can."""
    size = len(_compact(layer.to_json()).encode())
    if size <= MOST_BYTES:
        return ""
    return (
        f"The spec of the sandbox is {size // 1024} KiB as JSON and a snapshot notes at most {MOST_BYTES // 1024} KiB "
        "of it: move what is long in setup, env, command or args into a file of the workspace."
    )
