"""Plain text as Markdown, so that none of it is taken for markup."""

import re
from typing import Final

_MARKUP: Final = re.compile(r"(`[^`]*`)|([*_<>\[\]])")


def plain(text: str) -> str:
    """Escape a sentence of a schema, in which nothing but code between backticks is marked up."""
    return _MARKUP.sub(lambda found: found[1] or f"\\{found[2]}", text)


def cell(text: str) -> str:
    """Keep a cell of a table in one line and one column; code too takes the bar escaped there (GFM, 4.10)."""
    return " ".join(text.split()).replace("|", "\\|")


def sentence(text: str) -> str:
    """Begin with a capital and end with a full stop."""
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "!", "?")) else ".") if text else ""
