"""How soon a change of what a sandbox may reach is in force at the gateway, among a thousand sandboxes.

Operator, apiserver and gateway are the real ones, the pods those of simulated nodes; what asks the gateway's DNS comes
from a pod's address all the same, which this machine has for as long.
"""

import asyncio
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import dns.flags
import dns.message
import dns.rcode

from benchmark import chart, generator
from benchmark.connection import connected
from benchmark.errors import BenchmarkError
from benchmark.objects import SANDBOXES, sandboxes
from benchmark.scenarios import SPREAD, Scenario
from benchmark.testbed import Testbed
from localcluster.paths import CHECKOUT
from localcluster.ports import free_ports
from localcluster.process import Program, wait_until
from localcluster.progress import say, step
from sandkeeper.api.names import pod_name
from sandkeeper.gateway.places import DNS_PORT
from sandkeeper.runtime.client import ApiClient
from sandkeeper.runtime.resource import PODS, Key

KNOWN = Scenario("policy-1000", "with a domain each", 1000, namespaces=SPREAD)
CHANGES = 40
_GATEWAY = "127.0.0.1"
_PATIENCE_SECONDS = 30.0
_PAUSE_SECONDS = 0.004
"""Between two questions: the gateway answers five hundred a second of one sandbox."""


async def measure_policy(folder: Path, nodes: int) -> list[float]:
    """Change what sandboxes may reach, one after the other.

    Returns
    -------
    list of float
        Seconds from each request to the first answer that the gateway gives by it.
    """
    with step("starting a testbed and the gateway"):
        bed = Testbed(folder / "policy", nodes=nodes)
        bed.__enter__()
    try:
        with _gateway(bed, folder):
            async with connected(bed.client) as client:
                return await _lags(client)
    finally:
        bed.__exit__(None, None, None)


async def _lags(client: ApiClient) -> list[float]:
    plain = sandboxes()
    spec = plain.template["spec"] | {"egress": {"domains": ["always.example"]}}
    keys = KNOWN.keys(0)
    with step(f"creating {len(keys)} sandboxes"):
        timing = await generator.create(client, replace(plain, template=plain.template | {"spec": spec}), KNOWN, keys)
    if not timing.complete:
        raise BenchmarkError(f"{len(timing.latencies)} of {timing.expected} sandboxes became Running")
    say(f"changing what {CHANGES} of them may reach")
    return [await _lag(client, key) for key in keys[:: len(keys) // CHANGES]]


async def _lag(client: ApiClient, key: Key) -> float:
    pod = await client.get(PODS, key.namespace, pod_name(key.name))
    with _asking_from(pod["status"]["podIP"]) as asking:
        await _answered(asking, "always.example")
        began = time.perf_counter()
        change = {"spec": {"egress": {"domains": ["always.example", "new.example"]}}}
        patched = asyncio.create_task(client.patch(SANDBOXES, key.namespace, key.name, change))
        await _answered(asking, "new.example")
        took = time.perf_counter() - began
        await patched
        return took


async def _answered(asking: socket.socket, name: str) -> None:
    """Ask until the name has an answer."""
    loop, question = asyncio.get_running_loop(), dns.message.make_query(name, "A").to_wire()
    async with asyncio.timeout(_PATIENCE_SECONDS):
        while True:
            asking.sendto(question, (_GATEWAY, DNS_PORT))
            # Unconnected: where all addresses are of one loopback, the answer may come from another of them.
            answer = dns.message.from_wire(await loop.sock_recv(asking, 1500))
            if answer.rcode() == dns.rcode.NOERROR:
                return
            await asyncio.sleep(_PAUSE_SECONDS)


@contextmanager
def _asking_from(address: str) -> Iterator[socket.socket]:
    """Give a socket to the gateway's DNS at a pod's address, which loopback has meanwhile."""
    subprocess.run(["ip", "address", "add", f"{address}/32", "dev", "lo"], check=True)
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
            asking.bind((address, 0))
            asking.setblocking(False)
            yield asking
    finally:
        subprocess.run(["ip", "address", "delete", f"{address}/32", "dev", "lo"], check=True)


@contextmanager
def _gateway(bed: Testbed, folder: Path) -> Iterator[None]:
    """Run the gateway with a worker for each of two cores, as the chart has it."""
    ports = free_ports(_GATEWAY)
    settings = {
        "NAMESPACE": chart.NAMESPACE, "WORKERS": "2", "METRICS_PORT": "0", "ACTIVITY_PORT": "0",
        "PROBES_PORT": str(ports.apiserver), "AUDIT_STDOUT": "false", "EVENTS": "false", "DRAIN_DELAY_SECONDS": "0",
    }  # fmt: skip
    environment = {
        **os.environ, **{f"SANDKEEPER_GATEWAY_{name}": value for name, value in settings.items()},
        "KUBECONFIG": str(bed.client), "PYTHONPATH": str(CHECKOUT / "operator"),
    }  # fmt: skip
    command = [sys.executable, "-m", "sandkeeper", "gateway"]
    program = Program("gateway", command, folder / "policy" / "gateway.log", environment)
    program.start()
    try:
        wait_until(lambda: _listens(ports.apiserver), "the gateway", 60.0)
        yield
    finally:
        program.stop()


def _listens(port: int) -> bool:
    with socket.socket() as asking:
        return asking.connect_ex((_GATEWAY, port)) == 0
