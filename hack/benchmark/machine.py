"""Where and of what the figures are: the header of the report."""

import os
import platform
import re
import subprocess
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import psutil

from localcluster.paths import CHECKOUT
from localcluster.tools import tool


def environment() -> dict[str, str]:
    """Return the date, the machine and the versions, by what the header calls them."""
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "sandkeeper": _commit(),
        "machine": f"{os.cpu_count()} cores ({_processor()}), {psutil.virtual_memory().total / 2**30:.0f} GiB",
        "kernel": platform.release(),
        "kubernetes": _version("kubectl", "version", "--client"),
        "etcd": _version("etcd", "--version"),
        "kwok": _version("kwok", "--version"),
        "python": platform.python_version(),
        "kopf": version("kopf"),
    }


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def _commit() -> str:
    command = ["git", "-C", str(CHECKOUT), "describe", "--always", "--dirty"]
    told = subprocess.run(command, capture_output=True, text=True, check=False)
    return told.stdout.strip() or "no commit"


def _version(program: str, *arguments: str) -> str:
    told = subprocess.run([str(tool(program)), *arguments], capture_output=True, text=True, check=False)
    found = re.search(r"\d+\.\d+\.\S+", told.stdout)
    return found[0] if found else "of unknown version"
