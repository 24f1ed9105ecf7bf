"""Metrics that speak of sandboxes. No label holds a name or a namespace."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from prometheus_client import Counter as Count
from prometheus_client import Histogram
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from sandkeeper.plan.pod_state import condition

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prometheus_client import CollectorRegistry

    from sandkeeper.runtime.store import Store

_STARTS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)


class PackMetrics:
    """Counts packs by their result, and times them."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._seconds = Histogram(
            "sandkeeper_pack_seconds", "Time that packing one sandbox took, by its result.", ["result"],
            registry=registry, buckets=_STARTS,
        )  # fmt: skip
        self._bytes = Count("sandkeeper_packed_bytes", "Size of all packs that were made.", registry=registry)

    def packed(self, result: str, seconds: float, size: int) -> None:
        """Record one pack; its size is what the guest says."""
        self._seconds.labels(result).observe(seconds)
        self._bytes.inc(size)


class SandboxMetrics(Collector):
    """Counts sandboxes by state whenever scraped, and times their starts.

    Parameters
    ----------
    sandboxes
        Store of all sandboxes.
    """

    def __init__(self, registry: CollectorRegistry, sandboxes: Store) -> None:
        self._sandboxes = sandboxes
        self._start = Histogram(
            "sandkeeper_sandbox_start_seconds", "Time from a sandbox's creation until it first runs.",
            registry=registry, buckets=_STARTS,
        )  # fmt: skip
        registry.register(self)

    def started(self, seconds: float) -> None:
        """Record a first start."""
        self._start.observe(seconds)

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Count sandboxes by the reason of their condition Ready; every replica sees them all."""
        reasons: Counter[str] = Counter()
        for key in self._sandboxes:
            sandbox = self._sandboxes.get(key)
            if sandbox:
                reasons[condition(sandbox, "Ready").get("reason", "Pending")] += 1
        family = GaugeMetricFamily("sandkeeper_sandboxes", "Sandboxes by the reason of Ready.", labels=["reason"])
        for reason, count in reasons.items():
            family.add_metric([reason], count)
        yield family
