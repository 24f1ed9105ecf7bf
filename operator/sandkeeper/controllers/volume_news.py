"""What provisioners, controllers and kubelets say of a volume that is long in coming: the Events of one object.

Read once and again while it is missing, since following all Events of a cluster would cost more than all the rest.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final

import structlog

from sandkeeper.runtime.informer import UNREACHABLE
from sandkeeper.runtime.resource import CORE_EVENTS, PODS, Json, key_of

if TYPE_CHECKING:
    from sandkeeper.runtime.client import ApiClient

_FRESH_SECONDS: Final = 20.0
_AT_ONCE: Final = 2
"""The API server walks through a namespace's Events for each question."""
_LONGEST: Final = 500
_SUMMARY: Final = "Unable to attach or mount volumes: "
"""Told every two minutes, with which volumes are late and not why."""
_ABOUT_VOLUMES: Final = frozenset({"FailedMount", "FailedAttachVolume", "FailedMapVolume"})


class VolumeNews:
    """The last word about claims and pods."""

    def __init__(self, client: ApiClient) -> None:
        self._client = client
        self._known: dict[str, tuple[float, str]] = {}
        self._turns = asyncio.Semaphore(_AT_ONCE)
        self._log = structlog.get_logger()

    async def of(self, obj: Json) -> str:
        """Read the last word about a claim, or about the volumes of a pod; empty where nothing was said."""
        uid, now = obj["metadata"]["uid"], time.monotonic()
        self._known = {each: row for each, row in self._known.items() if now - row[0] < _FRESH_SECONDS}
        if uid not in self._known:
            async with self._turns:
                self._known[uid] = now, await self._ask(obj)
        return self._known[uid][1]

    async def _ask(self, obj: Json) -> str:
        selector = f"involvedObject.uid={obj['metadata']['uid']}"
        found: list[Json] = []
        try:
            pages = self._client.list_pages(
                CORE_EVENTS, params={"fieldSelector": selector}, namespace=key_of(obj).namespace
            )
            async for page in pages:
                found += page["items"] or ()
        except UNREACHABLE as error:
            # The condition says the rest without it.
            self._log.info("events could not be read", error=str(error) or repr(error))
        return last_word(found, of_pod=obj["kind"] == PODS.kind)


def last_word(events: list[Json], *, of_pod: bool) -> str:
    """Choose what to tell: the newest warning, or where there is none the newest of all.

    Parameters
    ----------
    of_pod
        Whether they speak of a pod, of which only what concerns its volumes is told.
    """
    told = [each for each in events if not of_pod or each.get("reason") in _ABOUT_VOLUMES]
    warnings = [each for each in told if each.get("type") == "Warning"]
    telling = [each for each in warnings if not each.get("message", "").startswith(_SUMMARY)]
    newest = max(telling or warnings or told, key=_time, default={})
    return " ".join(newest.get("message", "").split())[:_LONGEST]


def _time(event: Json) -> str:
    series = event.get("series") or {}
    return str(series.get("lastObservedTime") or event.get("lastTimestamp") or event.get("eventTime") or "")
