"""What tenants' programs say, made fit to stand in a condition, an Event and a log: one line, bounded, printable."""

from __future__ import annotations

import re
from typing import Final

_PROGRESS: Final = re.compile(
    r"(Get|Hit|Ign):\d|(Reading|Building) .*\.\.\.|Fetched \d|Collecting |npm (notice|warn)", re.ASCII
)
_TELLS: Final = re.compile(r"E: |dpkg: error|error\b|fatal: |npm (err!|error) ", re.ASCII | re.IGNORECASE)


def harmless(text: str, longest: int) -> str:
    """Make one line of a text: without control characters, escapes and what turns the direction of writing.

    Parameters
    ----------
    longest
        Characters that are kept at most.
    """
    # Before anything else, so that a text of megabytes costs no more than one of this length.
    printable = "".join(letter if letter.isprintable() else " " for letter in text[: 4 * longest])
    return " ".join(printable.split())[:longest].rstrip()


def telling(text: str) -> list[str]:
    """Choose the lines that tell why a program failed, out of those that a guest kept: the first is its own choice.

    Returns
    -------
    list
        The first one and those that begin as errors do; of a text without any, all that is not mere progress.
    """
    lines = [line for line in map(str.strip, text.splitlines()) if line]
    lines = [line for line in lines if not _PROGRESS.match(line)] or lines
    errors = [line for line in lines if _TELLS.match(line)]
    return list(dict.fromkeys([lines[0], *errors])) if errors else lines
