"""Prometheus metrics of the runtime. No label ever holds an object's name or namespace: their number has no bound."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.process_collector import ProcessCollector

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandkeeper.runtime.informer import Informer
    from sandkeeper.runtime.shards import Shards

PASS_RESULTS = ("ok", "conflict", "error", "defect")
_FAST = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class Metrics:
    """Every metric of the runtime, in a registry of its own.

    Attributes
    ----------
    registry
        Also holds the metrics of whoever adds theirs.
    queue_wait, pass_seconds, api_seconds
        Histograms in seconds, by kind; by kind and result; by verb, resource and status code (0: no response).
    loop_lag
        Seconds by which the event loop woke late.
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.queue_wait = self._histogram(
            "sandkeeper_queue_wait_seconds", "Time from a key's request to its pass.", "kind"
        )
        self.pass_seconds = self._histogram(
            "sandkeeper_pass_seconds", "Duration of a pass over one key, by its result.", "kind", "result"
        )
        self.api_seconds = self._histogram(
            "sandkeeper_api_request_seconds", "Latency of calls to the API server (code 0: no response).",
            "verb", "resource", "code",
        )  # fmt: skip
        self.loop_lag = self._gauge(
            "sandkeeper_event_loop_lag_seconds", "By how much the event loop woke late, last measured."
        )
        self.events_dropped = Counter(
            "sandkeeper_events_dropped", "Events that were not written because too many were waiting.",
            registry=self.registry,
        )  # fmt: skip
        self._queue_depth = self._gauge("sandkeeper_queue_depth", "Keys that wait for a pass.", "kind")
        self._watch_age = self._gauge(
            "sandkeeper_watch_age_seconds", "Time since the API server was last heard of on a watch.", "resource"
        )

    def _histogram(self, name: str, text: str, *labels: str) -> Histogram:
        return Histogram(name, text, labels, registry=self.registry, buckets=_FAST)

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(name, text, labels, registry=self.registry)

    def observe_call(self, verb: str, resource: str, code: int, seconds: float) -> None:
        """Record one API call, in the form that the client reports them."""
        self.api_seconds.labels(verb, resource, str(code)).observe(seconds)

    def watch_queue(self, kind: str, depth: Callable[[], float]) -> None:
        """Read a queue's depth whenever metrics are scraped."""
        self._queue_depth.labels(kind).set_function(depth)

    def expect_passes(self, kind: str) -> None:
        """Begin to count passes over a kind at zero: what appears with the first failure has no rate that tells it."""
        for result in PASS_RESULTS:
            self.pass_seconds.labels(kind, result)

    def watch_shards(self, shards: Shards) -> None:
        """Read how many shards there are, and how many are ours, whenever metrics are scraped."""
        count = Gauge("sandkeeper_shards", "Shards that namespaces are divided into.", registry=self.registry)
        count.set_function(lambda: shards.count)
        held = Gauge("sandkeeper_shards_held", "Shards that this replica works on.", registry=self.registry)
        held.set_function(lambda: len(shards.held))

    def watch_informer(self, informer: Informer) -> None:
        """Read a watch's age whenever metrics are scraped."""
        self._watch_age.labels(informer.resource.plural).set_function(lambda: informer.age)

    async def measure_loop_lag(self, period: float = 1.0) -> None:
        """Measure until cancelled how late the event loop wakes."""
        while True:
            asked = time.perf_counter()
            await asyncio.sleep(period)
            self.loop_lag.set(max(0.0, time.perf_counter() - asked - period))
