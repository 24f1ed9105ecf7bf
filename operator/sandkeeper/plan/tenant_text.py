"""What tenants' programs say, made fit to stand in a condition, an Event and a log: one line, bounded, printable."""

from __future__ import annotations


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
