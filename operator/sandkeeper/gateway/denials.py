"""What sandboxes were refused, counted by what they asked for: a worker's part until its next report."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from sandkeeper.gateway import reasons
from sandkeeper.gateway.audit_lines import clean
from sandkeeper.gateway.wire import Denial

if TYPE_CHECKING:
    from sandkeeper.gateway.record import Record

SENTENCES: Final = {
    reasons.NOT_ALLOWED: "not in spec.egress.domains",
    reasons.PORT_NOT_ALLOWED: "the name is in spec.egress.domains, but not with this port",
    reasons.IP_LITERAL: "only names are reached, and no addresses",
    reasons.NO_SNI: "the TLS client named no server (SNI)",
    reasons.ENCRYPTED_HELLO: "the TLS client hides which server it means (ECH)",
    reasons.INNER_SNI: "the TLS client named another server than the one that it asked the proxy for",
    reasons.HOST_DIFFERS: "the request named two different hosts",
    reasons.HTTP2: "HTTP/2 without TLS is not let through",
    reasons.FORBIDDEN_ADDRESS: "all its addresses are private, and none is in spec.egress.cidrs",
    reasons.TOO_MANY: "the sandbox has too many connections open",
    reasons.TOO_FAST: "the sandbox opens connections too fast",
}
"""What a user is told of; other reasons are of broken or hostile clients, and stand in the audit."""
OTHER_TARGETS: Final = "other names"
_MOST: Final = 2000
"""Targets between two reports of a worker."""


class Denials:
    """Refusals since the last report."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, str, str, str, str]] = Counter()

    def add(self, record: Record) -> None:
        """Count a record, if it is of something that a user can do about."""
        caller = record.caller
        if record.allowed or caller is None or record.reason not in SENTENCES:
            return
        key = (caller.namespace, caller.name, caller.uid, _target(record), record.reason)
        if key not in self._counts and len(self._counts) >= _MOST:
            key = (*key[:3], OTHER_TARGETS, record.reason)
        self._counts[key] += 1

    def take(self) -> tuple[Denial, ...]:
        """Give what was counted, and begin anew."""
        counts, self._counts = self._counts, Counter()
        return tuple(Denial(*key, count) for key, count in counts.items())


def _target(record: Record) -> str:
    name = clean(record.domain or record.sni or record.host) or "a server without a name"
    return f"{name}:{record.port}" if record.port else name
