"""A worker: takes connections and questions, and judges them by what its parent tells.

It listens only once it has been told everything, and ends with its parent.
"""

from __future__ import annotations

import asyncio
import gc
import signal
import socket
import sys
import time
from typing import TYPE_CHECKING, Final

import uvloop

from sandkeeper.gateway.audit import Audit
from sandkeeper.gateway.callers import KnownCallers
from sandkeeper.gateway.fronts import Fronts, context_of
from sandkeeper.gateway.line_writer import LineWriter, unblocked
from sandkeeper.gateway.settings import GatewaySettings
from sandkeeper.gateway.tally import DROPPED, LAG, Tally
from sandkeeper.gateway.wire import TO_WORKER, Change, Channel, Drain, Listening, Report, Slots, Synced, encoded
from sandkeeper.logs import configure_logs

if TYPE_CHECKING:
    from sandkeeper.gateway.otlp import OtlpExport

_REPORT_SECONDS: Final = 1.0
_LAST_LINES_SECONDS: Final = 2.0
"""For the reader of the audit to take its last lines: a drain cuts thousands of connections in one moment."""
_LOOK_EVERY: Final = 5
"""Reports between two looks at what the open connections have carried."""
_STDOUT: Final = 1


class Worker:
    """One worker's parts."""

    def __init__(self, settings: GatewaySettings, channel: Channel[Change | Slots | Synced | Drain]) -> None:
        self._channel = channel
        self._tally = Tally()
        self._export = _export(settings)
        soon, lost = asyncio.get_running_loop().call_soon, lambda: self._tally.add(DROPPED)
        writer = LineWriter(unblocked(_STDOUT), lost, soon=soon) if settings.audit_stdout else None
        self._audit = Audit(self._tally, writer, self._export)
        self._callers = KnownCallers(settings.wait_seconds)
        self._context = context_of(settings, self._callers, self._audit)
        self._fronts = Fronts(self._context, settings)
        self._tasks: set[asyncio.Task[None]] = set()
        self._drained = asyncio.Event()

    async def run(self) -> int:
        """Work until drained, or until the parent is gone; gives the exit status."""
        self._context.connections.start()
        obeying = asyncio.create_task(self._obey())
        self._tasks |= {asyncio.create_task(self._audit.run()), asyncio.create_task(self._report_for_ever())}
        drained = asyncio.create_task(self._drained.wait())
        done, _ = await asyncio.wait({obeying, drained, *self._tasks}, return_when=asyncio.FIRST_COMPLETED)
        for task in done - {drained}:
            task.result()
        await self._audit.finish(_LAST_LINES_SECONDS)
        self._report()
        await self._channel.close()
        if self._export:
            await asyncio.to_thread(self._export.close)
        return 0 if drained in done else 1

    async def _obey(self) -> None:
        """Do what the parent says, until it is gone."""
        while (message := await self._channel.receive()) is not None:
            match message:
                case Change():
                    self._callers.apply(message)
                    if message.at:
                        self._tally.observe(LAG, value=max(0.0, time.monotonic() - message.at))
                case Slots():
                    self._callers.take_slots(message.addresses)
                case Synced():
                    await self._listen()
                case Drain():
                    self._tasks.add(asyncio.create_task(self._drain(message.seconds)))

    async def _listen(self) -> None:
        self._callers.sync()
        # What was read so far lives as long as the process: the collector need not walk over it at every turn.
        gc.collect()
        gc.freeze()
        await self._fronts.open()
        self._channel.send(encoded(Listening()))

    async def _drain(self, seconds: float) -> None:
        self._fronts.close()
        await self._context.connections.drain(seconds)
        # Those that were cut are recorded in the loop's next turns.
        await asyncio.sleep(0.1)
        self._drained.set()

    async def _report_for_ever(self) -> None:
        turn = 0
        while True:
            await asyncio.sleep(_REPORT_SECONDS)
            turn += 1
            if turn % _LOOK_EVERY == 0:
                self._audit.traffic.look(self._context.connections, self._context.now())
            self._report()

    def _report(self) -> None:
        counts, spreads = self._tally.take()
        traffic, denials = self._audit.traffic.take(), self._audit.denials.take()
        report = Report(traffic, denials, counts, spreads, len(self._context.connections))
        self._channel.send(encoded(report))


def _export(settings: GatewaySettings) -> OtlpExport | None:
    if not settings.audit_otlp_endpoint:
        return None
    from sandkeeper.gateway.otlp import OtlpExport  # noqa: PLC0415

    return OtlpExport(settings.audit_otlp_endpoint, settings.pod_name)


async def _run(settings: GatewaySettings, descriptor: int) -> int:
    end = socket.socket(fileno=descriptor)
    end.setblocking(False)
    return await Worker(settings, await Channel.over(end, TO_WORKER)).run()


def main() -> None:
    """Run a worker; its only argument is the descriptor of the line to its parent."""
    # A terminal's interrupt is for the parent, who drains us.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    settings = GatewaySettings()
    configure_logs(settings)
    sys.exit(uvloop.run(_run(settings, int(sys.argv[1]))))


if __name__ == "__main__":
    main()
