"""When a sandbox is copied by itself, and which copies are kept.

What the API server lets in is what the operator's cron library reads, as far as rules can tell; what they can't (the
30th of February) is told by the sandbox's condition SnapshotsUpToDate.
"""

from typing import Final

from pydantic import Field

from .lifecycle import PositiveDuration
from .model import Model, checks, rule

SHORTHANDS: Final = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
"""What may be written instead of five fields, and what that means."""

_MONTHS: Final = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_DAYS: Final = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")


def _field(value: str, names: tuple[str, ...] = (), *others: str) -> str:
    """Build the pattern of one field: a list of values, ranges and steps, and what else it may hold."""
    spans = [rf"{value}(-{value})?"]
    if names:
        name = f"({'|'.join(names)})"
        spans.append(f"{name}(-{name})?")
    term = "|".join((rf"(\*|{'|'.join(spans)})(/0*[1-9][0-9]*)?", *others))
    return f"({term})(,({term}))*"


_DAY_OF_WEEK: Final = "0*[0-7]"
_FIELDS: Final = " +".join(
    (
        _field("0*[1-5]?[0-9]"),
        _field("0*(1?[0-9]|2[0-3])"),
        _field("0*([1-9]|[12][0-9]|3[01])", (), "LW?"),
        _field("0*([1-9]|1[0-2])", _MONTHS),
        _field(_DAY_OF_WEEK, _DAYS, f"{_DAY_OF_WEEK}L", f"({_DAY_OF_WEEK}|{'|'.join(_DAYS)})#[1-5]"),
    )
)
_SCHEDULE: Final = rule(
    rf"self.matches(r'^(@({'|'.join(each[1:] for each in SHORTHANDS)})|(?i:{_FIELDS}))$')",
    "must be a cron expression of five fields: minute (0-59), hour (0-23), day of the month (1-31 or L), month "
    "(1-12 or JAN-DEC) and day of the week (0-7 or SUN-SAT), each with lists, ranges and steps, such as */10 * * * * "
    f"or 0 2 * * MON-FRI; or one of {', '.join(SHORTHANDS)}",
)
_UPWARDS: Final = rule(
    "self.findAll(r'[0-9]+-[0-9]+').all(each, int(each.split('-')[0]) <= int(each.split('-')[1])) && "
    "self.upperAscii().findAll(r'[A-Z]+-[A-Z]+').all(each, "
    f"'{' '.join((*_MONTHS, *_DAYS))}'.indexOf(each.split('-')[0]) <= "
    f"'{' '.join((*_MONTHS, *_DAYS))}'.indexOf(each.split('-')[1]))",
    "has a range whose end is before its beginning; write the lower end first, such as 1-5 or MON-FRI",
)
_ZONE: Final = rule(
    # For a zone that it does not know the API server puts the evaluation's error, which names it, before the message.
    r"self.matches(r'^[A-Za-z][-+A-Za-z0-9_]*(/[-+A-Za-z0-9_]+){0,2}$') && self != 'Local' "
    "&& timestamp('2026-01-01T00:00:00Z').getHours(self) >= 0",
    "must be the name of a time zone, such as Europe/Berlin, America/New_York or UTC",
)


class Snapshots(Model):
    """When the sandbox is copied by itself, and which copies are kept."""

    schedule: str | None = Field(
        default=None,
        description="Cron expression of five fields, such as */10 * * * *. Default: never.",
        json_schema_extra=checks(_SCHEDULE, _UPWARDS, maxLength=128),
    )
    time_zone: str | None = Field(
        default=None,
        description="Name of the time zone of the schedule, such as Europe/Berlin. Default: UTC.",
        json_schema_extra=checks(_ZONE, maxLength=64),
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
