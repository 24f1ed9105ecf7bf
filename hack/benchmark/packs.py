"""Packing and unpacking of a 300 MB change, beside tar and zstd by hand in the same pod."""

import json
import shutil
from dataclasses import dataclass, field
from pathlib import Path

from benchmark.errors import BenchmarkError
from benchmark.real import RealCluster, small_sandbox
from localcluster.progress import say

ROUNDS = 5
FILES = 300
_NAME = "packs"
_POD = "sbx-packs"
_TOOL = "/workspace/zstd"
_PACK = "/workspace/by-hand.tar.zst"
# Half of each file can't be compressed, as much of what is installed.
_CHANGE = (
    "mkdir -p /opt/change; i=0; while [ $i -lt {files} ]; do "
    "{{ head -c 524288 /dev/urandom; seq $i 999999 | head -c 524288; }} > /opt/change/$i; i=$((i+1)); done; sync"
)
_TIMED = "began=$(date +%s%N); {{ {script}; }} > /tmp/said; ended=$(date +%s%N); echo $(( (ended - began) / 1000000 ))"
_BY_HAND = f"tar -C / -cf - opt/change | {_TOOL} -q -{{level}} -f -o {_PACK}; sync {_PACK}"
# Without sync on either side: what is unpacked goes with the container anyway.
_BACK_BY_HAND = f"{_TOOL} -dc {_PACK} | tar -C / -xf -"
# From the start of the first process to that of the sandbox's command, in hundredths of a second.
_STARTED = "cut -d')' -f2 /proc/{pid}/stat | cut -d' ' -f21"
_FIRST = "for p in /proc/[0-9]*; do grep -aqx sleep $p/comm 2>/dev/null && echo ${p#/proc/}; done | head -n1"


@dataclass
class Packs:
    """Seconds of each round, and bytes."""

    packed: list[float] = field(default_factory=list)
    by_hand: dict[int, list[float]] = field(default_factory=lambda: {1: [], 3: []})
    unpacked: list[float] = field(default_factory=list)
    unpacked_by_hand: list[float] = field(default_factory=list)
    sizes: dict[str, int] = field(default_factory=dict)


def measure_packs(cluster: RealCluster, rounds: int) -> Packs:
    """Pack, sleep, wake and unpack by turns."""
    sandbox = small_sandbox(_NAME, cluster.namespace, command=["sleep", "infinity"])
    cluster.kubectl("apply", "-f", "-", given=json.dumps(sandbox).encode())
    _await_running(cluster)
    program = shutil.which("zstd")
    if program is None:
        raise BenchmarkError("there is no zstd on this machine to pack by hand with")
    cluster.exec(_POD, f"cat > {_TOOL}; chmod +x {_TOOL}", Path(program).read_bytes())
    cluster.exec(_POD, _CHANGE.format(files=FILES))
    packs = Packs()
    for number in range(rounds):
        for ours in (number % 2 == 0, number % 2 != 0):
            _pack(cluster, packs) if ours else _pack_by_hand(cluster, packs)
        _unpack_by_hand(cluster, packs)
        _sleep_and_wake(cluster)
        packs.unpacked.append(_until_command(cluster))
        say(
            f"packs, round {number + 1}, guest / by hand: pack {packs.packed[-1]:.2f} / {packs.by_hand[3][-1]:.2f} s, "
            f"unpack {packs.unpacked[-1]:.2f} / {packs.unpacked_by_hand[-1]:.2f} s"
        )
    return packs


def _timed(cluster: RealCluster, script: str) -> float:
    return int(cluster.exec(_POD, _TIMED.format(script=script))) / 1000


def _pack(cluster: RealCluster, packs: Packs) -> None:
    # After a wake nothing has changed since the last pack, which then stands.
    cluster.exec(_POD, "touch /opt/change/*; sync")
    packs.packed.append(_timed(cluster, "/.sandkeeper/bin/guest pack"))
    packs.sizes["guest"] = json.loads(cluster.exec(_POD, "cat /tmp/said"))["bytes"]


def _pack_by_hand(cluster: RealCluster, packs: Packs) -> None:
    for level, seconds in packs.by_hand.items():
        seconds.append(_timed(cluster, _BY_HAND.format(level=level)))
        packs.sizes[f"zstd -{level}"] = int(cluster.exec(_POD, f"stat -c %s {_PACK}"))


def _unpack_by_hand(cluster: RealCluster, packs: Packs) -> None:
    cluster.exec(_POD, "rm -rf /opt/change; sync")
    packs.unpacked_by_hand.append(_timed(cluster, _BACK_BY_HAND))


def _sleep_and_wake(cluster: RealCluster) -> None:
    for state in ("Sleeping", "Running"):
        patch = json.dumps({"spec": {"lifecycle": {"state": state}}})
        cluster.kubectl("-n", cluster.namespace, "patch", "sandbox", _NAME, "--type=merge", "-p", patch)
        if state == "Sleeping":
            cluster.kubectl("-n", cluster.namespace, "wait", f"pod/{_POD}", "--for=delete", "--timeout=120s")
    cluster.kubectl("-n", cluster.namespace, "wait", "--for=create", f"pod/{_POD}", "--timeout=60s")
    _await_running(cluster)


def _await_running(cluster: RealCluster) -> None:
    wait = ("wait", f"sandbox/{_NAME}", "--for=condition=Running", "--timeout=120s")
    cluster.kubectl("-n", cluster.namespace, *wait)


def _until_command(cluster: RealCluster) -> float:
    pid = cluster.exec(_POD, _FIRST).strip()
    first, command = (int(cluster.exec(_POD, _STARTED.format(pid=one))) for one in ("1", pid))
    return (command - first) / 100
