"""How a record becomes a line: one JSON object below the size that a pipe takes whole, whatever a client sent."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import orjson

if TYPE_CHECKING:
    from sandkeeper.gateway.record import Record

LONGEST: Final = 4095
"""Bytes of a line; a pipe takes 4096 at once or none of them (POSIX, PIPE_BUF on Linux)."""
_TEXT: Final = 256
_PATH: Final = 1024
_SHORT_PATH: Final = 128


def fields(record: Record, *, count: int = 1, path: int = _PATH) -> dict[str, Any]:
    """Give what is told of a record, by the names that it has in a line.

    Parameters
    ----------
    count
        How many of its kind it stands for.
    path
        Characters that a path may have.
    """
    told = _told(record, path)
    if count > 1:
        told["count"] = count
    return told


def line(record: Record, *, count: int = 1, dropped: int = 0) -> bytes:
    r"""Give a record's line, with its ``\n``.

    Parameters
    ----------
    dropped
        How many records were lost before it.
    """
    text = _text(fields(record, count=count), dropped)
    return text if len(text) <= LONGEST else _text(fields(record, count=count, path=_SHORT_PATH), dropped)


def clean(text: str, longest: int = _TEXT) -> str:
    """Shorten text that a client sent, and make what is not printable ASCII in it ``?``."""
    if len(text) > longest:
        text = text[:longest]
    if text.isascii() and text.isprintable():
        return text
    return "".join(each if each.isascii() and each.isprintable() else "?" for each in text)


def _told(record: Record, path: int) -> dict[str, Any]:
    caller = record.caller
    return {
        "time": _time(record.started),
        "event": "egress",
        "namespace": caller.namespace if caller else "",
        "name": caller.name if caller else "",
        "uid": caller.uid if caller else "",
        "source": record.source,
        "kind": record.kind,
        "domain": clean(record.domain),
        "port": record.port,
        "address": record.address,
        "sni": clean(record.sni),
        "host": clean(record.host),
        "method": clean(record.method, 32),
        "path": clean(record.path, path),
        "status": record.status,
        "bytesUp": record.up,
        "bytesDown": record.down,
        "seconds": round(record.seconds, 6),
        "verdict": "allowed" if record.allowed else "denied",
        "rule": record.rule,
        "reason": record.reason,
    }


def _text(told: dict[str, Any], dropped: int) -> bytes:
    if dropped:
        told["dropped"] = dropped
    return orjson.dumps(told, option=orjson.OPT_APPEND_NEWLINE)


def _time(seconds: float) -> str:
    second, milliseconds = divmod(int(seconds * 1000), 1000)
    return f"{_second(second)}.{milliseconds:03}Z"


@lru_cache(maxsize=16)
def _second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None).isoformat()
