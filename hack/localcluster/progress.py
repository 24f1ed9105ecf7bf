"""Progress on standard error: one moving line on a terminal, a line every half minute elsewhere.

Standard output stays free for what a command answers.
"""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.status import Status

HEARTBEAT_SECONDS = 30.0

console = Console(stderr=True, highlight=False, soft_wrap=True)


class Step:
    """One piece of work that takes long enough for a reader to wonder."""

    def __init__(self, title: str, status: Status | None) -> None:
        self._title = title
        self._status = status
        self._started = self._spoke = time.monotonic()

    @property
    def elapsed(self) -> float:
        """Return the seconds since the step began."""
        return time.monotonic() - self._started

    def tell(self, detail: str) -> None:
        """Show how far it is; on a terminal at once, else no more often than the heartbeat."""
        line = f"{self._title}: {detail}, {self.elapsed:.0f} s"
        if self._status:
            self._status.update(line)
        elif time.monotonic() - self._spoke >= HEARTBEAT_SECONDS:
            self._spoke = time.monotonic()
            console.print(f"… {line}")


@contextmanager
def step(title: str) -> Iterator[Step]:
    """Show that work has begun, and after it how long it took.

    Parameters
    ----------
    title
        What is done, as a reader would say it: ``building runc 1.4.3``.
    """
    if not sys.stderr.isatty():
        console.print(f"… {title}")
        current = Step(title, None)
        yield current
    else:
        with console.status(title) as status:
            current = Step(title, status)
            yield current
    console.print(f"✓ {title} ({current.elapsed:.1f} s)")


def say(message: str) -> None:
    """Print one line for the person who waits."""
    console.print(message)
