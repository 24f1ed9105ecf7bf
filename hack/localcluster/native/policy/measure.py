"""What enforcement costs while pods come and go: ``unshare --net python -m localcluster.native.policy.measure``.

The real daemon's code writes a real table, in a network namespace of its own; only the apiserver is left out: objects
come as the bytes that it would send. It ends by itself.
"""

import asyncio
import json
import resource
import sys
import time
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

import orjson

from localcluster.native.policy.daemon import Enforcer
from localcluster.native.policy.kernel import KernelTable
from localcluster.native.policy.objects import slim_pod
from sandkeeper.runtime.resource import key_of
from sandkeeper.runtime.store import Store

PODS, NAMESPACES, SECONDS = 500, 20, 20.0
POD_CIDR = "10.244.0.0/20"


@dataclass
class Figures:
    """What was measured; CPU is that of the daemon and of the ``nft`` that it runs, in parts of one core."""

    pods: int
    policies: int
    replaced_a_second: float
    cpu: float
    syncs: int
    policy_in_force_milliseconds: float
    slowest_milliseconds: float
    first_sync_milliseconds: float
    memory_mebibytes: float


class Load:
    """Pods in namespaces, each closed by a policy, every other pod with a policy of its own.

    Parameters
    ----------
    enforcer
        Who is told of them.
    """

    def __init__(self, enforcer: Enforcer) -> None:
        self._enforcer = enforcer
        self._pods = Store(slim_pod)
        self._version = 0
        self._names: list[tuple[str, str]] = []
        self.policies = 0

    def fill(self) -> None:
        """Make everything."""
        for index in range(NAMESPACES):
            labels = {"kubernetes.io/metadata.name": f"team-{index}"}
            namespace = {"metadata": {"name": f"team-{index}", "labels": labels}}
            self._enforcer.namespace_changed(key_of(namespace), None, namespace)
            self.apply(f"team-{index}", "fence", {"podSelector": {}, "egress": [{"to": [GATEWAY], "ports": [DNS]}]})
        for index in range(PODS):
            self.add(f"team-{index % NAMESPACES}", f"pod-{index}")

    def apply(self, namespace: str, name: str, spec: dict[str, Any]) -> None:
        """Make or change a policy."""
        self.policies += name != "cut"
        metadata = {"namespace": namespace, "name": name, "generation": 1, "resourceVersion": str(self._next())}
        policy = {"metadata": metadata, "spec": {"policyTypes": ["Ingress", "Egress"], **spec}}
        self._enforcer.policy_changed(key_of(policy), None, policy)

    def add(self, namespace: str, name: str) -> None:
        """Make a pod, which gets its address later, as from a kubelet."""
        number = self._next()
        if number % 2:
            ports = [{"port": 8080}]
            self.apply(namespace, name, {"podSelector": {"matchLabels": {"app": name}}, "ingress": [{"ports": ports}]})
        for status in ({"phase": "Pending"}, {"phase": "Running", "podIP": _address(number)}):
            self._tell(namespace, name, status)
        self._names.append((namespace, name))

    def replace(self) -> None:
        """Let the oldest pod end, and another take its place."""
        namespace, name = self._names.pop(0)
        self._tell(namespace, name, {"phase": "Succeeded"})
        self._enforcer.policy_changed(key_of({"metadata": {"namespace": namespace, "name": name}}), None, None)
        self.add(namespace, f"pod-{self._next()}")

    def _tell(self, namespace: str, name: str, status: dict[str, Any]) -> None:
        sent = orjson.dumps(_pod(namespace, name, self._next(), status))
        pod = orjson.loads(sent)
        self._pods.upsert(pod)
        self._enforcer.pod_changed(key_of(pod), None, self._pods.get(key_of(pod)))

    def _next(self) -> int:
        self._version += 1
        return self._version


GATEWAY = {
    "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "team-0"}},
    "podSelector": {"matchLabels": {"app": "pod-1"}},
}
DNS = {"port": 53, "protocol": "UDP"}


def _pod(namespace: str, name: str, version: int, status: dict[str, Any]) -> dict[str, Any]:
    metadata = {"namespace": namespace, "name": name, "uid": f"{namespace}/{name}", "resourceVersion": str(version)}
    labels = {"app": name, "sandkeeper.dev/role": "sandbox"}
    # As much again as a kubelet and the apiserver say of a small pod.
    ballast = [{"name": f"V{index}", "value": "x" * 60} for index in range(60)]
    container = {"name": "main", "image": "busybox", "env": ballast, "ports": [{"name": "web", "containerPort": 8080}]}
    return {"metadata": metadata | {"labels": labels}, "spec": {"containers": [container]}, "status": status}


def _address(number: int) -> str:
    within = number % 3800 + 10
    return f"10.244.{within // 256}.{within % 256}"


async def measure(replaced_a_second: float) -> Figures:
    """Run the load for a bounded time and return what it cost."""
    enforcer = Enforcer(KernelTable(POD_CIDR))
    load = Load(enforcer)
    load.fill()
    started = time.perf_counter()
    await enforcer.sync()
    first = time.perf_counter() - started
    writing = asyncio.create_task(enforcer.run())
    delays: list[float] = []
    cpu, started, syncs = _cpu(), time.perf_counter(), enforcer.report.syncs
    while (elapsed := time.perf_counter() - started) < SECONDS:
        load.replace()
        if len(delays) < elapsed:
            delays.append(await _time_to_cut(enforcer, load, len(delays)))
        await asyncio.sleep(1 / replaced_a_second)
    used, syncs = (_cpu() - cpu) / (time.perf_counter() - started), enforcer.report.syncs - syncs
    writing.cancel()
    milliseconds = [delay * 1000 for delay in delays]
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    policies = len(enforcer.report.policies)
    figures = (used, syncs, median(milliseconds), max(milliseconds), first * 1000, memory)
    return Figures(PODS, policies, replaced_a_second, *(round(figure, 3) for figure in figures))  # type: ignore[arg-type]


async def _time_to_cut(enforcer: Enforcer, load: Load, number: int) -> float:
    started = time.perf_counter()
    load.apply("team-3", "cut", {"podSelector": {}, "ingress": [{"ports": [{"port": 1000 + number}]}]})
    wanted = str(load._version)
    while enforcer.report.policies.get("team-3/cut", {}).get("resourceVersion") != wanted:  # noqa: ASYNC110
        await asyncio.sleep(0.001)
    return time.perf_counter() - started


def _cpu() -> float:
    return sum(
        usage.ru_utime + usage.ru_stime
        for usage in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    )


if __name__ == "__main__":
    for rate in map(float, sys.argv[1:] or ["10"]):
        print(json.dumps(asdict(asyncio.run(measure(rate)))))
