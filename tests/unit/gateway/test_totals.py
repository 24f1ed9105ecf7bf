"""Metrics are sums over workers, with labels whose number is bounded."""

from prometheus_client import CollectorRegistry, generate_latest

from sandkeeper.gateway.tally import LAG, Tally
from sandkeeper.gateway.totals import Totals
from sandkeeper.gateway.wire import FROM_WORKER, Report, encoded
from unit.gateway.records import allowed, question, refused


def report(tally: Tally) -> Report:
    """Give a report as it comes over the wire."""
    counts, spreads = tally.take()
    read = FROM_WORKER.validate_json(encoded(Report(counts=counts, spreads=spreads))[4:])
    assert isinstance(read, Report)
    return read


def value(registry: CollectorRegistry, name: str, **labels: str) -> float | None:
    return registry.get_sample_value(name, labels)


def test_reports_of_all_workers_add_up() -> None:
    registry = CollectorRegistry()
    totals = Totals(registry, {"sandkeeper_gateway_workers": ("Workers.", lambda: 2.0)})
    first, second = Tally(), Tally()
    for tally in (first, second, first):
        tally.record(allowed())
        tally.record(refused())
        tally.record(question("a.example"))

    totals.take(report(first))
    totals.take(report(second))
    totals.take(report(first))

    connections = "sandkeeper_gateway_connections_total"
    assert value(registry, connections, kind="tls", verdict="allowed", reason="") == 3
    assert value(registry, connections, kind="tls", verdict="denied", reason="domain-not-allowed") == 3
    assert value(registry, connections, kind="dns", verdict="denied", reason="domain-not-allowed") == 3
    assert value(registry, "sandkeeper_gateway_bytes_total", direction="down") == 6000
    seconds = "sandkeeper_gateway_connection_seconds"
    assert value(registry, f"{seconds}_bucket", kind="tls", le="1.0") == 0
    assert value(registry, f"{seconds}_bucket", kind="tls", le="2.5") == 3
    assert value(registry, f"{seconds}_count", kind="tls") == 3
    assert value(registry, f"{seconds}_sum", kind="tls") == 4.5
    assert value(registry, "sandkeeper_gateway_workers") == 2.0


def test_how_late_a_policy_is_known_is_measured() -> None:
    registry, tally = CollectorRegistry(), Tally()
    totals = Totals(registry, {})

    tally.observe(LAG, value=0.003)
    tally.observe(LAG, value=9.0)
    totals.take(report(tally))

    assert value(registry, f"{LAG}_bucket", le="0.005") == 1
    assert value(registry, f"{LAG}_bucket", le="+Inf") == 2


def test_no_label_has_a_value_that_a_client_chose() -> None:
    registry, tally = CollectorRegistry(), Tally()
    totals = Totals(registry, {})

    tally.record(refused(reason="made-up-by-somebody", domain="secret.example"))
    totals.take(report(tally))

    told = generate_latest(registry).decode()
    assert 'reason="other"' in told
    assert "secret.example" not in told
    assert "made-up" not in told


def test_what_alerts_ask_for_is_counted_from_zero() -> None:
    registry = CollectorRegistry()
    Totals(registry, {})

    connections = "sandkeeper_gateway_connections_total"
    assert value(registry, connections, kind="tls", verdict="denied", reason="too-many-connections") == 0
    assert value(registry, connections, kind="port", verdict="denied", reason="unresolvable") == 0
    assert value(registry, connections, kind="http", verdict="allowed", reason="") == 0
    assert value(registry, connections, kind="dns", verdict="denied", reason="domain-not-allowed") == 0
    assert value(registry, "sandkeeper_gateway_connection_seconds_count", kind="http") == 0
    assert value(registry, "sandkeeper_gateway_audit_dropped_total") == 0
