"""Prometheus itself says which alert fires on which series, and that the others do not.

Series are in the notation of promtool: ``0x30`` is 0 for thirty minutes more, ``0+60x30`` grows by 60 a minute. Each
story is judged at its thirtieth minute; a window of an hour then reaches back to the first.
"""

import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from localcluster.tools import tool
from unit.monitoring.rules import Alert

Series = dict[str, str]
API = 'sandkeeper_api_request_seconds_count{{verb="get", resource="pods", code="{}"}}'
PASSES = 'sandkeeper_pass_seconds_count{{kind="Sandbox", result="{}"}}'
WAIT = 'sandkeeper_queue_wait_seconds_bucket{{kind="Sandbox", le="{}"}}'
SANDBOXES = 'sandkeeper_sandboxes{{pod="{1}", reason="{0}"}}'
START = 'sandkeeper_sandbox_start_seconds_bucket{{le="{}"}}'
PACKS = 'sandkeeper_pack_seconds_count{{result="{}"}}'
SNAPSHOTS = 'sandkeeper_snapshot_seconds_count{{result="{}"}}'
CONNECTIONS = 'sandkeeper_gateway_connections_total{{kind="tls", verdict="{}", reason="{}"}}'
NAMES = 'sandkeeper_gateway_connections_total{kind="dns", verdict="denied", reason="domain-not-allowed"}'
LAG = 'sandkeeper_gateway_policy_lag_seconds_bucket{{le="{}"}}'
NOT_KNOWN = " ".join(["NaN"] * 31)
RUNS = 'sandkeeper_canary_runs_total{{result="{}"}}'


@dataclass(frozen=True)
class Story:
    """What is told, and how many alerts of a name fire by it."""

    alert: str
    series: Series
    firing: int


def stories(alert: str, fires: Series, *quiet: Series, times: int = 1) -> list[Story]:
    return [Story(alert, fires, times), *(Story(alert, each, 0) for each in quiet)]


STORIES = [
    *stories("OperatorDown", {}, {"sandkeeper_shards_held": "8x30"}),
    *stories(
        "ShardsNotHeld",
        {'sandkeeper_shards_held{pod="a"}': "4x30", "sandkeeper_shards": "8x30"},
        {
            'sandkeeper_shards_held{pod="a"}': "4x30",
            'sandkeeper_shards_held{pod="b"}': "4x30",
            "sandkeeper_shards": "8x30",
        },
        # Handed over a moment ago.
        {'sandkeeper_shards_held{pod="a"}': "8x27 4x3", "sandkeeper_shards": "8x30"},
    ),
    *stories(
        "WatchStale",
        {'sandkeeper_watch_age_seconds{resource="pods"}': "0+60x30"},
        {'sandkeeper_watch_age_seconds{resource="pods"}': "70x30"},
    ),
    *stories(
        "ApiserverFailing",
        {API.format(200): "0+90x30", API.format(0): "0+10x30"},
        {API.format(200): "0+90x30", API.format(403): "0+10x30", API.format(409): "0+10x30"},
        {API.format(200): "0+99x30", API.format(503): "0+1x30"},
        {API.format(200): "5x30"},
    ),
    # Never yet a good one.
    Story("ApiserverFailing", {API.format(0): "0+1x30"}, 1),
    *stories(
        "PassesFail",
        {PASSES.format("ok"): "0+80x30", PASSES.format("error"): "0+20x30"},
        {PASSES.format("ok"): "0+80x30", PASSES.format("conflict"): "0+20x30", PASSES.format("error"): "0x30"},
        {PASSES.format("ok"): "0x30", PASSES.format("error"): "0x30"},
    ),
    *stories(
        "Defect",
        # Told as none from the start, so that the first one is a rise.
        {PASSES.format("defect"): "0x20 1x10"},
        {PASSES.format("defect"): "0x30", PASSES.format("error"): "0+9x30"},
    ),
    *stories(
        "QueueNotDrained",
        {'sandkeeper_queue_depth{kind="Sandbox"}': "3x30"},
        {'sandkeeper_queue_depth{kind="Sandbox"}': "300 300 0 300 300 0 300 300 0x3 300x3 0 300x2 0 300x3 0 300x10"},
    ),
    *stories(
        "QueueSlow",
        {WAIT.format(10): "0+50x30", WAIT.format(30): "0+100x30", WAIT.format("+Inf"): "0+100x30"},
        {WAIT.format(10): "0+99x30", WAIT.format(30): "0+100x30", WAIT.format("+Inf"): "0+100x30"},
        {WAIT.format(10): "9x30", WAIT.format(30): "9x30", WAIT.format("+Inf"): "9x30"},
    ),
    *stories(
        "EventLoopLag",
        {"sandkeeper_event_loop_lag_seconds": "0.8x30"},
        {"sandkeeper_event_loop_lag_seconds": "0.001x20 3 0.001x9"},
    ),
    *stories(
        "EventsDropped", {"sandkeeper_events_dropped_total": "0x20 5x10"}, {"sandkeeper_events_dropped_total": "5x30"}
    ),
    *stories(
        "EgressNotEnforced",
        {'sandkeeper_egress_enforced{pod="a"}': "1x29 0", 'sandkeeper_egress_enforced{pod="b"}': NOT_KNOWN},
        {'sandkeeper_egress_enforced{pod="a"}': "1x30"},
        {'sandkeeper_egress_enforced{pod="a"}': NOT_KNOWN},
    ),
    *stories(
        "EgressUnknown",
        {'sandkeeper_egress_enforced{pod="a"}': NOT_KNOWN, 'sandkeeper_egress_enforced{pod="b"}': NOT_KNOWN},
        {'sandkeeper_egress_enforced{pod="a"}': "0x30"},
        {'sandkeeper_egress_enforced{pod="a"}': f"1x24 {' '.join(['NaN'] * 6)}"},
    ),
    *stories(
        # The clock of these stories begins with the epoch; the chart's interval is an hour.
        "CanaryOld",
        {"sandkeeper_canary_last_run_timestamp_seconds": "-4000x30"},
        {"sandkeeper_canary_last_run_timestamp_seconds": "-3500x30"},
        {"sandkeeper_canary_last_run_timestamp_seconds": NOT_KNOWN},
    ),
    *stories(
        "CanaryBroken",
        {RUNS.format("CanaryBroken"): "0x10 1x5 2x5 4x10", RUNS.format("Verified"): "0x30"},
        {RUNS.format("CanaryBroken"): "0x10 1x20", RUNS.format("Verified"): "0+1x30"},
    ),
    *stories(
        "SandboxesBlocked",
        {SANDBOXES.format("NodeLost", "a"): "1x30", SANDBOXES.format("NodeLost", "b"): "1x30"},
        {SANDBOXES.format("CrashLooping", "a"): "1x30", SANDBOXES.format("Running", "a"): "5x30"},
        {SANDBOXES.format("Unschedulable", "a"): "_x20 1x10"},
    ),
    *stories(
        "SandboxesFailing",
        {
            SANDBOXES.format("ImagePullFailed", "a"): "9x30",
            SANDBOXES.format("ImagePullFailed", "b"): "9x30",
            SANDBOXES.format("Running", "a"): "40x30",
            SANDBOXES.format("Running", "b"): "40x30",
        },
        # One in two, of four.
        {SANDBOXES.format("ImagePullFailed", "a"): "2x30", SANDBOXES.format("Running", "a"): "2x30"},
        # Nine of a thousand.
        {SANDBOXES.format("ImagePullFailed", "a"): "9x30", SANDBOXES.format("Running", "a"): "991x30"},
    ),
    *stories(
        "StartsSlow",
        {START.format(60): "0+50x30", START.format(120): "0+100x30", START.format("+Inf"): "0+100x30"},
        {START.format(60): "0+95x30", START.format(120): "0+100x30", START.format("+Inf"): "0+100x30"},
        {START.format(60): "0x30", START.format(120): "9x30", START.format("+Inf"): "9x30"},
    ),
    *stories(
        "SandboxesNotMeasured",
        {'sandkeeper_usage_nodes{measured="no"}': "2x30", 'sandkeeper_usage_nodes{measured="yes"}': "5x30"},
        {'sandkeeper_usage_nodes{measured="no"}': "0x20 1x10"},
        {'sandkeeper_usage_nodes{measured="yes"}': "5x30"},
    ),
    *stories(
        "TrafficNotMeasured",
        {'sandkeeper_usage_gateways{answered="no"}': "1x30"},
        {'sandkeeper_usage_gateways{answered="yes"}': "2x30", 'sandkeeper_usage_gateways{answered="no"}': "0x30"},
    ),
    *stories(
        "PacksFail",
        {PACKS.format("Unreachable"): "0+1x30", PACKS.format("Failed"): "0+1x30"},
        {PACKS.format("TooLarge"): "0+1x30", PACKS.format("ok"): "0+9x30", PACKS.format("Failed"): "0x30"},
        {PACKS.format("Unreachable"): "0x20 2x10"},
        times=2,
    ),
    *stories(
        "SnapshotsFail",
        {SNAPSHOTS.format("Ready"): "0+1x30", SNAPSHOTS.format("NoSnapshotSupport"): "0+1x30"},
        {SNAPSHOTS.format("Ready"): "0+1x30", SNAPSHOTS.format("Failed"): "0x20 1x10"},
        {SNAPSHOTS.format("Ready"): "0x30", SNAPSHOTS.format("Failed"): "0x30"},
    ),
    *stories(
        "GatewayDown",
        {'sandkeeper_gateway_workers{pod="a"}': "0x30"},
        {'sandkeeper_gateway_workers{pod="a"}': "0x30", 'sandkeeper_gateway_workers{pod="b"}': "2x30"},
    ),
    *stories(
        "GatewayLimits",
        {CONNECTIONS.format("denied", "too-many-new-connections"): "0+120x30"},
        {CONNECTIONS.format("denied", "too-many-connections"): "0+30x30"},
        {CONNECTIONS.format("denied", "domain-not-allowed"): "0+600x30"},
    ),
    *stories(
        "GatewayUpstreamFailing",
        {CONNECTIONS.format("allowed", ""): "0+60x30", CONNECTIONS.format("denied", "timeout"): "0+40x30"},
        # Idle connections that are cut in the end were let through; refusals are no failures.
        {CONNECTIONS.format("allowed", ""): "0+60x30", CONNECTIONS.format("allowed", "timeout"): "0+40x30"},
        {CONNECTIONS.format("allowed", ""): "0+60x30", CONNECTIONS.format("denied", "domain-not-allowed"): "0+90x30"},
    ),
    *stories(
        "GatewayResolutionFailing",
        {CONNECTIONS.format("allowed", ""): "0+60x30", CONNECTIONS.format("denied", "unresolvable"): "0+40x30"},
        {CONNECTIONS.format("allowed", ""): "0+60x30", NAMES: "0+90x30"},
    ),
    *stories(
        "GatewayPolicyLate",
        {LAG.format(1): "0+50x30", LAG.format("2.5"): "0+100x30", LAG.format("+Inf"): "0+100x30"},
        {LAG.format(1): "0+100x30", LAG.format("2.5"): "0+100x30", LAG.format("+Inf"): "0+100x30"},
    ),
    *stories(
        "GatewayAuditLost",
        {"sandkeeper_gateway_audit_dropped_total": "0x29 7"},
        {"sandkeeper_gateway_audit_dropped_total": "7x30"},
    ),
]


def promtool(*arguments: str | Path) -> None:
    done = subprocess.run([tool("promtool"), *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def judged(story: Story) -> dict[str, Any]:
    """Write a story down as promtool reads it."""
    firing = f'count(ALERTS{{alertname="Sandkeeper{story.alert}", alertstate="firing"}}) or vector(0)'
    return {
        "name": f"{story.alert}: {story.series}",
        "interval": "1m",
        "input_series": [{"series": name, "values": values} for name, values in story.series.items()],
        "promql_expr_test": [
            {"expr": firing, "eval_time": "30m", "exp_samples": [{"labels": "{}", "value": story.firing}]}
        ],
    }


def test_prometheus_takes_the_rules(rules: Path) -> None:
    promtool("check", "rules", "--lint=all", "--lint-fatal", rules)


def test_each_fires_when_it_is_to_and_not_when_it_is_not(rules: Path) -> None:
    tests = {"rule_files": [rules.name], "evaluation_interval": "1m", "tests": [judged(each) for each in STORIES]}
    file = rules.with_name("tests.yaml")
    file.write_text(yaml.safe_dump(tests))

    promtool("test", "rules", file)


def test_each_has_a_story_in_which_it_fires_and_one_in_which_it_does_not(alerts: list[Alert]) -> None:
    for fires in (True, False):
        told = {f"Sandkeeper{story.alert}" for story in STORIES if bool(story.firing) == fires}
        assert told == {alert.name for alert in alerts}


@pytest.mark.parametrize("alert", ["SandkeeperShardsNotHeld"])
def test_a_story_that_is_told_wrong_is_noticed(rules: Path, alert: str) -> None:
    wrong = Story(alert.removeprefix("Sandkeeper"), {"sandkeeper_shards_held": "8x30", "sandkeeper_shards": "8x30"}, 1)
    file = rules.with_name("tests.yaml")
    file.write_text(yaml.safe_dump({"rule_files": [rules.name], "evaluation_interval": "1m", "tests": [judged(wrong)]}))

    with pytest.raises(AssertionError, match=alert):
        promtool("test", "rules", file)
