"""The ways to the site: straight, by a bare Envoy as a TCP proxy, and by one worker of the gateway."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import envoy
import psutil

from benchmark.egress.load import SOURCES
from benchmark.egress.wire import HOST, RESOLVER_PORT, SITE, TLS_PORT
from localcluster.process import wait_until
from sandkeeper.api.egress import EgressGrant
from sandkeeper.gateway.wire import Change, Entry, Slots, Synced, encoded

GATEWAY = "127.0.0.1"
ENVOY_PORT = 15443
STRANGERS = 5000 - len(SOURCES)
"""Sandboxes that the gateway knows beside those that connect."""
_PROXY = "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy"
_ENVOY = f"""
static_resources:
  listeners:
  - name: tcp
    address: {{socket_address: {{address: {GATEWAY}, port_value: {ENVOY_PORT}}}}}
    filter_chains:
    - filters:
      - name: envoy.filters.network.tcp_proxy
        typed_config: {{"@type": {_PROXY}, stat_prefix: tcp, cluster: site}}
  clusters:
  - name: site
    type: STATIC
    # Its defaults would refuse what is measured.
    circuit_breakers: {{thresholds: [{{max_connections: 100000, max_pending_requests: 100000}}]}}
    load_assignment:
      cluster_name: site
      endpoints:
      - lb_endpoints:
        - endpoint: {{address: {{socket_address: {{address: {SITE}, port_value: {TLS_PORT}}}}}}}
"""


def _listens(port: int) -> bool:
    with socket.socket() as asking:
        return asking.connect_ex((GATEWAY, port)) == 0


def start_envoy(folder: Path) -> psutil.Process:
    """Start Envoy with one thread, as the gateway's worker has one."""
    configuration = folder / "envoy.yaml"
    configuration.write_text(_ENVOY)
    program = Path(envoy.__file__).parent / "_bin" / "envoy"
    command = [
        str(program),
        "-c",
        str(configuration),
        "--concurrency",
        "1",
        "--log-level",
        "error",
        "--disable-hot-restart",
    ]
    process = subprocess.Popen(command, stderr=(folder / "envoy.log").open("w"))
    wait_until(lambda: _listens(ENVOY_PORT), "Envoy", 30.0)
    return psutil.Process(process.pid)


class GatewayWorker:
    """A worker of the gateway whose parent is the benchmark.

    Parameters
    ----------
    folder
        For its audit records, which it writes as in a pod.
    """

    def __init__(self, folder: Path) -> None:
        self._line, theirs = socket.socketpair()
        settings = {
            "SANDKEEPER_GATEWAY_RESOLVERS": json.dumps([GATEWAY]),
            "SANDKEEPER_GATEWAY_RESOLVERS_PORT": str(RESOLVER_PORT),
        }
        # In a container standard output is a pipe, too.
        self._reader = subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=(folder / "audit.log").open("w"))
        self._process = subprocess.Popen(
            [sys.executable, "-m", "sandkeeper.gateway.worker", str(theirs.fileno())],
            pass_fds=[theirs.fileno()], env={**os.environ, **settings}, stdout=self._reader.stdin,
        )  # fmt: skip
        theirs.close()
        self.allow([HOST], SOURCES)
        self.allow([f"host-{number}.example" for number in range(5)], _strangers())
        self._tell(Slots({0: (GATEWAY,)}))
        self._tell(Synced())
        wait_until(lambda: _listens(10443), "the gateway", 30.0)

    @property
    def process(self) -> psutil.Process:
        """Its process."""
        return psutil.Process(self._process.pid)

    def allow(self, domains: list[str], sources: list[str]) -> None:
        """Say what sources may reach."""
        grant = EgressGrant(domains=tuple(domains)).model_dump_json(by_alias=True, exclude_none=True)
        entries = tuple(Entry(each, "bench", each, f"u-{each}", f"p-{each}", grant) for each in sources)
        self._tell(Change(entries=entries))

    def _tell(self, message: object) -> None:
        self._line.sendall(encoded(message))


def _strangers() -> list[str]:
    return [f"10.98.{number // 250}.{number % 250 + 1}" for number in range(STRANGERS)]
