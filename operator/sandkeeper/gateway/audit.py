"""Where all records of a worker go: lines, metrics, the last traffic of each pod, and what users are told of."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import structlog

from sandkeeper.gateway.audit_lines import line
from sandkeeper.gateway.denials import Denials
from sandkeeper.gateway.scans import WINDOW_SECONDS, Scans
from sandkeeper.gateway.tally import DROPPED, Tally
from sandkeeper.gateway.traffic import Traffic

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandkeeper.gateway.line_writer import LineWriter
    from sandkeeper.gateway.record import Record

_AGAIN_SECONDS: Final = 0.05
_LAST_SECONDS: Final = 0.01
"""A pipe takes 64 KiB between two attempts: so four megabytes are written in less than a second."""


class Audit:
    """Takes records; never raises, never blocks.

    Parameters
    ----------
    writer
        Takes lines; None writes none.
    export
        Takes a record and how many it stands for, to send it elsewhere; None sends nothing.
    """

    def __init__(
        self, tally: Tally, writer: LineWriter | None, export: Callable[[Record, int], None] | None = None
    ) -> None:
        self.tally = tally
        self.traffic = Traffic()
        self.denials = Denials()
        self._scans = Scans(self._write)
        self._writer = writer
        self._export = export
        self._log = structlog.get_logger()

    def tell(self, record: Record) -> None:
        """Take a record of what has ended."""
        try:
            self.tally.record(record)
            self.traffic.ended(record)
            self.denials.add(record)
            if not self._scans.take(record):
                self._write(record, 1)
        except Exception:  # a record that can't be told must not end what it is of
            self.tally.add(DROPPED)
            self._log.exception("a record could not be told")

    async def run(self) -> None:
        """Write what had to wait, and sums of what was cheap to cause, until cancelled."""
        loop = asyncio.get_running_loop()
        window = loop.time() + WINDOW_SECONDS
        while True:
            await asyncio.sleep(_AGAIN_SECONDS)
            if loop.time() >= window:
                window += WINDOW_SECONDS
                self._scans.flush()
            if self._writer and self._writer.waiting:
                self._writer.flush()

    def flush(self) -> None:
        """Write all there is, as far as it is taken."""
        self._scans.flush()
        if self._writer:
            self._writer.flush()

    async def finish(self, seconds: float) -> None:
        """Write all there is, for so long at most; what was not taken by then is lost, and counted."""
        loop = asyncio.get_running_loop()
        self.flush()
        until = loop.time() + seconds
        while self._writer and self._writer.waiting and loop.time() < until:
            await asyncio.sleep(_LAST_SECONDS)
            self._writer.flush()
        if self._writer:
            self._writer.give_up()

    def _write(self, record: Record, count: int) -> None:
        if self._writer:
            self._writer.write(line(record, count=count, dropped=self._writer.dropped))
        if self._export:
            self._export(record, count)
