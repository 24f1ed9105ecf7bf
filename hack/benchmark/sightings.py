"""The client's own watches: at which moment did it see that an object reached a state?"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from benchmark.objects import Part
from sandkeeper.runtime.client import ApiClient
from sandkeeper.runtime.errors import ApiError
from sandkeeper.runtime.resource import Json, Key, key_of

RETRY_SECONDS = 0.2
Reached = Callable[[str, Json], bool]
"""Tells from an event's type and object whether the awaited state is reached."""


@dataclass
class Sightings:
    """Moments, by ``time.perf_counter``, at which awaited objects were seen in the state that was waited for."""

    awaited: dict[tuple[Part, Key], asyncio.Future[float]] = field(default_factory=dict)

    def expect(self, part: Part, keys: Iterable[Key]) -> None:
        """Await objects of a kind."""
        loop = asyncio.get_running_loop()
        for key in keys:
            self.awaited[part, Key(key.namespace, part.named(key.name))] = loop.create_future()

    def saw(self, part: Part, key: Key) -> None:
        """Note a moment; only the first of an object counts."""
        moment = self.awaited.get((part, key))
        if moment is not None and not moment.done():
            moment.set_result(time.perf_counter())

    async def one(self, part: Part, key: Key) -> None:
        """Wait for one object."""
        await self.awaited[part, Key(key.namespace, part.named(key.name))]

    async def every(self) -> None:
        """Wait for all of them."""
        await asyncio.wait(self.awaited.values())

    def moment(self, part: Part, key: Key) -> float | None:
        """Return when an object was seen, None if it was not."""
        future = self.awaited[part, Key(key.namespace, part.named(key.name))]
        return future.result() if future.done() and not future.cancelled() else None


@asynccontextmanager
async def watching(
    client: ApiClient, parts: Iterable[Part], keys: Iterable[Key], reached: Reached, namespace: str = ""
) -> AsyncIterator[Sightings]:
    """Watch kinds from now on.

    Parameters
    ----------
    client
        Who watches.
    parts
        What is watched.
    keys
        Whose moments are noted.
    reached
        Which event counts.
    namespace
        The one that is watched; by default all are.
    """
    sightings = Sightings()
    names = list(keys)
    async with asyncio.TaskGroup() as tasks:
        watches = []
        for part in parts:
            sightings.expect(part, names)
            version = await _current_version(client, part, namespace)
            watches.append(tasks.create_task(_watch(client, part, version, sightings, reached, namespace)))
        yield sightings
        for watch in watches:
            watch.cancel()


async def _current_version(client: ApiClient, part: Part, namespace: str) -> str:
    params = _selection(part) | {"limit": "1"}
    page = await client.list_page(part.resource, params=params, namespace=namespace, metadata_only=True)
    return str(page["metadata"]["resourceVersion"])


async def _watch(
    client: ApiClient, part: Part, version: str, sightings: Sightings, reached: Reached, namespace: str
) -> None:
    while True:
        try:
            async for event in client.watch(part.resource, version, _selection(part), namespace=namespace):
                obj = event["object"]
                version = obj["metadata"]["resourceVersion"]
                if event["type"] != "BOOKMARK" and reached(event["type"], obj):
                    sightings.saw(part, key_of(obj))
        except ApiError as error:
            # A young CRD's storage is made anew once or twice, and refuses watches meanwhile.
            if not error.overloaded:
                raise
            await asyncio.sleep(RETRY_SECONDS)


def _selection(part: Part) -> dict[str, str]:
    return {"labelSelector": part.selector} if part.selector else {}
