"""Long lists in parts, as CSI asks for them."""

from collections.abc import Sequence
from typing import TypeVar

from localcluster.native.storage.refusal import Refusal

T = TypeVar("T")


def page(entries: Sequence[T], token: str, most: int) -> tuple[Sequence[T], str]:
    """Return a part of a list, and the token for the next one, which is empty after the last.

    Parameters
    ----------
    token
        Of the part before; empty for the first.
    most
        How many entries it may have; zero for all.
    """
    if token and (not token.isdigit() or int(token) > len(entries)):
        raise Refusal("ABORTED", f"there is no part of the list with the token {token!r}")
    start = int(token or 0)
    end = start + most if most else len(entries)
    return entries[start:end], str(end) if end < len(entries) else ""
