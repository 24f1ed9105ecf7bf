"""Sums up refusals that cost a client nothing to cause, so that a scan can't flood the audit: questions above all.

Of each source and name one line is told a window, with their number, and of all names beyond a few one more.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from sandkeeper.gateway import reasons

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandkeeper.gateway.record import Record

WINDOW_SECONDS: Final = 10.0
MOST_NAMES: Final = 20
"""Of one source that get lines of their own in a window."""
MOST_SOURCES: Final = 4096
OTHER_NAMES: Final = "(other names)"
_CHEAP: Final = frozenset({reasons.UNKNOWN_SOURCE, reasons.TOO_MANY, reasons.TOO_FAST})


class Scans:
    """Refusals of the present window.

    Parameters
    ----------
    tell
        Called with a record, and how many it stands for.
    """

    def __init__(self, tell: Callable[[Record, int], None]) -> None:
        self._tell = tell
        self._sources: dict[tuple[str, str], dict[tuple[str, str, str], tuple[Record, int]]] = {}

    def take(self, record: Record) -> bool:
        """Take a record in, if it is such a refusal.

        Returns
        -------
        bool
            Whether it was: nobody else need tell it then.
        """
        if record.allowed or not (record.kind == "dns" or record.reason in _CHEAP):
            return False
        # Whoever has the address next is another source.
        source = (record.source, record.caller.pod_uid if record.caller else "")
        if source not in self._sources and len(self._sources) >= MOST_SOURCES:
            source, record = ("", ""), replace(record, caller=None, source="")
        seen = self._sources.setdefault(source, {})
        key = (record.kind, record.domain, record.reason)
        if key not in seen and len(seen) >= MOST_NAMES:
            key = (record.kind, OTHER_NAMES, record.reason)
            record = replace(record, domain=OTHER_NAMES, sni="", host="", path="")
        first, count = seen.get(key, (record, 0))
        seen[key] = (first, count + 1)
        return True

    def flush(self) -> None:
        """Tell what the window held, and begin the next one."""
        sources, self._sources = self._sources, {}
        for seen in sources.values():
            for record, count in seen.values():
                self._tell(record, count)
