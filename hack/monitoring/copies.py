"""Sleep, packs, snapshots, and how it is told which sandboxes are idle."""

from grafana_foundation_sdk.models import units

from monitoring.panels import Query, graph
from monitoring.queries import of, quantile, rate_of

_PACKS = "sandkeeper_pack_seconds"
_SNAPSHOTS = "sandkeeper_snapshot_seconds"
_PAUSE = "sandkeeper_snapshot_pause_seconds"
_SCRAPES = "sandkeeper_usage_scrape_seconds"
_READY = 'result="Ready"'
_SHARES = (0.5, 0.95)

COPIES = (
    graph(
        "Packs", "A second, for sleep and for snapshots. TooLarge and VolumeFull are the user's to mend.",
        units.OpsPerSecond, Query(f"sum by (result) ({rate_of(f'{_PACKS}_count')})", "{{result}}"), stacked=True,
    ),
    graph(
        "Duration of a pack", "A walk over the root file system is the least.", units.Seconds,
        *(Query(quantile(share, _PACKS), f"{share:.0%}") for share in _SHARES),
    ),
    graph(
        "Packed", "What is written to volumes.", units.BytesPerSecondIEC,
        Query(f"sum({rate_of('sandkeeper_packed_bytes_total')})", "packed"),
    ),
    graph(
        "Snapshots", "A second, by the reason of Ready that they came to.", units.OpsPerSecond,
        Query(f"sum by (result) ({rate_of(f'{_SNAPSHOTS}_count')})", "{{result}}"), stacked=True,
    ),
    graph(
        "Duration of a snapshot", "Of those that became Ready; the storage driver is most of it.", units.Seconds,
        *(
            Query(
                f"histogram_quantile({share}, sum by (le) ({rate_of(f'{_SNAPSHOTS}_bucket', _READY)}))",
                f"{share:.0%}",
            )
            for share in _SHARES
        ),
    ),
    graph(
        "Pause by a snapshot", "For how long what a sandbox writes may have been held up.", units.Seconds,
        *(Query(quantile(share, _PAUSE), f"{share:.0%}") for share in _SHARES), limits=[(5, "red")],
    ),
    graph(
        "Nodes with sandboxes", "By whether they are measured: on those that are not no sandbox ever falls asleep.",
        units.Short, Query(f"sum by (measured) ({of('sandkeeper_usage_nodes')})", "measured: {{measured}}"),
        stacked=True,
    ),
    graph(
        "Answers of kubelets", "To the question how busy sandboxes are, a second.", units.OpsPerSecond,
        Query(f"sum by (result) ({rate_of(f'{_SCRAPES}_count')})", "{{result}}"), stacked=True,
    ),
    graph(
        "Gateways that tell of traffic", "A sandbox with traffic is not idle.", units.Short,
        Query(f"max by (answered) ({of('sandkeeper_usage_gateways')})", "answered: {{answered}}"),
    ),
)  # fmt: skip
