"""A whole operator on the fake API server, with a stand-in for Kopf that forgets deletions as Kopf does."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack, contextmanager
from functools import partial
from types import SimpleNamespace
from typing import TYPE_CHECKING
from unittest.mock import patch

import aiohttp

from sandkeeper.controllers.cluster import SANDBOXES
from sandkeeper.controllers.operator import Operator
from sandkeeper.runtime.errors import ApiError
from sandkeeper.runtime.informer import UNREACHABLE
from sandkeeper.runtime.queue import WorkQueue
from sandkeeper.settings import OperatorSettings
from unit.fakes import virtual_time
from unit.fakes.client import FakeClient, Faults

if TYPE_CHECKING:
    from collections.abc import Iterator

    from unit.fakes.apiserver import FakeApiServer

_MODULE = "sandkeeper.controllers.operator"


@contextmanager
def without_network() -> Iterator[None]:
    """Let operators that start meanwhile take the session that they are given for their client."""

    async def serve_nothing(_: Operator) -> None:
        """Open no ports."""

    with ExitStack() as patches:
        patches.enter_context(patch(f"{_MODULE}.ApiClient", lambda session, *_: session))
        patches.enter_context(
            patch("sandkeeper.controllers.parts.WorkQueue", partial(WorkQueue, clock=virtual_time.seconds))
        )
        patches.enter_context(
            patch("sandkeeper.controllers.proof.WorkQueue", partial(WorkQueue, clock=virtual_time.seconds))
        )
        patches.enter_context(patch.object(Operator, "_serve", serve_nothing))
        for module in ("controllers.canary", "controllers.enforcement", "runtime.clock"):
            clock = patch(f"sandkeeper.{module}.datetime", virtual_time.VirtualDatetime)
            patches.enter_context(clock)
        yield


class Replica:
    """One process of the operator.

    Attributes
    ----------
    client
        Counts what this process wrote.
    failed
        Set if a background task ended.
    """

    def __init__(
        self, server: FakeApiServer, faults: Faults | None = None, name: str = "operator-0", **settings: object
    ) -> None:
        self.client = FakeClient(server, faults)
        self.failed = asyncio.Event()
        given = {"shards": 1, "workers": 4, "require_enforcement": False} | settings
        self._settings = OperatorSettings(namespace="sandkeeper-system", pod_name=name, **given)  # type: ignore[arg-type]
        self._operator: Operator | None = None
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """End as on SIGTERM: with what is under way finished and the shards given back."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        if self._operator is not None:
            await self._operator.stop()

    async def crash(self) -> None:
        """End as on SIGKILL: nothing more is sent, and no answer is heard."""
        self.client.sever()
        await self.stop()

    async def _run(self) -> None:
        connection = SimpleNamespace(session=self.client, server="", keep_fresh=_for_ever, close=_at_once)
        self._operator = await Operator.start(self._settings, connection, self.failed)  # type: ignore[arg-type]
        while True:
            await self._watch(await self._list())

    async def _list(self) -> str:
        """Deliver what is there; of what is gone nothing is said."""
        assert self._operator
        while True:
            try:
                token, version = "", ""
                while not version or token:
                    page = await self.client.list_page(SANDBOXES, token=token)
                    version, token = page["metadata"]["resourceVersion"], page["metadata"].get("continue", "")
                    for sandbox in page["items"] or ():
                        self._operator.deliver(None, sandbox)
            except UNREACHABLE:
                await asyncio.sleep(1.0)
            else:
                return str(version)

    async def _watch(self, version: str) -> None:
        """Deliver changes until their version has expired."""
        assert self._operator
        while True:
            try:
                async for event in self.client.watch(SANDBOXES, version, {}):
                    version = event["object"]["metadata"]["resourceVersion"]
                    if event["type"] != "BOOKMARK":
                        self._operator.deliver(event["type"], event["object"])
            except ApiError as error:
                if error.expired:
                    return
            except (aiohttp.ClientError, TimeoutError):
                pass
            await asyncio.sleep(0.1)


async def _for_ever() -> None:
    await asyncio.Event().wait()


async def _at_once() -> None:
    pass
