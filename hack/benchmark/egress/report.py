"""Runs the measurement in a network namespace of its own, and puts it into a table."""

import json
import os
import subprocess
import sys
from statistics import median

from benchmark.errors import BenchmarkError
from benchmark.report import number, table

ROUNDS = 3
Figures = dict[str, dict[str, float]]
ROWS = {
    "connections": ("new connections a second", 0),
    "paced": ("one connection and its answer at 100 a second, p50 ms", 2),
    "stream": ("one stream, Gbit/s", 1),
    "requests": ("requests a second on 32 kept connections, port 80", 0),
    "names": ("an allowed name, p50 ms", 2),
    "idle": ("1,000 idle connections, MiB more", 1),
    "cut": ("1,000 connections closed by a change of policy, s", 2),
    "known": ("a worker that knows 5,000 sandboxes, MiB", 0),
}


def measure_egress(rounds: int) -> Figures:
    """Measure, away from every other network.

    Raises
    ------
    BenchmarkError
        If the measurement failed.
    """
    command = ["unshare", "--net", "--pid", "--kill-child", "--mount-proc", sys.executable, "-m", "benchmark.egress"]
    done = subprocess.run([*command, str(rounds)], stdout=subprocess.PIPE, text=True, check=False, env=_environment())
    if done.returncode:
        raise BenchmarkError(f"the measurement of the gateway ended with status {done.returncode}")
    found: Figures = json.loads(done.stdout.splitlines()[-1])
    return found


def egress_table(found: Figures) -> str:
    """Return the figures, a row for each."""
    head = ["egress, medians", "direct", "bare Envoy", "gateway", "gateway / Envoy"]
    rows = []
    for what, (title, digits) in ROWS.items():
        ways = found[what]
        ratio = ways["gateway"] / ways["envoy"] if "envoy" in ways else None
        rows.append(
            [title, *(number(ways.get(way), digits) for way in ("direct", "envoy", "gateway")), number(ratio, 2)]
        )
    return table(head, rows, words=1)


def policy_line(lags: list[float]) -> str:
    """Return how soon changes were in force, in a sentence."""
    found = f"median {median(lags) * 1000:.0f} ms, longest {max(lags) * 1000:.0f} ms"
    return f"From a change of a sandbox's egress to the gateway's first answer by it, of 1,000: {found}, n={len(lags)}"


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
