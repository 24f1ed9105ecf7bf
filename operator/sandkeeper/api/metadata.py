"""The part of an object's metadata that is read."""

from datetime import datetime

from pydantic import Field

from .model import Model


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
    finalizers: tuple[str, ...] = ()
    annotations: dict[str, str] = Field(default={})
