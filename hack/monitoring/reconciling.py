"""The operator at work: queues, passes, calls to the apiserver, and what its processes need."""

from grafana_foundation_sdk.models import units

from monitoring.panels import Query, graph
from monitoring.queries import of, quantile, rate_of

_PASSES = "sandkeeper_pass_seconds"
_CALLS = "sandkeeper_api_request_seconds"
_AGAIN = 'result!="ok"'
_JOB = 'job=~"$job"'

RECONCILING = (
    graph(
        "Keys that wait", "For a pass, by kind. A queue that never gets empty is one that the operator does not drain.",
        units.Short, Query(f"sum by (kind) ({of('sandkeeper_queue_depth')})", "{{kind}}"), stacked=True,
    ),
    graph(
        "Wait for a pass, 95th percentile", "From news of an object until a pass over it begins.", units.Seconds,
        Query(quantile(0.95, "sandkeeper_queue_wait_seconds", "kind"), "{{kind}}"), limits=[(10, "red")],
    ),
    graph(
        "Duration of a pass, 95th percentile", "Mostly calls to the apiserver.", units.Seconds,
        Query(quantile(0.95, _PASSES, "kind"), "{{kind}}"),
    ),
    graph(
        "Passes", "A second, by kind.", units.OpsPerSecond,
        Query(f"sum by (kind) ({rate_of(f'{_PASSES}_count')})", "{{kind}}"), stacked=True,
    ),
    graph(
        "Passes that are tried again",
        "conflict: somebody wrote at the same time, as is ordinary; error: a call failed; defect: report it.",
        units.OpsPerSecond,
        Query(f"sum by (kind, result) ({rate_of(f'{_PASSES}_count', _AGAIN)})", "{{kind}}: {{result}}"),
    ),
    graph(
        "Shards by replica", "Namespaces are divided into shards by hash; all of them are to be held.", units.Short,
        Query(f"sum by (pod) ({of('sandkeeper_shards_held')})", "{{pod}}"), stacked=True,
    ),
    graph(
        "Calls to the apiserver", "A second, of operator and gateway.", units.RequestsPerSecond,
        Query(f"sum by (verb, resource) ({rate_of(f'{_CALLS}_count')})", "{{verb}} {{resource}}"), stacked=True,
    ),
    graph(
        "Answers of the apiserver", "By status; 0 means that none came.", units.RequestsPerSecond,
        Query(f"sum by (code) ({rate_of(f'{_CALLS}_count')})", "{{code}}"), stacked=True,
    ),
    graph(
        "Latency of the apiserver, 99th percentile", "As operator and gateway see it.", units.Seconds,
        Query(quantile(0.99, _CALLS, "verb"), "{{verb}}"),
    ),
    graph(
        "Age of watches", "Since the apiserver was last heard of on each. Bookmarks come once a minute.", units.Seconds,
        Query(f"max by (resource) ({of('sandkeeper_watch_age_seconds')})", "{{resource}}"),
        limits=[(180, "red")],
    ),
    graph(
        "Event loop", "By how much each process wakes late. Leases and idle times suffer from half a second on.",
        units.Seconds, Query(of("sandkeeper_event_loop_lag_seconds", _JOB), "{{pod}}"), limits=[(0.5, "red")],
    ),
    graph(
        "Events not written", "Because too many were waiting. Conditions are right anyway.", units.EventsPerSecond,
        Query(f"sum by (pod) ({rate_of('sandkeeper_events_dropped_total')})", "{{pod}}"),
    ),
    graph(
        "CPU", "Cores. Of the gateway its parent process alone, which carries no traffic.", units.Short,
        Query(rate_of("process_cpu_seconds_total", _JOB), "{{pod}}"), width=12,
    ),
    graph(
        "Memory", "Resident. Of the gateway its parent process alone, which carries no traffic.", units.BytesIEC,
        Query(of("process_resident_memory_bytes", _JOB), "{{pod}}"), width=12,
    ),
)  # fmt: skip
