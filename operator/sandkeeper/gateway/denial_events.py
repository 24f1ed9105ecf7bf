"""Tells users by Events what their sandboxes were refused: one Event a sandbox and target, counted up now and then.

The first refusal is told at once. What follows is told at most every half minute, and what is beyond a few targets in
one Event for all of them: neither a scan nor a loop is a burden to the API server.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from typing import TYPE_CHECKING, Final, NamedTuple

import structlog

from sandkeeper.api.names import API_VERSION, SANDBOX_KIND
from sandkeeper.gateway.denials import OTHER_TARGETS, SENTENCES
from sandkeeper.runtime.errors import ApiError
from sandkeeper.runtime.informer import UNREACHABLE
from sandkeeper.runtime.resource import CORE_EVENTS, Json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from sandkeeper.gateway.wire import Denial
    from sandkeeper.runtime.client import ApiClient

AGAIN_SECONDS: Final = 30.0
FORGOTTEN_SECONDS: Final = 600.0
MOST_TARGETS: Final = 10
_MOST_SANDBOXES: Final = 5000
_LOOK_SECONDS: Final = 0.25
_MOST_DISTINCT: Final = 1000
_COMPONENT: Final = "sandkeeper.dev/gateway"


class Sandbox(NamedTuple):
    """Which sandbox an Event is about."""

    namespace: str
    name: str
    uid: str


@dataclass
class _Told:
    """What was refused of one target, and what of that was told; times are monotonic."""

    target: str
    reason: str
    event: str
    count: int = 0
    told: int = 0
    first: datetime = field(default_factory=lambda: datetime.now(UTC))
    told_at: float = float("-inf")
    last: float = 0.0
    distinct: set[str] = field(default_factory=set)

    def note(self) -> str:
        """Say it in one sentence."""
        times = "once" if self.count == 1 else f"{self.count} times"
        target = self.target
        if self.distinct:
            more = "at least " if len(self.distinct) >= _MOST_DISTINCT else ""
            target = f"{more}{len(self.distinct)} other names"
        return f"Denied {target} ({times}): {SENTENCES.get(self.reason, self.reason)}."


class DenialEvents:
    """Refusals as Events.

    Parameters
    ----------
    instance
        This replica: each has Events of its own, for it knows only its own counts.
    clock
        Monotonic seconds.
    """

    def __init__(self, client: ApiClient, instance: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._client = client
        self._instance = instance
        self._clock = clock
        self._sandboxes: OrderedDict[Sandbox, dict[tuple[str, str], _Told]] = OrderedDict()
        self._log = structlog.get_logger()

    def add(self, denials: Iterable[Denial]) -> None:
        """Take a worker's counts."""
        # A canary has no uid, for it is no sandbox's; what it is refused is no news.
        for each in (each for each in denials if each.uid):
            sandbox = Sandbox(each.namespace, each.name, each.uid)
            targets = self._sandboxes.setdefault(sandbox, {})
            self._sandboxes.move_to_end(sandbox)
            told = self._of(sandbox, targets, each)
            told.count += each.count
            told.last = self._clock()
        while len(self._sandboxes) > _MOST_SANDBOXES:
            self._sandboxes.popitem(last=False)

    async def run(self) -> None:
        """Write until cancelled."""
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            await self.write()

    async def write(self) -> None:
        """Write what is due, and forget what has not come again for long."""
        now = self._clock()
        for sandbox, targets in list(self._sandboxes.items()):
            for key, told in list(targets.items()):
                # Even if it was never told: of a namespace that is gone the API server takes no Event any more.
                if now - told.last > FORGOTTEN_SECONDS:
                    del targets[key]
                elif told.count > told.told and now - told.told_at >= AGAIN_SECONDS:
                    await self._write(sandbox, told)
            if not targets:
                self._sandboxes.pop(sandbox, None)

    def _of(self, sandbox: Sandbox, targets: dict[tuple[str, str], _Told], denial: Denial) -> _Told:
        key = (denial.target, denial.reason)
        apart = key in targets or (denial.target != OTHER_TARGETS and len(targets) < MOST_TARGETS)
        if not apart:
            key = (OTHER_TARGETS, "")
        if key not in targets:
            unique = sha256(repr((sandbox, key, self._instance, time.time_ns())).encode()).hexdigest()[:16]
            targets[key] = _Told(denial.target, denial.reason, f"{sandbox.name}.{unique}")
        told = targets[key]
        if not apart and len(told.distinct) < _MOST_DISTINCT:
            told.distinct.add(denial.target)
        return told

    async def _write(self, sandbox: Sandbox, told: _Told) -> None:
        """Write one Event; where the API server does not take it, the next one has its count."""
        count, fresh = told.count, not told.told
        told.told_at = self._clock()
        event = self._event(sandbox, told)
        try:
            if fresh:
                await self._client.create(CORE_EVENTS, sandbox.namespace, event)
            else:
                changed = {name: event[name] for name in ("message", "count", "lastTimestamp")}
                await self._client.patch(CORE_EVENTS, sandbox.namespace, told.event, changed)
            told.told = count
        except UNREACHABLE as error:
            if isinstance(error, ApiError) and error.not_found:
                # It has expired; its successor is a new one.
                told.told = 0
            self._log.info("event not written", sandbox=f"{sandbox.namespace}/{sandbox.name}", error=repr(error))

    def _event(self, sandbox: Sandbox, told: _Told) -> Json:
        return {
            "apiVersion": CORE_EVENTS.api_version,
            "kind": CORE_EVENTS.kind,
            "metadata": {"name": told.event, "namespace": sandbox.namespace},
            "involvedObject": {
                "apiVersion": API_VERSION,
                "kind": SANDBOX_KIND,
                "namespace": sandbox.namespace,
                "name": sandbox.name,
                "uid": sandbox.uid,
            },
            "type": "Warning",
            "reason": "Denied",
            "message": told.note(),
            "count": told.count,
            "firstTimestamp": _time(told.first),
            "lastTimestamp": _time(datetime.now(UTC)),
            "source": {"component": _COMPONENT, "host": self._instance},
            "reportingComponent": _COMPONENT,
            "reportingInstance": self._instance,
        }


def _time(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z")
