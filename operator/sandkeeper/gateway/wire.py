"""What the gateway's processes tell each other: JSON with its length in front, over a pair of sockets.

Both ends are of one version, for the parent starts its workers; what comes in is checked all the same.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Final, Generic, Literal, TypeVar

import orjson
from pydantic import Field, TypeAdapter

if TYPE_CHECKING:
    import socket

_LENGTH: Final = 4
M = TypeVar("M")


@dataclass(frozen=True, slots=True)
class Entry:
    """Whose an address is.

    Attributes
    ----------
    namespace, name, uid
        Of the Sandbox.
    grant
        An `EgressGrant` as JSON; empty for nothing.
    """

    address: str
    namespace: str
    name: str
    uid: str
    pod_uid: str
    grant: str


@dataclass(frozen=True, slots=True)
class Change:
    """To a worker: addresses that are somebody's from now on, and such as are nobody's.

    Attributes
    ----------
    at
        When the API server told it, in seconds of the machine's monotonic clock; 0 for what was known before.
    """

    at: float = 0.0
    entries: tuple[Entry, ...] = ()
    gone: tuple[str, ...] = ()
    kind: Literal["change"] = "change"


@dataclass(frozen=True, slots=True)
class Slots:
    """To a worker: addresses of the gateway's Services, by slot."""

    addresses: dict[int, tuple[str, ...]]
    kind: Literal["slots"] = "slots"


@dataclass(frozen=True, slots=True)
class Synced:
    """To a worker: it has been told of all that there is, and may take connections."""

    kind: Literal["synced"] = "synced"


@dataclass(frozen=True, slots=True)
class Drain:
    """To a worker: take no more connections, and end once those that are open have ended, or after so many seconds."""

    seconds: float
    kind: Literal["drain"] = "drain"


@dataclass(frozen=True, slots=True)
class Denial:
    """What a sandbox was refused, and how often.

    Attributes
    ----------
    target
        A name, with the port where one is known.
    reason
        One of `reasons`.
    """

    namespace: str
    name: str
    uid: str
    target: str
    reason: str
    count: int


@dataclass(frozen=True, slots=True)
class Count:
    """By how much a counter grew."""

    name: str
    labels: tuple[str, ...]
    amount: float


@dataclass(frozen=True, slots=True)
class Spread:
    """What a histogram has got: how many values by bucket, and their sum."""

    name: str
    labels: tuple[str, ...]
    buckets: tuple[int, ...]
    total: float


@dataclass(frozen=True, slots=True)
class Listening:
    """From a worker: it takes connections."""

    kind: Literal["listening"] = "listening"


@dataclass(frozen=True, slots=True)
class Report:
    """From a worker: what happened since its last one.

    Attributes
    ----------
    traffic
        When pods last had traffic, by uid, in seconds since the epoch.
    open
        Connections at this moment.
    """

    traffic: dict[str, float] = field(default_factory=dict)
    denials: tuple[Denial, ...] = ()
    counts: tuple[Count, ...] = ()
    spreads: tuple[Spread, ...] = ()
    open: int = 0
    kind: Literal["report"] = "report"


ToWorker = Annotated[Change | Slots | Synced | Drain, Field(discriminator="kind")]
FromWorker = Annotated[Listening | Report, Field(discriminator="kind")]
TO_WORKER: Final[TypeAdapter[Change | Slots | Synced | Drain]] = TypeAdapter(ToWorker)
FROM_WORKER: Final[TypeAdapter[Listening | Report]] = TypeAdapter(FromWorker)


def encoded(message: object) -> bytes:
    """Give a message as it goes over the wire."""
    body = orjson.dumps(message, option=orjson.OPT_NON_STR_KEYS)
    return len(body).to_bytes(_LENGTH, "big") + body


class Channel(Generic[M]):
    """One end of the pair.

    Parameters
    ----------
    incoming
        What the other end sends.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, incoming: TypeAdapter[M]) -> None:
        self._reader = reader
        self._writer = writer
        self._incoming = incoming

    @classmethod
    async def over(cls, end: socket.socket, incoming: TypeAdapter[M]) -> Channel[M]:
        """Take over an end of the pair."""
        reader, writer = await asyncio.open_connection(sock=end)
        return cls(reader, writer, incoming)

    @property
    def unsent(self) -> int:
        """Bytes that the other end has not taken yet."""
        return self._writer.transport.get_write_buffer_size()

    def send(self, message: bytes) -> None:
        """Send what `encoded` gave; never blocks, and is lost where the other end is gone."""
        if not self._writer.transport.is_closing():
            self._writer.write(message)

    async def receive(self) -> M | None:
        """Wait for the next message; None once the other end is gone.

        Raises
        ------
        pydantic.ValidationError
            If it is none.
        """
        try:
            length = int.from_bytes(await self._reader.readexactly(_LENGTH), "big")
            return self._incoming.validate_json(await self._reader.readexactly(length))
        except (asyncio.IncompleteReadError, ConnectionError):
            return None

    def abort(self) -> None:
        """Close this end at once."""
        self._writer.transport.abort()

    async def close(self) -> None:
        """Close this end, once the other one has taken what was sent or is gone."""
        self._writer.close()
        try:
            await self._writer.wait_closed()
        except ConnectionError:
            return
