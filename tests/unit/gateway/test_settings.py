"""What the gateway is set up with, and that its process carries nothing of the operator's."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from sandkeeper.gateway.settings import GatewaySettings

OPERATOR = Path(__file__).parents[3] / "operator"


def started(**variables: str) -> subprocess.CompletedProcess[str]:
    """Start a gateway that is to say what is wrong with its settings."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("SANDKEEPER_", "KUBE"))}
    given = {f"SANDKEEPER_GATEWAY_{name}": value for name, value in variables.items()}
    environment = {**kept, **given, "PYTHONPATH": str(OPERATOR)}
    command = [sys.executable, "-m", "sandkeeper", "gateway"]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("WORKERS", "many", "SANDKEEPER_GATEWAY_WORKERS: Input should be a valid integer"),
        ("WORKERS", "-1", "SANDKEEPER_GATEWAY_WORKERS: Input should be greater than or equal to 0"),
        ("PORTS", "22", "SANDKEEPER_GATEWAY_PORTS: "),
        ("PORTS", "[0]", "SANDKEEPER_GATEWAY_PORTS_0: Input should be greater than or equal to 1"),
        ("PORTS", "22,23", "SANDKEEPER_GATEWAY_PORTS: must be a JSON list, such as [] (got '22,23')"),
        ("RESOLVERS", '["dns.example"]', "SANDKEEPER_GATEWAY_RESOLVERS_0: value is not a valid IPv4 or IPv6 address"),
        ("CLUSTER_NETWORKS", '["10.0.0.1/8"]', "SANDKEEPER_GATEWAY_CLUSTER_NETWORKS_0: "),
    ],
)
def test_a_wrong_value_is_named_with_what_is_allowed(name: str, value: str, said: str) -> None:
    ended = started(**{name: value})

    assert ended.returncode == 2
    assert ended.stderr.startswith(said)
    assert "Traceback" not in ended.stderr


def test_ports_are_listened_on_in_the_charts_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SANDKEEPER_GATEWAY_PORTS", "[5432, 22]")

    assert GatewaySettings().ports == (5432, 22)


def test_a_worker_has_files_for_all_connections_that_it_takes() -> None:
    """Of the limits with which containers start, the lower one is no obstacle, and the upper one is kept to."""
    story = """
import resource
resource.setrlimit(resource.RLIMIT_NOFILE, (256, 1000))
from sandkeeper.gateway.callers import KnownCallers
from sandkeeper.gateway.fronts import context_of
from sandkeeper.gateway.settings import GatewaySettings
settings = GatewaySettings(resolvers=["127.0.0.1"])
print(context_of(settings, KnownCallers(1.0), None).limits.total, resource.getrlimit(resource.RLIMIT_NOFILE)[0])
"""
    environment = os.environ | {"PYTHONPATH": str(OPERATOR)}
    ended = subprocess.run([sys.executable, "-c", story], env=environment, capture_output=True, text=True, check=True)
    assert ended.stdout.split() == ["250", "1000"]


def test_there_is_a_worker_a_core_unless_said_otherwise() -> None:
    assert GatewaySettings().processes == len(os.sched_getaffinity(0))
    assert GatewaySettings(workers=3).processes == 3


@pytest.mark.parametrize(
    ("process", "strangers"),
    [
        ("sandkeeper.gateway.supervisor", ("kopf", "sandkeeper.controllers", "sandkeeper.plan", "opentelemetry")),
        ("sandkeeper.gateway.worker", ("kopf", "sandkeeper.controllers", "kubernetes", "aiohttp", "opentelemetry")),
    ],
)
def test_a_process_loads_nothing_that_it_has_no_use_for(process: str, strangers: tuple[str, ...]) -> None:
    code = f"import sys, {process}; print(*sys.modules)"
    environment = os.environ | {"PYTHONPATH": str(OPERATOR)}
    loaded = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=60, check=True
    ).stdout.split()

    assert process in loaded
    assert [each for each in strangers if each in loaded] == []
