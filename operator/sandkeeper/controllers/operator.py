"""Puts the parts together: connection, stores, queue, shards, and the tasks that keep them going."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import structlog

from sandkeeper.api.names import CHILD_PREFIX, FENCE_NAME
from sandkeeper.controllers.cluster import SANDBOXES
from sandkeeper.controllers.parts import Parts, Surroundings
from sandkeeper.runtime.client import ApiClient
from sandkeeper.runtime.clock import Clock
from sandkeeper.runtime.events import EventRecorder
from sandkeeper.runtime.http import serve_metrics, serve_probes
from sandkeeper.runtime.informer import UNREACHABLE
from sandkeeper.runtime.metrics import Metrics
from sandkeeper.runtime.resource import PODS, Json, Key, key_of
from sandkeeper.runtime.shards import LeaseTimes, Shards, shard_of

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
        clock = Clock()
        self._client = ApiClient(connection.session, connection.server, self._metrics.observe_call, clock)
        self._events = EventRecorder(
            self._client, self._metrics, controller="sandkeeper.dev/operator", instance=settings.pod_name
        )
        self._shards = self._new_shards(settings)
        self._metrics.watch_shards(self._shards)
        self._parts = Parts(
            Surroundings(settings, connection, self._client, self._metrics, self._events, clock, self._shards.holds)
        )
        self._queues, self._cluster, self._proof = self._parts.queues, self._parts.cluster, self._parts.proof
        self._tasks: set[asyncio.Task[None]] = set()
        self._servers: list[web.AppRunner] = []
        self._listed_at = 0.0
        self._log = structlog.get_logger()

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
        for informer in operator._parts.informers:
            operator._metrics.watch_informer(informer)
            operator._spawn(informer.run(), f"informer of {informer.resource.plural}")
        operator._spawn(connection.keep_fresh(), "credentials")
        operator._spawn(operator._metrics.measure_loop_lag(), "loop lag")
        # Passes before all stores are filled would take what is there for missing.
        await asyncio.gather(*(informer.synced.wait() for informer in operator._parts.informers))
        operator._spawn(operator._relist_for_ever(), "relist")
        operator._spawn(operator._events.run(), "events")
        operator._spawn(operator._shards.run(), "shards")
        for worker in operator._parts.workers():
            operator._spawn(worker.run(), _WORKER)
        if operator._proof.runs:
            operator._spawn(operator._proof.worker.run(), _WORKER)
        if operator._parts.usages.runs:
            operator._spawn(operator._parts.usages.run(), "usage")
        return operator

    def deliver(self, event_type: str | None, sandbox: Json) -> None:
        """Take a sandbox from a watch.

        Parameters
        ----------
        event_type
            ``ADDED``, ``MODIFIED``, ``DELETED``, or None for one that was there before.
        """
        key, store = key_of(sandbox), self._cluster.sandboxes
        if event_type == "DELETED":
            self._parts.sandboxes.forget(sandbox["metadata"]["uid"])
            changed = store.remove(key, sandbox["metadata"]["uid"])
        else:
            if event_type == "ADDED":
                self._parts.sandboxes.seen(sandbox["metadata"]["uid"])
            changed = store.upsert(sandbox)
        if changed:
            self._queues.sandboxes.add(key)
        # Of what the store knew from an answer too, which others have not heard of.
        self._cluster.copies.sandbox_changed(key)
        if event_type != "MODIFIED":
            self._cluster.diffs.source_changed(key.namespace)
            self._cluster.copies.sandbox_came_or_went(key)

    async def stop(self) -> None:
        """End all tasks, give back the shards, close the connection."""
        # Passes under way end before the shards go to another replica.
        working = {task for task in self._tasks if task.get_name() == _WORKER}
        for tasks in (working, self._tasks - working):
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        await self._parts.stop()
        for server in self._servers:
            await server.cleanup()
        await self.connection.close()

    async def _serve(self) -> None:
        self._servers = [
            await serve_metrics(self._metrics.registry, self._settings.metrics_port),
            await serve_probes(self._alive, self._ready, self._settings.probes_port),
        ]

    def _alive(self) -> str:
        """Why the process should be restarted; a silent API server is no reason, since a restart would not mend it."""
        return "a background task ended" if self._failed.is_set() else ""

    def _ready(self) -> str:
        """Why this replica can't be relied on."""
        for informer in self._parts.informers:
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
        queues, cluster = self._queues, self._cluster
        for queue, keys in (
            (queues.sandboxes, [*cluster.sandboxes, *self._orphans()]),
            (queues.snapshots, cluster.copies.snapshots),
            (queues.diffs, cluster.diffs.store),
            (queues.policies, cluster.rules.store),
        ):
            for key in keys:
                if shard_of(key.namespace, self._settings.shards) == shard:
                    queue.add(key)

    def _orphans(self) -> list[Key]:
        """Keys of managed objects that no known sandbox stands behind: their passes find out and clean up."""
        pods = self._cluster.store(PODS)
        sandboxes = (key for key in pods if key.name.startswith(CHILD_PREFIX))
        orphans = [Key(key.namespace, key.name.removeprefix(CHILD_PREFIX)) for key in sandboxes]
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
            self._queues.sandboxes.add(key)
        self._listed_at = time.monotonic()
