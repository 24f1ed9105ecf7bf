"""The operator as a process: what it tells of itself, and how it starts and ends."""

import subprocess
import sys
from pathlib import Path
from threading import Event

import pytest

from api.operator.conftest import StartOperator
from api.operator.operator_process import environment
from api.operator.proxy import answered, held
from api.operator.team import Team
from api.operator.waiting import eventually
from sandkeeper.runtime.resource import PODS

WEB = {"name": "web", "port": 8080}


def test_nothing_is_taken_for_missing_while_a_list_is_slow(start_operator: StartOperator, team: Team) -> None:
    operator = start_operator()
    team.create(ports=[WEB])
    team.await_running()
    before = team.pod()["metadata"]["uid"]
    operator.stop()
    listed = Event()
    slow = operator.proxy.harm(lambda call: call.what == "list pods", held(listed))
    writes = len(operator.proxy.writes(team.namespace))

    operator.begin()
    eventually(lambda: slow.befallen, "list of pods")
    eventually(lambda: operator.probe("healthz")[0] == 200, "healthy operator")
    status, told = operator.probe("readyz")

    assert (status, told) == (503, "pods are not listed yet")
    listed.set()
    eventually(lambda: operator.ready, "ready operator")
    operator.await_passes(1)
    assert len(operator.proxy.writes(team.namespace)) == writes
    assert team.pod()["metadata"]["uid"] == before


def test_a_right_that_is_missing_shows_in_readiness(start_operator: StartOperator) -> None:
    operator = start_operator()
    operator.stop()
    operator.proxy.harm(lambda call: call.what == "list services", answered(403, "Forbidden"), times=None)

    operator.begin()

    eventually(lambda: operator.probe("readyz") == (503, "services are not listed yet"), "answer that names the kind")
    eventually(lambda: [line for line in operator.log if "403 Forbidden" in line.get("error", "")], "line in the log")
    assert operator.probe("healthz")[0] == 200
    operator.proxy.heal()
    eventually(lambda: operator.ready, "ready operator")


def test_metrics_tell_of_work_and_name_nobody(start_operator: StartOperator, team: Team) -> None:
    operator = start_operator()
    team.create("agent-of-mine", ports=[WEB])
    team.await_running(["agent-of-mine"])

    metrics = operator.metrics()

    assert {
        "sandkeeper_queue_depth",
        "sandkeeper_queue_wait_seconds_bucket",
        "sandkeeper_pass_seconds_bucket",
        "sandkeeper_api_request_seconds_bucket",
        "sandkeeper_sandbox_start_seconds_bucket",
        "sandkeeper_sandboxes",
        "sandkeeper_watch_age_seconds",
        "sandkeeper_event_loop_lag_seconds",
        "process_cpu_seconds_total",
    } <= metrics.keys()
    posts = {"verb": "create", "resource": "pods", "code": "201"}
    assert [value for labels, value in metrics["sandkeeper_api_request_seconds_count"] if labels == posts] == [1]
    assert metrics["sandkeeper_sandbox_start_seconds_count"][0][1] == 1
    values = {value for series in metrics.values() for labels, _ in series for value in labels.values()}
    assert not [value for value in values if "agent-of-mine" in value or team.namespace in value]
    assert set(metrics["sandkeeper_sandbox_start_seconds_bucket"][0][0]) == {"le"}
    assert metrics["sandkeeper_sandbox_start_seconds_bucket"][0][0]["le"] == "0.01"


def test_the_story_of_a_sandbox_is_found_by_its_key(start_operator: StartOperator, team: Team) -> None:
    operator = start_operator()
    team.create(ports=[WEB])
    team.await_running()
    team.create("other")
    team.await_running(["other"])
    team.api.delete(PODS, team.namespace, "sbx-agent")
    eventually(lambda: len(story(operator.log, f"{team.namespace}/agent")) >= 8, "eight lines")

    told = story(operator.log, f"{team.namespace}/agent")

    assert told[:6] == [
        "create Fence/sandkeeper-fence",
        "create NetworkPolicy/sandkeeper-fence",
        "create Pod/sbx-agent",
        "create Service/agent",
        "create NetworkPolicy/sbx-agent",
        "Running",
    ]
    assert "create Pod/sbx-agent" in told[6:]
    assert not [line for line in told if "other" in line]


def story(log: list[dict[str, str]], key: str) -> list[str]:
    return [line.get("reason") or f"{line['action']} {line['child']}" for line in log if line.get("key") == key]


@pytest.mark.parametrize(
    ("variable", "value", "allowed"),
    [
        ("SANDKEEPER_SHARDS", "none", "valid integer"),
        ("SANDKEEPER_WORKERS", "0", "greater than or equal to 1"),
        ("SANDKEEPER_METRICS_PORT", "70000", "less than or equal to 65535"),
        ("SANDKEEPER_LOG_LEVEL", "loud", "'debug', 'info', 'warning' or 'error'"),
        ("SANDKEEPER_USER_NAMESPACES", "Sometimes", "'Auto' or 'Never'"),
        ("SANDKEEPER_POD_LABELS", "team=a", "JSON"),
    ],
)
def test_a_wrong_setting_is_named(tmp_path: Path, variable: str, value: str, allowed: str) -> None:
    done = run_operator(tmp_path / "none", **{variable.removeprefix("SANDKEEPER_"): value})

    assert done.returncode == 2
    assert done.stdout == ""
    (sentence,) = done.stderr.splitlines()
    assert sentence.startswith(f"{variable}: ")
    assert allowed in sentence
    assert value in sentence


def test_a_kubeconfig_that_is_not_there_is_named(tmp_path: Path) -> None:
    done = run_operator(tmp_path / "nowhere")

    assert done.returncode != 0
    said = done.stdout + done.stderr
    assert str(tmp_path / "nowhere") in said
    assert "Traceback" not in said


def run_operator(kubeconfig: Path, **settings: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "sandkeeper", "operator"]
    return subprocess.run(
        command, env=environment(kubeconfig, settings), capture_output=True, text=True, timeout=60, check=False
    )
