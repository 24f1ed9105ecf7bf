"""Watches pods, namespaces and policies and keeps the kernel's table equal to what they ask for.

It writes nothing before it has seen everything: until then the table stays that was there, closed or of an earlier
process. When it ends, its table stays.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Any

import structlog
from aiohttp import web

from localcluster.errors import ClusterError
from localcluster.native.policy.desired import Desired
from localcluster.native.policy.kernel import KernelTable
from localcluster.native.policy.objects import pod_of, policy_of, slim_pod
from localcluster.native.policy.report import PORT, Report
from localcluster.native.policy.selectors import labels_of
from sandkeeper.runtime.client import ApiClient
from sandkeeper.runtime.connection import connect
from sandkeeper.runtime.informer import Informer
from sandkeeper.runtime.resource import NETWORK_POLICIES, PODS, Json, Key, Resource
from sandkeeper.runtime.store import Store

NAMESPACES = Resource("", "v1", "namespaces", "Namespace", namespaced=False)
SHORTEST_PAUSE, LONGEST_PAUSE = 0.02, 1.0
# Four parts of rest for one of work: writing the table takes a fifth of a core at most, however much happens.
REST = 4.0


class Enforcer:
    """Brings what is known of the cluster into the kernel, many changes at a time.

    Parameters
    ----------
    kernel
        The table that is written.
    """

    def __init__(self, kernel: KernelTable) -> None:
        self._kernel = kernel
        self._desired = Desired()
        self._changed = asyncio.Event()
        self.report = Report()

    def pod_changed(self, key: Key, _before: Json | None, after: Json | None) -> None:
        """Take in a pod's new state."""
        self._note(self._desired.set_pod((key.namespace, key.name), pod_of(after) if after else None))

    def namespace_changed(self, key: Key, _before: Json | None, after: Json | None) -> None:
        """Take in a namespace's new state."""
        labels = labels_of(after["metadata"].get("labels")) if after else None
        self._note(self._desired.set_namespace(key.name, labels))

    def policy_changed(self, key: Key, _before: Json | None, after: Json | None) -> None:
        """Take in a policy's new state."""
        self._note(self._desired.set_policy((key.namespace, key.name), policy_of(after) if after else None))

    async def run(self) -> None:
        """Write, and write again whenever something has changed, until cancelled."""
        while True:
            started = time.monotonic()
            self._changed.clear()
            await self.sync()
            took = time.monotonic() - started
            await asyncio.sleep(min(max(SHORTEST_PAUSE, took * REST), LONGEST_PAUSE))
            if self.report.last_error is None:
                await self._changed.wait()

    async def sync(self) -> None:
        """Write the present state once; a refusal is reported and does not end anything."""
        policies = self._desired.policies
        table = self._desired.table()
        try:
            await self._kernel.write(table)
        except (ClusterError, OSError) as error:
            structlog.get_logger().error("the table could not be written", error=str(error))
            self.report.failed(str(error))
            return
        in_force: dict[str, dict[str, object]] = {
            f"{namespace}/{name}": {"generation": policy.generation, "resourceVersion": policy.version}
            for (namespace, name), policy in policies.items()
        }
        self.report.succeeded(in_force, pods=len(table.collections["egress"].elements))

    def _note(self, changed: bool) -> None:
        if changed:
            self._changed.set()


async def run(pod_cidr: str) -> None:
    """Enforce until cancelled; the apiserver and who we are come from ``KUBECONFIG``."""
    enforcer = Enforcer(KernelTable(pod_cidr))
    connection = await connect("sandkeeper-network-policy")
    client = ApiClient(connection.session, connection.server)
    informers = [
        Informer(client, NAMESPACES, Store(), enforcer.namespace_changed),
        Informer(client, NETWORK_POLICIES, Store(), enforcer.policy_changed),
        Informer(client, PODS, Store(slim_pod), enforcer.pod_changed),
    ]
    enforcer.report.silence = lambda: max(informer.age for informer in informers)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(_serve(enforcer.report.content))
        for informer in informers:
            tasks.create_task(informer.run())
        for informer in informers:
            await informer.synced.wait()
        tasks.create_task(enforcer.run())


async def _serve(content: Callable[[], dict[str, Any]]) -> None:
    async def answer(_request: web.Request) -> web.Response:
        told = content()
        return web.json_response(told)

    async def readiness(_request: web.Request) -> web.Response:
        return web.Response(status=200 if content()["ready"] else 503)

    app = web.Application()
    app.router.add_get("/status", answer)
    app.router.add_get("/readyz", readiness)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", PORT).start()
        await asyncio.Event().wait()
    finally:
        await runner.cleanup()
