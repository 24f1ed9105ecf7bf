"""What a thousand idle sandboxes with workspaces cost, on simulated nodes whose kubelets are asked."""

import asyncio
from dataclasses import dataclass, field
from dataclasses import replace as with_changes
from pathlib import Path

from benchmark import generator
from benchmark.connection import connected
from benchmark.errors import BenchmarkError
from benchmark.kubelets import KubeletStandIns
from benchmark.objects import sandboxes
from benchmark.scenarios import SPREAD, Scenario
from benchmark.testbed import Testbed
from benchmark.usage import CpuSeconds, cpu_seconds, difference, forget_peak, peak_memory
from localcluster.progress import say, step
from sandkeeper.api.names import MANAGED_LABEL, MANAGED_VALUE
from sandkeeper.runtime.client import ApiClient
from sandkeeper.runtime.informer import Informer
from sandkeeper.runtime.resource import CLAIMS, PODS, STORAGE_CLASSES, Json, Key, Resource
from sandkeeper.runtime.store import Store

IDLE = Scenario("idle-1000", "idle with workspaces", 1000, namespaces=SPREAD)
SETTLE_SECONDS = 60.0
_MANAGED = f"{MANAGED_LABEL}={MANAGED_VALUE}"
_OURS = {"labelSelector": _MANAGED}
_BOUND = {"pv.kubernetes.io/bind-completed": "yes"}
_VOLUMES = Resource("", "v1", "persistentvolumes", "PersistentVolume", namespaced=False)
_CLASS: Json = {
    "apiVersion": "storage.k8s.io/v1",
    "kind": "StorageClass",
    "metadata": {"name": "benchmark", "annotations": {"storageclass.kubernetes.io/is-default-class": "true"}},
    "provisioner": "kubernetes.io/no-provisioner",
}


@dataclass
class Idling:
    """What was measured.

    Attributes
    ----------
    nodes
        Those that sandboxes run on: the others are not asked.
    minutes
        CPU seconds of each minute, by process.
    memory
        The operator's peak resident memory meanwhile, in bytes.
    answers
        Pages that were asked of kubelets in all minutes together.
    """

    count: int
    nodes: int
    minutes: list[CpuSeconds] = field(default_factory=list)
    memory: int = 0
    answers: int = 0

    def share(self, process: str) -> float:
        """Return the part of a core that a process used."""
        return sum(minute[process] for minute in self.minutes) / len(self.minutes) / 60


async def measure_idling(folder: Path, nodes: int, minutes: int) -> Idling:
    """Create the sandboxes, wait until they rest, and see what goes on."""
    async with KubeletStandIns(folder / "kubelets", nodes) as kubelets:
        with step(f"starting a testbed of {nodes} simulated nodes with kubelets to ask"):
            bed = Testbed(folder / "idle", nodes=nodes, kubelets=kubelets)
            bed.__enter__()
        try:
            async with connected(bed.client) as client:
                with step(f"creating {IDLE.count} sandboxes with workspaces"):
                    await _create(client, kubelets)
                return await _watched(bed, kubelets, Idling(IDLE.count, kubelets.busy), minutes)
        finally:
            bed.__exit__(None, None, None)


async def _create(client: ApiClient, kubelets: KubeletStandIns) -> None:
    await client.create(STORAGE_CLASSES, "", _CLASS)
    plain = sandboxes()
    target = with_changes(plain, template=plain.template | {"spec": {}})
    async with asyncio.TaskGroup() as tasks:
        binder = tasks.create_task(_bind_all(client))
        timing = await generator.create(client, target, IDLE, IDLE.keys(0))
        binder.cancel()
    if not timing.complete:
        raise BenchmarkError(f"{len(timing.latencies)} of {timing.expected} sandboxes with workspaces became Running")
    kubelets.run([pod async for page in client.list_pages(PODS, params=_OURS) for pod in page["items"]])


async def _bind_all(client: ApiClient) -> None:
    """Bind every claim as Kubernetes' own controller would, which takes minutes for so many at once."""
    async with asyncio.TaskGroup() as tasks:

        def changed(_: Key, before: Json | None, after: Json | None) -> None:
            if before is None and after is not None:
                tasks.create_task(_bind(client, after))

        # A watch of its own may end in the middle of the burst.
        await Informer(client, CLAIMS, Store(), changed, label_selector=_MANAGED).run()


async def _bind(client: ApiClient, claim: Json) -> None:
    """Make a volume for a claim; simulated nodes need nothing behind it."""
    namespace, name, uid = (claim["metadata"][field] for field in ("namespace", "name", "uid"))
    holds = {"capacity": claim["spec"]["resources"]["requests"], "accessModes": claim["spec"]["accessModes"]}
    reference = {"apiVersion": "v1", "kind": CLAIMS.kind, "namespace": namespace, "name": name, "uid": uid}
    spec = {"storageClassName": "benchmark", **holds, "claimRef": reference, "hostPath": {"path": "/nowhere"}}
    await client.create(
        _VOLUMES, "", {"apiVersion": "v1", "kind": _VOLUMES.kind, "metadata": {"name": uid}, "spec": spec}
    )
    bound = {"metadata": {"annotations": _BOUND}, "spec": {"volumeName": uid}}
    await client.patch(CLAIMS, namespace, name, bound)
    await client.patch(CLAIMS, namespace, name, {"status": {"phase": "Bound", **holds}}, subresource="status")


async def _watched(bed: Testbed, kubelets: KubeletStandIns, idling: Idling, minutes: int) -> Idling:
    await asyncio.sleep(SETTLE_SECONDS)
    operator = bed.pids["operator"]
    forget_peak(operator)
    asked = kubelets.answers
    for minute in range(minutes):
        before = cpu_seconds(bed.pids)
        await asyncio.sleep(60)
        bed.check()
        idling.minutes.append(difference(before, cpu_seconds(bed.pids)))
        idling.memory = peak_memory(operator)
        say(f"idle, minute {minute + 1}: the operator used {idling.minutes[-1]['operator'] / 60:.2%} of a core")
    idling.answers = kubelets.answers - asked
    return idling
