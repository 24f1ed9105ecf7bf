"""A client of the fake API server, with the faults of a real network between them."""

from __future__ import annotations

import asyncio
import copy
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING

import aiohttp

from sandkeeper.runtime.client import ApiClient
from sandkeeper.runtime.errors import ApiError, where
from sandkeeper.runtime.exec import Command, ExecResult
from sandkeeper.runtime.resource import PODS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

    from sandkeeper.runtime.client import PatchType
    from sandkeeper.runtime.resource import Json, Resource
    from unit.fakes.apiserver import FakeApiServer

_WATCH_SECONDS = 290.0
_BOOKMARK_SECONDS = 60.0


@dataclass
class Faults:
    """What goes wrong between client and server.

    Attributes
    ----------
    rate
        Part of the calls and watch events that meet a fault, 0 to 1.
    latency
        Most seconds that a request or its answer travels.
    """

    random: Random = field(default_factory=lambda: Random(0))
    rate: float = 0.0
    latency: float = 0.0

    def strikes(self) -> bool:
        """Whether a fault happens now."""
        return self.random.random() < self.rate

    async def travel(self) -> None:
        """Take the time that a message takes."""
        await asyncio.sleep(self.random.random() * self.latency)

    def refusal(self, verb: str, subject: str) -> Exception:
        """Pick what a call meets."""
        body = {"reason": "Fault", "message": "a fault of this test"}
        return self.random.choice(
            [
                ApiError(verb, subject, 429, body, retry_after=1.0),
                ApiError(verb, subject, 429, body),
                ApiError(verb, subject, 500, body),
                ApiError(verb, subject, 503, body),
                aiohttp.ServerDisconnectedError(),
                TimeoutError(),
            ]
        )

    def expiry(self, verb: str, subject: str) -> ApiError:
        """Make the error of a version, or a page, that is too old."""
        return ApiError(verb, subject, 410, {"reason": "Expired", "message": "too old resource version"})


class FakeClient(ApiClient):
    """Speaks to the fake server as `ApiClient` speaks to a real one.

    Parameters
    ----------
    page
        Objects on a page of a list, since the fake's are few.
    """

    def __init__(self, server: FakeApiServer, faults: Faults | None = None, *, page: int = 2) -> None:
        self._fake = server
        self.faults = faults or Faults()
        self._page = page
        self._severed = False
        self.calls: list[tuple[str, str]] = []
        """Verb and resource of each call that changed something."""
        self.guest = ExecResult(0, b'{"entries": 0, "bytes": 0, "unpackedBytes": 0, "digest": ""}\n', b"")
        """What guests answer who are asked to pack."""
        self.packed: list[str] = []
        """Each pod that was asked to."""
        self.reads: list[str] = []
        """Each list (of the first page) and watch that was asked for."""

    def sever(self) -> None:
        """Cut this client off for good: what is under way gets no answer either."""
        self._severed = True

    async def create(self, resource: Resource, namespace: str, obj: Json, *, subresource: str = "") -> Json:
        return await self._write("create", resource, namespace, lambda: self._fake.create(resource, namespace, obj))

    async def get(self, resource: Resource, namespace: str, name: str) -> Json:
        return await self._exchange("get", resource, namespace, lambda: self._fake.get(resource, namespace, name))

    async def patch(
        self,
        resource: Resource,
        namespace: str,
        name: str,
        patch: Json,
        *,
        subresource: str = "",
        kind: PatchType = "merge",
    ) -> Json:
        assert (kind == "strategic") == (subresource == "resize")
        return await self._write(
            "patch", resource, namespace, lambda: self._fake.patch(resource, namespace, name, patch, subresource)
        )

    async def run(self, command: Command) -> ExecResult:
        """Answer as a guest, in whose sandbox nothing changed unless the story says so."""
        await self._exchange("exec", PODS, command.pod.namespace, lambda: self._fake.get(PODS, *command.pod))
        self.packed.append(command.pod.name)
        return self.guest

    async def delete(
        self,
        resource: Resource,
        namespace: str,
        name: str,
        *,
        uid: str = "",
        version: str = "",
        grace_seconds: int | None = None,
    ) -> Json:
        grace = 30 if grace_seconds is None else grace_seconds
        return await self._write(
            "delete", resource, namespace, lambda: self._fake.delete(resource, namespace, name, uid, grace, version)
        )

    async def list_page(
        self,
        resource: Resource,
        *,
        params: Mapping[str, str] | None = None,
        namespace: str = "",
        token: str = "",
        metadata_only: bool = False,
    ) -> Json:
        selected = selector((params or {}).get("labelSelector", ""), namespace)
        if not token:
            self.reads.append("list")
        if token and self.faults.strikes():
            raise self.faults.expiry("list", where(resource, namespace, ""))
        return await self._exchange("list", resource, namespace, lambda: self._pages(resource, selected, token))

    def _pages(self, resource: Resource, selected: Callable[[Json], bool], token: str) -> Json:
        """All pages show the state of the first one's version, which the token carries."""
        version, _, offset = (token or f"{self._fake.version}:0").partition(":")
        state = {(obj["metadata"]["namespace"], obj["metadata"]["name"]): obj for obj in self._fake.all(resource)}
        for change in reversed(self._fake.since(int(version))):
            if change.resource == resource:
                identity = (change.before or change.after or {})["metadata"]
                state.pop((identity["namespace"], identity["name"]), None)
                if change.before is not None:
                    state[identity["namespace"], identity["name"]] = change.before
        items = [obj for _, obj in sorted(state.items()) if selected(obj)]
        start, end = int(offset), int(offset) + self._page
        metadata = {"resourceVersion": version, **({"continue": f"{version}:{end}"} if end < len(items) else {})}
        return {"metadata": metadata, "items": items[start:end] or None}

    async def watch(
        self,
        resource: Resource,
        version: str,
        params: Mapping[str, str],
        *,
        namespace: str = "",
        metadata_only: bool = False,
    ) -> AsyncIterator[Json]:
        subject = where(resource, "", "")
        self.reads.append("watch")
        await self._reach("watch", subject)
        selected = selector(params.get("labelSelector", ""), namespace)
        seen, until = int(version), asyncio.get_running_loop().time() + _WATCH_SECONDS
        while asyncio.get_running_loop().time() < until:
            if seen < self._fake.compacted:
                raise self.faults.expiry("watch", subject)
            for change in self._fake.since(seen):
                seen = change.version
                event = change.event(selected) if change.resource == resource else None
                if event:
                    await self._reach("watch", subject)
                    yield copy.deepcopy(event)
            if seen == self._fake.version and not await self._changed():
                await self._reach("watch", subject)
                yield {"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": str(seen)}}}

    async def _changed(self) -> bool:
        try:
            async with asyncio.timeout(_BOOKMARK_SECONDS):
                await self._fake.change()
        except TimeoutError:
            return False
        return True

    async def _reach(self, verb: str, subject: str) -> None:
        await self.faults.travel()
        if self._severed:
            raise aiohttp.ServerDisconnectedError
        if self.faults.strikes():
            raise self.faults.refusal(verb, subject)

    async def _write(self, verb: str, resource: Resource, namespace: str, call: Callable[[], Json]) -> Json:
        def counted() -> Json:
            before = self._fake.version
            answer = call()
            if self._fake.version != before:
                self.calls.append((verb, resource.plural))
            return answer

        return await self._exchange(verb, resource, namespace, counted)

    async def _exchange(self, verb: str, resource: Resource, namespace: str, call: Callable[[], Json]) -> Json:
        subject = where(resource, namespace, "")
        await self._reach(verb, subject)
        answer = copy.deepcopy(call())
        # The answer may get lost although the server did what it was asked to.
        await self._reach(verb, subject)
        return answer


def selector(labels: str, namespace: str) -> Callable[[Json], bool]:
    """Make the test of a label selector (``name`` or ``name=value``), within a namespace if one is given."""
    name, equals, value = labels.partition("=")

    def selected(obj: Json) -> bool:
        metadata = obj["metadata"]
        carried = metadata.get("labels", {}).get(name)
        matches = not labels or (carried == value if equals else carried is not None)
        return matches and namespace in {"", metadata["namespace"]}

    return selected
