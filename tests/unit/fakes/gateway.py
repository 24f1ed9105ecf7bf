"""What stands around the gateway's fronts in tests: callers by address, servers on loopback by name, records."""

import asyncio
import socket
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from itertools import count

from sandkeeper.api.egress import EgressGrant
from sandkeeper.gateway.caller import Caller
from sandkeeper.gateway.connections import Connections
from sandkeeper.gateway.context import Attempt, Context, DialError, Limits
from sandkeeper.gateway.happy_eyeballs import Race, connect
from sandkeeper.gateway.listening import Listening
from sandkeeper.gateway.poll import Poll
from sandkeeper.gateway.reasons import UNRESOLVABLE
from sandkeeper.gateway.record import Record
from sandkeeper.gateway.rules import Rules
from sandkeeper.gateway.sockets import BACKLOG
from unit.waiting import until

LOOPBACK = "127.0.0.1"
_pods = count(1)


def caller(*domains: str, address: str = LOOPBACK, pod_uid: str = "", **grant: object) -> Caller:
    """Make a sandbox that may reach these domains; each has a pod of its own unless it is named."""
    rules = Rules(EgressGrant.model_validate({"domains": domains, **grant}))
    return Caller("agents", "worker", "uid-1", pod_uid or f"pod-{next(_pods)}", address, rules)


class FakeCallers:
    """Knows the callers that it is told of; who is not known is waited for until `patience` has passed."""

    def __init__(self, *callers: Caller) -> None:
        self._known = {each.address: each for each in callers}
        self._changed: list[Callable[[Caller | None, Caller | None], None]] = []
        self.slots: dict[int, tuple[str, ...]] = {}
        self.patience = 0.05
        self._news = asyncio.Event()

    def known(self, address: str) -> Caller | None:
        return self._known.get(address)

    async def caller(self, address: str) -> Caller | None:
        try:
            async with asyncio.timeout(self.patience):
                while address not in self._known:
                    await self._news.wait()
        except TimeoutError:
            return None
        return self._known[address]

    def subscribe(self, changed: Callable[[Caller | None, Caller | None], None]) -> None:
        self._changed.append(changed)

    def slot_addresses(self, slot: int) -> tuple[str, ...]:
        return self.slots.get(slot, ())

    def put(self, after: Caller) -> None:
        """Make a caller known, in place of who had its address before."""
        before = self._known.get(after.address)
        self._known[after.address] = after
        self._tell(before, after)

    def remove(self, address: str) -> None:
        """Forget who had an address."""
        self._tell(self._known.pop(address), None)

    def _tell(self, before: Caller | None, after: Caller | None) -> None:
        self._news.set()
        self._news = asyncio.Event()
        for changed in self._changed:
            changed(before, after)


@dataclass
class SilentAttempt:
    """A connection that a host never answers."""

    aborted: bool = False

    def abort(self) -> None:
        self.aborted = True


@dataclass
class FakeDialer:
    """Dials the loopback ports that stand for hosts; fails with a reason where that stands instead.

    `gate` makes every dial one that has to ask first, and keeps it waiting while it is not set; where `silent` is set,
    hosts do not answer.
    """

    places: dict[tuple[str, int], int | str] = field(default_factory=dict)
    gate: asyncio.Event | None = None
    silent: bool = False
    dialled: list[tuple[str, int]] = field(default_factory=list)
    attempts: list[SilentAttempt] = field(default_factory=list)

    async def dial(
        self, caller: Caller, host: str, port: int, factory: Callable[[], asyncio.Protocol]
    ) -> tuple[asyncio.Transport, asyncio.Protocol, str]:
        del caller
        self.dialled.append((host, port))
        if self.gate is not None:
            await self.gate.wait()
        place = self.places.get((host, port), UNRESOLVABLE)
        if isinstance(place, str):
            raise DialError(place)
        protocol = factory()
        return await connect([LOOPBACK], place, protocol), protocol, LOOPBACK

    def at_once(
        self, caller: Caller, host: str, port: int, protocol: asyncio.Protocol, done: Callable[[str], None]
    ) -> Attempt | None:
        del caller
        place = self.places.get((host, port))
        if self.gate is not None or not isinstance(place, int):
            return None
        self.dialled.append((host, port))
        if self.silent:
            self.attempts.append(SilentAttempt())
            return self.attempts[-1]
        return Race([LOOPBACK], place, protocol, lambda made: done(LOOPBACK if made else ""))


class FakeAudit:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.records: list[Record] = []

    def tell(self, record: Record) -> None:
        self.records.append(record)


@dataclass
class Gateway:
    """A front on a loopback port, and all that stands around it."""

    callers: FakeCallers
    dialer: FakeDialer
    audit: FakeAudit
    context: Context
    port: int = 0
    clients: list[asyncio.StreamWriter] = field(default_factory=list)

    async def connect(self, source: str = LOOPBACK) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Connect to the front from an address of loopback."""
        ends = await asyncio.open_connection(LOOPBACK, self.port, local_addr=(source, 0))
        self.clients.append(ends[1])
        return ends

    async def records(self, number: int = 1) -> list[Record]:
        """Give the records once there are so many; there must not be more."""
        await until(lambda: len(self.audit.records) >= number and len(self.context.connections) == 0)
        assert len(self.audit.records) == number
        return list(self.audit.records)


def bound(address: str) -> socket.socket:
    """Bind any port."""
    made = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    made.bind((address, 0))
    return made


@asynccontextmanager
async def gateway(
    front: Callable[[Context], Callable[[], asyncio.Protocol]],
    *callers: Caller,
    limits: Limits | None = None,
    places: dict[tuple[str, int], int | str] | None = None,
    now: Callable[[], float] = time.time,
) -> AsyncIterator[Gateway]:
    """Serve a front, such as ``TlsFront``, for some callers, with hosts that lead to ports of loopback."""
    known, dialer, audit, chosen = FakeCallers(*callers), FakeDialer(places or {}), FakeAudit(), limits or Limits()
    connections = Connections(known, chosen, now)
    context = Context(known, dialer, audit, connections, chosen, now)
    listening = Listening(Poll.running(), bound(LOOPBACK), front(context), BACKLOG)
    connections.start()
    served = Gateway(known, dialer, audit, context, listening.port)
    try:
        yield served
    finally:
        for writer in served.clients:
            writer.close()
        await until(lambda: len(connections) == 0)
        connections.stop()
        listening.close()


@asynccontextmanager
async def upstream(
    handler: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
) -> AsyncIterator[int]:
    """Serve on a port of loopback, which is given."""
    server = await asyncio.start_server(handler, LOOPBACK, 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Send back what comes, and end when it ends; to be served by `upstream`."""
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except ConnectionError:
        return
    finally:
        writer.close()


@cache
def client_hello(name: str) -> bytes:
    """Give the first flight of this Python's OpenSSL for a server's name."""
    outgoing = ssl.MemoryBIO()
    wrapped = ssl.create_default_context().wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname=name)
    with suppress(ssl.SSLWantReadError):
        wrapped.do_handshake()
    return outgoing.read()
