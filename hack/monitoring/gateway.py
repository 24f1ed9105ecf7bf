"""The egress gateway: what it lets through, what it refuses and why, and how it bears up."""

from grafana_foundation_sdk.models import units

from monitoring.panels import Query, graph
from monitoring.queries import mean, of, quantile, rate_of

_CONNECTIONS = "sandkeeper_gateway_connections_total"
_LAG = "sandkeeper_gateway_policy_lag_seconds"
_DENIED = 'verdict="denied"'
_ALLOWED = 'verdict="allowed"'
_NAMES = 'kind="dns"'
_LIMITS = 'reason=~"too-many-connections|too-many-new-connections"'
_UPSTREAM = ('kind!="dns"', _DENIED, 'reason=~"upstream-unreachable|timeout|unresolvable"')

GATEWAY = (
    graph(
        "Connections by verdict", "Connections and requests that ended, and questions that were refused, a second.",
        units.OpsPerSecond, Query(f"sum by (verdict) ({rate_of(_CONNECTIONS)})", "{{verdict}}"), stacked=True,
    ),
    graph(
        "Refused, by reason", "docs/egress.md says what closes which way out; the gateway's log tells whom.",
        units.OpsPerSecond, Query(f"sum by (reason) ({rate_of(_CONNECTIONS, _DENIED)})", "{{reason}}"),
        stacked=True,
    ),
    graph(
        "Let through, by the way they came", "tls: 443; http: requests on 80; connect: the proxy; port: all others.",
        units.OpsPerSecond, Query(f"sum by (kind) ({rate_of(_CONNECTIONS, _ALLOWED)})", "{{kind}}"), stacked=True,
    ),
    graph(
        "Names that were refused", "Questions to the sandboxes' name server that got no address, a second.",
        units.OpsPerSecond, Query(f"sum by (reason) ({rate_of(_CONNECTIONS, _NAMES)})", "{{reason}}"), stacked=True,
    ),
    graph(
        "Allowed, and nobody answered",
        "unresolvable: the gateway's own resolvers have no address; upstream-unreachable and timeout: the site.",
        units.OpsPerSecond, Query(f"sum by (reason) ({rate_of(_CONNECTIONS, *_UPSTREAM)})", "{{reason}}"), stacked=True,
    ),
    graph(
        "Refused by limits", "A sandbox has too many connections open, or opens them too fast.", units.OpsPerSecond,
        Query(f"sum by (reason) ({rate_of(_CONNECTIONS, _LIMITS)})", "{{reason}}"), limits=[(1, "red")],
    ),
    graph(
        "Bytes", "Of connections that ended: up from sandboxes, down to them.", units.BytesPerSecondIEC,
        Query(f"sum by (direction) ({rate_of('sandkeeper_gateway_bytes_total')})", "{{direction}}"),
    ),
    graph(
        "Open connections", "By replica.", units.Short,
        Query(f"sum by (pod) ({of('sandkeeper_gateway_open_connections')})", "{{pod}}"), stacked=True,
    ),
    graph(
        "Duration of a connection, mean", "From the first byte to the last, by the way they came.", units.Seconds,
        Query(mean("sandkeeper_gateway_connection_seconds", "kind"), "{{kind}}"),
    ),
    graph(
        "Until a change is in force", "From the apiserver's news of a pod until a worker judges by it.", units.Seconds,
        *(Query(quantile(share, _LAG), f"{share:.0%}") for share in (0.5, 0.99)), limits=[(1, "red")],
    ),
    graph(
        "Replicas", "Workers that take connections, and sandboxes that each replica knows.", units.Short,
        Query(f"sum by (pod) ({of('sandkeeper_gateway_workers')})", "{{pod}}: workers"),
        Query(f"sum by (pod) ({of('sandkeeper_gateway_known_pods')})", "{{pod}}: sandboxes"),
    ),
    graph(
        "Audit records that were lost", "Because nobody took them fast enough.", units.OpsPerSecond,
        Query(f"sum by (pod) ({rate_of('sandkeeper_gateway_audit_dropped_total')})", "{{pod}}"), limits=[(1, "red")],
    ),
)  # fmt: skip
