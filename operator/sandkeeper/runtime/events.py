"""Events for `kubectl describe`: written in the background, repeats counted instead of written again.

Namespaces take turns, and where too many wait, one of the namespace that has most is given up.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import TYPE_CHECKING, Literal

import structlog

from sandkeeper.runtime.informer import UNREACHABLE
from sandkeeper.runtime.lanes import Lanes
from sandkeeper.runtime.resource import EVENTS, Json, Resource

if TYPE_CHECKING:
    from sandkeeper.runtime.client import ApiClient
    from sandkeeper.runtime.metrics import Metrics

EventType = Literal["Normal", "Warning"]
_REMEMBERED = 5000
_SERIES_SECONDS = 600.0
"""A repeat within this time joins the series; the API server keeps events for an hour."""
_LONGEST_NOTE = 1024
_MOST_WAITING = 1000


@dataclass
class _Series:
    name: str
    count: int
    last: float


class EventRecorder:
    """Writes events.k8s.io/v1 Events about objects.

    Parameters
    ----------
    controller
        Our name in ``reportingController``.
    instance
        This replica, in ``reportingInstance``.
    """

    def __init__(self, client: ApiClient, metrics: Metrics, *, controller: str, instance: str) -> None:
        self._client = client
        self._metrics = metrics
        self._controller = controller
        self._instance = instance
        self._waiting: Lanes[str, tuple[str, Json]] = Lanes()
        self._news = asyncio.Event()
        self._series: OrderedDict[str, _Series] = OrderedDict()
        self._log = structlog.get_logger()

    def record(self, resource: Resource, regarding: Json, kind: EventType, reason: str, action: str, note: str) -> None:
        """Note an event; never blocks, never fails the caller.

        Parameters
        ----------
        regarding
            The object it is about.
        reason
            CamelCase, as in conditions.
        action
            What was done or tried (``Create``, ``Delete``, ...).
        """
        event = self._event(resource, regarding, kind, reason, action, note)
        identity = f"{regarding['metadata']['uid']}/{reason}/{note}"
        self._waiting.push(regarding["metadata"]["namespace"], (identity, event))
        if len(self._waiting) > _MOST_WAITING:
            self._waiting.drop_from_longest()
            self._metrics.events_dropped.inc()
        self._news.set()

    async def run(self) -> None:
        """Write until cancelled."""
        while True:
            if self._waiting.blocked:
                self._news.clear()
                await self._news.wait()
            _, (identity, event) = self._waiting.pop()
            try:
                await self._write(identity, event)
            except UNREACHABLE as error:
                # An event is advice; the condition carries the same words for good.
                self._log.info("event not written", reason=event["reason"], error=str(error) or repr(error))

    async def _write(self, identity: str, event: Json) -> None:
        known = self._series.get(identity)
        if known is None or time.monotonic() - known.last > _SERIES_SECONDS:
            await self._client.create(EVENTS, event["metadata"]["namespace"], event)
            self._remember(identity, _Series(event["metadata"]["name"], 1, time.monotonic()))
            return
        known.count += 1
        known.last = time.monotonic()
        # A series is written at 2, 4, 8, ... repeats, so that a flapping object stays cheap.
        if known.count & (known.count - 1) == 0:
            series = {"series": {"count": known.count, "lastObservedTime": _now()}}
            await self._client.patch(EVENTS, event["metadata"]["namespace"], known.name, series)

    def _remember(self, identity: str, series: _Series) -> None:
        self._series[identity] = series
        self._series.move_to_end(identity)
        while len(self._series) > _REMEMBERED:
            self._series.popitem(last=False)

    def _event(self, resource: Resource, regarding: Json, kind: EventType, reason: str, action: str, note: str) -> Json:
        metadata = regarding["metadata"]
        unique = sha256(f"{metadata['uid']}{reason}{note}{time.time_ns()}".encode()).hexdigest()[:16]
        return {
            "apiVersion": EVENTS.api_version,
            "kind": EVENTS.kind,
            "metadata": {"name": f"{metadata['name']}.{unique}", "namespace": metadata["namespace"]},
            "eventTime": _now(),
            "type": kind,
            "reason": reason,
            "action": action,
            "note": note[:_LONGEST_NOTE],
            "reportingController": self._controller,
            "reportingInstance": self._instance,
            "regarding": {
                "apiVersion": resource.api_version,
                "kind": resource.kind,
                "namespace": metadata["namespace"],
                "name": metadata["name"],
                "uid": metadata["uid"],
            },
        }


def _now() -> str:
    """Render now as the API's MicroTime."""
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
