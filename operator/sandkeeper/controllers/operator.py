"""Puts the parts together: connection, stores, queue, shards, and the tasks that keep them going."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import structlog

from sandkeeper.api.names import FENCE_NAME
from sandkeeper.controllers.aides import Aides
from sandkeeper.controllers.children import ChildWriter
from sandkeeper.controllers.cluster import SANDBOXES, Cluster
from sandkeeper.controllers.copies import SNAPSHOTS
from sandkeeper.controllers.fence import FenceKeeper
from sandkeeper.controllers.metrics import PackMetrics, SandboxMetrics, SnapshotMetrics, UsageMetrics
from sandkeeper.controllers.packing import Packer, Turns
from sandkeeper.controllers.proof import Proof
from sandkeeper.controllers.sandbox import SandboxController
from sandkeeper.controllers.snapshot import Guests, SnapshotController
from sandkeeper.controllers.usage import Usages, kubelets_of
from sandkeeper.plan.guest import QUIESCE_COMMAND
from sandkeeper.runtime.client import ApiClient
from sandkeeper.runtime.clock import Clock
from sandkeeper.runtime.events import EventRecorder
from sandkeeper.runtime.http import serve_metrics, serve_probes
from sandkeeper.runtime.informer import UNREACHABLE, Informer
from sandkeeper.runtime.metrics import Metrics
from sandkeeper.runtime.queue import WorkQueue
from sandkeeper.runtime.resource import PODS, Json, Key, key_of
from sandkeeper.runtime.shards import LeaseTimes, Shards, shard_of
from sandkeeper.runtime.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from aiohttp import web

    from sandkeeper.runtime.connection import Connection
    from sandkeeper.settings import OperatorSettings

_WORKER = "worker"
_RELIST_SECONDS = 300.0
"""How often the set of sandboxes is compared: Kopf tells of no deletion that happened while its watch was down."""
_SILENT_SECONDS = 180.0
"""A watch that was not heard of for three bookmarks is broken."""


class Operator:
    """The running operator.

    Parameters
    ----------
    connection
        Shared with Kopf; closed by `stop`.
    failed
        Set when a background task ended, which none should: the process is then to end too.
    """

    def __init__(self, settings: OperatorSettings, connection: Connection, failed: asyncio.Event) -> None:
        self.connection = connection
        self._settings = settings
        self._failed = failed
        self._metrics = Metrics()
        self._clock = clock = Clock()
        self._client = ApiClient(connection.session, connection.server, self._metrics.observe_call, clock)
        self._queue: WorkQueue[Key] = WorkQueue()
        self._snapshot_queue: WorkQueue[Key] = WorkQueue()
        self._cluster = self._new_cluster(settings)
        self._events = EventRecorder(
            self._client, self._metrics, controller="sandkeeper.dev/operator", instance=settings.pod_name
        )
        self._shards = self._new_shards(settings)
        fences = FenceKeeper(self._cluster, ChildWriter(self._client, self._cluster))
        holds = self._shards.holds
        self._proof = Proof(self._client, self._cluster, fences, settings, self._metrics, self._verdict_changed, holds)
        self._guests = self._new_guests()
        kubelets, told = kubelets_of(settings, connection, self._client), UsageMetrics(self._metrics.registry)
        self._usages = Usages(self._cluster, kubelets, told, self._queue.add, holds, settings.idle_rule, clock)
        self._controller = self._sandbox_controller(fences)
        self._snapshots = self._snapshot_controller()
        self._tasks: set[asyncio.Task[None]] = set()
        self._servers: list[web.AppRunner] = []
        self._listed_at = 0.0
        self._log = structlog.get_logger()

    def _new_cluster(self, settings: OperatorSettings) -> Cluster:
        secrets_watched = settings.restart_on_secret_change
        return Cluster(self._client, self._queue.add, self._snapshot_queue.add, secrets_watched=secrets_watched)

    def _sandbox_controller(self, fences: FenceKeeper) -> SandboxController:
        return SandboxController(
            self._client,
            self._cluster,
            self._settings.for_plans(),
            self._events,
            SandboxMetrics(self._metrics.registry, self._cluster.sandboxes),
            self._shards.holds,
            Aides(fences, self._proof, self._guests.packer, self._usages, self._clock),
        )

    def _new_guests(self) -> Guests:
        packed, clock, turns = PackMetrics(self._metrics.registry), self._clock, Turns(self._settings.for_packs())
        return Guests(
            Packer(self._client, self._queue.add, packed, clock, turns),
            Packer(self._client, self._snapshot_queue.add, packed, clock, turns, QUIESCE_COMMAND),
        )

    def _snapshot_controller(self) -> SnapshotController:
        return SnapshotController(
            self._client,
            self._cluster,
            self._events,
            SnapshotMetrics(self._metrics.registry),
            self._shards.holds,
            self._guests,
            self._clock,
        )

    @classmethod
    async def start(cls, settings: OperatorSettings, connection: Connection, failed: asyncio.Event) -> Operator:
        """Fill the stores, and begin to work.

        Returns
        -------
        Operator
            Whose informers have synced; sandboxes come as they are delivered.
        """
        operator = cls(settings, connection, failed)
        await operator._serve()
        for informer in operator._informers:
            operator._metrics.watch_informer(informer)
            operator._spawn(informer.run(), f"informer of {informer.resource.plural}")
        operator._spawn(connection.keep_fresh(), "credentials")
        operator._spawn(operator._metrics.measure_loop_lag(), "loop lag")
        # Passes before all stores are filled would take what is there for missing.
        await asyncio.gather(*(informer.synced.wait() for informer in operator._informers))
        operator._spawn(operator._relist_for_ever(), "relist")
        operator._spawn(operator._events.run(), "events")
        operator._spawn(operator._shards.run(), "shards")
        for worker in operator._workers():
            operator._spawn(worker.run(), _WORKER)
        if operator._proof.runs:
            operator._spawn(operator._proof.worker.run(), _WORKER)
        if operator._usages.runs:
            operator._spawn(operator._usages.run(), "usage")
        return operator

    def _workers(self) -> tuple[Worker[Key], Worker[Key]]:
        most, metrics = self._settings.workers, self._metrics
        return (
            Worker(self._queue, self._controller.reconcile, metrics, concurrency=most, kind=SANDBOXES.kind),
            Worker(self._snapshot_queue, self._snapshots.reconcile, metrics, concurrency=most, kind=SNAPSHOTS.kind),
        )

    def deliver(self, event_type: str | None, sandbox: Json) -> None:
        """Take a sandbox from a watch.

        Parameters
        ----------
        event_type
            ``ADDED``, ``MODIFIED``, ``DELETED``, or None for one that was there before.
        """
        key, store = key_of(sandbox), self._cluster.sandboxes
        if event_type == "DELETED":
            self._controller.forget(sandbox["metadata"]["uid"])
            changed = store.remove(key, sandbox["metadata"]["uid"])
        else:
            if event_type == "ADDED":
                self._controller.seen(sandbox["metadata"]["uid"])
            changed = store.upsert(sandbox)
        if changed:
            self._queue.add(key)
        # Of what its own pass wrote too, which the store knew from the answer.
        self._cluster.copies.sandbox_changed(key)
        if changed and event_type != "MODIFIED":
            self._cluster.copies.sandbox_came_or_went(key)

    async def stop(self) -> None:
        """End all tasks, give back the shards, close the connection."""
        # Passes under way end before the shards go to another replica.
        working = {task for task in self._tasks if task.get_name() == _WORKER}
        for tasks in (working, self._tasks - working):
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        await self._guests.stop()
        for server in self._servers:
            await server.cleanup()
        await self._usages.close()
        await self.connection.close()

    async def _serve(self) -> None:
        self._metrics.watch_queue(SANDBOXES.kind, lambda: len(self._queue))
        self._metrics.watch_queue(SNAPSHOTS.kind, lambda: len(self._snapshot_queue))
        self._servers = [
            await serve_metrics(self._metrics.registry, self._settings.metrics_port),
            await serve_probes(self._alive, self._ready, self._settings.probes_port),
        ]

    def _alive(self) -> str:
        """Why the process should be restarted; a silent API server is no reason, since a restart would not mend it."""
        return "a background task ended" if self._failed.is_set() else ""

    def _ready(self) -> str:
        """Why this replica can't be relied on."""
        for informer in self._informers:
            if not informer.synced.is_set():
                return f"{informer.resource.plural} are not listed yet"
            if informer.age > _SILENT_SECONDS:
                return f"the watch of {informer.resource.plural} has been silent for {informer.age:.0f} s"
        if not self._listed_at:
            return "sandboxes are not listed yet"
        return ""

    def _new_shards(self, settings: OperatorSettings) -> Shards:
        times = LeaseTimes(settings.lease_seconds, settings.lease_seconds / 3)
        return Shards(
            self._client, settings.namespace, settings.pod_name, settings.shards, self._shard_acquired, times=times
        )

    @property
    def _informers(self) -> list[Informer]:
        return [*self._cluster.informers, *self._proof.informers]

    def _spawn(self, work: Coroutine[None, None, None], name: str) -> None:
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        if task.cancelled():
            return
        self._log.error("background task ended", task=task.get_name(), exc_info=task.exception())
        self._failed.set()

    def _shard_acquired(self, shard: int) -> None:
        """Look at everything in the namespaces of a shard that just became ours."""
        if self._shards.holds(self._settings.namespace):
            self._proof.ask()
        for key in [*self._cluster.sandboxes, *self._orphans()]:
            if shard_of(key.namespace, self._settings.shards) == shard:
                self._queue.add(key)
        for key in self._cluster.copies.snapshots:
            if shard_of(key.namespace, self._settings.shards) == shard:
                self._snapshot_queue.add(key)

    def _verdict_changed(self, namespace: str | None) -> None:
        """Look at the sandboxes that a verdict speaks of: those of its namespace, or all."""
        if namespace is None:
            # Whoever deletes the cluster's verdict wants another one.
            self._proof.ask()
        for key in self._cluster.sandboxes if namespace is None else self._cluster.sandboxes.in_namespace(namespace):
            self._queue.add(key)

    def _orphans(self) -> list[Key]:
        """Keys of managed objects that no known sandbox stands behind: their passes find out and clean up."""
        pods = self._cluster.store(PODS)
        orphans = [Key(key.namespace, key.name.removeprefix("sbx-")) for key in pods]
        left = [each for each in self._cluster.fenced if not self._cluster.sandboxes.in_namespace(each)]
        orphans += [Key(namespace, FENCE_NAME) for namespace in left]
        return [key for key in orphans if key not in self._cluster.sandboxes]

    async def _relist_for_ever(self) -> None:
        while True:
            try:
                await self._relist()
            except UNREACHABLE as error:
                self._log.warning("sandboxes could not be listed", error=str(error) or repr(error))
                await asyncio.sleep(5)
                continue
            await asyncio.sleep(_RELIST_SECONDS)

    async def _relist(self) -> None:
        """Compare the set of sandboxes with the server's: bury those whose deletion nobody told us."""
        keys: set[Key] = set()
        version = ""
        async for page in self._client.list_pages(SANDBOXES, metadata_only=True):
            keys |= {key_of(each) for each in page["items"] or ()}
            version = page["metadata"]["resourceVersion"]
        for key in [*self._cluster.sandboxes.retain(keys, int(version)), *self._orphans()]:
            self._queue.add(key)
        self._listed_at = time.monotonic()
