"""What every front of the gateway is given: who knows the callers, who dials, who records, and the limits.

Fronts know nothing of Kubernetes, of name servers or of where records go: they know these few methods.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from sandkeeper.gateway.caller import Caller
    from sandkeeper.gateway.connections import Connections
    from sandkeeper.gateway.record import Record


class DialError(Exception):
    """Nothing could be dialled.

    Attributes
    ----------
    reason
        ``UNRESOLVABLE``, ``FORBIDDEN_ADDRESS``, ``UNREACHABLE`` or ``TIMEOUT`` of `reasons`.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Callers(Protocol):
    """Who has which address."""

    def known(self, address: str) -> Caller | None:
        """Give who has an address now."""

    async def caller(self, address: str) -> Caller | None:
        """Give who has an address, after waiting, boundedly, for one that is not known yet."""

    def subscribe(self, changed: Callable[[Caller | None, Caller | None], None]) -> None:
        """Have every change told: who had an address before, and who has it now, or with which rules."""

    def slot_addresses(self, slot: int) -> tuple[str, ...]:
        """Addresses of the gateway's own, of both families, that a slot has; none while they are not known."""


class Attempt(Protocol):
    """A connection that is being made."""

    def abort(self) -> None:
        """Make none; nobody is told any more."""


class Dialer(Protocol):
    """How hosts are reached."""

    def at_once(
        self, caller: Caller, host: str, port: int, protocol: asyncio.Protocol, done: Callable[[str], None]
    ) -> Attempt | None:
        """Begin to connect to a host as `dial` does, where nothing has to be asked for it.

        Parameters
        ----------
        done
            Called with the address that was checked and dialled once the protocol has its connection, or with an empty
            one if there is none; never before this method is over.

        Returns
        -------
        Attempt or None
            None, and nothing is done, where it is for `dial` to do.
        """

    async def dial(
        self, caller: Caller, host: str, port: int, factory: Callable[[], asyncio.Protocol]
    ) -> tuple[asyncio.Transport, asyncio.Protocol, str]:
        """Connect to a host that the caller's rules were found to allow.

        Returns
        -------
        tuple
            Transport, its protocol as ``factory`` made it, and the address that was checked and dialled.

        Raises
        ------
        DialError
            If the host has no address that may be dialled, or none that answers.
        """


class Audit(Protocol):
    """Where records go."""

    def tell(self, record: Record) -> None:
        """Take a finished record; never raises, never blocks."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one process of the gateway bears; all numbers of connections are per process.

    Attributes
    ----------
    connections, rate, burst
        Of one caller: at one time, and new ones per second and at once.
    total, strangers
        Of all callers together, and of sources that are not known yet.
    stopped
        Ends of connections, of all callers together, that do not take what was sent to them: half a megabyte each.
    hello_bytes, head_bytes
        How much is read of a ClientHello, or of a request's head, until it has to be complete.
    """

    connections: int = 1024
    rate: float = 200.0
    burst: int = 1000
    total: int = 32_768
    strangers: int = 512
    stopped: int = 512
    hello_seconds: float = 10.0
    hello_bytes: int = 65_536
    idle_seconds: float = 3600.0
    linger_seconds: float = 60.0
    """How long one side may go on taking what was sent to it after the other side is gone."""
    head_seconds: float = 10.0
    head_bytes: int = 65_536
    keep_alive_seconds: float = 60.0
    dial_seconds: float = 10.0


@dataclass(frozen=True, slots=True)
class Context:
    """What a front works with.

    Attributes
    ----------
    now
        Wall clock, in seconds since the epoch.
    """

    callers: Callers
    dialer: Dialer
    audit: Audit
    connections: Connections
    limits: Limits
    now: Callable[[], float]
