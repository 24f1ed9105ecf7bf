"""When a sandbox is copied by itself, and which copies are kept."""

from typing import Final

from pydantic import Field

from .lifecycle import PositiveDuration
from .model import Model, checks, rule

_PARTS: Final = rule(
    r"self.matches('^(@(hourly|daily|midnight|weekly|monthly|yearly|annually)"
    r"|[-0-9*,/]{1,64}( [-0-9*,/L]{1,64}){2} [-0-9A-Za-z*,/]{1,64} [-0-9A-Za-z*,/#L]{1,64})$')",
    "must be a cron expression of five fields (minute, hour, day of the month, month, day of the week), such as "
    "*/10 * * * *, or @hourly, @daily, @weekly, @monthly",
)


class Snapshots(Model):
    """When the sandbox is copied by itself, and which copies are kept."""

    schedule: str | None = Field(
        default=None,
        description="Cron expression of five fields, such as */10 * * * *. Default: never.",
        json_schema_extra=checks(_PARTS, maxLength=256),
    )
    time_zone: str | None = Field(
        default=None,
        description="Name of the time zone of the schedule, such as Europe/Berlin. Default: UTC.",
        json_schema_extra=checks(maxLength=64),
    )
    keep_last: int | None = Field(
        default=None,
        description="How many of the schedule's snapshots are kept; older ones are deleted. Default: all.",
        json_schema_extra=checks(minimum=1, maximum=1000),
    )
    max_age: PositiveDuration | None = Field(
        default=None,
        description="Snapshots of the schedule that are older are deleted, but for the newest. Default: none.",
    )
