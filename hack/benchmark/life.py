"""Start with a claim, sleep and wake of real pods: sandboxes beside raw pods of the same image and an equal claim."""

import asyncio
import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass, field
from statistics import median

from benchmark.connection import connected
from benchmark.objects import RAW_LABEL, SANDBOXES, Part, is_true, raw_from
from benchmark.real import RealCluster, small_sandbox
from benchmark.sightings import Reached, watching
from localcluster.progress import say
from sandkeeper.api.names import MANAGED_LABEL, MANAGED_VALUE, claim_name, pod_name
from sandkeeper.runtime.client import ApiClient
from sandkeeper.runtime.resource import CLAIMS, PODS, Json, Key

ROUNDS = 20
STEPS = ("start", "sleep", "wake")
TITLES = {
    "start": "start with a new claim",
    "sleep": "sleep (raw pod: deletion)",
    "wake": "wake (raw pod: another one with the same claim)",
}
_LIMIT_SECONDS = 60.0
_SETTLE_SECONDS = 0.7
# The kubelet looks at its containers once a second, and a pod's end waits for the next look. What begins right after a
# pod was seen to be ready begins right after a look, always at the same distance to the next.
_LOOK_SECONDS = 1.0
# Multiples of the golden ratio spread evenly, however many there are.
_GOLDEN = 0.6180339887
# Ends when it is told to, as a sandbox's first process does; the shell alone would wait thirty seconds to be killed.
_COMMAND = ["sh", "-c", "trap 'exit 0' TERM; sleep infinity & wait"]
_PODS = Part(PODS, f"{MANAGED_LABEL}={MANAGED_VALUE}", pod_name)
_RAW_PODS = Part(PODS, RAW_LABEL)
_OURS = Part(SANDBOXES, "")


@dataclass
class Life:
    """What was measured.

    Attributes
    ----------
    raw, sandbox
        Seconds of each round, by step.
    writes
        What the operator changed in all rounds together, by step.
    """

    raw: dict[str, list[float]] = field(default_factory=lambda: {step: [] for step in STEPS})
    sandbox: dict[str, list[float]] = field(default_factory=lambda: {step: [] for step in STEPS})
    writes: dict[str, Counter[str]] = field(default_factory=lambda: {step: Counter() for step in STEPS})

    def ratio(self, step: str) -> float:
        """How much longer the sandbox takes, by the medians."""
        return median(self.sandbox[step]) / median(self.raw[step])


class Side(ABC):
    """What is measured, in a namespace."""

    def __init__(self, client: ApiClient, namespace: str) -> None:
        self._client = client
        self._namespace = namespace

    @abstractmethod
    async def step(self, name: str, step: str) -> float:
        """Do a step of the one of a name, and return the seconds that it took."""

    @abstractmethod
    async def end(self, name: str) -> None:
        """Remove all of it."""

    async def _seen(self, parts: Sequence[Part], name: str, reached: Reached, *asked: Awaitable[object]) -> float:
        key = Key(self._namespace, name)
        async with watching(self._client, parts, [key], reached) as sightings, asyncio.timeout(_LIMIT_SECONDS):
            began = time.perf_counter()
            for request in asked:
                await request
            await sightings.every()
        return max(sightings.moment(part, key) or began for part in parts) - began


class RawPods(Side):
    """Raw pods with claims of their own.

    Parameters
    ----------
    pod, claim
        What a sandbox has, as the apiserver returned it.
    """

    def __init__(self, client: ApiClient, namespace: str, pod: Json, claim: Json) -> None:
        super().__init__(client, namespace)
        self._pod = unguided(pod)
        self._claim = {"accessModes": claim["spec"]["accessModes"], "resources": claim["spec"]["resources"]}

    async def step(self, name: str, step: str) -> float:
        """Create claim and pod, delete the pod, or create it again."""
        if step == "sleep":
            deletion = self._client.delete(PODS, self._namespace, name)
            return await self._seen([_RAW_PODS], name, _gone, deletion)
        asked = [self._client.create(PODS, self._namespace, self._pod_named(name))]
        if step == "start":
            asked.insert(0, self._client.create(CLAIMS, self._namespace, self._claim_named(name)))
        return await self._seen([_RAW_PODS], name, lambda _, obj: is_true(obj, "Ready"), *asked)

    async def end(self, name: str) -> None:
        """Remove pod and claim."""
        await self._client.delete(PODS, self._namespace, name)
        await self._client.delete(CLAIMS, self._namespace, name)

    def _claim_named(self, name: str) -> Json:
        metadata = {"name": name, "namespace": self._namespace}
        return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": metadata, "spec": self._claim}

    def _pod_named(self, name: str) -> Json:
        volumes = [
            each | {"persistentVolumeClaim": {"claimName": name}} if "persistentVolumeClaim" in each else each
            for each in self._pod["spec"]["volumes"]
        ]
        metadata = self._pod["metadata"] | {"name": name, "namespace": self._namespace}
        return self._pod | {"metadata": metadata, "spec": self._pod["spec"] | {"volumes": volumes}}


class SandboxesOfNamespace(Side):
    """Sandboxes."""

    async def step(self, name: str, step: str) -> float:
        """Create one, send it to sleep, or wake it."""
        if step == "sleep":
            return await self._seen([_OURS, _PODS], name, _asleep, self._asked(name, "Sleeping"))
        if step == "wake":
            asked = self._asked(name, "Running")
        else:
            asked = self._client.create(SANDBOXES, self._namespace, small_sandbox(name, self._namespace))
        return await self._seen([_OURS], name, lambda _, obj: is_true(obj, "Running"), asked)

    async def end(self, name: str) -> None:
        """Remove it; its pod and its claim go with it."""
        await self._client.delete(SANDBOXES, self._namespace, name)

    def _asked(self, name: str, state: str) -> Awaitable[Json]:
        return self._client.patch(SANDBOXES, self._namespace, name, {"spec": {"lifecycle": {"state": state}}})


def unguided(pod: Json) -> Json:
    """Return the raw pod that does what a sandbox's pod does, but without the guest."""
    raw = raw_from(pod)
    spec = raw["spec"]
    spec.pop("initContainers", None)
    spec["volumes"] = [each for each in spec["volumes"] if each["name"] != "guest"]
    container = spec["containers"][0]
    container["command"] = _COMMAND
    for awaiting in ("startupProbe", "lifecycle"):
        container.pop(awaiting, None)
    container["volumeMounts"] = [
        each for each in container["volumeMounts"] if not each["mountPath"].startswith("/.sandkeeper")
    ]
    return raw


def _gone(event: str, _: Json) -> bool:
    return event == "DELETED"


def _asleep(event: str, obj: Json) -> bool:
    if obj["kind"] == PODS.kind:
        return event == "DELETED"
    conditions = obj.get("status", {}).get("conditions", ())
    return any(each["type"] == "Ready" and each["reason"] == "Sleeping" for each in conditions)


async def measure_life(cluster: RealCluster, rounds: int) -> Life:
    """Let sandboxes and raw pods start, sleep and wake in turn."""
    life = Life()
    async with connected(cluster.driver.kubeconfig) as client:
        ours = SandboxesOfNamespace(client, cluster.namespace)
        await ours.step("probe", "start")
        pod = await client.get(PODS, cluster.namespace, pod_name("probe"))
        claim = await client.get(CLAIMS, cluster.namespace, claim_name("probe"))
        await ours.end("probe")
        raw = RawPods(client, cluster.namespace, pod, claim)
        for number in range(rounds):
            await _round(cluster, life, raw, ours, number)
    return life


async def _round(cluster: RealCluster, life: Life, raw: Side, ours: Side, number: int) -> None:
    name = f"life-{number}"
    for step in STEPS:
        # In turn who comes first, since a machine is seldom the same for long.
        for side in (raw, ours) if number % 2 else (ours, raw):
            if side is raw:
                await _settle(number)
                life.raw[step].append(await side.step(name, step))
            else:
                before = await _settled(cluster, number)
                life.sandbox[step].append(await side.step(name, step))
                life.writes[step].update(await _settled(cluster, number) - before)
    for side in (raw, ours):
        await side.end(name)
    told = ", ".join(f"{step} {life.raw[step][-1]:.2f} / {life.sandbox[step][-1]:.2f} s" for step in STEPS)
    say(f"life, round {number + 1}, raw pod / sandbox: {told}")


async def _settle(number: int) -> None:
    await asyncio.sleep(_SETTLE_SECONDS + number * _GOLDEN % _LOOK_SECONDS)


async def _settled(cluster: RealCluster, number: int) -> Counter[str]:
    await _settle(number)
    return await asyncio.to_thread(cluster.writes)
