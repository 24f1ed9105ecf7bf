"""What was tried, what was expected, and what was seen: a row for each attempt, shown when all are done."""

import io
from dataclasses import dataclass, field

from rich.console import Console
from rich.table import Table

WIDTH = 200


@dataclass(frozen=True)
class Row:
    """One attempt.

    Attributes
    ----------
    who
        Who made it: the sandbox, or somebody with fewer walls around.
    what
        What was tried.
    expected
        Any of these shows a closed way.
    seen
        What was seen.
    control
        What was seen where nothing is in the way; empty where it was not tried.
    note
        On which runtimes and kernels it holds, or why there is no control.
    """

    who: str
    what: str
    expected: tuple[str, ...]
    seen: str
    control: str = ""
    note: str = ""

    @property
    def closed(self) -> bool:
        """Tell whether the way is closed as expected."""
        return self.seen in self.expected


@dataclass
class Ledger:
    """All rows of a run."""

    rows: list[Row] = field(default_factory=list)

    def enter(self, row: Row) -> Row:
        """Write a row down."""
        self.rows.append(row)
        return row

    def table(self) -> str:
        """Return the rows as a table."""
        closed = sum(row.closed for row in self.rows)
        title = f"{len(self.rows)} attempts to get out of a sandbox, {closed} closed"
        table = Table("who", "what", "expected", "seen", "where nothing is in the way", "note", title=title)
        for row in self.rows:
            style = "" if row.closed else "bold red"
            table.add_row(row.who, row.what, " or ".join(row.expected), row.seen, row.control, row.note, style=style)
        output = io.StringIO()
        Console(file=output, width=WIDTH, no_color=True).print(table, markup=False)
        return output.getvalue()
