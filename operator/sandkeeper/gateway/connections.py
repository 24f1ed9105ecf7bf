"""All live connections of one process: how many each caller may have, and which may live on.

What a caller may no longer reach is cut in the same moment in which the change is told, whoever holds the connection;
what only time ends (the setup domains) within a second. A connection is here from its first byte to its last.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from ipaddress import ip_address
from time import monotonic
from typing import TYPE_CHECKING, Final, Protocol

from sandkeeper.gateway import reasons
from sandkeeper.gateway.pressure import Pressure

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from sandkeeper.gateway.caller import Caller
    from sandkeeper.gateway.context import Callers, Limits
    from sandkeeper.gateway.rules import Rules

SWEEP_SECONDS: Final = 1.0
_CROWDED: Final = 0.75
"""Of the total: from here on a caller that has a part of its own limit already gets no more."""


class Live(Protocol):
    """A connection of a caller.

    Attributes
    ----------
    host, port
        What it reaches, or is about to; an empty host while it reaches nothing.
    address
        That was dialled; empty before.
    caller
        Whose it is; None before it was let in.
    """

    host: str
    port: int
    address: str
    caller: Caller | None

    @property
    def moved(self) -> int:
        """Bytes that it has carried so far, both ways."""

    def follow(self, caller: Caller) -> None:
        """Take the caller as it is from now on: the same pod with other rules."""

    def cut(self, reason: str) -> None:
        """End at once, for one of `reasons`."""

    def drain(self) -> None:
        """End as soon as nothing is under way."""

    def sweep(self, now: float) -> None:
        """Look whether it has been quiet for too long; ``now`` is of ``time.monotonic``."""


@dataclass(slots=True)
class _Held:
    """What one pod holds, and how many more it may open right now."""

    caller: Caller
    tokens: float
    filled: float
    settled: Rules | None = None
    """Rules that were judged by again after their setup domains had ended."""
    lives: set[Live] = field(default_factory=set)


class Connections:
    """Registry of what is open.

    Parameters
    ----------
    now
        Wall clock, in seconds since the epoch: setup domains end by it.

    Attributes
    ----------
    pressure
        Those of them that hold memory, for an end does not take what was sent to it.
    """

    def __init__(self, callers: Callers, limits: Limits, now: Callable[[], float]) -> None:
        self._limits = limits
        self._now = now
        self.pressure = Pressure(limits.stopped)
        self._held: dict[str, _Held] = {}
        self._due: dict[Live, float] = {}
        self._total = 0
        self._strangers = 0
        self._swept_all = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._empty: asyncio.Event | None = None
        callers.subscribe(self.changed)

    def __len__(self) -> int:
        return self._total

    def __iter__(self) -> Iterator[Live]:
        return iter(self._all())

    @property
    def draining(self) -> bool:
        """Whether the process is about to end: kept connections shall not be kept for another request."""
        return self._empty is not None

    def start(self) -> None:
        """Look after what only time changes, from now on, in the running loop."""
        self._timer = asyncio.get_running_loop().call_later(SWEEP_SECONDS, self._tick)

    def stop(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()

    def open(self, live: Live, caller: Caller) -> str:
        """Take in a connection, unless its caller has too many.

        Returns
        -------
        str
            Empty, or why it is not taken: ``TOO_MANY`` or ``TOO_FAST`` of `reasons`.
        """
        limits, at = self._limits, monotonic()
        held = self._held.get(caller.pod_uid)
        if held is None:
            held = self._held[caller.pod_uid] = _Held(caller, float(limits.burst), at)
        held.caller = caller
        held.tokens = min(float(limits.burst), held.tokens + (at - held.filled) * limits.rate)
        held.filled = at
        crowded = self._total >= limits.total * _CROWDED
        most = limits.connections // 16 if crowded else limits.connections
        if self._total >= limits.total or len(held.lives) >= most:
            return reasons.TOO_MANY
        if held.tokens < 1.0:
            return reasons.TOO_FAST
        held.tokens -= 1.0
        held.lives.add(live)
        self._total += 1
        return ""

    def open_stranger(self) -> bool:
        """Take in a connection whose caller is not known yet; whether there is room for it."""
        if self._strangers >= self._limits.strangers:
            return False
        self._strangers += 1
        return True

    def close_stranger(self) -> None:
        """Forget one, known by now or gone."""
        self._strangers -= 1

    def close(self, live: Live, caller: Caller) -> None:
        """Forget a connection that has ended; of one that is not known nothing happens."""
        self._due.pop(live, None)
        self.pressure.forget(live)
        held = self._held.get(caller.pod_uid)
        if held is None or live not in held.lives:
            return
        held.lives.remove(live)
        self._total -= 1
        if self._empty is not None and not self._total:
            self._empty.set()

    def expect(self, live: Live, seconds: float) -> None:
        """Cut a connection with ``TIMEOUT`` unless, within so many seconds, it expects something else or nothing."""
        self._due[live] = monotonic() + seconds

    def expect_nothing(self, live: Live) -> None:
        """Let a connection live on as long as it is not idle."""
        self._due.pop(live, None)

    def changed(self, before: Caller | None, after: Caller | None) -> None:
        """Cut what an address's change took away."""
        held = self._held.get(before.pod_uid) if before is not None else None
        if held is None:
            return
        if after is None or after.pod_uid != held.caller.pod_uid:
            for live in tuple(held.lives):
                live.cut(reasons.SANDBOX_GONE)
            return
        earlier, held.caller = held.caller, after
        for live in tuple(held.lives):
            live.follow(after)
        self._judge(held, earlier)

    async def drain(self, seconds: float) -> None:
        """Let what is open end, and cut what has not after so many seconds; no new ones should come any more."""
        self._empty = asyncio.Event()
        for live in self._all():
            live.drain()
        if self._total:
            try:
                await asyncio.wait_for(self._empty.wait(), seconds)
            except TimeoutError:
                for live in self._all():
                    live.cut(reasons.DRAINED)

    def sweep(self, at: float) -> None:
        """Cut what is overdue, and what setup domains allowed that have ended; ``at`` is of ``time.monotonic``."""
        for live in [live for live, due in self._due.items() if due <= at]:
            live.cut(reasons.TIMEOUT)
        if at - self._swept_all >= min(30.0, self._limits.linger_seconds, self._limits.idle_seconds) / 4:
            self._swept_all = at
            for live in self._all():
                live.sweep(at)
        for held in tuple(self._held.values()):
            self._settle(held, at)

    def _all(self) -> Iterable[Live]:
        return [live for held in self._held.values() for live in held.lives]

    def _tick(self) -> None:
        self.start()
        self.sweep(monotonic())

    def _settle(self, held: _Held, at: float) -> None:
        """Judge again where time has changed the rules, and forget who holds nothing and may open all."""
        if held.lives:
            if held.settled is not held.caller.rules and held.caller.rules.setup_ended(self._now()):
                held.settled = held.caller.rules
                self._judge(held, held.caller)
        elif held.tokens + (at - held.filled) * self._limits.rate >= self._limits.burst:
            del self._held[held.caller.pod_uid]

    def _judge(self, held: _Held, earlier: Caller) -> None:
        rules, now = held.caller.rules, self._now()
        for live in tuple(held.lives):
            if live.host and not (
                rules.verdict(live.host, live.port, now).allowed
                and still_grants(live.address, live.port, earlier, held.caller)
            ):
                live.cut(reasons.POLICY_CHANGED)


def still_grants(address: str, port: int, earlier: Caller, caller: Caller) -> bool:
    """Whether an address that could be dialled by a caller's earlier rules still may be.

    One that a CIDR granted goes with it, a public one too: it may be the cluster's, or carry a private one (NAT64). For
    all others it is enough that the host may be reached.
    """
    if not address or earlier.rules is caller.rules:
        return True
    literal = ip_address(address)
    return not earlier.rules.grants_address(literal, port) or caller.rules.grants_address(literal, port)
