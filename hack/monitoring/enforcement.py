"""Whether the fence around sandboxes holds, and how it is known."""

from grafana_foundation_sdk.models import units

from monitoring.panels import Query, graph
from monitoring.queries import of, quantile

ENFORCEMENT = (
    graph(
        "Fence", "1: a canary saw it hold; 0: it got out; a gap: not known.", units.Short,
        Query(f"min({of('sandkeeper_egress_enforced')})", "enforced"),
    ),
    graph(
        "Since the last canary", "After two intervals (canary.intervalSeconds) its result counts no more.",
        units.Seconds, Query(f"time() - max({of('sandkeeper_canary_last_run_timestamp_seconds')})", "age"),
        width=8,
    ),
    graph(
        "Canaries of the last hour", "Verified: it holds; NotEnforced: it got out; CanaryBroken: it proves nothing.",
        units.Short,
        Query(f"sum by (result) (increase({of('sandkeeper_canary_runs_total')}[1h]))", "{{result}}"),
    ),
    graph(
        "Duration of a canary, 90th percentile", "Pods that start slowly are part of it.", units.Seconds,
        Query(quantile(0.9, "sandkeeper_canary_seconds"), "canary"), width=24,
    ),
)  # fmt: skip
