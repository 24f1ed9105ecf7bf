"""The chart's alerts, as it renders them, and its dashboard."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from promql_parser import Expr, VectorSelector, parse, walk

from unit.chart.rendering import CHART, MONITORING, Values, objects

ON: Values = {
    "networkPolicy": {"metricsFrom": [MONITORING]},
    "metrics": {"prometheusRule": {"enabled": True, "runbook": "https://git.example.com/runbook.md"}},
}
DASHBOARD = CHART / "files" / "dashboards" / "sandkeeper.json"
# What Grafana and its user fill in.
FILLED_IN = {"$__rate_interval": "2m", "$__range": "3h", "$namespace": ".*", "$job": ".*"}


@dataclass(frozen=True)
class Alert:
    """An alert of the chart."""

    name: str
    query: str
    labels: dict[str, str]
    annotations: dict[str, str]
    lasts: str


def rules_of(rendered: str) -> dict[str, Any]:
    """Return the groups of the rendered PrometheusRule, which is what a rule file of Prometheus holds."""
    (rule,) = objects(rendered, "PrometheusRule")
    spec: dict[str, Any] = rule["spec"]
    return spec


def alerts_of(rendered: str) -> list[Alert]:
    """Return the rendered alerts."""
    return [
        Alert(each["alert"], each["expr"], each["labels"], each["annotations"], each.get("for", "0m"))
        for group in rules_of(rendered)["groups"]
        for each in group["rules"]
    ]


def panels() -> list[dict[str, Any]]:
    """Return the panels of the dashboard, without the rows' titles."""
    return [each for each in json.loads(DASHBOARD.read_text())["panels"] if each["type"] != "row"]


def drawn() -> Iterator[tuple[str, str]]:
    """Give each query of the dashboard with its panel's title, as Prometheus is asked it."""
    for panel in panels():
        for target in panel["targets"]:
            yield panel["title"], filled_in(target["expr"])


def filled_in(query: str) -> str:
    """Fill in the variables of a query."""
    for variable, value in FILLED_IN.items():
        query = query.replace(variable, value)
    assert "$" not in query, query
    return query


def selectors(query: str) -> list[VectorSelector]:
    """Return what a query selects, without ranges."""
    found: list[VectorSelector] = []

    def note(expression: Expr) -> None:
        if isinstance(expression, VectorSelector):
            found.append(expression)

    walk(parse(query), note)
    return found
