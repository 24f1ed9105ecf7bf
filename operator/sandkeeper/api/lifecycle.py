"""When a sandbox runs, sleeps, and ends."""

from datetime import timedelta
from typing import Annotated, Final

from kubernetes.utils.duration import parse_duration
from pydantic import Field

from .model import Model, checks, rule

RUNNING: Final = "Running"
SLEEPING: Final = "Sleeping"
DELETE: Final = "Delete"

_DURATION: Final = rule(
    "self.matches('^([0-9]{1,5}(h|m|s|ms)){1,4}$')",
    "must be a duration in hours, minutes and seconds, such as 15m, 1h30m or 168h",
)
_POSITIVE: Final = rule("!self.matches('^(0+(h|m|s|ms))+$')", "must be longer than nothing; leave it out for no limit")

Duration = Annotated[str, Field(json_schema_extra=checks(_DURATION, maxLength=32))]
"""Duration as the Gateway API writes it (GEP-2257)."""
PositiveDuration = Annotated[str, Field(json_schema_extra=checks(_DURATION, _POSITIVE, maxLength=32))]


class Lifecycle(Model):
    """When the sandbox runs, sleeps, and ends."""

    state: str | None = Field(
        default=None,
        description="Sleeping ends the pod and keeps the workspace; Running starts it again. Default: Running.",
        json_schema_extra=checks(enum=[RUNNING, SLEEPING]),
    )
    idle_timeout: Duration | None = Field(
        default=None,
        description="Sleep after this long without activity; 0s for never. Only for a Persistent workspace. "
        "Default: 15m.",
    )
    ttl: PositiveDuration | None = Field(
        default=None, description="Expire this long after the sandbox was created. Default: never."
    )
    delete_after_sleep: PositiveDuration | None = Field(
        default=None, description="Expire this long after the sandbox fell asleep. Default: never."
    )
    expiry_policy: str | None = Field(
        default=None,
        description="Retain: an expired sandbox loses its pod, its Service and its workspace, and stays as Expired, so "
        "that a GitOps controller does not make it anew. Delete: it is deleted. Default: Retain.",
        json_schema_extra=checks(enum=["Retain", DELETE]),
    )


class EffectiveLifecycle(Model):
    """A lifecycle with nothing left open.

    Attributes
    ----------
    state
        ``Running`` or ``Sleeping``.
    idle_timeout, ttl, delete_after_sleep
        None for never.
    deletes
        Whether an expired sandbox is deleted.
    """

    state: str = RUNNING
    idle_timeout: timedelta | None = None
    ttl: timedelta | None = None
    delete_after_sleep: timedelta | None = None
    deletes: bool = False


def seconds(duration: str | None) -> timedelta | None:
    """Read a duration; None for one that was not written, and for none at all."""
    parsed: timedelta | None = parse_duration(duration) if duration else None
    return parsed or None
