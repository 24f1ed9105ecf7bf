"""Metrics of the whole gateway: the sums of what its workers report, those of workers that died included."""

from __future__ import annotations

from collections import Counter
from itertools import accumulate
from typing import TYPE_CHECKING

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector

from sandkeeper.gateway.tally import COUNTERS, FROM_ZERO, HISTOGRAMS, SPREADS_FROM_ZERO

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from prometheus_client import CollectorRegistry, Metric

    from sandkeeper.gateway.wire import Report

Labels = tuple[str, ...]


class Totals(Collector):
    """Sums of reports, and gauges that are read whenever metrics are scraped.

    Parameters
    ----------
    gauges
        By name: what it is of, and how it is read.
    """

    def __init__(self, registry: CollectorRegistry, gauges: Mapping[str, tuple[str, Callable[[], float]]]) -> None:
        self._counts: Counter[tuple[str, Labels]] = Counter(dict.fromkeys(FROM_ZERO, 0))
        self._buckets: dict[tuple[str, Labels], list[int]] = {
            (name, labels): [0] * (len(HISTOGRAMS[name].buckets) + 1) for name, labels in SPREADS_FROM_ZERO
        }
        self._totals: Counter[tuple[str, Labels]] = Counter()
        self._gauges = gauges
        registry.register(self)

    def take(self, report: Report) -> None:
        """Add a report."""
        for count in report.counts:
            self._counts[count.name, count.labels] += count.amount  # type: ignore[assignment]
        for spread in report.spreads:
            known = self._buckets.setdefault((spread.name, spread.labels), [0] * len(spread.buckets))
            self._buckets[spread.name, spread.labels] = [a + b for a, b in zip(known, spread.buckets, strict=True)]
            self._totals[spread.name, spread.labels] += spread.total  # type: ignore[assignment]

    def collect(self) -> Iterator[Metric]:
        """Give all families."""
        for name, family in COUNTERS.items():
            counter = CounterMetricFamily(name, family.text, labels=family.labels)
            for (counted, labels), amount in self._counts.items():
                if counted == name:
                    counter.add_metric(labels, amount)
            yield counter
        for name, family in HISTOGRAMS.items():
            histogram = HistogramMetricFamily(name, family.text, labels=family.labels)
            for (counted, labels), buckets in self._buckets.items():
                if counted == name:
                    bounds = [*map(str, map(float, family.buckets)), "+Inf"]
                    total = float(self._totals[name, labels])
                    histogram.add_metric(labels, list(zip(bounds, accumulate(buckets), strict=True)), total)
            yield histogram
        for name, (text, read) in self._gauges.items():
            yield GaugeMetricFamily(name, text, value=read())
