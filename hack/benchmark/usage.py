"""CPU time and memory of processes, as the kernel counts them."""

import os
import time
from collections.abc import Mapping
from pathlib import Path

import psutil

CpuSeconds = dict[str, float]


def cpu_seconds(pids: Mapping[str, int]) -> CpuSeconds:
    """Return the CPU time that each process and its ended children have used, user and system together."""
    return {name: sum(psutil.Process(pid).cpu_times()[:4]) for name, pid in pids.items()}


def difference(before: CpuSeconds, after: CpuSeconds) -> CpuSeconds:
    """Return what was used between two readings."""
    return {name: after[name] - before[name] for name in after if name in before}


class ForeignUse:
    """How busy programs that are no part of the benchmark keep the machine, from its making on.

    Parameters
    ----------
    pids
        The benchmark's own processes.
    """

    def __init__(self, pids: Mapping[str, int]) -> None:
        self._pids = dict(pids)
        self._own = cpu_seconds(self._pids)
        self._busy = _busy_seconds()
        self._began = time.monotonic()

    def share(self) -> float:
        """Return the share of all cores' time that others used, between 0 and 1."""
        own = sum(difference(self._own, cpu_seconds(self._pids)).values())
        available = (time.monotonic() - self._began) * (os.cpu_count() or 1)
        return max(0.0, _busy_seconds() - self._busy - own) / available


def _busy_seconds() -> float:
    times = psutil.cpu_times()
    return float(sum(times) - times.idle - times.iowait - times.guest - times.guest_nice)


def forget_peak(pid: int) -> None:
    """Make a process's memory peak start anew from what it uses now."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def peak_memory(pid: int) -> int:
    """Return the most resident memory that a process had since its peak was forgotten, in bytes."""
    status = Path(f"/proc/{pid}/status").read_text()
    return peak_in(status)


def peak_in(status: str) -> int:
    """Read ``VmHWM`` from the text of ``/proc/PID/status``."""
    line = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024
