"""Measures all ways, round after round, in a network of its own: ``python -m benchmark.egress ROUNDS``."""

import json
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

import psutil

from benchmark.egress.load import SOURCES
from benchmark.egress.ways import ENVOY_PORT, GATEWAY, GatewayWorker, start_envoy
from benchmark.egress.wire import HOST, SITE, TLS_PORT, WEB_PORT
from benchmark.errors import BenchmarkError
from localcluster.progress import say
from sandkeeper.gateway.places import DNS_PORT, HTTP_PORT
from sandkeeper.gateway.places import TLS_PORT as GATEWAY_TLS_PORT

WAYS = {"direct": (SITE, TLS_PORT), "envoy": (GATEWAY, ENVOY_PORT), "gateway": (GATEWAY, GATEWAY_TLS_PORT)}
LOADS = {"connections": "per_second", "paced": "p50_ms", "stream": "gbit_per_second"}
_MEBI = 2**20
_PORTS = {"ip_local_port_range": "1024 65535", "tcp_tw_reuse": "1"}


def prepare() -> None:
    """Give loopback the addresses of the site and of all clients; nothing else is in this network.

    Proxies reach the site from one address: they are to find a free port at once, as at a site of many addresses.
    """
    for name, value in _PORTS.items():
        Path("/proc/sys/net/ipv4", name).write_text(value)
    batch = ["link set lo up", *(f"address add {each}/32 dev lo" for each in (SITE, *SOURCES))]
    subprocess.run(["ip", "-batch", "-"], input="\n".join(batch), text=True, check=True)


def _client(what: str, address: str, port: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "benchmark.egress.load", what, address, str(port)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def load(what: str, address: str, port: int) -> dict[str, float]:
    """Run one client to its end."""
    said, _ = _client(what, address, port).communicate(timeout=120)
    found: dict[str, float] = json.loads(said)
    return found


def _next_line(process: subprocess.Popen[str]) -> None:
    if process.stdout is None or not process.stdout.readline():
        raise BenchmarkError(f"{process.args!r} ended before it was ready")


@contextmanager
def holding(address: str, port: int) -> Iterator[subprocess.Popen[str]]:
    """Hold a thousand idle connections."""
    client = _client("idle", address, port)
    _next_line(client)
    time.sleep(1)
    try:
        yield client
    finally:
        client.communicate("\n", timeout=60)


def held_memory(process: psutil.Process, address: str, port: int) -> float:
    """Return by how many MiB a thousand idle connections make a process larger."""
    before = process.memory_info().rss
    with holding(address, port):
        return float(process.memory_info().rss - before) / _MEBI


def seconds_to_cut(gateway: GatewayWorker) -> float:
    """Return how long it takes until a thousand connections are closed that are not allowed any more."""
    with holding(*WAYS["gateway"]) as client:
        connections = psutil.Process(client.pid)
        began = time.perf_counter()
        gateway.allow([], SOURCES)
        while any(each.status == psutil.CONN_ESTABLISHED for each in connections.net_connections("tcp")):
            time.sleep(0.005)
        took = time.perf_counter() - began
    gateway.allow([HOST], SOURCES)
    return took


def measure(folder: Path, rounds: int) -> dict[str, dict[str, float]]:
    """Measure everything; figures by what is measured and the way."""
    site = subprocess.Popen([sys.executable, "-m", "benchmark.egress.site"], stdout=subprocess.PIPE, text=True)
    _next_line(site)
    envoy, gateway = start_envoy(folder), GatewayWorker(folder)
    found: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    known = gateway.process.memory_info().rss / _MEBI
    # Before anything else: what connections have left is used again for others, and would not be seen.
    found["idle"]["envoy"].append(held_memory(envoy, *WAYS["envoy"]))
    found["idle"]["gateway"].append(held_memory(gateway.process, *WAYS["gateway"]))
    for number in range(rounds):
        for what, figure in LOADS.items():
            for way, (address, port) in WAYS.items():
                say(f"round {number + 1} of {rounds}: {what}, {way}")
                found[what][way].append(load(what, address, port)[figure])
        found["requests"]["direct"].append(load("requests", SITE, WEB_PORT)["per_second"])
        found["requests"]["gateway"].append(load("requests", GATEWAY, HTTP_PORT)["per_second"])
        found["names"]["gateway"].append(load("names", GATEWAY, DNS_PORT)["p50_ms"])
        found["cut"]["gateway"].append(seconds_to_cut(gateway))
    medians = {what: {way: median(each) for way, each in ways.items()} for what, ways in found.items()}
    return {**medians, "known": {"gateway": known}}


if __name__ == "__main__":
    prepare()
    with tempfile.TemporaryDirectory() as temporary:
        print(json.dumps(measure(Path(temporary), int(sys.argv[1]))))
