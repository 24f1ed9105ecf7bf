"""Metrics that speak of sandboxes. No label holds a name or a namespace.

Results that an alert asks for are counted from zero on: a series that appears with the first failure has no rate.
"""

from __future__ import annotations

import time
from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING

from prometheus_client import Counter as Count
from prometheus_client import Gauge, Histogram
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from sandkeeper.plan.pod_state import condition, parse_time
from sandkeeper.runtime.kubelet import KubeletError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from prometheus_client import CollectorRegistry

    from sandkeeper.runtime.resource import Json
    from sandkeeper.runtime.store import Store

_ANSWERS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15)
_PACK_RESULTS = ("ok", "TooLarge", "VolumeFull", "Failed", "Unreachable")
_SNAPSHOT_RESULTS = ("Ready", "Failed")
_STARTS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)


class PackMetrics:
    """Counts packs by their result, and times them."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._seconds = Histogram(
            "sandkeeper_pack_seconds", "Time that packing one sandbox took, by its result.", ["result"],
            registry=registry, buckets=_STARTS,
        )  # fmt: skip
        self._bytes = Count("sandkeeper_packed_bytes", "Size of all packs that were made.", registry=registry)
        for result in _PACK_RESULTS:
            self._seconds.labels(result)

    def packed(self, result: str, seconds: float, size: int) -> None:
        """Record one pack; its size is what the guest says."""
        self._seconds.labels(result).observe(seconds)
        self._bytes.inc(size)


class SnapshotMetrics:
    """Times snapshots by how they ended, and for how long they held sandboxes up."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._seconds = Histogram(
            "sandkeeper_snapshot_seconds", "Time that one snapshot took until it was ready, or could not be taken.",
            ["result"], registry=registry, buckets=_STARTS,
        )  # fmt: skip
        self._pause = Histogram(
            "sandkeeper_snapshot_pause_seconds", "Time for which a snapshot may have held up what its sandbox wrote.",
            registry=registry, buckets=_STARTS,
        )  # fmt: skip
        for result in _SNAPSHOT_RESULTS:
            self._seconds.labels(result)

    def ended(self, result: str, status: Json, now: datetime) -> None:
        """Record that a snapshot became ready, or what else became of it.

        Parameters
        ----------
        status
            As it was written just now.
        """
        started = parse_time(status["startTime"]) if "startTime" in status else now
        self._seconds.labels(result).observe(max(0.0, (now - started).total_seconds()))
        if result == "Ready" and "pauseSeconds" in status:
            self._pause.observe(status["pauseSeconds"])


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


class UsageMetrics:
    """Tells of the kubelets that are asked how busy sandboxes are, and of how many sandboxes they tell."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._scrapes = Histogram(
            "sandkeeper_usage_scrape_seconds", "Time until a kubelet told how busy its sandboxes are, or failed to.",
            ("result",), registry=registry, buckets=_ANSWERS,
        )  # fmt: skip
        self._pods = Gauge(
            "sandkeeper_usage_sandboxes", "Running sandboxes of this replica, which are to be measured.",
            registry=registry,
        )  # fmt: skip
        self._nodes = Gauge(
            "sandkeeper_usage_nodes", "Nodes with running sandboxes of this replica, by whether they are measured.",
            ("measured",), registry=registry,
        )  # fmt: skip

    @contextmanager
    def scrape(self) -> Iterator[None]:
        """Time one answer, and count it by what became of it."""
        started, result = time.perf_counter(), "ok"
        try:
            yield
        except KubeletError as error:
            result = error.kind
            raise
        finally:
            self._scrapes.labels(result).observe(time.perf_counter() - started)

    def measured(self, pods: int, nodes: int, troubled: int) -> None:
        """Record what a round is to measure, and of how many nodes the last one could not."""
        self._pods.set(pods)
        self._nodes.labels("yes").set(nodes - troubled)
        self._nodes.labels("no").set(troubled)


class TrafficMetrics:
    """Tells of the gateways that are asked which sandboxes have traffic."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._asked = Gauge(
            "sandkeeper_usage_gateways", "Pods of the egress gateway, by whether they told of their traffic.",
            ("answered",), registry=registry,
        )  # fmt: skip

    def asked(self, answered: int, silent: int) -> None:
        """Record a round."""
        self._asked.labels("yes").set(answered)
        self._asked.labels("no").set(silent)
