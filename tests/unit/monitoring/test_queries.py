"""Alerts and dashboard ask for nothing but what operator and gateway tell, and the dashboard is what Grafana takes."""

import asyncio
import json
from types import SimpleNamespace
from typing import Any, cast

import pytest
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard
from prometheus_client import CollectorRegistry

from sandkeeper.controllers.operator import Operator
from sandkeeper.gateway.settings import GatewaySettings
from sandkeeper.gateway.supervisor import Supervisor
from sandkeeper.settings import OperatorSettings
from unit.monitoring.rules import DASHBOARD, Alert, drawn, panels, selectors

SUFFIXES = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count"), "gauge": ("",)}


def told_by(registry: CollectorRegistry) -> set[str]:
    """Names of the series of a registry."""
    return {family.name + suffix for family in registry.collect() for suffix in SUFFIXES[family.type]}


@pytest.fixture
async def told() -> set[str]:
    """Names of all series that the two processes tell."""
    connection: Any = SimpleNamespace(session=None, server="https://cluster.example")
    operator = Operator(OperatorSettings(pod_name="operator-0", namespace="system"), connection, asyncio.Event())
    gateway = Supervisor(GatewaySettings(pod_name="gateway-0", namespace="system"), connection)
    return told_by(operator._metrics.registry) | told_by(gateway._metrics.registry)


def asked_for(query: str) -> set[str]:
    return {cast("str", each.name) for each in selectors(query)}


async def test_every_alert_asks_for_what_there_is(alerts: list[Alert], told: set[str]) -> None:
    assert {alert.name: missing for alert in alerts if (missing := asked_for(alert.query) - told)} == {}


async def test_every_panel_asks_for_what_there_is(told: set[str]) -> None:
    assert [(title, missing) for title, query in drawn() if (missing := asked_for(query) - told)] == []


async def test_all_that_is_told_of_sandboxes_is_asked_for_somewhere(alerts: list[Alert], told: set[str]) -> None:
    queries = [*(alert.query for alert in alerts), *(query for _, query in drawn())]
    asked = set[str]().union(*map(asked_for, queries))

    # Of a histogram one of its three is enough.
    families = {name.removesuffix("_bucket").removesuffix("_count").removesuffix("_sum") for name in asked}
    ours = {name for name in told if name.startswith("sandkeeper_")}
    unused = {
        name
        for name in ours
        if name.removesuffix("_bucket").removesuffix("_count").removesuffix("_sum") not in families
    }

    assert unused == {"sandkeeper_usage_sandboxes"}


def test_grafanas_own_models_read_the_dashboard_and_lose_nothing() -> None:
    register_default_plugins()
    written = json.loads(DASHBOARD.read_text())

    read = Dashboard.from_json(written)

    assert json.loads(JSONEncoder().encode(read)) == written


def test_a_panel_that_grafana_does_not_know_would_not_survive_that() -> None:
    register_default_plugins()
    written = json.loads(DASHBOARD.read_text())
    written["panels"][1]["fieldConfig"]["defaults"]["units"] = "s"

    assert json.loads(JSONEncoder().encode(Dashboard.from_json(written))) != written


def test_every_panel_says_what_it_shows_in_which_unit_and_by_which_names() -> None:
    assert len({panel["title"] for panel in panels()}) == len(panels()) - 1, "Fence is a value and a graph"
    for panel in panels():
        assert panel["description"].endswith("."), panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
        assert all(target["legendFormat"] for target in panel["targets"]), panel["title"]


def test_every_panel_and_row_has_an_id_of_its_own() -> None:
    ids = [panel["id"] for panel in json.loads(DASHBOARD.read_text())["panels"]]

    assert ids == list(range(1, len(ids) + 1))


def test_no_two_panels_overlap_and_rows_are_full() -> None:
    rows: dict[int, int] = {}
    for panel in panels():
        place = panel["gridPos"]
        assert place["x"] == rows.get(place["y"], 0), panel["title"]
        rows[place["y"]] = place["x"] + place["w"]

    assert set(rows.values()) == {24}
