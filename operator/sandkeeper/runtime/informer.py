"""Keeps a store equal to what the API server has: paged list, then watch from there, for as long as it runs.

Whatever is lost on the way (a closed stream, an expired version, a restart of the server) ends in a new list that
replaces the store and reports every difference, deletions included.
"""

from __future__ import annotations

import asyncio
import sys
import time
from typing import TYPE_CHECKING

import aiohttp
import structlog
from tenacity import retry_if_exception_type, wait_random_exponential
from tenacity.asyncio import AsyncRetrying

from sandkeeper.runtime.errors import ApiError
from sandkeeper.runtime.resource import Json, Key, Resource, key_of, version_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from tenacity import RetryCallState

    from sandkeeper.runtime.client import ApiClient
    from sandkeeper.runtime.store import Store

UNREACHABLE = (ApiError, aiohttp.ClientError, TimeoutError)
"""What a call raises that may succeed later; anything else is a defect and must not be retried."""
_MOST_FRUITLESS = 7
"""Streams in a row without a single event, about six seconds, before the state is listed anew."""
_UNSERVED_SECONDS = 30.0
"""How often a kind is asked for that the cluster may do without."""
_backoff = wait_random_exponential(multiplier=0.2, max=30)


class Informer:
    """Feeds one kind into a store and says which objects changed.

    Parameters
    ----------
    resource
        The kind.
    store
        What is kept; also written by whoever changes objects, with their answers.
    on_change
        Called after the store changed, with the key, the object's former and present state (None where absent).
    label_selector, field_selector
        Limit the kind on the server.
    namespace
        Limits it to one, where the rights reach no further.
    metadata_only
        Ask for nothing but the objects' metadata.
    optional
        Whether the cluster may do without the kind: the store is empty then, and the kind asked for now and again.

    Attributes
    ----------
    served
        Whether the server knew the kind when it was last listed.
    """

    def __init__(
        self,
        client: ApiClient,
        resource: Resource,
        store: Store,
        on_change: Callable[[Key, Json | None, Json | None], None],
        *,
        label_selector: str = "",
        field_selector: str = "",
        namespace: str = "",
        metadata_only: bool = False,
        optional: bool = False,
    ) -> None:
        self._client = client
        self._metadata_only = metadata_only
        self._optional = optional
        self.served = True
        self.resource = resource
        self.store = store
        self._on_change = on_change
        selectors = {"labelSelector": label_selector, "fieldSelector": field_selector}
        self._params = {name: value for name, value in selectors.items() if value}
        self._namespace = namespace
        self._log = structlog.get_logger().bind(resource=resource.plural)
        self.synced = asyncio.Event()
        self.last_contact = time.monotonic()

    @property
    def age(self) -> float:
        """Seconds since the server was last heard of; bookmarks come about once a minute."""
        return time.monotonic() - self.last_contact

    async def run(self) -> None:
        """List and watch until cancelled. No refusal or broken connection ends it."""
        listing = AsyncRetrying(
            retry=retry_if_exception_type(UNREACHABLE), wait=_wait, before_sleep=self._report, reraise=True
        )
        barren = 0
        while True:
            version: str = await listing(self._list)
            if not self.served:
                await asyncio.sleep(_UNSERVED_SECONDS)
                continue
            fruitful = await self._watch(version)
            # Nor must one that gives lists and refuses watches, as with half of the permissions.
            barren = 0 if fruitful else min(barren + 1, 10)
            await asyncio.sleep(min(0.05 * 2**barren, 30.0))

    async def _list(self) -> str:
        objects: list[Json] = []
        version = "0"
        self.served = True
        try:
            async for page in self._client.list_pages(
                self.resource, params=self._params, namespace=self._namespace, metadata_only=self._metadata_only
            ):
                objects += page["items"] or []
                version = str(page["metadata"]["resourceVersion"])
        except ApiError as error:
            if not (self._optional and error.not_found):
                raise
            self.served = False
        self._replace(objects, int(version) if self.served else sys.maxsize)
        self.last_contact = time.monotonic()
        self.synced.set()
        return version

    def _replace(self, objects: list[Json], version: int) -> None:
        before = {key: self.store.get(key) for key in self.store}
        for key in self.store.replace(objects, version):
            self._on_change(key, before.get(key), self.store.get(key))

    async def _watch(self, version: str) -> bool:
        """Follow changes, resuming where a stream ended, until that is no longer possible.

        Returns
        -------
        bool
            Whether the server told anything.
        """
        fruitful, fruitless = False, 0
        while fruitless < _MOST_FRUITLESS:
            asked = 0.0
            try:
                stream = self._client.watch(
                    self.resource, version, self._params, namespace=self._namespace, metadata_only=self._metadata_only
                )
                async for event in stream:
                    version = event["object"]["metadata"]["resourceVersion"]
                    self.last_contact = time.monotonic()
                    fruitful, fruitless = True, 0
                    self._apply(event)
            except ApiError as error:
                if not error.overloaded:
                    self._log.info("watch ended, listing anew", reason=error.reason, status=error.status)
                    return fruitful
                asked = error.retry_after or 0.0
            except (aiohttp.ClientError, TimeoutError) as error:
                self._log.debug("watch broke", error=repr(error))
            # A server that closes streams at once must not be asked in a tight loop.
            await asyncio.sleep(max(0.05 * 2**fruitless, asked))
            fruitless += 1
        return fruitful

    def _apply(self, event: Json) -> None:
        if event["type"] == "BOOKMARK":
            return
        obj = event["object"]
        key = key_of(obj)
        before = self.store.get(key)
        if event["type"] == "DELETED":
            changed = self.store.remove(key, obj["metadata"]["uid"], version_of(obj))
        else:
            changed = self.store.upsert(obj)
        after = self.store.get(key)
        # Of an object whose content is never sent, the version is what tells that it was written.
        if changed and (self._metadata_only or _is_news(before, after)):
            self._on_change(key, before, after)

    def _report(self, state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        self._log.warning("list failed, trying again", error=str(error) or repr(error))


def _is_news(before: Json | None, after: Json | None) -> bool:
    """Whether anything differs that is kept: controllers write finalizers and notes that nobody here reads."""
    return before is None or after is None or _unversioned(before) != _unversioned(after)


def _unversioned(obj: Json) -> Json:
    return {**obj, "metadata": {**obj["metadata"], "resourceVersion": ""}}


def _wait(state: RetryCallState) -> float:
    """Back off with jitter, but at least as long as the server asked for."""
    error = state.outcome.exception() if state.outcome else None
    asked = error.retry_after if isinstance(error, ApiError) and error.retry_after else 0.0
    return max(_backoff(state), asked)
