"""Snapshots, restores, rollbacks and forks of sandboxes, beside VolumeSnapshots, claims and raw pods by hand."""

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass, field
from statistics import median

from benchmark.connection import connected
from benchmark.errors import BenchmarkError
from benchmark.life import unguided
from benchmark.objects import RAW_LABEL, SANDBOXES, Part, is_true
from benchmark.real import RealCluster, small_sandbox
from benchmark.sightings import Reached, watching
from localcluster.progress import say, step
from sandkeeper.api.names import claim_name, pod_name
from sandkeeper.controllers.copies import SNAPSHOTS
from sandkeeper.plan.pod import CONTAINER
from sandkeeper.runtime.client import ApiClient
from sandkeeper.runtime.exec import Command
from sandkeeper.runtime.resource import CLAIMS, PODS, VOLUME_SNAPSHOTS, Json, Key, Resource

ROUNDS = 20
MEGABYTES = 1024
FORKS = 10
STEPS = ("snapshot", "synced", "restore", "rollback", "fork")
TITLES = {
    "snapshot": f"snapshot of {MEGABYTES} MiB to Ready",
    "synced": "the same, by hand after a sync by exec",
    "restore": "restore into a new one",
    "rollback": "rollback of a running one",
    "fork": f"{FORKS} forks of a running one, until all run",
}
_COPIED = "copied"
_COPYING = {"snapshot", "synced", "fork"}
_APART = {"synced", "fork"}
"""Steps whose snapshots have names of their own."""
_LIMIT_SECONDS = 180.0
_FILL = f"head -c {MEGABYTES}M /dev/urandom > /workspace/data; sync"
# What was done since the last checkpoint, and is on no disk yet.
_CHANGE = "head -c 1M /dev/urandom > /workspace/step"
_SYNC = ("sync", "-f", "/workspace")
_OURS, _TAKEN = Part(SANDBOXES, ""), Part(SNAPSHOTS, "")
_PODS, _RAW_PODS, _RAW_SNAPSHOTS = Part(PODS, ""), Part(PODS, RAW_LABEL), Part(VOLUME_SNAPSHOTS, "")


@dataclass
class Copied:
    """What was measured.

    Attributes
    ----------
    by_hand, ours
        Seconds of each round, by step.
    pauses
        Seconds for which each snapshot may have held up the sandbox, as its guest measured.
    """

    by_hand: dict[str, list[float]] = field(default_factory=lambda: {step: [] for step in STEPS})
    ours: dict[str, list[float]] = field(default_factory=lambda: {step: [] for step in STEPS})
    pauses: list[float] = field(default_factory=list)

    def ratio(self, step: str) -> float:
        """How much longer ours takes, by the medians."""
        return median(self.ours[step]) / median(self.by_hand[step])


class Side(ABC):
    """One way to copy, in a namespace."""

    def __init__(self, client: ApiClient, namespace: str) -> None:
        self._client = client
        self._namespace = namespace

    @abstractmethod
    async def do(self, step: str, snapshot: str, name: str) -> float:
        """Do a step, and return the seconds that it took.

        Parameters
        ----------
        snapshot
            Name of the snapshot that is taken, restored, rolled back to, or taken on the way to forks.
        name
            Of what is started, or what the names of several begin with.
        """

    @abstractmethod
    async def end(self, snapshots: Sequence[str], names: Sequence[str]) -> None:
        """Remove what a round made, and wait for its pods to end: that takes time from what is measured next."""

    async def _seen(self, part: Part, names: Sequence[str], reached: Reached, work: Awaitable[object]) -> float:
        keys = [Key(self._namespace, name) for name in names]
        async with watching(self._client, [part], keys, reached) as sightings, asyncio.timeout(_LIMIT_SECONDS):
            began = time.perf_counter()
            await work
            await sightings.every()
        return max(sightings.moment(part, key) or began for key in keys) - began

    async def _remove(self, resource: Resource, names: Sequence[str]) -> None:
        for name in names:
            await self._client.delete(resource, self._namespace, name)


class ByHand(Side):
    """VolumeSnapshots, claims and raw pods.

    Parameters
    ----------
    pod, claim
        What a sandbox has, as the apiserver returned it.
    """

    def __init__(self, client: ApiClient, namespace: str, pod: Json, claim: Json) -> None:
        super().__init__(client, namespace)
        self._pod = unguided(pod)
        self._claim = {name: claim["spec"][name] for name in ("accessModes", "resources", "storageClassName")}

    async def start(self) -> None:
        """Start what is copied, with an empty workspace."""
        await self._seen(_RAW_PODS, [_COPIED], _is_ready, self._create(_COPIED, ""))

    async def do(self, step: str, snapshot: str, name: str) -> float:
        """Do what a script would."""
        if step == "snapshot":
            return await self._snapshot(snapshot, _COPIED)
        if step == "synced":
            return await self._sync() + await self._snapshot(snapshot, _COPIED)
        if step == "restore":
            return await self._seen(_RAW_PODS, [name], _is_ready, self._create(name, snapshot))
        if step == "rollback":
            deleted = self._client.delete(PODS, self._namespace, name)
            seconds = await self._seen(_RAW_PODS, [name], _is_gone, deleted)
            return seconds + await self._seen(_RAW_PODS, [name], _is_ready, self._create(name, snapshot, f"{name}-2"))
        names = [f"{name}-{number}" for number in range(FORKS)]
        seconds = await self._snapshot(snapshot, _COPIED)
        return seconds + await self._seen(_RAW_PODS, names, _is_ready, self._create_all(names, snapshot))

    async def _sync(self) -> float:
        began = time.perf_counter()
        done = await self._client.run(Command(Key(self._namespace, _COPIED), CONTAINER, _SYNC))
        if done.exit_code:
            raise BenchmarkError(f"sync failed in pod {_COPIED}: {done.stderr.decode().strip()}")
        return time.perf_counter() - began

    async def _snapshot(self, name: str, claim: str) -> float:
        metadata = {"name": name, "namespace": self._namespace}
        spec = {"source": {"persistentVolumeClaimName": claim}}
        body = {
            "apiVersion": VOLUME_SNAPSHOTS.api_version,
            "kind": "VolumeSnapshot",
            "metadata": metadata,
            "spec": spec,
        }
        return await self._seen(
            _RAW_SNAPSHOTS, [name], _is_usable, self._client.create(VOLUME_SNAPSHOTS, self._namespace, body)
        )

    async def _create_all(self, names: Sequence[str], snapshot: str) -> None:
        for name in names:
            await self._create(name, snapshot)

    async def _create(self, name: str, snapshot: str, claim: str = "") -> None:
        metadata, claimed = {"name": claim or name, "namespace": self._namespace}, dict(self._claim)
        if snapshot:
            kind = {"apiGroup": VOLUME_SNAPSHOTS.group, "kind": VOLUME_SNAPSHOTS.kind}
            claimed["dataSource"] = {**kind, "name": snapshot}
        body = {"apiVersion": "v1", "kind": CLAIMS.kind, "metadata": metadata, "spec": claimed}
        await self._client.create(CLAIMS, self._namespace, body)
        volumes = [
            each | {"persistentVolumeClaim": {"claimName": metadata["name"]}}
            if "persistentVolumeClaim" in each
            else each
            for each in self._pod["spec"]["volumes"]
        ]
        named = self._pod["metadata"] | {"name": name, "namespace": self._namespace}
        pod = self._pod | {"metadata": named, "spec": self._pod["spec"] | {"volumes": volumes}}
        await self._client.create(PODS, self._namespace, pod)

    async def end(self, snapshots: Sequence[str], names: Sequence[str]) -> None:
        """Remove pods, claims and VolumeSnapshots."""
        await self._seen(_RAW_PODS, names, _is_gone, self._remove(PODS, names))
        await self._remove(CLAIMS, [*names, *(f"{name}-2" for name in names[:1])])
        await self._remove(VOLUME_SNAPSHOTS, snapshots)


class Ours(Side):
    """Sandboxes and SandboxSnapshots."""

    def __init__(self, client: ApiClient, namespace: str) -> None:
        super().__init__(client, namespace)
        self.pauses: list[float] = []

    async def start(self) -> None:
        """Start what is copied, with an empty workspace."""
        await self._seen(_OURS, [_COPIED], _runs, self._create(_COPIED))

    async def do(self, step: str, snapshot: str, name: str) -> float:
        """Do what a user would."""
        if step in {"snapshot", "synced"}:
            return await self._snapshot(snapshot)
        source = {"snapshotRef": {"name": snapshot}}
        if step == "restore":
            return await self._seen(_OURS, [name], _runs, self._create(name, source=source))
        if step == "rollback":
            patch = {"spec": {"source": {**source, "revision": "2"}}}
            asked = self._client.patch(SANDBOXES, self._namespace, name, patch)
            return await self._seen(_OURS, [name], _rolled_back(claim_name(name, *source_words(snapshot, "2"))), asked)
        names = [f"{name}-{number}" for number in range(FORKS)]
        return await self._seen(_OURS, names, _runs, self._create_all(names))

    async def _snapshot(self, name: str) -> float:
        body = {
            "apiVersion": SNAPSHOTS.api_version,
            "kind": SNAPSHOTS.kind,
            "metadata": {"name": name, "namespace": self._namespace},
            "spec": {"sandboxRef": {"name": _COPIED}},
        }
        taken = self._client.create(SNAPSHOTS, self._namespace, body)
        seconds = await self._seen(_TAKEN, [name], _is_ready, taken)
        snapshot = await self._client.get(SNAPSHOTS, self._namespace, name)
        self.pauses.append(snapshot["status"]["pauseSeconds"])
        return seconds

    async def _create_all(self, names: Sequence[str]) -> None:
        for name in names:
            await self._create(name, source={"sandboxRef": {"name": _COPIED}})

    async def _create(self, name: str, **spec: object) -> None:
        await self._client.create(SANDBOXES, self._namespace, small_sandbox(name, self._namespace, **spec))

    async def end(self, snapshots: Sequence[str], names: Sequence[str]) -> None:
        """Remove sandboxes and snapshots; what belongs to them goes too."""
        await self._seen(_PODS, [pod_name(each) for each in names], _is_gone, self._remove(SANDBOXES, names))
        await self._remove(SNAPSHOTS, snapshots)


def source_words(snapshot: str, revision: str) -> tuple[str, str, str]:
    """Return what the name of a claim is made of that comes from a snapshot."""
    return "SandboxSnapshot", snapshot, revision


def _runs(_: str, obj: Json) -> bool:
    return is_true(obj, "Running")


def _is_ready(_: str, obj: Json) -> bool:
    return is_true(obj, "Ready")


def _is_usable(_: str, obj: Json) -> bool:
    return bool((obj.get("status") or {}).get("readyToUse"))


def _is_gone(event: str, _: Json) -> bool:
    return event == "DELETED"


def _rolled_back(claim: str) -> Reached:
    return lambda _, obj: is_true(obj, "Ready") and obj["status"].get("workspaceClaimName") == claim


async def measure_copies(cluster: RealCluster, rounds: int) -> Copied:
    """Copy what runs in turn: sandboxes, and raw pods with claims."""
    copied = Copied()
    async with connected(cluster.driver.kubeconfig) as client:
        ours = Ours(client, cluster.namespace)
        await ours.start()
        pod = await client.get(PODS, cluster.namespace, pod_name(_COPIED))
        claim = await client.get(CLAIMS, cluster.namespace, claim_name(_COPIED))
        by_hand = ByHand(client, cluster.namespace, pod, claim)
        await by_hand.start()
        with step(f"writing {MEGABYTES} MiB on either side"):
            for each in (pod_name(_COPIED), _COPIED):
                await asyncio.to_thread(cluster.exec, each, _FILL)
        for number in range(rounds):
            await _round(cluster, copied, {"ours": ours, "by hand": by_hand}, number)
        copied.pauses = ours.pauses
    return copied


async def _round(cluster: RealCluster, copied: Copied, sides: dict[str, Side], number: int) -> None:
    results = {"ours": copied.ours, "by hand": copied.by_hand}
    for what in STEPS:
        # In turn who comes first, since a machine is seldom the same for long.
        for label in sorted(sides, reverse=bool(number % 2)):
            prefix = f"{label.replace(' ', '-')}-{number}"
            if what in _COPYING:
                await asyncio.to_thread(cluster.exec, pod_name(_COPIED) if label == "ours" else _COPIED, _CHANGE)
            name = f"{prefix}-{what}" if what in _APART else prefix
            results[label][what].append(await sides[label].do(what, name, name))
    for label, side in sides.items():
        prefix = f"{label.replace(' ', '-')}-{number}"
        taken = [prefix, f"{prefix}-synced"]
        taken += [] if label == "ours" else [f"{prefix}-fork"]
        await side.end(taken, [prefix, *(f"{prefix}-fork-{each}" for each in range(FORKS))])
    told = ", ".join(f"{each} {copied.by_hand[each][-1]:.2f} / {copied.ours[each][-1]:.2f} s" for each in STEPS)
    say(f"snapshots, round {number + 1}, by hand / sandbox: {told}")
