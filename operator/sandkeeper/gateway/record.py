"""What is recorded of a connection, or of a request on port 80: one JSON object a line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from sandkeeper.gateway.caller import Caller

Kind = Literal["tls", "http", "connect", "port", "dns"]


@dataclass(slots=True)
class Record:
    """One connection, request or refusal; what is not known is empty, None or 0.

    Attributes
    ----------
    kind
        How it came: by 443, 80, 3128, another port, or as a question.
    caller
        None for a source that is nobody's.
    source
        Address it came from.
    domain, port
        What was asked for.
    address
        Address that was dialled.
    sni, host, method, path, status
        As they were seen: of TLS that is not opened only the SNI.
    up, down
        Bytes from and to the sandbox.
    started, seconds
        Since the epoch, and how long it took.
    rule
        Pattern that allowed it.
    reason
        Of `reasons`; why it was refused or cut. Empty for what went its way.
    allowed
        Whether it was let through.
    """

    kind: Kind
    caller: Caller | None
    source: str
    started: float
    domain: str = ""
    port: int = 0
    address: str = ""
    sni: str = ""
    host: str = ""
    method: str = ""
    path: str = ""
    status: int = 0
    up: int = 0
    down: int = 0
    seconds: float = 0.0
    rule: str = ""
    reason: str = ""
    allowed: bool = False
