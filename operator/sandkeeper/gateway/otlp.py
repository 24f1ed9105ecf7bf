"""Sends audit records as logs of OpenTelemetry, by HTTP, in batches and in the background.

Imported only where it is switched on: it costs a worker some twenty megabytes. What waits is bounded, and what is more
than a collector takes is lost.
"""

from __future__ import annotations

from threading import Thread
from typing import TYPE_CHECKING, Final

from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.resources import Resource

from sandkeeper.gateway.audit_lines import fields

if TYPE_CHECKING:
    from sandkeeper.gateway.record import Record

_DELAY_MILLISECONDS: Final = 1000
_MOST_WAITING: Final = 8192
REQUEST_SECONDS: Final = 5.0
"""For a batch with all its retries."""
_LAST_SECONDS: Final = 5.0
"""For all that waits when a worker ends, which is killed soon after: what a collector does not take by then is lost."""
_NANOSECONDS: Final = 1_000_000_000


class OtlpExport:
    """Records to a collector.

    Parameters
    ----------
    endpoint
        URL, with its path.
    instance
        This replica.
    """

    def __init__(self, endpoint: str, instance: str) -> None:
        about = Resource.create({"service.name": "sandkeeper-gateway", "service.instance.id": instance})
        self._provider = LoggerProvider(about, shutdown_on_exit=False)
        self._exporter = OTLPLogExporter(endpoint, timeout=REQUEST_SECONDS)
        self._provider.add_log_record_processor(
            BatchLogRecordProcessor(
                self._exporter, schedule_delay_millis=_DELAY_MILLISECONDS, max_queue_size=_MOST_WAITING
            )
        )
        self._logger = self._provider.get_logger("sandkeeper.gateway")

    def __call__(self, record: Record, count: int) -> None:
        """Take a record, and how many it stands for; does not wait."""
        told = fields(record, count=count)
        severity = SeverityNumber.INFO if record.allowed else SeverityNumber.WARN
        self._logger.emit(
            LogRecord(
                timestamp=int(record.started * _NANOSECONDS),
                severity_number=severity,
                severity_text=severity.name,
                body="egress",
                event_name="sandkeeper.egress",
                attributes={name: value for name, value in told.items() if name not in ("time", "event")},
            )
        )

    def close(self, seconds: float = _LAST_SECONDS) -> None:
        """Send what waits, for so long at most; blocks."""
        # The SDK would wait for half a minute, and takes no other word for it.
        ending = Thread(target=self._provider.shutdown, daemon=True)
        ending.start()
        ending.join(seconds)
        if ending.is_alive():
            self._exporter.shutdown()  # type: ignore[no-untyped-call]
