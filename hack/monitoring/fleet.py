"""What users feel: what their sandboxes do, and how fast they start."""

from grafana_foundation_sdk.models import units

from monitoring.panels import Query, graph, stat
from monitoring.queries import of, quantile, rate_of

_REASONS = f"max by (reason) ({of('sandkeeper_sandboxes')})"
_RUNNING = 'reason="Running"'
_FINE = 'reason=~"Running|Sleeping|Expired|Starting|Waking|Installing|Packing|Pending|Restoring|RollingBack"'
_START = "sandkeeper_sandbox_start_seconds"

OVERVIEW = (
    stat("Sandboxes", "All that there are, asleep or awake.", units.Short, f"sum({_REASONS})"),
    stat(
        "Running", "Sandboxes that are Ready and run.", units.Short,
        f"sum(max by (reason) ({of('sandkeeper_sandboxes', _RUNNING)}))",
    ),
    stat(
        "In trouble", "Sandboxes whose Ready has a reason that asks for somebody; the first panel below names it.",
        units.Short,
        f"sum({_REASONS}) - (sum(max by (reason) ({of('sandkeeper_sandboxes', _FINE)})) or vector(0))",
        limits=[(1, "yellow"), (10, "red")],
    ),
    stat(
        "Start, 90th percentile", "Nine of ten sandboxes ran within this time from their creation.", units.Seconds,
        quantile(0.9, _START).replace("$__rate_interval", "$__range"), limits=[(10, "yellow"), (60, "red")],
    ),
    stat(
        "Fence", "What the last canary that counts has shown.", units.Short,
        f"min({of('sandkeeper_egress_enforced')})",
        words={"1": ("holds", "green"), "0": ("OPEN", "red"), "NaN": ("not known", "orange")},
    ),
    stat(
        "Shards that nobody holds", "In their namespaces nothing starts, sleeps, wakes or ends.", units.Short,
        f"max({of('sandkeeper_shards')}) - sum({of('sandkeeper_shards_held')})", limits=[(1, "red")],
    ),
)  # fmt: skip
FLEET = (
    graph(
        "Sandboxes by the reason of Ready",
        "Every replica counts all sandboxes of the cluster, so it is the greatest count that is drawn, not the sum.",
        units.Short, Query(_REASONS, "{{reason}}"), stacked=True,
    ),
    graph(
        "Start, from creation to running",
        "First starts only. A node that pulls an image, or brings a volume, is part of it.",
        units.Seconds, *(Query(quantile(share, _START), f"{share:.0%}") for share in (0.5, 0.9, 0.99)),
        limits=[(60, "red")],
    ),
    graph(
        "First starts a minute", "How many sandboxes ran for the first time.", units.Short,
        Query(f"60 * sum({rate_of(f'{_START}_count')})", "starts"),
    ),
)  # fmt: skip
