"""Counts of one worker, for the metrics: what has grown since they were last taken.

No label ever holds a name or an address: their number has no bound.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from typing import TYPE_CHECKING, Final, NamedTuple

from sandkeeper.gateway import reasons
from sandkeeper.gateway.wire import Count, Spread

if TYPE_CHECKING:
    from sandkeeper.gateway.record import Record


class Family(NamedTuple):
    """A metric: what it is of, and its labels."""

    text: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()


CONNECTIONS: Final = "sandkeeper_gateway_connections"
BYTES: Final = "sandkeeper_gateway_bytes"
SECONDS: Final = "sandkeeper_gateway_connection_seconds"
DROPPED: Final = "sandkeeper_gateway_audit_dropped"
LAG: Final = "sandkeeper_gateway_policy_lag_seconds"

COUNTERS: Final = {
    CONNECTIONS: Family(
        "Connections, requests and refused questions that ended, by how they came and what became of them.",
        ("kind", "verdict", "reason"),
    ),
    BYTES: Family("Bytes of connections that ended, from sandboxes (up) and to them (down).", ("direction",)),
    DROPPED: Family("Audit records that were lost because nobody took them fast enough."),
}
HISTOGRAMS: Final = {
    SECONDS: Family(
        "How long connections and requests that were let through took.", ("kind",),
        (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 3600),
    ),
    LAG: Family(
        "Time from the API server's news of a pod until a worker judges by it.", (),
        (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5),
    ),
}  # fmt: skip
_KINDS: Final = ("tls", "http", "connect", "port")
FROM_ZERO: Final = (
    *((BYTES, (direction,)) for direction in ("up", "down")),
    (DROPPED, ()),
    *((CONNECTIONS, (kind, "allowed", "")) for kind in _KINDS),
    (CONNECTIONS, ("dns", "denied", reasons.NOT_ALLOWED)),
    *(
        (CONNECTIONS, (kind, "denied", reason))
        for kind in _KINDS
        for reason in (
            reasons.TOO_MANY, reasons.TOO_FAST, reasons.UNRESOLVABLE, reasons.UNREACHABLE, reasons.TIMEOUT,
            reasons.NOT_ALLOWED,
        )
    ),
)  # fmt: skip
"""Counters that are told from the start: one that appears with its first count has no rate, and no alert sees it."""
SPREADS_FROM_ZERO: Final = (*((SECONDS, (kind,)) for kind in _KINDS), (LAG, ()))
"""Histograms that are."""
_OTHER: Final = "other"


class Tally:
    """Counts until they are taken."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, tuple[str, ...]]] = Counter()
        self._buckets: dict[tuple[str, tuple[str, ...]], list[int]] = {}
        self._totals: Counter[tuple[str, tuple[str, ...]]] = Counter()

    def add(self, name: str, *labels: str, amount: int = 1) -> None:
        """Let a counter grow."""
        self._counts[name, labels] += amount

    def observe(self, name: str, *labels: str, value: float) -> None:
        """Put a value into a histogram."""
        bounds = HISTOGRAMS[name].buckets
        buckets = self._buckets.setdefault((name, labels), [0] * (len(bounds) + 1))
        buckets[bisect_left(bounds, value)] += 1
        self._totals[name, labels] += value  # type: ignore[assignment]

    def record(self, record: Record) -> None:
        """Count what was recorded."""
        reason = record.reason if not record.reason or record.reason in reasons.ALL else _OTHER
        self.add(CONNECTIONS, record.kind, "allowed" if record.allowed else "denied", reason)
        if record.up:
            self.add(BYTES, "up", amount=record.up)
        if record.down:
            self.add(BYTES, "down", amount=record.down)
        if record.allowed and record.kind != "dns":
            self.observe(SECONDS, record.kind, value=record.seconds)

    def take(self) -> tuple[tuple[Count, ...], tuple[Spread, ...]]:
        """Give what has grown, and begin anew."""
        counts = tuple(Count(name, labels, amount) for (name, labels), amount in self._counts.items())
        spreads = tuple(
            Spread(name, labels, tuple(buckets), float(self._totals[name, labels]))
            for (name, labels), buckets in self._buckets.items()
        )
        self._counts, self._buckets, self._totals = Counter(), {}, Counter()
        return counts, spreads
