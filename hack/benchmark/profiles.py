"""Where the time goes: profiles of operator and apiserver over one burst of sandboxes, in a run of their own."""

import asyncio
import pstats
import subprocess
from io import StringIO
from pathlib import Path

from benchmark.errors import BenchmarkError
from benchmark.measurement import Setup, prepared
from benchmark.scenarios import PROFILED, WARM_UP
from localcluster.gotoolchain import go, go_environment
from localcluster.progress import say, step
from localcluster.tools import tool

LINES = 60
SAMPLED_SECONDS = 8
"""Shorter than the burst, so that the apiserver's idle time is not in its profile."""


async def profiled(setup: Setup, folder: Path) -> None:
    """Profile a burst of sandboxes.

    Parameters
    ----------
    setup
        What all runs have in common.
    folder
        Gets the profiles, and each as text with its costliest functions.
    """
    python = folder / "operator.pstats"
    async with prepared(setup, "profiling") as (bench, measured):
        sandbox = measured[-1]
        bench.bed.start_operator(through=["-m", "benchmark.cpuprofile", str(python.resolve())])
        await bench.round(sandbox, WARM_UP, 1)
        with step(f"profiling a burst of {PROFILED.count} sandboxes"):
            keys = PROFILED.keys(0)
            async with asyncio.TaskGroup() as tasks:
                sample = tasks.create_task(asyncio.to_thread(_sample_apiserver, bench.bed.plane.kubeconfig))
                await bench.created(sandbox, PROFILED, keys)
            await bench.deleted(sandbox, PROFILED, keys)
        # The profiler writes its file when the operator ends.
        bench.bed.stop_operator()
    _write(folder, sample.result())


def _write(folder: Path, sample: bytes) -> None:
    (folder / "apiserver.pprof").write_bytes(sample)
    (folder / "apiserver.txt").write_text(_apiserver_text(folder / "apiserver.pprof"))
    (folder / "operator.txt").write_text(_operator_text(folder / "operator.pstats"))
    say(f"profiles are in {folder}: operator.txt, apiserver.txt, and the files that they are made from")


def _sample_apiserver(kubeconfig: Path) -> bytes:
    path = f"/debug/pprof/profile?seconds={SAMPLED_SECONDS}"
    command = [str(tool("kubectl")), f"--kubeconfig={kubeconfig}", "get", "--raw", path]
    done = subprocess.run(command, capture_output=True, check=False)
    if done.returncode:
        raise BenchmarkError(f"the apiserver gave no profile: {done.stderr.decode().strip()}")
    return done.stdout


def _apiserver_text(profile: Path) -> str:
    command = [str(go()), "tool", "pprof", "-top", "-cum", f"-nodecount={LINES * 2}", str(profile)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=go_environment())
    return done.stdout or f"go tool pprof could not read the profile: {done.stderr}"


def _operator_text(profile: Path) -> str:
    if not profile.exists():
        raise BenchmarkError("the operator wrote no profile: it did not end by itself when it was told to")
    text = StringIO()
    stats = pstats.Stats(str(profile), stream=text)
    stats.sort_stats("tottime").print_stats(LINES)
    stats.sort_stats("cumulative").print_stats(LINES)
    return text.getvalue()
