"""Structured logs: one line a decision, with the sandbox's key, so that `grep team-a/agent-1` tells its story."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import orjson
import structlog

if TYPE_CHECKING:
    from sandkeeper.gateway.settings import GatewaySettings
    from sandkeeper.settings import OperatorSettings

_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}


def configure_logs(settings: OperatorSettings | GatewaySettings) -> None:
    """Send our own lines and those of libraries to stdout in the same format."""
    level = _LEVELS[settings.log_level]
    shared: list[structlog.typing.Processor] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    renderer: structlog.typing.Processor = structlog.dev.ConsoleRenderer()
    if settings.log_format == "json":
        renderer = structlog.processors.JSONRenderer(serializer=_to_json)
    structlog.configure(
        processors=[*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler()
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(processor=renderer, foreign_pre_chain=shared))
    logging.basicConfig(handlers=[handler], level=max(level, logging.WARNING), force=True)
    # Kopf tells of every event at INFO and DEBUG; our own lines say what was decided.
    logging.getLogger("kopf").setLevel(max(level, logging.WARNING))


def _to_json(event: dict[str, Any], **_: Any) -> str:
    return orjson.dumps(event, default=str).decode()
