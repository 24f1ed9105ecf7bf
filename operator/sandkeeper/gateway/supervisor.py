"""The gateway's parent process: watches pods, tells its workers, and answers for all of them.

It carries no traffic of sandboxes. What it last knew holds while the API server can't be seen: its workers go on with
that, and deny whoever they do not know.
"""

from __future__ import annotations

import asyncio
import gc
import signal
from typing import TYPE_CHECKING, Final

import structlog
import typer

from sandkeeper.gateway.activity import Activity, serve_activity
from sandkeeper.gateway.denial_events import DenialEvents
from sandkeeper.gateway.fleet import Fleet
from sandkeeper.gateway.totals import Totals
from sandkeeper.gateway.watching import Watching
from sandkeeper.runtime.client import ApiClient
from sandkeeper.runtime.connection import NoCredentialsError, connect, own_namespace
from sandkeeper.runtime.http import serve_metrics, serve_probes
from sandkeeper.runtime.metrics import Metrics

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from aiohttp import web

    from sandkeeper.gateway.settings import GatewaySettings
    from sandkeeper.gateway.wire import Report
    from sandkeeper.runtime.connection import Connection

_CALLS: Final = 8
_FLEET: Final = "workers"


class Supervisor:
    """The running gateway.

    Parameters
    ----------
    connection
        Closed by `run`.
    """

    def __init__(self, settings: GatewaySettings, connection: Connection) -> None:
        self._settings = settings
        self._connection = connection
        self._metrics = Metrics()
        client = ApiClient(connection.session, connection.server, self._metrics.observe_call)
        self._fleet = Fleet(settings.processes, self._known, self._heard)
        namespace = settings.namespace or own_namespace("sandkeeper-system")
        self._watching = Watching(client, namespace, self._fleet.tell)
        self._activity = Activity(self._watching.view)
        self._events = DenialEvents(client, settings.pod_name) if settings.events else None
        self._totals = Totals(
            self._metrics.registry,
            {
                "sandkeeper_gateway_workers": ("Workers that take connections.", lambda: self._fleet.listening),
                "sandkeeper_gateway_open_connections": ("Connections that are open.", lambda: self._fleet.open),
                "sandkeeper_gateway_known_pods": ("Sandbox pods that are known.", lambda: len(self._watching.view)),
            },
        )
        self._stopping = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._log = structlog.get_logger()

    async def run(self) -> int:
        """Run until told to stop, and give the exit status: 1 where something ended that should not."""
        for each in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(each, self._stopping.set)
        servers = await self._serve()
        for informer in self._watching.informers:
            self._metrics.watch_informer(informer)
            self._spawn(informer.run(), f"informer of {informer.resource.plural}")
        self._spawn(self._connection.keep_fresh(), "credentials")
        self._spawn(self._metrics.measure_loop_lag(), "loop lag")
        if self._events:
            self._spawn(self._events.run(), "events")
        # Workers are told everything before they listen.
        self._spawn(self._keep_workers(), _FLEET)
        try:
            return await self._until_the_end()
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            for server in servers:
                await server.cleanup()
            await self._connection.close()

    async def _keep_workers(self) -> None:
        await self._watching.synced()
        gc.collect()
        gc.freeze()
        await self._fleet.run()

    async def _until_the_end(self) -> int:
        stopping = asyncio.create_task(self._stopping.wait())
        ended, _ = await asyncio.wait({stopping, *self._tasks}, return_when=asyncio.FIRST_COMPLETED)
        for task in ended - {stopping}:
            self._log.error("background task ended", task=task.get_name(), exc_info=task.exception())
            return 1
        self._log.info("stopping", delay=self._settings.drain_delay_seconds, drain=self._settings.drain_seconds)
        # Until this is known everywhere, connections still come.
        await asyncio.sleep(self._settings.drain_delay_seconds)
        fleet = next(task for task in self._tasks if task.get_name() == _FLEET)
        if not self._fleet.listening:
            return 0
        draining = asyncio.create_task(self._fleet.drain(self._settings.drain_seconds))
        await fleet
        draining.cancel()
        return 0

    async def _serve(self) -> list[web.AppRunner]:
        return [
            await serve_metrics(self._metrics.registry, self._settings.metrics_port),
            await serve_probes(lambda: "", self._ready, self._settings.probes_port),
            await serve_activity(self._activity, self._settings.activity_port),
        ]

    def _ready(self) -> str:
        """Why nothing should be sent to us; a silent API server is no reason, for what is known goes on to hold."""
        if self._stopping.is_set():
            return "the gateway is stopping"
        if missing := self._watching.missing:
            return f"{missing} are not listed yet"
        if (listening := self._fleet.listening) < self._settings.processes:
            return f"{listening} of {self._settings.processes} workers take connections"
        return ""

    def _known(self) -> list[object]:
        return self._watching.known()

    def _heard(self, report: Report) -> None:
        self._totals.take(report)
        self._activity.take(report.traffic)
        if self._events:
            self._events.add(report.denials)

    def _spawn(self, work: Coroutine[None, None, None], name: str) -> None:
        self._tasks.append(asyncio.create_task(work, name=name))


async def run(settings: GatewaySettings) -> int:
    """Run a gateway, and give the process's exit status."""
    try:
        connection = await connect(f"sandkeeper-gateway/{settings.pod_name}", limit=_CALLS)
    except NoCredentialsError as error:
        typer.echo(f"no credentials for a cluster: {error}", err=True)
        return 2
    return await Supervisor(settings, connection).run()
