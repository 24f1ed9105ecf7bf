"""Percentiles and medians as the table shows them."""

import math
from collections.abc import Iterable, Sequence
from statistics import median


def percentile(values: Sequence[float], share: float) -> float | None:
    """Return the smallest value that at least the given share of all values does not exceed (nearest rank).

    Parameters
    ----------
    values
        In any order.
    share
        Between 0 and 1: 0.5 is the median's rank, 0.99 that of the slowest hundredth.

    Returns
    -------
    float or None
        A value that was really measured, never one between two; None if there is none.
    """
    if not values:
        return None
    rank = max(1, math.ceil(share * len(values)))
    return sorted(values)[rank - 1]


def middle(values: Iterable[float | None]) -> float | None:
    """Return the median of what is known, None if nothing is."""
    known = [value for value in values if value is not None]
    return median(known) if known else None
